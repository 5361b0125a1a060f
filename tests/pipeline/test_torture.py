"""Runs killed at random moments, and runs whose disk fails, end in the bytes of a run that nothing stopped.

`make torture` does the same 200 times, and lets the disk fail 100 times.
"""

from __future__ import annotations

import errno
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import torture as ordeals
from benchmarks.torture import Reference
from harness.errors import RunError
from harness.training import loop
from tests import torture
from tests.tiny import RATE, bits, fresh, recipe

KILLS = {"table": 11, "masks": 4, "search": 3, "text": 2}
FAULTS = [("masks", errno.ENOSPC), ("table", errno.ENOSPC), ("table", errno.EROFS), ("search", errno.EACCES)]


@pytest.fixture(scope="module")
def known(forks: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Case -> what it ends in when nothing stops it; the masks, run twice, end in the same bytes twice."""
    folder, found = tmp_path_factory.mktemp("torture"), dict[str, Reference]()

    def of(case: str) -> Reference:
        if case not in found:
            found[case] = ordeals.reference(forks, case, folder, repeats=2 if case == "masks" else 1)
        return found[case]

    return of


@pytest.mark.parametrize("case", KILLS)
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bytes(
    case: str, known: Any, forks: Any, tmp_path: Path
) -> None:
    chance, killed = random.Random(f"kills {case}"), 0
    for number in range(3 * KILLS[case]):
        at_write = number % 2 == 0
        ordeal = ordeals.killed(forks, known(case), tmp_path / "own", chance=chance, at_write=at_write)
        assert ordeal.wrong == (), f"killed in {ordeal.phases}"
        killed += len(ordeal.phases)
        if killed >= KILLS[case]:
            return
    raise AssertionError(f"only {killed} runs of {case} were still at work when they were to be killed")


@pytest.mark.parametrize(("case", "code"), FAULTS)
def test_a_run_whose_disk_fails_says_so_in_one_line_and_goes_on_to_the_same_bytes(
    case: str, code: int, known: Any, forks: Any, tmp_path: Path
) -> None:
    chance = random.Random(f"faults {case} {code}")
    number, lasting = chance.randint(1, known(case).writes), chance.random() < 0.5
    ordeal, _ = ordeals.failed(forks, known(case), tmp_path / "own", code=code, number=number, lasting=lasting)
    assert ordeal.wrong == (), f"write {number} of {known(case).writes}"


def test_a_run_whose_folder_is_removed_says_so(known: Any, forks: Any, tmp_path: Path) -> None:
    act = Removing(tmp_path / "run", known("table").writes // 2, tmp_path / "said")
    process = forks.Process(target=said, args=("table", tmp_path, known("table").data, act))
    process.start()
    process.join()
    assert (tmp_path / "said").read_text().startswith(f"{tmp_path / 'run'}: was removed while the run was at work; ")


def said(case: str, folder: Path, data: Path, act: Removing) -> None:
    """A case's run in a process of its own; the line it ends with goes to a file."""
    try:
        torture.work(case, folder / "run", folder / "cache", data, act)
    except SystemExit:
        return


class Removing(torture.Failing):
    """Removes the run's folder at the write of a number."""

    def __init__(self, run: Path, number: int, said: Path) -> None:
        super().__init__(0, number, lasting=False, said=said)
        self.run = run

    def __call__(self, event: str, path: Path) -> None:
        self.seen += 1
        if self.seen == self.number:
            shutil.rmtree(self.run)


def test_a_clock_that_is_set_back_changes_nothing_but_the_times_in_the_log(
    known: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = iter(range(10**6))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600 * next(hours))
    torture.work("table", tmp_path / "run", tmp_path / "cache", known("table").data)
    assert torture.results(tmp_path / "run") == known("table").files


@pytest.mark.parametrize("lasting", [False, True])
def test_a_state_survives_a_disk_that_fails_at_any_write_of_the_next(lasting: bool, tmp_path: Path) -> None:
    first, second, failed = fresh(), fresh(), 0
    loop.advance(second, 3, RATE, recipe())
    for number in range(1, 9):
        path = tmp_path / str(number) / "state.safetensors"
        first.save(path)
        with torture.listening(torture.Failing(errno.ENOSPC, number, lasting, tmp_path / "said"), path.parent):
            try:
                second.save(path)
            except OSError:
                failed += 1
        reread = fresh()
        reread.load(path)
        assert bits(reread) in (bits(first), bits(second)), f"write {number}"
    assert failed >= 3  # the name of the one before, the temporary, its name


def test_nothing_readable_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"torn")
    with pytest.raises(RunError, match="no readable training state"):
        fresh().load(tmp_path / "state.safetensors")
