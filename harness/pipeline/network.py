"""Predictions of the network: rows through the weights on disk, in the form that is kept and decided on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import nn

from harness import files
from harness.batch import Batch
from harness.competition import Competition, Size, Symmetry
from harness.config import TrainConfig
from harness.data import blocks, loader
from harness.data.folds import FoldPlan
from harness.data.stretches import evaluation_windows, row_lengths
from harness.errors import RunError
from harness.hashing import hash_file
from harness.models import inference, language
from harness.pipeline.hardware import Hardware
from harness.pipeline.job import Job
from harness.pipeline.nets import Fitted, build_net, read_fitted
from harness.pipeline.parts import Data, Part
from harness.pipeline.preparation import stage_size, untimed
from harness.runs import Run
from harness.training import loop, precision

MEMBER, VIEWED = "network", "network with views"
Predicted = Iterator[tuple[int, np.ndarray]]


def weights_file(run: Run, fold: int) -> Path:
    """The fold's weights, as they were scored."""
    return run.path / "weights" / f"fold{fold}.safetensors"


def fitted_file(run: Run, fold: int) -> Path:
    """What the fold's training rows say beside the weights."""
    return run.path / "weights" / f"fold{fold}.json"


def kept_file(run: Run, fold: int, member: str = MEMBER) -> Path:
    """A member's predictions of the test rows by one fold, where they are made right after its training."""
    return run.path / "test" / member.replace(" ", "_") / f"fold{fold}.npy"


def out_of_fold_file(run: Run, fold: int, member: str = MEMBER) -> Path:
    """A member's out-of-fold predictions of one fold."""
    return run.path / "oof" / member.replace(" ", "_") / f"fold{fold}.npy"


def variants(competition: Competition, config: TrainConfig) -> tuple[str, ...]:
    """The network as a member of the answer: plain, and averaged over test-time views where there are any."""
    views = competition.picture is not None and competition.picture.symmetries and config.views == "symmetries"
    return (MEMBER, VIEWED) if views else (MEMBER,)


def predict_rows(
    job: Job, rows: Sequence[int] | np.ndarray, *, part: Part, folds: Sequence[int], member: str = MEMBER
) -> Predicted:
    """Yields (row, prediction of the shape `part.shape(row)`), averaged over the weights of `folds`.

    The member `VIEWED` averages over the picture's symmetries as well, masks turned back.

    Masks are uint8 `round(255 p)` at native size, all else float32; texts are averaged as probabilities, in nats.

    Raises:
        RunError: a fold's weights are gone.
    """
    fitted = [read_fitted(job.competition, fitted_file(job.run, fold)) for fold in folds]
    nets = [_read_net(job, fold, own) for fold, own in zip(folds, fitted, strict=True)]
    yield from predicted(job, nets, fitted, part, rows, member=member)


def predicted(
    job: Job,
    nets: Sequence[nn.Module],
    fitted: Sequence[Fitted],
    part: Part,
    rows: Sequence[int] | np.ndarray,
    *,
    member: str = MEMBER,
) -> Predicted:
    """The same with nets that are there, each with what its fold's rows said."""
    competition = job.competition
    views = competition.picture.symmetries if competition.picture and member == VIEWED else ()
    decode = functools.partial(
        decoded,
        competition=competition,
        config=job.config,
        hardware=job.hardware,
        views=views,
        tick=job.world.tick,
    )
    if part.tokens is not None:
        yield from _mean_nats(job, nets, fitted, part, sorted(int(row) for row in rows))
    elif competition.task.kind in ("mask", "classes"):
        native = inference.native_mask if competition.task.kind == "mask" else inference.native_classes
        for row, probability in decode(nets, fitted[0], part, rows):
            yield row, native(probability, part.size(row))
    else:
        # each fold has its own table arrays and target scale: one net after the other
        sums = np.zeros((len(rows), competition.task.outputs), dtype=np.float64)
        for net, own in zip(nets, fitted, strict=True):
            found = decode([net], own, part, rows)
            sums += np.stack([vector for _, vector in found])
        yield from zip([int(row) for row in rows], (sums / len(nets)).astype(np.float32), strict=True)


