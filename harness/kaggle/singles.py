"""One file of a competition or data set comes into the folder, unpacked where it is an archive.

Which paths it wrote, and their bytes, stand in the record: so what is missing comes again, what an older version had
and a newer one lacks goes, and nothing else is written over.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness import files
from harness.data import entries, nesting
from harness.errors import DataError, HarnessError
from harness.kaggle import arrivals, shelf, sources
from harness.kaggle.arrivals import FIX, Arrival
from harness.kaggle.named import Wanted
from harness.kaggle.service import Service
from harness.kaggle.shelf import Arriving, Place, Sizes
from harness.kaggle.sources import File


def bring(
    service: Service,
    wanted: Wanted,
    file: File,
    *,
    place: Place,
    free: files.FreeSpace,
    say: Callable[[str], None],
) -> int | None:
    """Bytes that came of a file, 0 where all had come before; None where it is in the folder already."""
    held = (shelf.recorded(place) or {}).get("singles", {}).get(file.name, {})
    sizes = _sizes(held)
    relative = "/".join(entries.parts(Path(file.name), file.name, entries.Limits()))
    shelf.check_own(place.folder, [relative], sizes)
    before, spot = shelf.told(held), place.single(file.name)
    whole = before is not None and not shelf.lacks(place.folder, held.get("paths", {}))
    path = spot.folder / "arriving" / relative
    arrival = arrivals.arrive(
        service,
        sources.sender(wanted.page, file.name),
        path,
        doing=f"downloading {file.name} of {wanted.page.ref}",
        rules=sources.rules_of(wanted.page),
        room=lambda size: shelf.check_room(place, [file], size, archive=path, cache=place.into, free=free),
        known=[
            *([before] if before is not None and whole else []),
            *spot.waiting(path),
            *spot.waiting(path.with_name(f"{path.name}.zip")),  # as Kaggle packs it
        ],
        listed=file.bytes,
    )
    size = None
    if not (whole and arrival.told.same(before)):
        size = spot.say(arrival)
        _unpack(arrival, spot, free=free, say=say)
        _settle(spot.unpacked, place, wanted, file, told=asdict(arrival.told), sizes=sizes)
    shutil.rmtree(spot.folder, ignore_errors=True)
    return 0 if size and not arrival.came else size


def _sizes(held: dict[str, Any]) -> Sizes:
    """The paths of a file in the record, and the bytes that each may have: of two versions where a change was begun."""
    begun = {name: tuple(sizes) for name, sizes in held.get("begun", {}).items()}
    return begun or {name: (size,) for name, size in held.get("paths", {}).items()}


def _unpack(arrival: Arrival, spot: Arriving, *, free: files.FreeSpace, say: Callable[[str], None]) -> None:
    """Puts what came, unpacked, into a folder of its own; the archive stays, for the next call, until all is done."""
    if arrival.path.suffix == ".zip":
        arrivals.table(arrival)
    shutil.rmtree(spot.unpacked, ignore_errors=True)
    staged = spot.unpacked / arrival.path.relative_to(spot.folder / "arriving")
    staged.parent.mkdir(parents=True)
    try:
        os.link(arrival.path, staged)
    except OSError:  # a disk without hard links
        shutil.copyfile(arrival.path, staged)
    try:
        nesting.unpack_all(spot.unpacked, fix=FIX, say=say, free=free)
    except HarnessError as error:
        shutil.rmtree(spot.unpacked, ignore_errors=True)
        if isinstance(error, DataError):  # the same bytes would fail again
            arrivals.discard(arrival.path)
        raise


def _settle(source: Path, place: Place, wanted: Wanted, file: File, *, told: dict[str, Any], sizes: Sizes) -> None:
    """Moves the files below `source` into the folder, and takes away what an older version had beside them."""
    new = shelf.contents(source)
    stale = sorted(set(sizes) - set(new))
    clashes = [path.relative_to(place.folder).as_posix() for path in nesting.clashing(source, place.folder)]
    shelf.check_own(place.folder, [*clashes, *stale], sizes)
    place.folder.mkdir(exist_ok=True)
    record = {"from": asdict(wanted.page), "path": place.folder.name}
    singles = (shelf.recorded(place) or {}).get("singles", {})
    begun = {name: sorted({*sizes.get(name, ()), *([new[name]] if name in new else [])}) for name in {*sizes, *new}}
    # named as begun first: what a stopped process leaves of it is Kaggle's
    files.write_json(place.record, {**record, "singles": {**singles, file.name: {"begun": begun}}})
    for name in stale:
        (place.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # other files lie in it
            for above in Path(name).parents[:-1]:
                (place.folder / above).rmdir()
    nesting.merge(source, place.folder)
    files.sync_folder(place.folder)
    files.write_json(place.record, {**record, "singles": {**singles, file.name: {"told": told, "paths": new}}})
