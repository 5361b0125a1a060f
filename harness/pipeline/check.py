"""What an adapter's author runs first: three rows read aloud, one batch through the net, one CSV row."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from harness.competition import Competition
from harness.config import TrainConfig
from harness.pipeline import regularising, warning
from harness.pipeline.fold import first_batch, stream
from harness.pipeline.nets import CPU, build_net, fit_fold
from harness.pipeline.parts import Data
from harness.pipeline.planning import checked_folds
from harness.pipeline.preparation import World, prepare, prepare_test
from harness.training import loop

SPOILT_SHOWN = 50


def check(competition: Competition, config: TrainConfig, root: Any, world: World) -> dict[str, Any]:
    """Reads the data, says what it finds through `world.say`, returns the counts as JSON values.

    Raises:
        HarnessError: whatever is wrong, with file, row and fix.
    """
    data = prepare(competition, config, root, world)
    competition = data.competition
    regularising.check(competition, config)
    test = prepare_test(competition, config, root, world)
    plan, _ = warning.warned(checked_folds(competition, config, data), data, test)
    spoilt = [*data.spoilt, *(test.spoilt if test else ())]
    for one in spoilt[:SPOILT_SHOWN]:
        world.say(f"cannot be used: {one.side} row {one.id}: {one.error}")
    if len(spoilt) > SPOILT_SHOWN:
        world.say(f"and {len(spoilt) - SPOILT_SHOWN} more, which a run lists in quarantine.csv")
    for row in sorted({0, len(data) // 2, len(data) - 1}):
        _read_aloud(data, row, int(plan.fold[row]), world)
    shapes = _one_batch(competition, config, data, plan, world)
    counts = {
        "competition": competition.name,
        "rows": len(data),
        "test_rows": len(test) if test else 0,
        "groups": len(set(data.rows[competition.folds.group])) if competition.folds.group else None,
        "folds": plan.number,
        **_of_targets(data),
        "duplicates": data.duplicates,
        "quarantined": len(spoilt),
        **shapes,
    }
    if data.pictures is not None:
        counts["sizes"] = sorted({f"{height}x{width}" for height, width in data.pictures.sizes.tolist()})
    for name, value in counts.items():
        world.say(f"{name.replace('_', ' ')}: {value}")
    for sentence in plan.told:
        world.say(sentence)
    return counts


def _read_aloud(data: Data, row: int, fold: int, world: World) -> None:
    competition, picture = data.competition, data.competition.picture
    world.say(f"row {row}: id {data.rows.ids[row]}")
    if picture is not None and data.pictures is not None:
        (height, width), cached = data.size(row), data.pictures[row]
        world.say(f"  picture {data.rows[picture.column][row]}: {height}x{width}, cached {cached.shape} {cached.dtype}")
    if competition.table is not None:
        named = (*competition.table.numbers, *competition.table.categories)
        world.say("  " + ", ".join(f"{name} {data.rows[name][row]}" for name in named[:12]))
    if data.tokens is not None:
        world.say(f"  {len(data.tokens[row])} tokens: {' '.join(data.tokens[row][:12])!r} ...")
    elif competition.task.kind == "mask":
        truth = data.truth(row)
        world.say(f"  target {data.rows[competition.target][row]}: {truth.sum()} of {truth.size} pixels inside")
    elif competition.task.kind == "classes":
        values = np.unique(data.truth(row)).tolist()
        world.say(f"  target {data.rows[competition.target][row]}: classes {values} (255 is void)")
    else:
        world.say(f"  target {competition.task.present(data.truth(row))}")
    group = competition.folds.group
    world.say(f"  fold {fold}" + (f", {group} {data.rows[group][row]}" if group else ""))


def _of_targets(data: Data) -> dict[str, Any]:
    """What the targets are, in a few numbers."""
    if data.competition.task.kind == "mask":
        return {"empty_masks": int((data.areas == 0).sum())}
    if data.tokens is not None:
        return {"tokens": sum(len(tokens) for tokens in data.tokens)}
    if data.targets is None:
        return {}
    if data.competition.task.kind == "value":
        low, middle, high = np.quantile(data.targets, [0, 0.5, 1]).tolist()
        return {"lowest": low, "median": middle, "highest": high}
    labels = data.competition.task.present(np.ones(data.targets.shape[1], dtype=bool))
    names = labels if isinstance(labels, tuple) else getattr(data.competition.task, "labels", ())
    return {"labels": dict(zip(names, data.targets.sum(axis=0).tolist(), strict=True))}


def _one_batch(competition: Competition, config: TrainConfig, data: Data, plan: Any, world: World) -> dict[str, Any]:
    """One batch through the net and its loss; one CSV row of its first row's truth."""
    loop.seed_everything(config.seed, 0)
    fitted = fit_fold(competition, config, data=data, plan=plan, fold=0)
    net = build_net(competition, config, CPU, fitted=fitted)
    examples = stream(competition, config, data=data, plan=plan, fold=0, stage=0, fitted=fitted)
    batch = first_batch(examples, min(4, config.train.batch))
    assert batch.target is not None, "a training batch carries targets"
    with torch.no_grad():
        logits = net(batch.inputs, {})[0] if getattr(net, "recurrent", False) else net(batch.inputs)
        loss = fitted.task.loss(logits, batch.target)
    shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in batch.inputs.items())
    world.say(f"one batch: {shapes}, targets {tuple(batch.target.shape)}")
    weights = sum(parameter.numel() for parameter in net.parameters())
    world.say(
        f"  through {type(net).__name__}, {weights:,} weights: logits {tuple(logits.shape)}, loss {loss.item():.3f}"
    )
    _one_line(competition, data, int(batch.rows[0]) if data.tokens is None else 0, world)
    return {"logits": list(logits.shape), "loss": float(loss)}


def _one_line(competition: Competition, data: Data, row: int, world: World) -> None:
    """The CSV rows of a true answer, and that they read back as what they are."""
    truth = competition.task.present(data.truth(row))
    lines = competition.submission.write(data.rows.ids[row], truth)
    text = ",".join(lines[0])
    world.say(f"one CSV row (the true answer): {text if len(text) < 80 else text[:77] + '...'}")
    again = competition.submission.read([line[1:] for line in lines], data.size(row))
    same = np.array_equal(again, truth) if isinstance(truth, np.ndarray) else again == truth
    assert same, f"submission.read does not give back what submission.write wrote: {lines[0]}"
