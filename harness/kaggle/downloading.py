"""A competition's data comes to `data/`, where `harness run` looks for it: once, whole, checked.

A zip is left as `data/<name>.zip`: `harness run` unpacks it into its cache by itself, so a second copy would only cost
disk. Where other archives lie in it (Planet's `train-jpg.tar.7z`) everything is unpacked to `data/<name>/`, as nothing
else reads those, and the zip goes. Single files go to `data/<name>/` too. What is there and where it came from stands
beside, in `data/.<name>.download.json`; data without such a record is the user's own, and is left alone.
"""

from __future__ import annotations

import contextlib
import difflib
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from harness import files
from harness.data import entries, nesting, unpack
from harness.errors import DataError, HarnessError
from harness.kaggle import arrivals, shelf, singles, sources
from harness.kaggle.arrivals import FIX
from harness.kaggle.named import Wanted
from harness.kaggle.service import Service
from harness.kaggle.shelf import OWN, Arriving, Place

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
    place, page = Place(into, wanted.name), wanted.page
    with place.held():
        listing = sources.listed(service, page)
        facts = Fetched("there", place.zip, len(listing), sum(file.bytes for file in listing))
        record = shelf.recorded(place)
        for path in (place.folder, place.zip):
            if path.exists() and (record is None or record["path"] != path.name):
                return replace(facts, state="own", path=path)
        shelf.check_source(place, record, page)
        if record and record.get("singles"):
            raise DataError("holds single files only", file=place.folder, fix="remove it, or give --out DIR")
        archive, spot, before = place.part / place.zip.name, Arriving(place.part), shelf.told(record)
        whole = record is not None and not shelf.lacks(place.folder, record.get("contents", {}))
        lacking = record is not None and whole and keep_zip and record["path"] == place.name and not _is_kept(place)

        def room(size: int | None) -> None:
            shelf.check_room(place, listing, size, archive=archive, cache=cache, free=free)
            if not lacking:
                shelf.check_replaceable(place, record)
            if keep_zip and nesting.archives(file.name for file in listing):
                _check_kept(place)

        arrival = arrivals.arrive(
            service,
            sources.sender(page),
            archive,
            doing=f"downloading {page.ref}",
            rules=sources.rules_of(page),
            room=room,
            known=[*([before] if before and whole and not lacking else []), *spot.waiting(archive)],
        )
        same = record is not None and whole and arrival.told.same(before)
        if record and same and not lacking:
            shutil.rmtree(place.part, ignore_errors=True)  # what a stopped process left of the version before
            return replace(facts, path=into / record["path"])
        size = spot.say(arrival)
        say(f"checking {entries.amount(size)}")
        nested = bool(nesting.archives(arrivals.table(arrival)))
        kept = {"shipped": size} if nested and keep_zip else {}
        if kept:
            _check_kept(place)
        if record and same:
            target = place.folder
            files.write_json(place.record, {**record, **kept})
        else:
            shelf.check_replaceable(place, record)
            source, target = (_unpacked(place, free=free, say=say), place.folder) if nested else (archive, place.zip)
            held = {"from": asdict(page), "path": target.name, "bytes": size, "told": asdict(arrival.told), **kept}
            held |= {"contents": shelf.contents(source)} if nested else {}
            shelf.swap(place, source, target, record={**held, "files": [asdict(file) for file in listing]})
        if kept:
            files.adopt(archive, place.kept)
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
    with place.held():
        listing = {file.name: file for file in sources.listed(service, wanted.page)}
        for name in names:
            if name not in listing:
                close = difflib.get_close_matches(name, list(listing), n=1)
                fix = f"did you mean {close[0]}?" if close else "see its files with --list"
                raise DataError(f"{wanted.page.ref} has no file {name}", fix=fix)
        record = shelf.recorded(place) or {}
        shelf.check_source(place, record, wanted.page)
        if place.zip.exists() or (record and not record.get("singles")):
            raise DataError("all files are there", file=into / record.get("path", place.zip.name), fix="use them")
        sizes = [singles.bring(service, wanted, listing[name], place=place, free=free, say=say) for name in names]
        with contextlib.suppress(OSError):  # what came of other files waits in it
            place.part.rmdir()
        came = [size for size in sizes if size is not None]
        state, amount = "downloaded" if came else "there", sum(listing[name].bytes for name in names)
        return Fetched(state, place.folder, len(names), amount, sum(came))


def _is_kept(place: Place) -> bool:
    """Whether the zip beside the folder is the one that came."""
    return place.kept.is_file() and place.kept.stat().st_size == shelf.read(place.record).get("shipped")


def _check_kept(place: Place) -> None:
    """Refuses to put a zip in the place of one that did not come from here."""
    if place.kept.exists() and not _is_kept(place):
        raise DataError("is there already, and not from here", file=place.kept, fix=OWN)


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
