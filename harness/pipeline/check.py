"""What an adapter's author runs first: three rows read aloud, one batch through the net, one CSV row."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from harness.competition import Competition
from harness.config import TrainConfig
from harness.pipeline.fold import stream
from harness.pipeline.hardware import Hardware, build_net
from harness.pipeline.preparation import Data, World, plan_folds, prepare, prepare_test
from harness.training import loop


def check(competition: Competition, config: TrainConfig, root: Any, world: World) -> dict[str, Any]:
    """Reads the data, says what it finds through `world.say`, returns the counts as JSON values.

    Raises:
        HarnessError: whatever is wrong, with file, row and fix.
    """
    data = prepare(competition, config, root, world)
    test = prepare_test(competition, config, root, world)
    plan = plan_folds(competition, config, data)
    areas, picture = data.areas(), competition.picture
    for row in sorted({0, len(data.train) // 2, len(data.train) - 1}):
        height, width = data.pictures.sizes[row]
        cached = data.pictures[row]
        world.say(f"row {row}: id {data.train.ids[row]}")
        world.say(
            f"  picture {data.train[picture.column][row]}: {height}x{width}, cached {cached.shape} {cached.dtype}"
        )
        world.say(f"  target {data.train[competition.target][row]}: {areas[row]} of {height * width} pixels inside")
        world.say(f"  fold {plan.fold[row]}{_group(competition, data, row)}")
    shapes = _one_batch(competition, config, data, plan, world)
    counts = {
        "competition": competition.name,
        "rows": len(data.train),
        "test_rows": len(test.rows) if test else 0,
        "groups": len(set(data.train[competition.folds.group])) if competition.folds.group else None,
        "folds": plan.number,
        "empty_masks": int((areas == 0).sum()),
        "duplicates": data.duplicates,
        "sizes": sorted({f"{height}x{width}" for height, width in data.pictures.sizes.tolist()}),
        **shapes,
    }
    for name, value in counts.items():
        world.say(f"{name.replace('_', ' ')}: {value}")
    for sentence in plan.told:
        world.say(sentence)
    return counts


def _group(competition: Competition, data: Data, row: int) -> str:
    group = competition.folds.group
    return f", {group} {data.train[group][row]}" if group else ""


def _one_batch(competition: Competition, config: TrainConfig, data: Data, plan: Any, world: World) -> dict[str, Any]:
    """One batch through the net and its loss; one CSV row of its first prediction."""
    loop.seed_everything(config.seed, 0)
    net = build_net(competition, config, Hardware("cpu", "fp32", None))
    batch = stream(competition, config, data=data, plan=plan, fold=0, stage=0).first(min(4, config.train.batch))
    assert batch.target is not None, "a training batch carries targets"
    with torch.no_grad():
        logits = net(batch.inputs)
        loss = competition.task.loss(logits, batch.target)
    shape = tuple(batch.inputs[competition.picture.column].shape)
    world.say(f"one batch: pictures {shape} uint8, targets {tuple(batch.target.shape)} float32")
    world.say(f"  through {config.model.encoder}: logits {tuple(logits.shape)}, loss {loss.item():.3f}")
    row = int(batch.rows[0])
    truth = data.truth(row)
    line = competition.submission.write(data.train.ids[row], truth)[0]
    text = ",".join(line)
    world.say(f"one CSV row (the true answer): {text if len(text) < 80 else text[:77] + '...'}")
    again = competition.submission.read([line[1:]], (truth.shape[0], truth.shape[1]))
    assert np.array_equal(again, truth), f"submission.read does not give back what submission.write wrote: {line[0]}"
    return {"logits": list(logits.shape), "loss": float(loss)}
