"""Lists of picture addresses become class folders in the cache: politely, once, and only what decodes is kept.

Each host is asked for one picture after the other.
"""

from __future__ import annotations

import csv
import hashlib
import http.client
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock
from PIL import Image

from harness import __version__, files, listing
from harness.data import addresses
from harness.data.addresses import Item
from harness.data.pictures import read_picture
from harness.errors import DataError
from harness.hashing import hash_value
from harness.waiting import retry_after

FAILED = "failed.csv"
BUSY = (408, 425, 429, 500, 502, 503, 504)
KINDS = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"II*\0": ".tif", b"MM\0*": ".tif", b"BM": ".bmp"}
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Manners:
    """How hosts are treated.

    Attributes:
        timeout: seconds without a byte, and a tenth of those for a whole picture.
        retries: further tries of a host that is busy or silent.
        wait: seconds before the first of them; each waits twice as long as the one before.
        longest: seconds; a Retry-After above is not waited for.
        pause: seconds between two requests to one host.
        hosts: asked at once.
        largest: bytes of a picture.
        patience: addresses in a row that get no answer at all, after which a host is left alone.
    """

    timeout: float = 20.0
    retries: int = 3
    wait: float = 1.0
    longest: float = 60.0
    pause: float = 0.2
    hosts: int = 4
    largest: int = 30_000_000
    patience: int = 5


def fetch(
    place: Path, *, cache: Path, say: Callable[[str], None], progress: Progress, manners: Manners | None = None
) -> Path:
    """The folder `<cache>/downloads/<key>` with `<class>/<number>-<digits>.<ending>` of each address that is a picture.

    What gave no picture stands in `failed.csv` there (class, url, reason). A finished folder is taken as it is; an
    unfinished one is gone on with. The key follows the list.

    Raises:
        DataError: a list that cannot be read, or no picture at all.
    """
    items, refused = addresses.read(place)
    target = cache / "downloads" / hash_value(sorted([*items, *refused]))[:16]
    target.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        record = target / FAILED
        if not record.exists():
            say(f"downloading {len(items)} pictures to {target}")
            reasons = {**refused, **_fetch_all(items, target, progress, manners or Manners())}
            if len(reasons) >= len(items) + len(refused):
                url, reason = next(iter((item[1], reason) for item, reason in reasons.items()))
                raise DataError(f"no picture of {len(reasons)}; {url}: {reason}", file=place, fix="check the addresses")
            with files.replacing(record, "w") as handle:
                writer = csv.writer(handle, lineterminator="\n")
                writer.writerow(("class", "url", "reason"))
                writer.writerows((label, url, reason) for (label, url), reason in reasons.items())
        failed = len(listing.read_all(record)["url"])
    if failed:
        say(f"{failed} addresses gave no picture, see {record}; remove that file to try them again")
    return target


def _fetch_all(items: Sequence[Item], target: Path, progress: Progress, manners: Manners) -> dict[Item, str]:
    """Fetches what is not there yet, host by host; returns why each of the others gave no picture."""
    hosts: dict[str, list[tuple[int, Item]]] = {}
    for number, item in enumerate(items):
        hosts.setdefault(urlsplit(item[1]).netloc.lower(), []).append((number, item))
    reasons: dict[Item, str] = {}
    stop, done = threading.Event(), threading.Semaphore(0)

    def one_host(queue: list[tuple[int, Item]]) -> None:
        silent = 0
        for number, item in queue:
            if stop.is_set():
                return
            stem = target / item[0] / f"{number:05}-{hashlib.sha256(item[1].encode()).hexdigest()[:8]}"
            if silent >= manners.patience:
                reasons[item] = "its host did not answer before"
            elif not any(stem.parent.glob(f"{stem.name}.*")):
                try:
                    _keep(_get(item[1], stop, manners), stem)
                    silent = 0
                except _Failed as error:
                    reasons[item], silent = str(error), silent + 1 if error.silent else 0
                stop.wait(manners.pause)
            done.release()

    with ThreadPoolExecutor(manners.hosts) as pool:
        try:
            waiting = [pool.submit(one_host, queue) for queue in hosts.values()]
            count = 0
            while count < len(items) and not any(job.done() and job.exception() for job in waiting):
                if done.acquire(timeout=0.2):
                    count += 1
                    progress("downloads", count, len(items))
        finally:
            stop.set()
        for job in waiting:
            job.result()
    return {item: reasons[item] for item in items if item in reasons}


class _Failed(Exception):
    """An address that gave no picture; `silent` where its host did not answer at all."""

    def __init__(self, reason: str, *, silent: bool = False) -> None:
        super().__init__(reason)
        self.silent = silent


def _get(url: str, stop: threading.Event, manners: Manners) -> bytes:
    """The bytes of an address; a busy or silent host is asked again after growing waits."""
    failed, wait = _Failed("not tried"), 0.0
    for attempt in range(manners.retries + 1):
        if stop.wait(wait):
            raise _Failed("stopped")
        wait = manners.wait * 2**attempt
        try:
            return _answer(url, manners)
        except urllib.error.HTTPError as error:
            failed = _Failed(f"{error.code} {error.reason}")
            if error.code not in BUSY:
                break
            asked = retry_after(error.headers.get("Retry-After"), date=error.headers.get("Date"))
            wait = wait if asked is None else asked
            if wait > manners.longest:
                failed = _Failed(f"{error.code} {error.reason}, to be asked again in {wait:.0f} s")
                break
        except (http.client.IncompleteRead, ConnectionResetError):
            failed = _Failed("the answer broke off")
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            slow = isinstance(reason, TimeoutError)
            failed = _Failed("no answer in time" if slow else f"no answer ({reason})", silent=True)
        except ValueError as error:
            raise _Failed(f"no address ({error})") from error
    raise failed


def _answer(url: str, manners: Manners) -> bytes:
    """The whole answer to one request."""
    request = urllib.request.Request(
        url, headers={"User-Agent": f"harness/{__version__} (downloads a list of pictures)"}
    )
    end, parts, size = time.monotonic() + 10 * manners.timeout, [], 0
    with urllib.request.urlopen(request, timeout=manners.timeout) as answer:
        while part := answer.read1(1 << 16):
            parts.append(part)
            size += len(part)
            if size > manners.largest:
                raise _Failed(f"larger than {manners.largest / 1e6:.0f} MB")
            if time.monotonic() > end:
                raise TimeoutError
        declared = answer.headers.get("Content-Length")
    if declared and declared.isdigit() and int(declared) > size:
        raise http.client.IncompleteRead(b"", int(declared) - size)
    return b"".join(parts)


def _keep(content: bytes, stem: Path) -> None:
    """Writes the picture with the ending of its kind; other kinds than adapters list are written anew as PNG."""
    kind = next((ending for start, ending in KINDS.items() if content.startswith(start)), None)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        kind = ".webp"
    part = stem.with_name(f".{stem.name}.part")
    files.write_bytes(part, content)
    try:
        pixels = read_picture(part, 3)
        if kind:
            part.replace(stem.with_name(stem.name + kind))
            return
        with files.replacing(stem.with_name(f"{stem.name}.png")) as handle:
            Image.fromarray(pixels).save(handle, format="PNG")
    except DataError as error:
        raise _Failed("a web page, no picture" if b"<html" in content[:2000].lower() else error.problem) from error
    finally:
        part.unlink(missing_ok=True)
