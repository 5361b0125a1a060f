"""Folds trained one after the other as long as there is time, with a submission after the first of everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness import files
from harness.config import as_json
from harness.data.folds import HELD_OUT, FoldPlan
from harness.errors import OutOfTime
from harness.governor import Governor, Plan, follow
from harness.pipeline import answer, budgeting, halting, kept, members, rehearsal, rungs, score
from harness.pipeline.budgeting import Budget
from harness.pipeline.job import Clocked, Job, Limit
from harness.pipeline.network import VIEWED, variants
from harness.pipeline.parts import Data, Part
from harness.search.branch import FEWEST

SCORED = 10  # branches that a search scores, about
TESTED = 100  # steps of a range test
SEARCHES = 3.0  # times as many steps as its longest rung a branch search takes at most, about
UNCHOSEN = 4  # times as long as a score takes one of which mixtures and decisions are chosen from several members


def train(
    budget: Budget,
    job: Job,
    wanted: Sequence[int],
    *,
    inputs: list[Any],
    data: Data,
    test: Part | None,
    plan: FoldPlan,
) -> tuple[Job, list[int]]:
    """(the job, without views where they were shed; the folds that are finished), trained as long as there is time.

    Raises:
        OutOfTime: not one fold is finished.
    """
    governor, along = budget.governor, test if kept.fit_for(data.competition) else None
    missing = members.missing(job, wanted, inputs=inputs, data=data)
    done = [number for number in wanted if number not in missing]
    governor.views = VIEWED in variants(job.competition, job.config)
    if missing:
        _measure(budget, job, missing[0], done, inputs=inputs, data=data, test=test, plan=plan)
    current = [job]  # its views may be shed

    def tell(fits: Plan) -> None:
        current[0] = _told(budget, current[0], fits, wanted)

    def work(number: int, finished: int, left: int) -> None:
        clocked = Clocked(governor, along, done=finished, missing=left)
        one = replace(current[0], clocked=clocked)
        members.predict_fold(one, number, inputs=inputs, data=data, plan=plan, kinds=("cheap", "fold"))
        _late(governor, data, along, test, plan, number)
        budget.note()

    def look(finished: list[int]) -> None:
        _look(budget, current[0], sorted(finished), data=data, test=test, plan=plan)

    done, vain = follow(governor, missing, done, tell=tell, work=work, look=look)
    budget.settle(len(wanted), len(done))
    for number in vain:
        budget.leave_out(f"fold {number}: its predictions came too late")
    if not done:
        step = f"not one fold fits into {governor.seconds:g} s, where a step takes {governor.step(0):.3g} s"
        what = f"{step}: submission.csv holds {budget.submissions[-1][0]}"
        raise OutOfTime(what, fix=budgeting.going_on(budget.run))
    return current[0], sorted(done)


def search_limit(budget: Budget, job: Job, *, data: Data, test: Part | None, plan: FoldPlan) -> Limit | None:
    """How long a search of rate and length may take: a third of what is left, at most; None where that is too short."""
    governor, config = budget.governor, job.config
    along = test if kept.fit_for(data.competition) else None
    governor.steps = rehearsal.steps_of(job, data, plan, number=0)
    rehearsal.rehearse(job, governor, data=data, test=along, plan=plan, number=0)
    step = governor.step(0)
    steps = governor.search_steps(step) - round(SCORED * governor.cost("validate") / step)
    longest = (steps - TESTED) / SEARCHES
    if longest < FEWEST:
        budget.leave_out("the search")
        return None
    until = governor.clock() + steps * step
    epochs = longest * config.stages[0].epochs / governor.steps[0]
    return Limit(min(epochs, config.space.epochs[1]), lambda: governor.clock() > until)


def _measure(
    budget: Budget,
    job: Job,
    number: int,
    done: list[int],
    *,
    inputs: list[Any],
    data: Data,
    test: Part | None,
    plan: FoldPlan,
) -> None:
    """What the first fold's cheap model, a score, some steps and some predictions cost; and a first real submission."""
    governor, along = budget.governor, test if kept.fit_for(data.competition) else None
    if data.masks is None:
        for part in (data, *([test] if test else [])):
            assert part.features is None or len(part.features)  # computed once for all folds: no fold's cost
    clocked = Clocked(governor, along)
    members.predict_fold(replace(job, clocked=clocked), number, inputs=inputs, data=data, plan=plan, kinds=("cheap",))
    if done:
        _look(budget, job, done, data=data, test=test, plan=plan)
    else:
        _look(budget, job, [number], data=data, test=test, plan=plan, names=rungs.names(job.competition))
    governor.steps = rehearsal.steps_of(job, data, plan, number=number)
    rehearsal.rehearse(job, governor, data=data, test=along, plan=plan, number=number)
    _late(governor, data, along, test, plan, number)


def _late(governor: Governor, data: Data, along: Part | None, test: Part | None, plan: FoldPlan, number: int) -> None:
    """What all folds predict at the end, as the fold's validation rows cost."""
    rows = (len(test) if test and along is None else 0) + int((plan.fold == HELD_OUT).sum())
    share = rows / max(1, len(plan.validation(number)))
    governor.costs["late"] = share * governor.costs.get("validate", 0.0)
    governor.costs["late views"] = share * max(0.0, governor.costs.get("views", 0.0) - governor.costs["validate"])


def _look(
    budget: Budget,
    job: Job,
    folds: list[int],
    *,
    data: Data,
    test: Part | None,
    plan: FoldPlan,
    names: Sequence[str] | None = None,
) -> None:
    """Scores what there is and answers with it: a better submission, and a measure of what the end will take."""
    governor, before = budget.governor, budget.governor.clock()
    found = score.out_of_fold(job, folds, data=data, plan=plan, names=names)
    _, together = score.score(job, found, data=data, plan=plan)
    answer.write_out_of_fold(job, found, data=data, together=together)
    swept = data.competition.task.kind in ("mask", "classes", "tags")
    chosen = not swept or (names is None and len(set(found.parts.tolist())) > 1)
    governor.tell_score(len(folds), (governor.clock() - before) * (1 if chosen else UNCHOSEN))
    halting.so_far(job, found, together, folds, data=data, test=test, plan=plan)
    budget.written(f"{'cheap model' if names else 'network and cheap model'} of fold {', '.join(map(str, folds))}")


def _told(budget: Budget, job: Job, fits: Plan, wanted: Sequence[int]) -> Job:
    """Says what does not fit; returns the job without views where they are shed."""
    governor = budget.governor
    seconds = {kind: round(governor.cost(kind), 3) for kind in governor.costs}
    steps = [round(governor.step(stage), 4) for stage in range(len(governor.steps))]
    plan = {"folds": fits.folds, "epochs": fits.epochs, "left": governor.left(), "costs": seconds, "steps": steps}
    budget.run.log("plan", **plan, speed=governor.speed)
    if not fits.views and VIEWED in variants(job.competition, job.config):
        budget.leave_out("test-time views")
        job = _without_views(job)
    if fits.total < len(wanted):
        budget.leave_out(f"folds {len(wanted)} -> {fits.total}")
    if fits.epochs < 1 and fits.folds and not any(one.startswith("epochs") for one in budget.shed):
        budget.leave_out(f"epochs, of which about {100 * fits.epochs:.0f} % fit")
    return job


def _without_views(job: Job) -> Job:
    """The same, in config.json too."""
    config = replace(job.config, views="none")
    files.write_json(job.run.path / "config.json", {**job.run.settings(), "config": as_json(config)})
    return replace(job, config=config)
