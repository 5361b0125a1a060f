"""Training that a search can leave and come back to: trunks of constant rate with cooled copies, and whole runs.

Everything is kept in files: what a killed process had reached, another one goes on from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import DivergedError, RunError
from harness.pipeline.preparation import untimed
from harness.search.branch import COOLED, Look, Outcome
from harness.training import loop, schedule, snapshots, state

Report = Callable[[int, float], None]


@dataclass
class Track:
    """One net, trained in turns.

    Attributes:
        training: as it begins.
        recipe: of its only stage.
        warmup: steps in which every trunk warms up, whatever it becomes.
        score: what the net scores with the weights it has, on rows it was not trained on.
        folder: where states are kept.
        every: steps between two saved states.
        tick: called as often; ends a run whose time is over.
        trained: optimizer steps so far.
    """

    training: state.TrainState
    recipe: loop.Recipe
    warmup: int
    score: Callable[[], Outcome]
    folder: Path
    every: int
    tick: Callable[[], None] = untimed
    trained: int = 0
    first: snapshots.Snapshot = field(init=False)

    def __post_init__(self) -> None:
        self.first = self.training.snapshot()
        self.folder.mkdir(parents=True, exist_ok=True)

    def branch(self, look: Look) -> Outcome:
        """Trains the rate's trunk on to where the cooldown begins, and scores a copy cooled to the look's end.

        Raises:
            DivergedError: the loss or a weight is no finite number.
        """
        plan = schedule.planned(
            "warmup-stable-decay", total=look.steps, peak=look.rate, warmup=self.warmup / look.steps, cooldown=COOLED
        )
        trunk = self.trunk_file(look.rate)
        self._stand(trunk, at_most=int(look.steps - COOLED * look.steps))
        self._advance(int(look.steps - COOLED * look.steps), plan, trunk)
        self._advance(look.steps, plan, None)
        self.training.save(self.branch_file(look))
        return self._scored()

    def whole(self, plan: schedule.Schedule, total: int, path: Path, report: Report, marks: tuple[int, ...]) -> Outcome:
        """Scores training from the beginning to the end of a schedule.

        Args:
            path: where the state is kept on the way.
            report: (per mille of the schedule, metric) at each of `marks` but the end; may raise to give it up.

        Raises:
            DivergedError: as `branch`.
        """
        self._stand(path, at_most=total)
        for mark in marks:
            until = max(1, total * mark // 1000)
            if self.training.step > until or until == total:
                continue
            self._advance(until, plan, path)
            now = self.training.snapshot()
            outcome = self._scored()
            self.training.restore(now)
            report(mark, outcome.metric)
        self._advance(total, plan, path)
        return self._scored()

    def trunk_file(self, rate: float) -> Path:
        """Where the trunk of a rate stands."""
        return self.folder / f"trunk-{rate:g}.safetensors"

    def branch_file(self, look: Look) -> Path:
        """Where a cooled copy ended."""
        return self.folder / f"branch-{look.rate:g}-{look.steps}.safetensors"

    def _stand(self, path: Path, *, at_most: int) -> None:
        """Goes to where a state was kept, or to the beginning."""
        self.training.restore(self.first)
        if snapshots.saved(path):
            try:
                self.training.load(path)
            except RunError:  # cut short by a full disk: trained again
                self.training.restore(self.first)
        if self.training.step > at_most:
            self.training.restore(self.first)

    def _advance(self, until: int, plan: schedule.Schedule, path: Path | None) -> None:
        """Trains to a step, and keeps finite states on the way."""
        training = self.training
        while training.step < until:
            began = training.step
            self.tick()
            try:
                loop.advance(training, min(until, began + self.every), plan, self.recipe)
                now = training.snapshot()
                if not state.finite(now):
                    raise DivergedError(f"a weight is not finite at step {training.step}", fix="lower the rate")
            finally:
                self.trained += training.step - began
                training.optimizer.zero_grad(set_to_none=True)
            if path is not None:
                training.save(path, now)

    def _scored(self) -> Outcome:
        net = self.training.net
        net.load_state_dict(self.training.final_weights())
        net.eval()
        return self.score()
