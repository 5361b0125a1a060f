"""A real search that is killed, that several processes share, and that two runs share: one answer, the same bytes."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from harness import pipeline, registry
from harness.errors import RunError
from harness.pipeline import World
from harness.pipeline.job import Search
from harness.runs import Run
from harness.search import sampled, study
from harness.search.book import Book, key_of
from tests.kit import request, run_small, small

NAME = "playground-series-s3e8"
SETTINGS = ("data.folds=2", "space.epochs=2x30", "space.rate=1e-3x1e-1", "train.save_every=4")
FOLD = "weights/fold0.safetensors"


def tuned(out: Path, cache: Path, *settings: str, say: Any = lambda text: None, **asked: Any) -> dict[str, Any]:
    config = small(registry.load(NAME), *SETTINGS, *settings)
    where = request(**{"tune": "alone", **asked})
    return pipeline.run(registry.load(NAME), config, where, out=out, world=World(cache, say=say))


def resumed(out: Path, cache: Path, **outside: Any) -> dict[str, Any]:
    return pipeline.resume(Run(out), data=None, world=World(cache, **outside))


def book_of(storage: str | Path, name: str = NAME) -> Book:
    return Book(study.opened(name, storage, higher_is_better=False, **sampled.idle()))


def found(answer: dict[str, Any]) -> Any:
    """What does not depend on who has trained it."""
    return answer["rate"], answer["epochs"], answer["edge"], sorted(answer["branches"])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> tuple[Any, bytes]:
    """(the answer of a search that nobody disturbs, fold 0's weights)."""
    out = tmp_path_factory.mktemp("alone") / "run"
    answer = tuned(out, shared_cache)
    resumed(out, shared_cache)
    return found(answer), (out / FOLD).read_bytes()


def test_a_search_killed_in_a_trunk_goes_on_from_its_checkpoint_to_the_same_bytes(
    alone: tuple[Any, bytes], tmp_path: Path, shared_cache: Path, forks: Any
) -> None:
    out = tmp_path / "run"
    process = forks.Process(
        target=run_small, args=(NAME, SETTINGS, out, shared_cache), kwargs={"tune": "first"}, daemon=True
    )
    process.start()
    # a second trunk is saved for the second time: it stands in the middle
    while len(list((out / "state" / "search").glob("trunk-*.before"))) < 2 and process.is_alive():
        time.sleep(0.001)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL

    result = resumed(out, shared_cache)
    assert (found(result["tuned"]), (out / FOLD).read_bytes()) == alone
    trials = book_of(out / "study.log").trials()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.FAIL}
    (left,) = (trial for trial in trials if trial.state == TrialState.FAIL)
    (again,) = (trial for trial in trials if key_of(trial) == key_of(left) and trial is not left)
    assert 0 < again.user_attrs["trained"] < again.user_attrs["steps"]  # not from the beginning


def test_two_processes_of_which_one_is_killed_find_what_one_finds(
    alone: tuple[Any, bytes], tmp_path: Path, shared_cache: Path
) -> None:
    out, told = tmp_path / "run", list[str]()

    def kill(text: str) -> None:
        told.append(text)
        at_work = [trial.user_attrs["worker"].split("/")[1] for trial in book_of(out / "study.log").trials()]
        victims = [int(number) for number in at_work if int(number) != os.getpid()]
        if text.startswith("rate ") and not any("ended with" in word for word in told) and victims:
            os.kill(victims[-1], signal.SIGKILL)

    assert found(tuned(out, shared_cache, processes=2, say=kill)) == alone[0]
    assert "search in 2 processes" in told
    assert any("a process ended with -9" in text for text in told)
    assert book_of(out / "study.log").trials(TrialState.RUNNING) == []


def test_two_runs_that_share_a_database_share_the_search(
    alone: tuple[Any, bytes], tmp_path: Path, shared_cache: Path, postgres_address: str
) -> None:
    shared = Search(storage=postgres_address.replace("@", ":of-no-use@"))
    trials = list[str]()

    def stop(text: str) -> None:
        trials.append(text)
        if text.startswith("rate "):
            raise KeyboardInterrupt

    one, two = tmp_path / "one", tmp_path / "two"
    with pytest.raises(KeyboardInterrupt):
        tuned(one, shared_cache, search=shared, say=stop)
    answer = tuned(two, shared_cache, search=shared)
    assert found(answer) == alone[0]
    assert len(book_of(postgres_address).trials()) == len(answer["branches"])  # the first run's trial is one of them
    for out in (one, two):
        assert "of-no-use" not in (out / "config.json").read_text()
        assert json.loads((out / "config.json").read_text())["request"]["search"]["storage"] == postgres_address
        resumed(out, shared_cache)  # the first ends its search, which is done
        if "finished" not in resumed(out, shared_cache)["status"]:
            resumed(out, shared_cache)
        assert (out / FOLD).read_bytes() == alone[1]
    with pytest.raises(RunError, match="was begun with other settings"):
        tuned(tmp_path / "three", shared_cache, "train.batch=5", search=shared)


@pytest.mark.slow
def test_two_processes_find_what_one_finds(alone: tuple[Any, bytes], tmp_path: Path, shared_cache: Path) -> None:
    assert found(tuned(tmp_path / "run", shared_cache, processes=2)) == alone[0]
    resumed(tmp_path / "run", shared_cache)
    assert (tmp_path / "run" / FOLD).read_bytes() == alone[1]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["branch", "tpe"])
def test_two_runs_at_the_same_time_share_the_search(
    method: Any, tmp_path: Path, shared_cache: Path, postgres_address: str, forks: Any
) -> None:
    search = Search(method, storage=postgres_address, trials=6)
    outs = [tmp_path / "one", tmp_path / "two"]
    processes = [
        forks.Process(
            target=run_small, args=(NAME, SETTINGS, out, shared_cache), kwargs={"tune": "first", "search": search}
        )
        for out in outs
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    results = [json.loads((out / "scores.json").read_text())["tuned"] for out in outs]
    assert results[0]["rate"] == results[1]["rate"]
    assert (outs[0] / FOLD).read_bytes() == (outs[1] / FOLD).read_bytes()
    trials = book_of(postgres_address).trials(TrialState.COMPLETE, TrialState.PRUNED)
    keys = [key_of(trial) for trial in trials]
    assert len(set(keys)) == len(keys)
    assert {trial.user_attrs["worker"] for trial in trials} == {trial.user_attrs["worker"] for trial in trials[:2]}


@pytest.mark.slow
def test_processes_of_a_killed_run_end_by_themselves(tmp_path: Path, shared_cache: Path, forks: Any) -> None:
    out = tmp_path / "run"
    process = forks.Process(
        target=run_small,
        args=(NAME, ("space.epochs=2x3000", *SETTINGS[2:]), out, shared_cache),
        kwargs={"tune": "alone", "processes": 2},
    )
    process.start()
    while not (out / "study.log").exists():
        time.sleep(0.1)
    book = book_of(out / "study.log")
    while len({trial.user_attrs["worker"] for trial in book.trials(TrialState.RUNNING)}) < 2:
        time.sleep(0.1)
    process.kill()
    process.join()
    deadline = time.monotonic() + 20
    while book.trials(TrialState.RUNNING) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert book.trials(TrialState.RUNNING) == []
    assert {trial.user_attrs["why"] for trial in book.trials(TrialState.FAIL)} == {"SystemExit: 143"}
