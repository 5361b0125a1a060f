"""What was asked for, and what the phases of one run share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.competition import Competition
from harness.config import TrainConfig
from harness.governor import Governor
from harness.pipeline.hardware import Hardware
from harness.pipeline.parts import Part
from harness.pipeline.preparation import World, data_root
from harness.runs import Run
from harness.training.shards import ALONE, Shard

SCHEMA = 1  # of config.json and scores.json: keys are only added
Method = Literal["branch", "lite", "tpe", "grid"]


@dataclass(frozen=True)
class Search:
    """How rate and length are searched.

    Attributes:
        method: "branch", "lite" (one trunk), "tpe" (with Hyperband and, over several folds, a Wilcoxon test), "grid".
        trials: of tpe.
        storage: address of a database for the study; "" is a journal file in the run folder.
        study: name of the study; "" is the competition's.
    """

    method: Method = "branch"
    trials: int = 20
    storage: str = ""
    study: str = ""


@dataclass(frozen=True)
class Limit:
    """How long a search may take, where a run must end in time.

    Attributes:
        epochs: of the longest schedule that it may try.
        over: whether it must end with what it has.
    """

    epochs: float
    over: Callable[[], bool]


@dataclass(frozen=True)
class Request:
    """What was asked for, besides the configuration.

    Attributes:
        data: folder or zip, or None to look in the usual places.
        sample: draw the adapter's sample instead.
        sample_rows: how many training rows of it, about.
        only_folds: folds to train; empty means all.
        device: "auto", "cpu" or "cuda".
        processes: folds trained at once; 0 means one for each GPU, and one on a CPU.
        tune: search rate and length on fold 0 first; "alone" ends there, and the folds are trained by a resume.
        search: how.
        budget: seconds that the run may take, from the start of its process to its end; None means as long as it takes.
    """

    data: str | None = None
    sample: bool = False
    sample_rows: int = 60
    only_folds: tuple[int, ...] = ()
    device: str = "auto"
    processes: int = 0
    tune: Literal["", "first", "alone"] = ""
    search: Search = Search()
    budget: float | None = None


@dataclass(frozen=True)
class Job:
    """One run at work: which competition, how, where to, on what, and beside whom.

    Attributes:
        clocked: how long it may train, where it must end in time.
        left: folds that this process is still to train, the one at hand included.
        chose: folds by whose rows rate and length were chosen, which are therefore no part of the score.
    """

    competition: Competition
    config: TrainConfig
    run: Run
    hardware: Hardware
    world: World
    shard: Shard = ALONE
    clocked: Clocked | None = None
    left: int = 1
    chose: tuple[int, ...] = ()

    def timed(self, kind: str) -> AbstractContextManager[None]:
        """Tells the governor, if there is one, what the block took."""
        return nullcontext() if self.clocked is None else self.clocked.governor.measured(kind)


@dataclass(frozen=True)
class Clocked:
    """What a fold of a run with a budget must know.

    Attributes:
        governor: of its time.
        test: rows that each fold predicts right after its training; None where all folds do it at the end.
        done: folds that are finished.
        missing: folds that are not, with the one at hand.
    """

    governor: Governor
    test: Part | None = None
    done: int = 0
    missing: int = 1


def request_root(competition: Competition, where: Request, world: World) -> Path:
    """The folder with the data that a request names.

    Raises:
        ConfigError, DataError: as `data_root`.
    """
    named = None if where.data is None else Path(where.data)
    return data_root(competition, data=named, sample=where.sample, sample_rows=where.sample_rows, seed=0, world=world)


def elsewhere(request: Request, data: str | None, sample: bool) -> Request:
    """The request with the data named now, if any is."""
    if data is None and not sample:
        return request
    return replace(request, data=None if data is None else str(Path(data).absolute()), sample=sample)