def _read_net(job: Job, fold: int, fitted: Fitted) -> nn.Module:
    path = weights_file(job.run, fold)
    if not path.exists():
        raise RunError("the weights of a fold are missing", file=path, fix="train the run again")
    net = build_net(job.competition, job.config, job.hardware, fitted=fitted, pretrained=False)
    loop.read_weights(net, path)
    return net.eval()


def decoded(
    nets: Sequence[nn.Module],
    fitted: Fitted,
    part: Part,
    rows: Sequence[int] | np.ndarray,
    *,
    competition: Competition,
    config: TrainConfig,
    hardware: Hardware,
    views: Sequence[Symmetry] = (),
    tick: Callable[[], None] = untimed,
) -> Predicted:
    """Yields (row, what the task decodes, at the last stage's size) of pictures and tables.

    Averaged over the nets, and over the picture as it is and its `views`.
    """
    picture = competition.picture
    size: Size = stage_size(competition, config, len(config.stages) - 1)
    batches = loader.prediction_batches(
        part.pictures,
        rows,
        name=picture.column if picture else "",
        size=size,
        batch=config.train.batch,
        arrays=fitted.arrays(part),
    )
    return inference.predict(
        nets,
        ticking(batches, tick),
        task=fitted.task,
        views=views,
        device=hardware.device,
        autocast=precision.autocast(hardware.device, hardware.precision),
        picture=picture.column if picture else None,
    )


def nats(
    net: nn.Module,
    fitted: Fitted,
    config: TrainConfig,
    hardware: Hardware,
    part: Part,
    rows: Sequence[int],
    *,
    tick: Callable[[], None] = untimed,
) -> Predicted:
    """Yields (row, float32 [T] nats of its tokens) of texts; neighbouring rows (ascending) share their state."""
    assert fitted.vocabulary is not None, "texts have a vocabulary"
    runs = [[(row, fitted.ids(part, row)) for row in run] for run in blocks.stretches(part.rows, rows)]
    windows = evaluation_windows(
        runs,
        context=config.model.context,
        batch=config.train.batch,
        start=fitted.vocabulary.start,
        recurrent=config.model.text == "lstm",
    )
    context = precision.autocast(hardware.device, hardware.precision)
    windows = ticking(windows, tick)
    return language.token_nats(net, windows, row_lengths(runs), device=hardware.device, autocast=context)


def _mean_nats(job: Job, nets: Sequence[nn.Module], fitted: Sequence[Fitted], part: Part, rows: list[int]) -> Predicted:
    """(row, float32 [T]): -ln of the mean over folds of each token's probability."""
    sums: dict[int, np.ndarray] = {row: np.zeros(part.shape(row), dtype=np.float64) for row in rows}
    for net, own in zip(nets, fitted, strict=True):
        for row, found in nats(net, own, job.config, job.hardware, part, rows, tick=job.world.tick):
            sums[row] += np.exp(-found.astype(np.float64)) / len(nets)
    for row in rows:
        yield row, (-np.log(np.maximum(sums[row], 1e-30))).astype(np.float32)


def ticking(batches: Iterable[Batch], tick: Callable[[], None]) -> Iterator[Batch]:
    """The batches, with a look at the clock before each."""
    for batch in batches:
        tick()
        yield batch


def write_out_of_fold(job: Job, predicted: Predicted, fold: int, member: str, *, data: Data, plan: FoldPlan) -> None:
    """Writes `oof/<member>/fold<k>.npy`, and beside it whose it is: fold, hash of the folds, hash of the content."""
    path = out_of_fold_file(job.run, fold, member)
    write_predictions(job, predicted, path, data, plan.validation(fold).tolist())
    facts = {"member": member, "fold": fold, "folds_hash": plan.digest(data.rows.ids), "content": hash_file(path)}
    files.write_json(path.with_suffix(".json"), facts)


def write_predictions(job: Job, predicted: Predicted, path: Path, part: Part, rows: Sequence[int]) -> None:
    """Writes predictions as one flat array, in the order of `rows`: pixels as uint8, all else float32."""
    length, end = sum(int(np.prod(part.shape(row))) for row in rows), 0
    kind = np.uint8 if job.competition.task.kind in ("mask", "classes") else np.float32
    with files.replacing_array(path, length, kind=kind) as flat:
        for row, prediction in predicted:
            assert prediction.shape == part.shape(row), "predictions come at native size"
            start, end = end, end + prediction.size
            flat[start:end] = prediction.ravel()
