"""What a user names to be submitted - a run, or a CSV - with what the ledger keeps of the run beside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import registry, runs
from harness.errors import ConfigError, RunError, ServiceError
from harness.hashing import sha256_of
from harness.kaggle import pushing, questions
from harness.kaggle.parcel import OUTPUT, Parcel
from harness.kaggle.service import Service


@dataclass(frozen=True)
class Found:
    """What is to be submitted.

    Attributes:
        competition: the adapter's name.
        file: the CSV.
        run: that wrote it; None of any other CSV.
        sha256: of the file before anybody looked into it: what is validated is what is sent.
    """

    competition: str
    file: Path
    run: runs.Run | None
    sha256: str


def found(target: str, name: str | None) -> Found:
    """The run or CSV that `target` names.

    Raises:
        RunError: an unfinished run, or one on drawn data.
        ConfigError: a CSV of which nobody says which competition it is for, or of another one than it was made for.
    """
    path = Path(target)
    if not path.is_file():
        run = runs.find(target)
        return _of_run(run, run.path / OUTPUT, name)
    if (path.parent / "config.json").exists():
        return _of_run(runs.Run(path.parent), path, name)
    if name is None:
        raise ConfigError(f"{path} lies in no run folder", fix="say which competition it is for: -c NAME")
    return Found(registry.load(name).name, path, None, sha256_of(path))


def _of_run(run: runs.Run, file: Path, name: str | None) -> Found:
    settings = run.settings()
    competition = str(settings["competition"])
    if name is not None and registry.load(name).name != competition:
        raise ConfigError(f"-c {name}, but the run is of {competition}", fix="leave -c out")
    if settings["request"].get("sample"):
        raise RunError("answers drawn sample data", file=run.path, fix="run it on the competition's data")
    if run.scores() is None:
        raise RunError("the run is not finished", file=run.path, fix=f"harness resume {run.path}")
    if not file.exists():
        raise RunError(f"has no {OUTPUT}", file=run.path, fix=f"harness predict {run.path}")
    # what another file in the folder scores, the run does not say
    return Found(competition, file, run if file.name == OUTPUT else None, sha256_of(file))


def parcel(service: Service, found: Found, slug: str, *, message: str, kernel: str | None) -> Parcel:
    """What is sent: the file, or in a code competition the kernel's version that wrote it.

    Raises:
        ServiceError: a code competition, and no kernel.
        ConfigError: a kernel that is not named `owner/slug/version`.
    """
    facts = facts_of(found.run) if found.run is not None else {}
    if kernel is None and questions.competition(service, slug).is_kernels_submissions_only:
        pushed = pushing.pushed_as(found.run.path / "bundle", "complete") if found.run is not None else None
        if pushed is None:
            fix = "harness bundle RUN, harness push RUN --wait, and submit again; or give --kernel"
            raise ServiceError(f"{slug} takes kernels only, and none of this run has ended", fix=fix)
        kernel = pushed.named
    if kernel is None:
        return Parcel(found.competition, slug, message, file=found.file, sha256=found.sha256, facts=facts)
    parts = re.fullmatch(r"([\w-]+/[\w-]+)/(\d+)", kernel)
    if parts is None:
        raise ConfigError(f"--kernel {kernel}", fix="give OWNER/SLUG/VERSION, the version as a number")
    same = f"{parts[1].lower()}/{int(parts[2])}"  # one version, however it is written
    return Parcel(found.competition, slug, message, kernel=same, facts=facts)


def facts_of(run: runs.Run) -> dict[str, Any]:
    """What the ledger keeps of a finished run."""
    scores, environment = run.scores() or {}, run.environment() or {}
    score = scores["score"]
    names = {"run": str(run.path), "metric": score["metric"], "higher_is_better": score["higher_is_better"]}
    values = {"cv": score["value"], "interval": score.get("interval")}
    return {**names, **values, "folds_hash": scores["folds_hash"], "commit": environment.get("commit")}
