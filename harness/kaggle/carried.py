"""What of a run goes into a bundle: what the kernel reads, all of it there, and no place of this machine in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from harness import files, runs
from harness.config import from_json
from harness.errors import BundleError
from harness.kaggle.metadata import Mode
from harness.submission import writer

DAMAGED = "the run folder is damaged; train it again"
FOUND = ("auto", "scratch")  # settings of `weights` that name no file
SHAPES: dict[str, Any] = {"schema": int, "request": dict, "config": dict}
HARDWARE: dict[str, Any] = {"device": str, "precision": str, "encoder_weights": str | None}


@dataclass(frozen=True)
class Carried:
    """The part of a run that is uploaded.

    Attributes:
        texts: what is written anew as JSON, by its name in the data set.
        files: what is copied as it is, likewise.
        device: what the run used: "cpu" or "cuda".
    """

    texts: Mapping[str, Any]
    files: Mapping[str, Path]
    device: str

    def write(self, data: Path) -> None:
        """Puts everything into a folder."""
        for name, value in self.texts.items():
            files.write_json(data / name, value)
        for name, path in self.files.items():
            writer.copy(path, data / name)


def of(run: runs.Run, mode: Mode) -> Carried:
    """What of a run a kernel of that mode needs.

    Raises:
        BundleError: the run cannot be used so, or files of it are missing or damaged.
        RunError, ConfigError: its records cannot be read.
    """
    settings = _settings(run)
    texts, copied = (_finished if mode == "predict" else _begun)(run, settings)
    return Carried(_unplaced(texts, run), copied, settings.get("hardware", {}).get("device", "cpu"))


def _settings(run: runs.Run) -> dict[str, Any]:
    """config.json, with everything of the kind that is expected."""
    settings = run.settings()
    wrong = _misshapen(settings, SHAPES)
    if not wrong and not isinstance(settings["request"].get("search", {}), dict):
        wrong = ["request.search"]
    if not wrong and "hardware" in settings:
        wrong = _misshapen({"hardware": settings["hardware"]}, {"hardware": dict})
        wrong = wrong or _misshapen(settings["hardware"], HARDWARE)
    if wrong:
        raise BundleError(f"has no valid {', '.join(wrong)}", file=run.path / "config.json", fix=DAMAGED)
    from_json(settings["config"])
    return settings


def _misshapen(values: Mapping[str, Any], shapes: Mapping[str, Any]) -> list[str]:
    return [name for name, kind in shapes.items() if not isinstance(values.get(name), kind)]


def _finished(run: runs.Run, settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Path]]:
    """What `harness predict` reads of a finished run: JSON, CSV and safetensors, and nothing else."""
    scores = run.scores()
    if scores is None:
        fix = f"harness resume {run.path}, or bundle it with --mode run"
        raise BundleError("the run is not finished", file=run.path, fix=fix)
    if "hardware" not in settings:
        raise BundleError("has no valid hardware", file=run.path / "config.json", fix=DAMAGED)
    folds = _folds(run, scores)
    # predicting reads the weights from the run, its data from where the kernel says, and asks no search and no hub
    config = settings["config"]
    named = {name: PurePath(config[name]).name for name in ("weights", "begin") if isinstance(config.get(name), str)}
    encoder = settings["hardware"]["encoder_weights"]
    hardware = {**settings["hardware"], "encoder_weights": encoder and PurePath(encoder).name}
    kept = {**settings, "config": {**config, **named}, "hardware": hardware, "request": _request(settings)}
    weights = {"weights": PurePath(scores["weights"]).name} if isinstance(scores.get("weights"), str) else {}
    told = {**scores, "run": "run", "submission": "submission.csv", **weights}
    names = ["environment.json", "folds.csv", "oof_submission.csv", "holdout_submission.csv"]
    names += [f"phases/{path.name}" for path in sorted((run.path / "phases").glob("fold*.json"))]
    needed = [f"weights/fold{fold}.json" for fold in folds]
    if not _test_rows(scores):  # then the answer is what the run wrote of its own rows
        own = [name for name in names if name.endswith("_submission.csv") and (run.path / name).is_file()]
        needed += ["folds.csv", *(own or ["oof_submission.csv"]), *(f"phases/fold{fold}.json" for fold in folds)]
    missing = [name for name in needed if not (run.path / name).is_file()]
    if missing:
        raise BundleError(f"lacks {', '.join(missing)}", file=run.path, fix=DAMAGED)
    names = [name for name in {*names, *needed} if (run.path / name).is_file()]
    for fold in folds:
        check_tensors(run.path / "weights" / f"fold{fold}.safetensors")
        names.append(f"weights/fold{fold}.safetensors")
    texts = {"run/config.json": kept, "run/scores.json": told}
    return texts, {f"run/{name}": run.path / name for name in sorted(names)}


def _folds(run: runs.Run, scores: dict[str, Any]) -> list[int]:
    """The folds that a finished run trained."""
    folds = scores.get("folds_trained")
    if not isinstance(folds, list) or not folds or not all(type(fold) is int and fold >= 0 for fold in folds):
        raise BundleError(f"names no folds that were trained ({folds})", file=run.path / "scores.json", fix=DAMAGED)
    return folds


def _test_rows(scores: dict[str, Any]) -> int:
    """How many test rows the run had; 0 of a competition without a test set."""
    rows = scores.get("rows")
    count = rows.get("test") if isinstance(rows, dict) else 0
    return count if isinstance(count, int) else 0


def _begun(run: runs.Run, settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Path]]:
    """A run that has only begun: what was asked for, with encoder weights beside it, which the kernel cannot fetch."""
    config = settings["config"]
    if config.get("begin"):
        raise BundleError(f"begins with {config['begin']}", file=run.path, fix="bundle it with --mode predict")
    if "hardware" in settings:
        encoder = settings["hardware"]["encoder_weights"] or "scratch"
    else:  # stopped before it had looked for weights
        encoder = str(config.get("weights", "auto"))
    copied = {}
    if encoder not in FOUND:
        path = Path(encoder).expanduser()
        check_tensors(path)
        encoder = f"encoder/{path.name}"
        copied = {encoder: path}
    places = {"sample": False, "device": "auto", "processes": 0}
    begun = {"schema": settings["schema"], "competition": settings["competition"]}
    begun |= {"config": {**config, "weights": encoder}, "request": {**_request(settings), **places}}
    begun |= {"tuned": settings["tuned"]} if "tuned" in settings else {}
    return {"run/config.json": begun}, copied


def _request(settings: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, without the folder and the database of this machine, which are not to be reached there."""
    search = {**settings["request"].get("search", {}), "storage": ""}
    return {**settings["request"], "data": None, "search": search}


def _unplaced(value: Any, run: runs.Run) -> Any:
    """JSON values whose sentences name neither the run's folder nor the user's."""
    if isinstance(value, dict):
        return {key: _unplaced(inner, run) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unplaced(inner, run) for inner in value]
    if isinstance(value, str):
        for place, name in ((run.path.absolute(), "run"), (run.path.resolve(), "run"), (Path.home(), "~")):
            value = value.replace(str(place), name) if len(place.parts) > 1 else value
    return value


def check_tensors(path: Path) -> None:
    """Refuses what is no safetensors file: other formats can hold code.

    Raises:
        BundleError: what it is instead.
    """
    import safetensors

    fix = "train the run again, or convert the weights to safetensors"
    if path.suffix != ".safetensors" or not path.exists():
        raise BundleError("is no safetensors file, or is missing", file=path, fix=fix)
    try:
        with safetensors.safe_open(path, "numpy") as opened:
            opened.keys()
    except (OSError, safetensors.SafetensorError) as error:
        raise BundleError(f"is no safetensors file ({error})", file=path, fix=fix) from error
