"""One file on its way from Kaggle: gone on with after a cut, in this call or a later one, and checked when it is here.

The client keeps the bytes that came and, beside them, whose they are (`<file>.kaggle-partial`: ETag or Last-Modified,
and size): of a file that changed on Kaggle it begins anew. Each try asks Kaggle for a fresh address, as signed ones
expire; going on costs one answer whose body is not read.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness import files
from harness.data import unpack
from harness.errors import DataError, ServiceError, SpaceError
from harness.kaggle.service import Service

FIX = "free some space or choose another disk with --out DIR"
MARKER = ".kaggle-partial"
CHUNK = 1 << 16  # bytes: what came of an unfinished one is lost in a cut, and the client's own are a megabyte


@dataclass(frozen=True)
class Told:
    """What Kaggle says of a file's content.

    Attributes:
        size: bytes; None where it does not say.
        tag: the ETag.
        modified: the Last-Modified.
        md5: hexadecimal; empty where it does not say.
    """

    size: int | None
    tag: str
    modified: str
    md5: str

    def same(self, other: Told | None) -> bool:
        """Whether both are of the same content, as far as they say."""
        return other is not None and self == other and bool(self.tag or self.modified)


@dataclass(frozen=True)
class Arrival:
    """A file, where it lies, what was said of it, and whether it came now."""

    path: Path
    told: Told
    came: bool


def told_of(headers: Mapping[str, str]) -> Told:
    """What the headers of an answer say.

    Google's storage, which Kaggle sends on to, names MD5 in `x-goog-hash` where it knows it (not of what was put
    together of parts): https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash. Elsewhere an ETag of
    32 hexadecimal digits is one.
    """
    size, tag = headers.get("Content-Length"), headers.get("ETag") or ""
    hashes = headers.get("x-goog-hash")
    found = re.search(r"md5=([A-Za-z0-9+/]{22}==)", hashes or "")
    plain = re.fullmatch(r'"([0-9a-f]{32})"', tag)
    md5 = base64.b64decode(found[1]).hex() if found else plain[1] if plain and hashes is None else ""
    return Told(int(size) if size else None, tag, headers.get("Last-Modified") or "", md5)


def arrive(
    service: Service,
    send: Callable[[Any], Any],
    path: Path,
    *,
    doing: str,
    rules: str,
    room: Callable[[int | None], None],
    known: Collection[Told] = (),
    listed: int = 0,
) -> Arrival:
    """The file that `send` asks for, at `path`, checked by size and, where Kaggle names one, by hash.

    Kaggle packs large single files: such a one gets `.zip` behind its name.

    Args:
        room: told the size before a byte is written; raises where the disk has less.
        known: of contents that are here already: those are not fetched again.
        listed: bytes that Kaggle's list names; looked at where the answer does not say how many it has.

    Raises:
        ServiceError: refused, or not reached; what came is kept, and the next call goes on from there.
        SpaceError: the disk is full.
        DataError: it came, and is not what Kaggle says: it is removed.
    """

    def question(client: Any) -> Arrival:
        response = send(client)
        with contextlib.closing(response):
            told, target = told_of(response.headers), path
            if urlsplit(response.url).path.endswith(".zip") and path.suffix != ".zip":
                target = path.with_name(f"{path.name}.zip")
            if any(told.same(each) for each in known):
                return Arrival(target, told, came=False)
            if "text/html" in response.headers.get("Content-Type", "") and path.suffix not in (".html", ".htm"):
                raise ServiceError(f"{doing}: a web page came", fix="log in to the proxy, if there is one")
            room(told.size)
            manner = {"quiet": not sys.stderr.isatty(), "resume": True, "max_retries": 0, "chunk_size": CHUNK}
            service.api.download_file(response, str(target), client.http_client(), **manner)
        return Arrival(target, told, came=True)

    while True:
        before = held(path)
        try:
            arrival = service.ask(question, doing=doing, rules=rules)
            break
        except ServiceError:
            if held(path) <= before:  # else the line is bad, and it goes forward all the same
                raise
        except OSError as error:
            if error.errno not in files.FULL:
                raise
            raise SpaceError(f"{doing}: the disk filled up", file=path.parent, fix=FIX) from error
    if arrival.came:
        _check(arrival, listed if arrival.path == path else 0)
    return arrival


def held(path: Path) -> int:
    """Bytes of a file that came so far, packed or not."""
    return max(
        (place.stat().st_size for place in (path, path.with_name(f"{path.name}.zip")) if place.exists()), default=0
    )


def discard(path: Path) -> None:
    """Removes a file that came, and what the client keeps beside it."""
    for place in (path, Path(f"{path}{MARKER}")):
        place.unlink(missing_ok=True)


def table(arrival: Arrival) -> list[str]:
    """The names in a zip that came and can be trusted; read whole where no hash says that it is sound.

    Raises:
        DataError: it cannot be trusted, and is removed.
    """
    try:
        return list(unpack.listed(arrival.path, read=not arrival.told.md5))
    except DataError as error:
        discard(arrival.path)
        raise DataError(f"{error.problem}: it is removed", file=arrival.path, fix=error.fix) from error


def _check(arrival: Arrival, listed: int) -> None:
    """Removes what is not what Kaggle says.

    Args:
        listed: bytes in Kaggle's list; 0 where it names none, or names those of what was packed.
    """
    told, path = arrival.told, arrival.path
    fix = "it is removed: run the same command again"
    expected = told.size if told.size is not None else listed or None
    if expected is not None and (size := path.stat().st_size) != expected:
        discard(path)
        raise DataError(f"{size:,} bytes came of {expected:,}", file=path, fix=fix)
    if not told.md5:
        return
    with open(path, "rb") as handle:
        digest = hashlib.file_digest(handle, "md5").hexdigest()
    if digest != told.md5:
        discard(path)
        raise DataError(f"damaged on the way: its MD5 is {digest}, Kaggle says {told.md5}", file=path, fix=fix)
