"""One worker's round: who is gone, which errors end what, and that nothing stays running."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from harness import liveness
from harness.errors import ConfigError, DivergedError, MemoryShortError, RunError
from harness.search import study, worker
from harness.search.book import Book
from harness.search.branch import DIVERGED, Look, Outcome
from tests.search import counters


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return counters.book_of(tmp_path / "study.log", "one")


def claimed(book: Book, key: str = "0.001/100") -> Any:
    return book.claim(key, {}, {}, steps=100)


def states(book: Book) -> list[str]:
    return [trial.state.name for trial in book.trials()]


def searched(book: Book, tmp_path: Path, train: Callable[[Look], Outcome]) -> Look:
    bench = counters.Counter(tmp_path, 0.0)
    return worker.planned(book, counters.PLAN, train, bench=bench, longest=counters.LONGEST, method="branch")


def test_of_two_workers_that_take_the_same_at_once_the_first_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (counters.book_of(tmp_path / "study.log", "one") for _ in range(2))
    add = second.study.add_trial

    def between(trial: Any) -> None:
        assert claimed(first) is not None
        add(trial)

    monkeypatch.setattr(second.study, "add_trial", between)
    assert claimed(second) is None
    assert states(first) == ["RUNNING", "FAIL"]


@pytest.mark.parametrize("owner", ["elsewhere:1234/77/100/ab", ""])
def test_a_worker_elsewhere_is_gone_when_its_beat_stands_still(
    owner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("harness.search.signs.time.monotonic", lambda: now)
    path = tmp_path / "study.log"
    here, still, lively = (counters.book_of(path, "one") for _ in range(3))
    still.watch.name, lively.watch.name = owner, "elsewhere:1234/78/100/cd"
    claimed(still, "still")
    beating = claimed(lively, "lively")
    swept = list[list[int]]()
    for beat in range(8):
        beating.set_user_attr("beat", beat)
        swept.append(here.sweep())
        now += 10.0
    assert swept == [[]] * 7 + [[0]]  # 60 s of patience, and not a second less
    assert states(here) == ["FAIL", "RUNNING"]
    assert claimed(here, "still") is not None  # to be scored again


def test_a_trial_is_swept_as_soon_as_its_process_here_is_killed_and_not_before(book: Book) -> None:
    process, own = subprocess.Popen(["sleep", "60"]), book.watch.name
    try:
        book.watch.name = f"{liveness.machine()}/{process.pid}/{liveness.started(process.pid)}/ab"
        claimed(book, "another's")
        book.watch.name = own
        assert book.sweep() == []
    finally:
        process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and waits to be collected
    assert book.sweep() == [0]
    process.wait()
    with book.at_work():
        claimed(book, "own")
        assert book.sweep() == []
    assert states(book) == ["FAIL", "FAIL"]  # what is left running at the end of a round is swept


def test_beats_are_given_while_a_trial_trains(book: Book) -> None:
    book.watch.beat = 0.02
    trial = claimed(book)
    with book.watch.beating(trial):
        for _ in range(200):
            if book.trials()[0].user_attrs.get("beat", 0) >= 2:
                break
            worker.time.sleep(0.02)
    assert book.trials()[0].user_attrs["beat"] >= 2


def test_a_worker_thought_gone_gives_its_trial_up_and_goes_on(book: Book, tmp_path: Path) -> None:
    asleep = True

    def train(look: Look) -> Outcome:
        nonlocal asleep
        if asleep:  # for longer than the patience of others
            book.fail(0, "its worker is gone")
        asleep = False
        return counters.scored(look.rate, look.steps)

    searched(book, tmp_path, train)
    assert states(book)[0] == "FAIL"
    assert set(states(book)[1:]) == {"COMPLETE"}
    assert book.trials()[0].user_attrs["why"] == "its worker is gone"
    trial = claimed(book, "once more")
    book.fail(trial.number, "its worker is gone")
    with pytest.raises(UpdateFinishedTrialError):
        book.tell(trial, Outcome(1.0, 1.0))


def test_only_training_that_diverged_prunes_and_short_memory_is_no_error(book: Book, tmp_path: Path) -> None:
    def train(look: Look) -> Outcome:
        if look.rate > 5e-3:
            raise DivergedError("no finite loss", fix="lower the rate")
        if look.rate > 2e-3:
            raise MemoryShortError("20 GB are wanted", fix="lower train.batch")
        return counters.scored(look.rate, look.steps)

    best = searched(book, tmp_path, train)
    assert best.rate <= 2e-3
    for trial in book.trials():
        rate = trial.params["rate"]
        assert trial.state.name == ("PRUNED" if rate > 5e-3 else "FAIL" if rate > 2e-3 else "COMPLETE")
    assert {outcome for look, outcome in book.done().items() if look.rate > 2e-3} == {DIVERGED}


def test_any_other_error_ends_the_search_of_all_and_it_goes_on_when_started_again(tmp_path: Path) -> None:
    mine, other = (counters.book_of(tmp_path / "study.log", "one") for _ in range(2))

    def broken(look: Look) -> Outcome:
        raise ZeroDivisionError("a bug")

    def meanwhile(look: Look) -> Outcome:
        with pytest.raises(ZeroDivisionError, match="a bug"):
            searched(mine, tmp_path, broken)
        return counters.scored(look.rate, look.steps)

    with pytest.raises(RunError, match="another worker of the search met ZeroDivisionError: a bug"):
        searched(other, tmp_path, meanwhile)
    assert sorted(states(mine)) == ["COMPLETE", "FAIL"]  # what the other one was at is not lost
    best = searched(mine, tmp_path, lambda look: counters.scored(look.rate, look.steps))
    assert best == searched(other, tmp_path, broken)  # there is nothing left to train
    assert "RUNNING" not in states(mine)


def test_an_error_of_an_earlier_search_does_not_hold_up_one_that_starts_beside_a_trial_left_elsewhere(
    tmp_path: Path,
) -> None:
    gone, here = (counters.book_of(tmp_path / "study.log", "one") for _ in range(2))
    gone.watch.name = "elsewhere:1234/77/100/ab"
    claimed(gone, "something else")
    here.stop("ValueError: of yesterday")
    again = counters.book_of(tmp_path / "study.log", "one")
    assert searched(again, tmp_path, lambda look: counters.scored(look.rate, look.steps)).steps == counters.LONGEST


@pytest.mark.parametrize("method", ["branch", "tpe"])
def test_an_interrupted_worker_leaves_nothing_running(method: str, tmp_path: Path) -> None:
    class Interrupted(counters.Counter):
        def _count(self, name: str, until: int, *, begin: int = 0) -> None:
            if self.trained > 500:
                raise KeyboardInterrupt
            super()._count(name, until, begin=begin)

    book, bench = counters.book_of(tmp_path / "study.log", method, method=method), Interrupted(tmp_path, 0.0)

    def begun() -> None:
        if method == "tpe":
            worker.sampled(book, counters.SPACE, bench, trials=counters.TRIALS, steps=bench.steps)
        else:
            searched(book, tmp_path, bench.branch)

    with pytest.raises(KeyboardInterrupt):
        begun()
    assert book.trials(TrialState.RUNNING) == []
    assert "FAIL" in states(book)
    assert book.study.user_attrs.get("stopped") is None  # the others go on


def test_an_interrupt_between_claim_and_training_leaves_nothing_running(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*facts: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "_score", interrupted)
    with pytest.raises(KeyboardInterrupt):
        searched(book, tmp_path, lambda look: DIVERGED)
    assert states(book) == ["FAIL"]


def test_a_trial_killed_half_drawn_is_drawn_anew_and_there_are_as_many_as_asked_for(tmp_path: Path) -> None:
    book, bench = counters.book_of(tmp_path / "study.log", "one", method="tpe"), counters.Counter(tmp_path, 0.0)
    with book.at_work():
        trial = book.claim("0", {}, {}, method="tpe")
        assert trial is not None
        trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    worker.sampled(book, counters.SPACE, bench, trials=4, steps=bench.steps)
    ended = [trial for trial in book.trials() if trial.state != TrialState.FAIL]
    assert [trial.user_attrs["key"] for trial in ended] == ["0", "1", "2", "3"]
    assert all(trial.params.keys() == {"rate", "epochs"} for trial in ended)
    assert len({trial.params["rate"] for trial in ended}) == 4


def test_a_study_begun_with_something_else_is_refused(tmp_path: Path) -> None:
    first, second = (counters.book_of(tmp_path / "study.log", "one") for _ in range(2))
    first.agree({"data": "a", "settings": "b"})
    second.agree({"data": "a", "settings": "b"})
    with pytest.raises(RunError, match="the study one was begun with other settings; search with what it began with"):
        second.agree({"data": "a", "settings": "c"})


def test_two_that_begin_a_study_at_once_with_different_things_do_not_both_go_on(tmp_path: Path) -> None:
    first, second = (counters.book_of(tmp_path / "study.log", "one") for _ in range(2))
    first.agree({"data": "a"})
    second.study.set_user_attr("data", "b")  # it had looked before
    with pytest.raises(RunError, match="begun with other data"):
        searched(first, tmp_path, lambda look: DIVERGED)
    assert states(first) == []


def test_half_a_line_of_a_killed_writer_does_not_end_a_journal(book: Book, tmp_path: Path) -> None:
    claimed(book, "first")
    with open(tmp_path / "study.log", "ab") as handle:
        handle.write(b'{"op_code":4,"worker_')
    claimed(book, "second")
    again = counters.book_of(tmp_path / "study.log", "one")
    assert [trial.user_attrs["key"] for trial in again.trials()] == ["first", "second"]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("postgresql://me:secret@127.0.0.1:1/study", "refused"),
        ("postgresql://me@127.0.0.1:1/study?password=secret", "refused"),
        ("mysql+mysqldb://me:secret@127.0.0.1/study", "driver|module|access"),
        ("nonsense", "is no address of a database"),
    ],
)
def test_a_database_that_cannot_be_reached_is_one_line_without_its_password(address: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as met:
        study.opened("one", address, higher_is_better=True)
    assert "secret" not in str(met.value)
    assert "\n" not in str(met.value)


@pytest.mark.parametrize(
    ("address", "noted"),
    [
        ("postgresql://me:se/cr:et@host:5432/study", "postgresql://me@host:5432/study"),
        ("postgresql://me@host/study?password=secret&sslmode=require", "postgresql://me@host/study?sslmode=require"),
        ("postgresql://me@host/study", "postgresql://me@host/study"),
        ("sqlite:////tmp/a:b@c.db", "sqlite:////tmp/a:b@c.db"),
        ("", ""),
    ],
)
def test_an_address_is_noted_without_its_password(address: str, noted: str) -> None:
    assert study.public(address) == noted


def test_a_storage_that_is_lost_while_searching_is_one_line(postgres_address: str, tmp_path: Path) -> None:
    import psycopg

    book = counters.book_of(postgres_address, "one")

    def train(look: Look) -> Outcome:
        with psycopg.connect(postgres_address, autocommit=True) as connection:
            connection.execute("DROP TABLE trial_user_attributes CASCADE")
        return counters.scored(look.rate, look.steps)

    with pytest.raises(RunError, match=r"the search's storage: .*trial_user_attributes.*run the same command again"):
        searched(book, tmp_path, train)
