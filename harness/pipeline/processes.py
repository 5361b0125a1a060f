"""Folds trained at once, each process on a GPU of its own, or on its share of a CPU's cores.

A fold is a pure function of (configuration, data, fold): what a process writes into the run folder is what the run
itself would have written there with as many threads.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from harness import runs, stopping
from harness.data.folds import FoldPlan
from harness.errors import HarnessError, RunError
from harness.pipeline import hardware, members
from harness.pipeline.following import opened
from harness.pipeline.job import Job, Request
from harness.pipeline.parts import Data
from harness.pipeline.preparation import World
from harness.training import shards

GRACE = 20.0  # seconds in which a process that is to end comes to the end of an optimizer step, and saves
LISTENING = 0.2  # seconds after which the parent looks whether it is asked to end


@dataclass(frozen=True)
class Work:
    """What a process must know; all else it reads from the run folder.

    Attributes:
        run: its folder.
        where: the request, with the data as it lies now.
        cache: root of the cache.
        inputs: what the phases depend on, besides the fold.
        threads: of each process; None leaves them.
    """

    run: Path
    where: Request
    cache: Path
    inputs: list[Any]
    threads: int | None


Task = Callable[[Job, Data, FoldPlan, Work, Any], None]


def number(request: Request, device: str) -> int:
    """How many folds are trained at once: as asked for, else one for each GPU, and one on a CPU."""
    return request.processes or (torch.cuda.device_count() if device == "cuda" else 1)


@contextmanager
def shared_threads(request: Request) -> Iterator[None]:
    """On a CPU, everything is computed with a process's share of the threads: they decide the rounding.

    Those that torchrun started have the threads it gave them, and train one fold after the other.
    """
    before = torch.get_num_threads()
    if not shards.launched() and hardware.choose_device(request.device) == "cpu":
        torch.set_num_threads(max(1, before // number(request, "cpu")))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(job: Job, folds: Sequence[int], *, where: Request, inputs: list[Any], at_once: int) -> None:
    """Trains folds in `at_once` processes, until all their phases are finished.

    Raises:
        HarnessError: what a process met, or that one ended by itself (killed for memory, say).
        RuntimeError: a bug in a process, with its traceback.
    """
    job.world.say(f"{len(folds)} folds in {at_once} processes")
    crew(job, _folds, where=where, inputs=inputs, at_once=at_once, items=folds)


def crew(
    job: Job,
    task: Task,
    *,
    where: Request,
    inputs: list[Any],
    at_once: int,
    items: Sequence[Any] = (),
    spare: bool = False,
) -> None:
    """Does a task in `at_once` processes, until all have done it.

    Args:
        task: of a module; finds `items`, and a None for each process, in its queue.
        spare: a process that is killed is no matter: others go on with what it left.

    Raises:
        HarnessError, RuntimeError: as `train`.
    """
    context = multiprocessing.get_context("spawn")  # a fork would share CUDA and thread pools
    waiting = context.Queue()
    for item in [*items, *[None] * at_once]:
        waiting.put(item)
    threads = torch.get_num_threads() if job.hardware.device == "cpu" else None
    work = Work(job.run.path.absolute(), where, job.world.cache, inputs, threads)
    cards = _cards() if job.hardware.device == "cuda" else [None]
    workers: dict[Connection, Any] = {}
    try:
        for index in range(at_once):
            # a pipe each: of a queue that all share, a killed process would keep the lock
            listener, speaker = context.Pipe(duplex=False)
            card = cards[index % len(cards)]
            workers[listener] = context.Process(
                target=_work, args=(task, work, card, waiting, speaker)
            )  # no daemon: it may start processes of its own, to load pictures
            workers[listener].start()
            speaker.close()  # so that the end of the process ends what is heard of it
        _listen(job, workers, spare=spare)
    finally:
        for worker in workers.values():
            if worker.is_alive():
                worker.terminate()
        for worker in workers.values():
            if worker.pid is not None:
                worker.join(GRACE)
                if worker.is_alive():
                    worker.kill()
                worker.join()


def _listen(job: Job, workers: Mapping[Connection, Any], *, spare: bool) -> None:
    """Passes on what the processes say, until each is done, or gone where that is no matter."""
    at_work = dict(workers)
    while at_work:
        job.world.halt()
        for listener in wait(list(at_work), timeout=LISTENING):
            assert isinstance(listener, Connection)
            try:
                kind, *facts = listener.recv()
            except (EOFError, OSError):
                kind, facts = "gone", []
            if kind == "say":
                job.world.say(facts[0])
            elif kind == "progress":
                job.world.progress(*facts)
            elif kind == "error":
                raise facts[0]
            elif kind == "bug":
                raise RuntimeError(f"in a process of the run:\n{facts[0]}")
            elif kind == "done":
                del at_work[listener]
            elif kind == "gone":
                worker = at_work.pop(listener)
                worker.join()
                if not spare:
                    fix = f"harness resume {job.run.path}, with fewer --processes where memory is short"
                    raise RunError(f"a process ended with {worker.exitcode}", fix=fix)
                job.world.say(f"a process ended with {worker.exitcode}; {len(at_work)} go on")


def _folds(job: Job, data: Data, plan: FoldPlan, work: Work, waiting: Any) -> None:
    """Takes one fold after the other until none is left."""
    while (fold := waiting.get()) is not None:
        members.predict_fold(job, fold, inputs=work.inputs, data=data, plan=plan)


def _cards() -> list[str]:
    """The GPUs this process sees, as their own variable names them."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return seen.split(",") if seen else [str(index) for index in range(torch.cuda.device_count())]


def _work(task: Task, work: Work, card: str | None, waiting: Any, speaker: Connection) -> None:
    """A process: opens the run, and does the task."""
    _end_with_parent()
    # the parent hears Ctrl-C too, and ends its processes
    with stopping.signals(ignored=(signal.SIGINT, signal.SIGHUP), led=True) as stop:
        _worked(task, work, card, waiting, speaker, stop)


def _worked(task: Task, work: Work, card: str | None, waiting: Any, speaker: Connection, stop: stopping.Stop) -> None:
    if card is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = card  # before CUDA is first asked for
    if work.threads:
        torch.set_num_threads(work.threads)

    def tell(*event: Any) -> None:
        try:
            speaker.send(event)
        except BrokenPipeError:
            raise SystemExit("the run that started this process is gone") from None

    try:
        job, data, plan = opened(runs.Run(work.run), work.where, work.cache)
        world = World(
            work.cache,
            say=lambda text: tell("say", text),
            progress=lambda *facts: tell("progress", *facts),
            tick=stop.check,
            halt=stop.check,
        )
        job = replace(job, world=world)
        task(job, data, plan, work, waiting)
        tell("done")
    except HarnessError as error:
        tell("error", error)
    except stopping.AtOnce:
        raise SystemExit("ended at once") from None
    except Exception:
        tell("bug", traceback.format_exc())


def _end_with_parent() -> None:
    """Tells this process to end where the run that started it is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a process of a run has a parent"

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
