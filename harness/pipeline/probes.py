"""What real steps on this machine found faster: bf16, another layout of pictures, a compiled net.

Each question is measured once for a (model, size, batch, machine) and its seconds are kept in the cache; what follows
from them is decided anew for each run, since the steps that are left must pay for compiling.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from harness import files
from harness.batch import Batch
from harness.competition import Competition
from harness.config import TrainConfig, as_json
from harness.hashing import hash_value
from harness.models.layouts import Memory
from harness.pipeline.hardware import Hardware, device_name, machine
from harness.pipeline.preparation import World, stage_size
from harness.tasks import Task
from harness.training import compiling, loop, precision, probing
from harness.training.memory import out_of_memory
from harness.training.probing import Clock, Step, Times


@dataclass(frozen=True)
class Work:
    """What a run is about to train.

    Attributes:
        steps: optimizer steps of all its folds and stages.
        starts: stages of all its folds; a compiled net is compiled anew in each.
    """

    steps: int
    starts: int


@dataclass(frozen=True)
class Bench:
    """Nets that are stepped on one batch and thrown away.

    Attributes:
        task: whose loss is taken.
        device: of the nets.
        build: layout -> a net on the device.
        first_batch: a training batch.
        seed: of the nets' weights.
        clock: seconds.
    """

    task: Task
    device: str
    build: Callable[[Memory], nn.Module]
    first_batch: Callable[[], Batch]
    seed: int
    clock: Clock

    def halved(self) -> Bench:
        """On half of the batch."""
        few = self.batch.first(len(self.batch.rows) // 2)
        return replace(self, first_batch=lambda: few)

    @cached_property
    def batch(self) -> Batch:
        """The batch on the device."""
        return self.first_batch().to(self.device)

    def net(self, memory: Memory) -> nn.Module:
        """A net of the same weights every time."""
        loop.seed_everything(self.seed, 0)
        return self.build(memory)

    def step(self, net: nn.Module, kind: str) -> Step:
        """Forward and backward of a net in a precision."""
        inputs, target = self.batch.inputs, self.batch.target
        assert target is not None, "a probe needs a training batch"

        def once() -> None:
            with precision.autocast(self.device, kind):
                logits = net(inputs, {})[0] if getattr(net, "recurrent", False) else net(inputs)
            self.task.loss(logits, target).backward()

        return once

    def formats(self) -> Times:
        """Float32 against bf16."""
        net = self.net("channels_last")
        return probing.compare(self.step(net, "fp32"), self.step(net, "bf16"), watched=net, clock=self.clock)

    def usual(self, kind: str) -> Times:
        """A step with nothing beside it."""
        return probing.alone(self.step(self.net("channels_last"), kind), clock=self.clock)

    def layouts(self, kind: str) -> Times:
        """Channels last against contiguous."""
        plain, other = self.net("channels_last"), self.net("contiguous")
        return probing.compare(self.step(plain, kind), self.step(other, kind), watched=other, clock=self.clock)

    def compiled(self, kind: str, memory: Memory) -> Times:
        """A net as it is against the same one compiled; a failure is told in `problem`."""
        plain, other = self.step(self.net(memory), kind), self.net(memory)
        plain()  # what fails here is no compiler's fault
        compiling.start(other)
        try:
            return probing.compare(plain, self.step(other, kind), watched=None, clock=self.clock)
        except Exception as error:  # whatever a compiler, its driver or its files run into: training needs none of it
            return Times(probing.alone(plain, clock=self.clock).plain, problem=compiling.first_line(error))


@dataclass
class Answers:
    """Questions with their measured seconds; what no earlier run has measured is, and is kept.

    Attributes:
        path: of the JSON they are kept in.
        bench: that measures.
        new: questions measured by this run.
    """

    path: Path
    bench: Bench
    new: set[str] = field(default_factory=set)

    @cached_property
    def known(self) -> dict[str, Times]:
        """All that is kept."""
        content = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        return {question: Times(**values) for question, values in content.items()}

    def ask(self, question: str, measure: str, *arguments: Any) -> Times:
        """The answer that is kept, else what the bench's `measure(*arguments)` finds.

        Where a batch does not fit into memory, half of it is measured, and so on.

        Raises:
            RuntimeError: out of memory on two rows.
        """
        while question not in self.known:
            try:
                self.known[question] = getattr(self.bench, measure)(*arguments)
            except RuntimeError as error:
                if not out_of_memory(error) or len(self.bench.batch.rows) < 4:
                    raise
                self.bench = self.bench.halved()
                continue
            self.new.add(question)
            files.write_json(self.path, {name: asdict(times) for name, times in self.known.items()})
        return self.known[question]

    def compiled(self, kind: str, memory: Memory, *, seconds: float, work: Work) -> bool:
        """Whether a compiled net pays; asked only where a compiler could pay at all, at `seconds` a plain step."""
        hopeful = probing.hopeful(seconds, steps=work.steps, starts=work.starts)
        if not hopeful and "compiled" not in self.known:
            return False
        found = self.ask("compiled", "compiled", kind, memory)
        return probing.worth_compiling(found, steps=work.steps, starts=work.starts)


def probed(
    competition: Competition,
    config: TrainConfig,
    hardware: Hardware,
    *,
    first_batch: Callable[[], Batch],
    build: Callable[[Memory], nn.Module],
    work: Work,
    world: World,
) -> Hardware:
    """The same with precision, layout and compilation: "auto" becomes what real steps found faster.

    On CUDA the precision is fp16 unasked. Not compiled are recurrent nets (each length of a window would be anew), nets
    whose steps are cut (each cut would be), and encoders that compute their activations again (the compiler cannot).
    Where even two rows do not fit into memory, nothing is measured.

    Args:
        first_batch, build: see `Bench`; called only for what no earlier run has measured.
    """
    if hardware.precision != "auto":
        return hardware
    clock = probing.clock_of(hardware.device)
    bench = Bench(competition.task, hardware.device, build, first_batch, config.seed, clock)
    try:
        return _settled(competition, config, hardware, bench, work=work, world=world)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
    world.say("memory is short: precision and layout are not measured")
    return replace(hardware, precision="fp32" if hardware.device == "cpu" else "fp16")


def _settled(
    competition: Competition,
    config: TrainConfig,
    hardware: Hardware,
    bench: Bench,
    *,
    work: Work,
    world: World,
) -> Hardware:
    device, pictures = hardware.device, competition.picture is not None
    answers = Answers(kept(competition, config, device, world), bench)
    if device == "cpu":
        found = answers.ask("precision", "formats")
        kind = "bf16" if found.faster else "fp32"
    else:
        kind = "fp16"
        found = answers.ask("step", "usual", kind)
    memory: Memory = "channels_last"
    if pictures:
        found = answers.ask("memory", "layouts", kind)
        memory = "contiguous" if found.faster else "channels_last"
    recurrent = competition.tokens is not None and config.model.text == "lstm"
    cut = config.train.accumulate > 1 or answers.bench is not bench  # the batch did not fit
    plain = recurrent or cut or config.model.checkpoint
    compiled = not plain and answers.compiled(kind, memory, seconds=found.best, work=work)
    settled = replace(hardware, precision=kind, memory=memory, compiled=compiled)
    _tell(settled, answers, pictures=pictures, world=world)
    return settled if "compiled" in answers.new else still_compiled(settled, world)


def kept(competition: Competition, config: TrainConfig, device: str, world: World) -> Path:
    """Where the answers for a (model, size, batch, machine) are kept."""
    size, batch = stage_size(competition, config, 0), config.stages[0].batch or config.train.batch
    key = [competition.task.kind, competition.task.outputs, repr(competition.inputs), as_json(config.model)]
    key += [size, batch, config.data.unit, config.determinism]
    return world.cache / "probes" / f"{hash_value([*key, device_name(device), machine(), 'seconds'])}.json"


def still_compiled(hardware: Hardware, world: World) -> Hardware:
    """The same, not compiled where this machine cannot: its compiler may have gone since it was measured."""
    problem = compiling.problem(hardware.device) if hardware.compiled else None
    if problem is None:
        return hardware
    world.say(f"torch.compile is left out: {problem}")
    return replace(hardware, compiled=False)


def _tell(settled: Hardware, answers: Answers, *, pictures: bool, world: World) -> None:
    """What was measured by this run, and what it led to, in one line; in another why a net cannot be compiled."""
    if not answers.new:
        return
    if "compiled" in answers.new and (problem := answers.known["compiled"].problem):
        world.say(f"torch.compile is left out, now and later: {problem} (kept in {answers.path})")
    layout = f", {settled.memory.replace('_', ' ')}" if pictures else ""
    compiled = ", compiled" if settled.compiled else ""
    world.say(f"precision {settled.precision}{layout}{compiled}: the fastest of what was tried on this machine")
