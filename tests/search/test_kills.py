"""Workers of one study killed with -9 again and again: nothing stays running or is lost, the answer is the same."""

from __future__ import annotations

import json
import random
import time
from collections import Counter as Tally
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from harness.search.book import Book, key_of
from harness.search.branch import DIVERGED, Look
from tests.search import counters

KILLS, WORKERS = 20, 3
PAUSE = 0.01  # seconds of PIECE steps
BETWEEN = {"journal": (0.02, 0.3), "postgres": (0.1, 0.4)}  # seconds from kill to kill; a worker starts in as many


@pytest.fixture(params=["journal", "postgres"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    if request.param == "journal":
        return tmp_path / "study.log"
    return request.getfixturevalue("postgres_address")


@pytest.mark.parametrize("method", ["branch", "tpe"])
def test_workers_killed_at_any_moment_lose_nothing(
    storage: str | Path, method: str, tmp_path: Path, forks: Any
) -> None:
    chance, killed, number = random.Random(f"{method} {storage}"[:8]), 0, 0
    half = KILLS // 2
    while killed < half:  # a study that ends before has had too few
        number += 1
        folder = tmp_path / f"study{number}"
        folder.mkdir()
        killed += _killed(forks, storage, f"study{number}", folder, method=method, kills=half - killed, chance=chance)
    assert killed == half


def _killed(
    forks: Any, storage: str | Path, name: str, folder: Path, *, method: str, kills: int, chance: random.Random
) -> int:
    """Kills workers of a new study at random moments, forks others for them, and checks what they come to."""

    def started() -> Any:
        process = forks.Process(
            target=counters.work, args=(storage, name, folder), kwargs={"method": method, "pause": PAUSE}
        )
        process.start()
        return process

    workers = [started() for _ in range(WORKERS)]
    book, finished, killed = counters.book_of(storage, name, method=method), dict[int, Any](), list[int]()
    while len(killed) < kills and not any(worker.exitcode == 0 for worker in workers):
        time.sleep(chance.uniform(*BETWEEN["journal" if isinstance(storage, Path) else "postgres"]))
        index = chance.randrange(WORKERS)
        victim = workers[index]
        victim.kill()
        victim.join()
        if victim.exitcode == 0:  # it was done before
            break
        killed.append(victim.pid)
        finished = _grown(book, finished)
        workers[index] = started()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * WORKERS
    assert book.trials(TrialState.RUNNING, TrialState.WAITING) == []
    _grown(book, finished)
    _check(book, folder, method, len(killed))
    return len(killed)


def _grown(book: Book, before: dict[int, Any]) -> dict[int, Any]:
    """What is finished now: all that was, with what it scored then, and perhaps more."""
    now = {trial.number: _facts(trial) for trial in book.trials(TrialState.COMPLETE, TrialState.PRUNED)}
    assert {number: now.get(number) for number in before} == before
    return now


def _facts(trial: FrozenTrial) -> Any:
    return trial.state, trial.values, trial.user_attrs["metric"], trial.user_attrs["loss"]


def _check(book: Book, folder: Path, method: str, killed: int) -> None:
    done = book.trials(TrialState.COMPLETE, TrialState.PRUNED)
    keys = Tally(key_of(trial) for trial in done)
    assert set(keys.values()) == {1}, "nothing is scored twice"
    answers = {tuple(json.loads(path.read_text())) for path in folder.glob("answer-*")}
    assert len(answers) == 1
    if method == "tpe":
        assert keys.keys() == {str(index) for index in range(counters.TRIALS)}
    else:
        alone = undisturbed()
        assert answers == {(alone[0].rate, alone[0].steps)}
        assert {key: book.outcome(trial) for key, trial in zip(keys, done, strict=True)} == alone[1]
    # what was trained is trained once, but for the pieces at which workers were killed
    pieces = [line.split() for line in (folder / "pieces").read_text().splitlines()]
    again = Tally((name, begin) for _, name, begin, _ in pieces)
    assert sum(again.values()) - len(again) <= killed


def undisturbed() -> tuple[Look, dict[str, Any]]:
    """(the answer of one worker that nobody kills, what it scores)."""
    done = {}
    while (plan := counters.PLAN(done)).best is None:
        for look in plan.wanted:
            diverges = look.rate > 5e-2
            done[look] = DIVERGED if diverges else counters.scored(look.rate, look.steps)
    return plan.best, {f"{look.rate:g}/{look.steps}": outcome for look, outcome in done.items()}
