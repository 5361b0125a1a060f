"""Small tasks for searches: drawn pictures with clean and with wrong labels, and the characters of a text.

Steps of a few milliseconds on one CPU thread, so that thousands of runs fit into an hour. N rows, B of them a batch.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from pydoc_data import topics
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from harness.batch import Batch
from harness.pipeline.track import Track
from harness.search import branch
from harness.search.branch import Look, Outcome
from harness.search.sampled import FRACTIONS
from harness.training import loop, range_test, schedule, state

SIDE, KINDS = 16, 10
WRONG = 0.2  # share of wrong labels
CONTEXT = 12  # characters that foretell the next
BATCH = 32
LONGEST, LENGTHS, RATES = 1024, 6, 8  # steps; of the grid
SPACE = (3e-4, 1e-1)  # rates


@dataclass(frozen=True)
class Rows:
    """Inputs [N, ...] and int64 classes [N]."""

    inputs: torch.Tensor
    classes: torch.Tensor


@dataclass(frozen=True)
class Task:
    """A task: what is trained on, what a search sees, and what only the retrained choice is scored on.

    Attributes:
        build: a net of random weights.
        metric: "accuracy", or "nats" (the mean loss; the lower the better).
    """

    name: str
    train: Rows
    validation: Rows
    test: Rows
    build: Callable[[], nn.Module]
    metric: str

    @property
    def higher_is_better(self) -> bool:
        """Of the metric."""
        return self.metric == "accuracy"


def tasks(seed: int) -> list[Task]:
    """The three, drawn from a seed; training rows and validation rows have wrong labels alike, as they come."""
    random = np.random.default_rng([seed, 1])
    templates = _templates(random)
    train, validation, test = (_pictures(random, templates, rows) for rows in (2048, 512, 4096))
    wrong = [_mislabelled(random, part) for part in (train, validation)]
    letters, *text = _text(random)
    return [
        Task("pictures", train, validation, test, _picture_net, "accuracy"),
        Task("pictures, 20 % wrong labels", wrong[0], wrong[1], test, _picture_net, "accuracy"),
        Task("characters", text[0], text[1], text[2], functools.partial(_character_net, letters), "nats"),
    ]


def _templates(random: np.random.Generator) -> np.ndarray:
    """float32 [KINDS, 10, 10]: smooth blobs, one for each kind."""
    coarse = torch.from_numpy(random.normal(size=(KINDS, 1, 4, 4)).astype(np.float32))
    return functional.interpolate(coarse, size=(10, 10), mode="bicubic")[:, 0].numpy()


def _pictures(random: np.random.Generator, templates: np.ndarray, rows: int) -> Rows:
    """A kind's blob somewhere, a fainter one of another kind somewhere else, and noise."""
    classes = random.integers(KINDS, size=rows)
    others = (classes + random.integers(1, KINDS, size=rows)) % KINDS
    pictures = random.normal(scale=1.0, size=(rows, SIDE, SIDE)).astype(np.float32)
    for row in range(rows):
        for kind, strength in ((classes[row], random.uniform(0.7, 1.3)), (others[row], random.uniform(0.2, 0.6))):
            top, left = random.integers(0, SIDE - 9, size=2)
            pictures[row, top : top + 10, left : left + 10] += strength * templates[kind]
    return Rows(torch.from_numpy(pictures)[:, None], torch.from_numpy(classes))


def _mislabelled(random: np.random.Generator, rows: Rows) -> Rows:
    wrong = torch.from_numpy(random.random(len(rows.classes)) < WRONG)
    other = torch.from_numpy(random.integers(1, KINDS, size=len(rows.classes)))
    return Rows(rows.inputs, torch.where(wrong, (rows.classes + other) % KINDS, rows.classes))


def _text(random: np.random.Generator) -> tuple[int, Rows, Rows, Rows]:
    """(letters, three parts): windows of the Python language's own documentation, which every Python brings along."""
    text = "\n".join(topics.topics[name] for name in sorted(topics.topics))
    letters = {letter: number for number, letter in enumerate(sorted(set(text)))}
    codes = torch.tensor([letters[letter] for letter in text])
    first = int(random.integers(0, len(codes) - 90_000))
    windows = codes[first : first + 90_000].unfold(0, CONTEXT + 1, 1)
    cuts = ((0, 30_000), (30_100, 38_100), (38_200, 88_200))
    parts = [Rows(windows[start:stop, :-1], windows[start:stop, -1].clone()) for start, stop in cuts]
    # neighbouring windows tell nearly the same: a part of them does for scoring
    return len(letters), parts[0], _thinned(parts[1], 4), _thinned(parts[2], 12)


def _thinned(rows: Rows, every: int) -> Rows:
    return Rows(rows.inputs[::every], rows.classes[::every])


