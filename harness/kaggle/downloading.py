"""A competition's data comes to `data/`, where `harness run` looks for it: once, whole, checked.

A zip is left as `data/<name>.zip`: `harness run` unpacks it into its cache by itself, so a second copy would only cost
disk. Where other archives lie in it (Planet's `train-jpg.tar.7z`) everything is unpacked to `data/<name>/`, as nothing
else reads those, and the zip goes. Single files go to `data/<name>/` too. What is there and where it came from stands
beside, in `data/.<name>.download.json`; data without such a record is the user's own, and is left alone.
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from filelock import FileLock

from harness import files
from harness.data import entries, nesting, unpack
from harness.errors import DataError, HarnessError
from harness.kaggle import arrivals, shelf, sources
from harness.kaggle.arrivals import FIX
from harness.kaggle.named import Wanted
from harness.kaggle.service import Service
from harness.kaggle.shelf import Place
from harness.kaggle.sources import File

Say = Callable[[str], None]


@dataclass(frozen=True)
class Fetched:
    """What became of a download.

    Attributes:
        state: "downloaded" now, or "there" before: of the version that Kaggle has, or the user's "own".
        path: the zip or folder.
        files, bytes: that Kaggle lists.
        downloaded: bytes of what came now.
    """

    state: Literal["downloaded", "there", "own"]
    path: Path
    files: int
    bytes: int
    downloaded: int = 0


def fetch(
    service: Service,
    wanted: Wanted,
    *,
    into: Path,
    cache: Path,
    keep_zip: bool = False,
    free: files.FreeSpace = files.free_space,
    say: Say,
) -> Fetched:
    """All files of a competition or data set, below `into`; the same call goes on after any failure.

    Args:
        cache: where `harness run` will unpack a zip: its disk is looked at too.
        keep_zip: leave the zip beside the folder that it is unpacked to.

    Raises:
        ServiceError: Kaggle refuses (the rules are not accepted, no such name), or is not reached.
        DataError: what came is damaged, or could harm: it is removed.
        SpaceError: less free disk than the zip and its content need.
    """
    place = Place(into, wanted.name)
    into.mkdir(parents=True, exist_ok=True)
    with FileLock(into / f".{wanted.name}.lock"):
        listing = sources.listed(service, wanted.page)
        facts = Fetched("there", place.zip, len(listing), sum(file.bytes for file in listing))
        record = shelf.recorded(place)
        for path in (place.folder, place.zip):
            if path.exists() and (record is None or record["path"] != path.name):
                return replace(facts, state="own", path=path)
        if record and record.get("singles"):
            raise DataError("holds single files only", file=place.folder, fix="remove it, or give --out DIR")
        archive = place.part / place.zip.name
        arrival = arrivals.arrive(
            service,
            sources.sender(wanted.page),
            archive,
            doing=f"downloading {wanted.page.ref}",
            rules=sources.rules_of(wanted.page),
            room=lambda size: shelf.check_room(place, listing, size, cache=cache, free=free),
            known=shelf.known(place),
        )
        if record and arrival.told.same(shelf.told(record)):
            shutil.rmtree(place.part, ignore_errors=True)  # what a stopped process left of the version before
            return replace(facts, path=into / record["path"])
        say(f"checking {entries.amount(archive.stat().st_size)}")
        nested = bool(nesting.archives(_table(archive, read=not arrival.told.md5)))
        files.write_json(place.arrived, {"told": asdict(arrival.told)})
        source, target = (_unpacked(place, free=free, say=say), place.folder) if nested else (archive, place.zip)
        size = archive.stat().st_size
        kept = {"from": asdict(wanted.page), "path": target.name, "bytes": size, "told": asdict(arrival.told)}
        shelf.swap(place, source, target, record={**kept, "files": [asdict(file) for file in listing]})
        if nested and keep_zip:
            files.adopt(archive, into / f"{wanted.name}.shipped.zip")
        shutil.rmtree(place.part)
        return replace(facts, state="downloaded", path=target, downloaded=size if arrival.came else 0)


def fetch_singles(
    service: Service,
    wanted: Wanted,
    names: tuple[str, ...],
    *,
    into: Path,
    free: files.FreeSpace = files.free_space,
    say: Say,
) -> Fetched:
    """Single files, in the folder `into/<name>`, unpacked; errors as of `fetch`."""
    place = Place(into, wanted.name)
    into.mkdir(parents=True, exist_ok=True)
    with FileLock(into / f".{wanted.name}.lock"):
        listing = {file.name: file for file in sources.listed(service, wanted.page)}
        for name in names:
            if name not in listing:
                close = difflib.get_close_matches(name, list(listing), n=1)
                fix = f"did you mean {close[0]}?" if close else "see its files with --list"
                raise DataError(f"{wanted.page.ref} has no file {name}", fix=fix)
        record = shelf.recorded(place) or {}
        if place.zip.exists() or (record and not record.get("singles")):
            raise DataError("all files are there", file=into / record.get("path", place.zip.name), fix="use them")
        sizes = [_single(service, wanted, listing[name], place=place, free=free, say=say) for name in names]
        shutil.rmtree(place.part, ignore_errors=True)
        state, amount = "downloaded" if any(sizes) else "there", sum(listing[name].bytes for name in names)
        return Fetched(state, place.folder, len(names), amount, sum(sizes))


def _single(service: Service, wanted: Wanted, file: File, *, place: Place, free: files.FreeSpace, say: Say) -> int:
    """Bytes of a file that came into the folder; none where it is there already."""
    singles = (shelf.recorded(place) or {}).get("singles", {})
    relative = "/".join(entries.parts(Path(file.name), file.name, entries.Limits()))
    own = place.folder / relative
    if own.exists() and file.name not in singles:
        raise DataError("is there already, and not from Kaggle", file=own, fix="remove it, or give --out DIR")
    before = shelf.told(singles.get(file.name))
    arrival = arrivals.arrive(
        service,
        sources.sender(wanted.page, file.name),
        place.part / "arriving" / relative,
        doing=f"downloading {file.name} of {wanted.page.ref}",
        rules=sources.rules_of(wanted.page),
        room=lambda size: shelf.check_room(place, [file], size, cache=place.into, free=free),
        known=[] if before is None else [before],
    )
    if not arrival.came:
        return 0
    size = arrival.path.stat().st_size
    if arrival.path.suffix == ".zip":
        _table(arrival.path, read=not arrival.told.md5)
    staging = place.part / "unpacked"
    shutil.rmtree(staging, ignore_errors=True)
    staged = staging / arrival.path.relative_to(place.part / "arriving")
    staged.parent.mkdir(parents=True)
    arrival.path.replace(staged)
    nesting.unpack_all(staging, fix=FIX, say=say, free=free)
    clash = (
        next(nesting.clashing(staging, place.folder), None)
        if place.folder.exists() and file.name not in singles
        else None
    )
    if clash is not None:
        raise DataError("is there already, and not from Kaggle", file=clash, fix="remove it, or give --out DIR")
    place.folder.mkdir(exist_ok=True)
    facts = {"from": asdict(wanted.page), "path": place.folder.name}
    # named as begun first: what a stopped process leaves of it is Kaggle's, and is written over
    for state in ({}, {"told": asdict(arrival.told)}):
        if state:
            nesting.merge(staging, place.folder)
            files.sync_folder(place.folder)
        files.write_json(place.record, {**facts, "singles": {**singles, file.name: state}})
    return size


def _table(archive: Path, *, read: bool) -> list[str]:
    """The names in a zip that can be trusted, else it is removed.

    Args:
        read: it is read whole: no hash says that it is sound.
    """
    try:
        return list(unpack.listed(archive, read=read))
    except DataError as error:
        arrivals.discard(archive)
        raise DataError(f"{error.problem}: it is removed", file=archive, fix=error.fix) from error


def _unpacked(place: Place, *, free: files.FreeSpace, say: Say) -> Path:
    """The folder with all that the zip holds, and what the archives in it hold."""
    staging, archive = place.part / "unpacked", place.part / place.zip.name
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        say(f"unpacking {archive.name}")
        unpack.unpack_into(archive, staging, fix=FIX, free=free)
        nesting.unpack_all(staging, fix=FIX, say=say, free=free)
    except HarnessError as error:
        shutil.rmtree(staging, ignore_errors=True)
        if isinstance(error, DataError):  # the same bytes would fail again
            arrivals.discard(archive)
        raise
    return staging
