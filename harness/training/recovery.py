"""Training that goes back to its last good step when it leaves the finite numbers, and on from there more slowly."""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import DivergedError, Stopped
from harness.training.loop import Recipe, advance
from harness.training.schedule import Schedule
from harness.training.snapshots import Snapshot
from harness.training.state import TrainState, finite

SLOWER = 0.5  # times the rate after each fall
ATTEMPTS = 3  # falls after which it gives up


def train(
    state: TrainState,
    total: int,
    rate: Schedule,
    recipe: Recipe,
    *,
    every: int,
    keep: Callable[[Snapshot, Snapshot | None], None],
    say: Callable[[str], None],
    end: Callable[[], int] | None = None,
) -> None:
    """Trains from where the state stands to step `total` of its stage.

    Every `every` steps, once loss and weights are seen to be finite, the state is good: it is kept, and later falls
    come back to it. After a fall all rates are halved (`state.pace`, which a saved state carries on). Where the run is
    asked to end, the state is kept as it stands, with the last good one beside it: what goes on from there takes the
    steps, and the falls, that it would have taken.

    Args:
        keep: (state, last good state where that is another one), before the last step, to be saved; the last step's is
            the caller's.
        say: one line to the user.
        end: the steps of a stage whose length is settled while it trains; stands in the place of `total`.

    Raises:
        DivergedError: the third fall in this stage.
        Stopped: of the recipe's tick, once the state is kept.
    """
    good = state.good = state.good or state.snapshot()
    ends = end or (lambda: total)
    while state.step < ends():
        try:
            advance(state, min(ends(), good.facts["step"] + every), rate, recipe)
            reached = state.snapshot()
            if not finite(reached):
                raise DivergedError(f"a weight is not finite at step {state.step}", fix="lower the rate")
        except DivergedError as error:
            falls, slower = state.falls + 1, state.pace * SLOWER
            state.restore(good)
            state.optimizer.zero_grad(set_to_none=True)
            if falls == ATTEMPTS:
                fix = "begin with a lower one: -o train.rate=..., or try --precision fp32, or ask harness lr-find"
                raise DivergedError(
                    f"{error.problem}, for the {ATTEMPTS}rd time, at ever lower rates", fix=fix
                ) from error
            state.falls, state.pace = falls, slower
            say(f"{error.problem}: back to step {state.step}, and on at {slower:g} times the rate")
            continue
        except RuntimeError:
            recipe.tick()  # the like in mid-step: what was kept before is gone on from
            raise
        except Stopped:
            keep(state.snapshot(), good if state.step > good.facts["step"] else None)
            raise
        good = state.good = reached
        if state.step < ends():
            keep(good, None)