class _Net(nn.Module):
    """Layers on the only input."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """[B, classes] logits."""
        return self.layers(inputs["x"])


def _picture_net() -> nn.Module:
    widths, layers = (1, 16, 32, 64), list[nn.Module]()
    for before, after in itertools.pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return _Net(*layers, nn.Flatten(), nn.Linear(4 * widths[-1], KINDS))


def _character_net(letters: int) -> nn.Module:
    embedding = nn.Embedding(letters, 24)
    hidden = [nn.Linear(24 * CONTEXT, 192), nn.GELU(), nn.Linear(192, 192), nn.GELU()]
    return _Net(embedding, nn.Flatten(), *hidden, nn.Linear(192, letters))


@dataclass
class Bench:
    """A task as a search trains it; one thread."""

    task: Task
    folder: Path
    seed: int
    _tested: int = 0

    def __post_init__(self) -> None:
        self.track = self._track(self.seed, self.task.validation)

    def _track(self, seed: int, scored: Rows) -> Track:
        loop.seed_everything(seed, 0)
        net = self.task.build()
        training = state.TrainState.start(net, rate=1e-3, weight_decay=1e-2, ema=True, precision="fp32")
        recipe = loop.Recipe(
            loss=functional.cross_entropy,
            batches=functools.partial(_batches, self.task.train, seed),
            autocast=nullcontext(),
            device="cpu",
            clip=1.0,
            ema=0.99,
            report_every=64,
            report=lambda step, loss, rate: None,
        )
        warmup = round(0.25 * branch.first_rung(LONGEST))
        score = functools.partial(_outcome, net, scored, self.task)
        return Track(training, recipe, warmup, score, self.folder, every=LONGEST)

    @property
    def trained(self) -> int:
        """Optimizer steps so far."""
        return self.track.trained + self._tested

    def edge(self) -> float:
        """Of a range test."""
        found = range_test.range_test(self.track.training, self.track.recipe, low=SPACE[0] / 10, high=SPACE[1] * 10)
        self._tested += len(found.rates)
        return branch.rounded(float(found.rates[found.smooth.argmin()]))

    def branch(self, look: Look) -> Outcome:
        """Scores a cooled copy of the rate's trunk."""
        return self.track.branch(look)

    def whole(self, look: Look) -> Outcome:
        """Scores a one-cycle schedule."""
        return self._whole(self.track, look, f"whole-{look.rate:g}-{look.steps}", lambda step, metric: None, ())

    def sample(self, key: str, params: Mapping[str, Any], report: Callable[[int, float], None]) -> Outcome:
        """Scores a one-cycle schedule, reported at its fractions."""
        look = Look(params["rate"], self.steps(params))
        outcome = self._whole(self.track, look, f"trial-{key}", report, FRACTIONS[:-1])
        report(1000, outcome.metric)
        return outcome

    def _whole(self, track: Track, look: Look, name: str, report: Any, marks: tuple[int, ...]) -> Outcome:
        plan = schedule.planned("one-cycle", total=look.steps, peak=look.rate, warmup=0.25, cooldown=0.0)
        return track.whole(plan, look.steps, self.folder / f"{name}.safetensors", report, marks)

    def steps(self, params: Mapping[str, Any]) -> int:
        """Of a trial, whose "epochs" are passes over the rows."""
        return max(1, round(params["epochs"] * len(self.task.train.classes) / BATCH))

    def epochs(self, steps: int) -> float:
        """Passes over the rows that take so many steps."""
        return steps * BATCH / len(self.task.train.classes)

    def retrained(self, look: Look, seed: int, *, cooled: bool) -> float:
        """The test score of a net trained anew from another seed as the choice says."""
        track = self._track(seed, self.task.test)
        if cooled:
            outcome = track.branch(look)
        else:
            outcome = self._whole(track, look, f"again-{seed}", lambda step, metric: None, ())
        for path in self.folder.iterdir():
            path.unlink()
        return outcome.metric


def _batches(rows: Rows, seed: int, cursor: int, count: int) -> Iterator[Batch]:
    """`count` batches from row `cursor` on; every epoch has an order of its own."""
    number = len(rows.classes)
    for first in range(cursor, cursor + count * BATCH, BATCH):
        epoch, place = divmod(first, number)
        picked = _order(seed, epoch, number)[place : place + BATCH]
        if len(picked) < BATCH:
            picked = torch.cat([picked, _order(seed, epoch + 1, number)[: BATCH - len(picked)]])
        yield Batch({"x": rows.inputs[picked]}, rows.classes[picked], picked)


@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, number: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(number))


def _outcome(net: nn.Module, rows: Rows, task: Task) -> Outcome:
    with torch.inference_mode():
        logits = torch.cat([net({"x": part}) for part in rows.inputs.split(2048)])
    loss = float(functional.cross_entropy(logits, rows.classes))
    accuracy = float((logits.argmax(1) == rows.classes).float().mean())
    return Outcome(accuracy if task.higher_is_better else -loss, loss)
