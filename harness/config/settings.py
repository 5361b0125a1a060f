"""The settings: frozen dataclasses, checked when made."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Literal

from harness.config.space import SearchSpace
from harness.config.stage import SIZES, Schedule, Size, Stage, require

Precision = Literal["auto", "fp16", "bf16", "fp32"]


@dataclass(frozen=True)
class Training:
    """The optimizer's side.

    Attributes:
        rate: peak learning rate.
        schedule: of the rate.
        batch: rows per optimizer step.
        accumulate: micro-batches that a step's rows are computed in; more of them need less memory. A GPU raises it by
            itself where a step does not fit.
        size: (height, width) pictures are trained at; None means the adapter's `Image.size`.
        sampling: "even" reads every row once an epoch; "area" draws empty, small and large masks equally often.
        weight_decay: decoupled (AdamW); biases and norms have none.
        clip: largest gradient norm.
        ema: decay of the averaged weights, warmed up as min(ema, (1 + t) / (10 + t)); 0 keeps the last step's weights.
        warmup: share of the steps in which the rate rises.
        cooldown: share of the steps in which a warmup-stable-decay schedule falls.
        augment: strength of the augmentation, 0 (none) to 1.
        flip: left to right, where the adapter allows it: "random" each epoch, or "alternating" from a drawn first one.
        mixup, cutmix: parameters of the Beta distributions that mix pictures of a batch; 0 is off.
        mixed: share of a stage's steps in which they are on; the last ones see plain pictures.
        smoothing: share of each label's certainty that is spread over all labels.
        class_weights: rare labels, or pixels of rare classes, count more, by their frequency in the training rows.
        loss: of masks and class maps; "own" is the task's (cross-entropy, of masks with Dice).
        workers: loader processes; -1 means none on a CPU, one less than the cores (at most 8) on a GPU.
        save_every: optimizer steps between two saved states.
    """

    rate: float = 3e-3
    schedule: Schedule = "one-cycle"
    batch: int = 16
    accumulate: int = 1
    size: Size | None = None
    sampling: Literal["even", "area"] = "even"
    weight_decay: float = 1e-2
    clip: float = 1.0
    ema: float = 0.99
    warmup: float = 0.25
    cooldown: float = 0.2
    augment: float = 1.0
    flip: Literal["random", "alternating"] = "random"
    mixup: float = 0.0
    cutmix: float = 0.0
    mixed: float = 0.8
    smoothing: float = 0.0
    class_weights: bool = False
    loss: Literal["own", "dice", "focal", "lovasz", "tversky"] = "own"
    workers: int = -1
    save_every: int = 200

    def __post_init__(self) -> None:
        require(0 < self.rate < inf, f"train.rate={self.rate}", "the learning rate must be above 0, and a number")
        require(self.batch >= 1, f"train.batch={self.batch}", "a batch has at least one row")
        require(self.accumulate >= 1, f"train.accumulate={self.accumulate}", "a step has at least one micro-batch")
        require(self.size is None or min(self.size) >= 8, f"train.size={self.size}", SIZES)
        require(0 <= self.weight_decay < inf, f"train.weight_decay={self.weight_decay}", "the decay is 0 or more")
        require(0 <= self.ema < 1, f"train.ema={self.ema}", "the decay lies in [0, 1)")
        require(0 < self.warmup < 1, f"train.warmup={self.warmup}", "the share lies between 0 and 1")
        require(0 <= self.cooldown <= 1 - self.warmup, f"train.cooldown={self.cooldown}", "0 to 1 - train.warmup")
        require(0 <= self.augment <= 1, f"train.augment={self.augment}", "the strength lies in [0, 1]")
        for name in ("mixup", "cutmix"):
            require(0 <= getattr(self, name) < inf, f"train.{name}={getattr(self, name)}", "0 (off) or more")
        require(0 <= self.mixed <= 1, f"train.mixed={self.mixed}", "the share lies in [0, 1]")
        require(0 <= self.smoothing < 1, f"train.smoothing={self.smoothing}", "the share lies in [0, 1)")
        require(self.workers >= -1, f"train.workers={self.workers}", "-1 chooses, 0 loads without processes")
        require(self.save_every >= 1, f"train.save_every={self.save_every}", "save at least every step")
        require(self.clip > 0, f"train.clip={self.clip}", "the largest gradient norm must be above 0")


@dataclass(frozen=True)
class Model:
    """Which net.

    Attributes:
        encoder: any timm model name.
        decoder: channels of a mask decoder's five blocks, coarse to fine.
        dropout: before the last layer; between the layers of a table or text net.
        blurpool: an encoder blurs before it drops pixels (anti-aliasing).
        text: "lstm" (AWD-LSTM) or "gpt", for words and characters.
        width: channels of a table's or a text's net.
        layers: of them.
        heads: attention heads of a gpt.
        context: tokens a text net sees at once.
        members: nets inside a table net that share their weights (TabM).
        checkpoint: the encoder's activations are computed again in the backward pass: less memory, more time.
    """

    encoder: str = "resnet34"
    decoder: tuple[int, ...] = (256, 128, 64, 32, 16)
    dropout: float = 0.0
    blurpool: bool = False
    text: Literal["lstm", "gpt"] = "gpt"
    width: int = 128
    layers: int = 3
    heads: int = 4
    context: int = 128
    members: int = 16
    checkpoint: bool = False

    def __post_init__(self) -> None:
        require(min(self.decoder, default=0) >= 1, f"model.decoder={self.decoder}", "every block has channels")
        require(0 <= self.dropout < 1, f"model.dropout={self.dropout}", "the share lies in [0, 1)")
        for name in ("width", "layers", "heads", "members"):
            require(getattr(self, name) >= 1, f"model.{name}={getattr(self, name)}", "a whole number above 0")
        require(self.context >= 4, f"model.context={self.context}", "at least four tokens")


@dataclass(frozen=True)
class DataSettings:
    """Which rows.

    Attributes:
        folds: number of folds; None means the adapter's, or as many as there are groups.
        holdout: share of the groups kept out of everything and scored once.
        split: "folds", or "published" for the one fold that the data's authors drew.
        unit: what a text is a sequence of.
        quarantine: share of the rows that may be unusable (a picture or mask that does not decode, a target that is
            none): training rows are left out, test pictures answered as black ones; one row more ends the run.
        leaks: "stop" ends the run where a name or a column tells the target; "ignore: <why>" does not look.
        duplicates: "group" keeps identical and nearly identical pictures in one fold; "ignore: <why>" does not.
    """

    folds: int | None = None
    holdout: float = 0.0
    split: Literal["folds", "published"] = "folds"
    unit: Literal["word", "char", "byte"] = "word"
    quarantine: float = 0.01
    leaks: str = "stop"
    duplicates: str = "group"

    def __post_init__(self) -> None:
        require(self.folds is None or self.folds >= 2, f"data.folds={self.folds}", "at least two folds")
        for name in ("holdout", "quarantine"):
            require(0 <= getattr(self, name) < 1, f"data.{name}={getattr(self, name)}", "the share lies in [0, 1)")
        names: tuple[tuple[Literal["duplicates", "leaks"], str], ...] = (("duplicates", "group"), ("leaks", "stop"))
        for name, usual in names:
            known = getattr(self, name) == usual or self.ignored(name)
            fix = f'give {usual}, or a reason: "ignore: why"'
            require(bool(known), f"data.{name}={getattr(self, name)}", fix)

    def ignored(self, name: Literal["duplicates", "leaks"]) -> str:
        """Why alike pictures may lie in different folds, or names tell the target; "" where they may not."""
        kind, _, why = getattr(self, name).partition(":")
        return why.strip() if kind == "ignore" else ""


@dataclass(frozen=True)
class ReportSettings:
    """What is printed and computed after training.

    Attributes:
        resamples: bootstrap resamples of the score's interval.
        confidence: share of the resamples inside the interval.
    """

    resamples: int = 1000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        require(self.resamples >= 1, f"report.resamples={self.resamples}", "at least one resample")
        require(0 < self.confidence < 1, f"report.confidence={self.confidence}", "the share lies between 0 and 1")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run's numbers, besides the data.

    Attributes:
        views: test-time views: "symmetries" also averages over those the adapter declares, which the answer does where
            out-of-fold rows gain by it; "none" looks at the plain picture alone.
        weights: "auto", "scratch" or a path to encoder weights.
        determinism: "fast", "repeatable" (operations that are not are noted) or "bitwise" (they end the run).
        begin: RUN or RUN:STAGE, whose folds' weights the folds begin with; "" begins with `weights`.
        seed: of folds, initial weights, order and augmentation.
    """

    train: Training = field(default_factory=Training)
    model: Model = field(default_factory=Model)
    data: DataSettings = field(default_factory=DataSettings)
    space: SearchSpace = field(default_factory=SearchSpace)
    report: ReportSettings = field(default_factory=ReportSettings)
    stages: tuple[Stage, ...] = (Stage(),)
    views: Literal["symmetries", "none"] = "symmetries"
    precision: Precision = "auto"
    determinism: Literal["fast", "repeatable", "bitwise"] = "repeatable"
    weights: str = "auto"
    begin: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        require(len(self.stages) > 0, "no stages", "at least one stage")
        names = [stage.name for stage in self.stages]
        require(len(set(names)) == len(names), f"stages {', '.join(names)}", "each stage has a name of its own")
        require(0 <= self.seed < 2**32, f"seed={self.seed}", "seeds are 0 to 4294967295")

    @property
    def layered(self) -> bool:
        """Whether a stage treats an encoder's layers apart."""
        return any(stage.freeze or stage.rates for stage in self.stages)
