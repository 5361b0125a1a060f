"""What one fold's training rows say beside weights, and the net that fits the competition's inputs and task.

A table's means and vocabularies, a text's words, a price's centre: all are fitted on the rows a fold trains on, written
beside its weights as JSON, and read back before the fold predicts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from harness import files
from harness.competition import Competition
from harness.config import TrainConfig
from harness.data import blocks
from harness.data import table as tables
from harness.data.folds import FoldPlan
from harness.data.text import Vocabulary
from harness.errors import RunError
from harness.hashing import hash_value
from harness.models.gpt import Gpt
from harness.models.images import PictureNet
from harness.models.language import AwdLstm
from harness.models.layouts import lay_out
from harness.models.masks import MaskNet
from harness.models.table import TableEncoder, TableNet
from harness.pipeline import regularising
from harness.pipeline.hardware import Hardware, load_pretrained
from harness.pipeline.parts import Data, Part
from harness.tasks import Task

EMBEDDING = 16  # floats per column of a table
CPU = Hardware("cpu", "fp32", None)


@dataclass(frozen=True)
class Fitted:
    """What one fold's training rows say.

    Attributes:
        task: with their centre and spread.
        table: of the table input, where there is one.
        vocabulary: of the text input, where there is one.
        weights: of the labels or classes in the loss, where asked for; needed for training alone, never written.
        rows: how many rows it was fitted on, and the hash of their ids.
    """

    task: Task
    table: tables.TableFit | None = None
    vocabulary: Vocabulary | None = None
    weights: tuple[float, ...] | None = None
    rows: str = ""

    def arrays(self, part: Part) -> dict[str, np.ndarray]:
        """The table's arrays of all rows: "numbers" and "codes"; none without a table."""
        return tables.transform(self.table, part.rows.columns) if self.table else {}

    def ids(self, part: Part, row: int) -> np.ndarray:
        """int32 [T]: the token numbers of one row."""
        assert self.vocabulary is not None, "only texts have token numbers"
        assert part.tokens is not None, "only texts have tokens"
        return self.vocabulary.ids(part.tokens[row])

    def runs(self, part: Part, rows: list[int]) -> list[np.ndarray]:
        """int32 arrays of the token numbers of some rows (ascending), neighbours of one text joined."""
        return [np.concatenate([self.ids(part, row) for row in run]) for run in blocks.stretches(part.rows, rows)]

    def write(self, path: Path) -> None:
        """Writes what cannot be told from the adapter."""
        content: dict[str, Any] = {"rows": self.rows}
        if self.task.kind == "value":
            content["target"] = {name: getattr(self.task, name) for name in ("centre", "spread")}
        if self.table is not None:
            content["table"] = self.table.as_json()
        if self.vocabulary is not None:
            content["vocabulary"] = self.vocabulary.as_json()
        files.write_json(path, content)


def fit_fold(competition: Competition, config: TrainConfig, *, data: Data, plan: FoldPlan, fold: int) -> Fitted:
    """Fitted on the rows that train when `fold` validates, and on no other."""
    rows = plan.training(fold)
    fitted = fit_rows(competition, config, data=data, rows=rows)
    return replace(fitted, weights=regularising.class_weights(config, data, rows=rows))


def fit_rows(competition: Competition, config: TrainConfig, *, data: Data, rows: np.ndarray) -> Fitted:
    """Fitted on some training rows, in a part that holds no other."""
    part = replace(data, pictures=None, masks=None).take(rows)  # of pictures nothing is fitted
    task = competition.task if part.targets is None else competition.task.fit(part.targets)
    table, vocabulary = None, None
    if competition.table is not None:
        named = {name: order or None for name, order in competition.table.categories.items()}
        every = np.arange(len(part))
        table = tables.fit(part.rows.columns, numbers=competition.table.numbers, categories=named, rows=every)
    if part.tokens is not None:
        vocabulary = Vocabulary.build(part.tokens, config.data.unit)
    return Fitted(task, table, vocabulary, rows=f"{len(part)}:{hash_value(sorted(part.rows.ids))}")


def read_fitted(competition: Competition, path: Path) -> Fitted:
    """What `Fitted.write` wrote for a fold of this competition.

    Raises:
        RunError: the file is damaged.
    """
    task: Any = competition.task
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if "target" in content:
            task = replace(task, **content["target"])
        table = tables.TableFit.from_json(content["table"]) if "table" in content else None
        vocabulary = Vocabulary.from_json(content["vocabulary"]) if "vocabulary" in content else None
        rows = str(content.get("rows", ""))
        if (table is None, vocabulary is None) != (competition.table is None, competition.tokens is None):
            raise ValueError("no fit of this competition")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        problem = f"unreadable ({type(error).__name__}: {error})"
        raise RunError(problem, file=path, fix="the run folder is damaged; train the run again") from error
    return Fitted(task, table, vocabulary, rows=rows)


def build_net(
    competition: Competition,
    config: TrainConfig,
    hardware: Hardware,
    *,
    fitted: Fitted | None = None,
    pretrained: bool = True,
) -> nn.Module:
    """The net on its device, of pictures laid out as the hardware says; encoder weights loaded unless others follow.

    Args:
        fitted: of the fold; nets of pictures alone need none.

    Raises:
        ConfigError: an encoder that timm does not have or that cannot blur, or weights that do not fit it.
    """
    picture, task, model = competition.picture, competition.task, config.model
    fitted = fitted or Fitted(task)
    if competition.tokens is not None:
        return _text_net(config, fitted).to(hardware.device)
    if picture is None:
        assert fitted.table is not None, "a table's net needs its fit"
        return TableNet(
            fitted.table.features,
            fitted.table.cardinalities,
            outputs=task.outputs,
            edges=fitted.table.edges,
            width=model.width,
            blocks=model.layers,
            dropout=model.dropout,
            members=model.members,
            embedding=EMBEDDING,
        ).to(hardware.device)
    common = {
        "channels": picture.channels,
        "normalise": picture.normalise,
        "input_name": picture.column,
        "dropout": model.dropout,
        "blurpool": model.blurpool,
    }
    outputs = max(1, task.outputs)  # a net may be built for a look before the labels are known
    if task.kind in ("mask", "classes"):
        net: nn.Module = MaskNet(model.encoder, decoder=model.decoder, outputs=outputs, **common)
    else:
        net = PictureNet(model.encoder, outputs=outputs, side=_side(fitted.table), **common)
    if hardware.encoder_weights and pretrained:
        load_pretrained(encoder_of(net), hardware, picture.channels)
    return lay_out(net.to(hardware.device), hardware.memory)


def encoder_of(net: nn.Module) -> nn.Module:
    """The timm module inside a net of pictures."""
    encoder = net.encoder
    assert isinstance(encoder, nn.Module), "nets of pictures have an encoder"
    return encoder


def _side(table: tables.TableFit | None) -> nn.Module | None:
    if table is None:
        return None
    return TableEncoder(table.features, table.cardinalities, edges=table.edges, embedding=EMBEDDING)


def _text_net(config: TrainConfig, fitted: Fitted) -> nn.Module:
    model = config.model
    assert fitted.vocabulary is not None, "a text's net needs its vocabulary"
    words = len(fitted.vocabulary.tokens)
    if model.text == "lstm":
        return AwdLstm(words, embedding=model.width, hidden=3 * model.width, layers=model.layers)
    return Gpt(
        words, width=model.width, layers=model.layers, heads=model.heads, context=model.context, dropout=model.dropout
    )
