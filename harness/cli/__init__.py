"""The command line: parses, calls, prints. Results on stdout, progress and words on stderr; heavy imports inside.

Exit codes: 0 done, 1 a bug (traceback), 2 the user's mistake (one line), 3 stopped with work left.
"""

from __future__ import annotations

import errno
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from harness import __version__, display, files, registry
from harness.cli import bundling, fetching, kaggle, searching
from harness.cli.options import at_work, options, path_of, request_of, world_of
from harness.errors import HarnessError
from harness.meter import seconds_of

# what the machine refuses is the user's to mend; a file that is not there may be a bug and keeps its traceback
MACHINE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ENOTDIR, errno.EISDIR, *files.FULL}

AGAIN = (["download"], ["push"], ["submit"])  # commands that go on where they stopped


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def cli() -> None:
    """From a competition's data folder to honest k-fold scores and a validated submission file."""


@cli.command("list")
@options("json")
def list_command(as_json: bool) -> None:
    """All competitions: task, metric, whether data is found, best run."""
    rows = [display.overview(name) for name in [*registry.names(), *registry.BUILT_IN]]
    click.echo(json.dumps({"schema": 1, "competitions": rows}) if as_json else display.listing(rows))


@cli.command()
@click.argument("slug")
@click.option("--from", "folder", type=click.Path(path_type=Path), required=True, help="The data folder to look at.")
@options("json")
def new(slug: str, folder: Path, as_json: bool) -> None:
    """Draft ./competitions/SLUG.py and its tests from what a data folder looks like."""
    from harness import drafting

    drafted = drafting.draft(slug, folder, into=Path())
    name, written = registry.normal(slug), [str(drafted.adapter), str(drafted.tests)]
    following = [f"harness {word} {name} --data {shlex.quote(str(folder))}" for word in ("check", "run")]
    if as_json:
        facts = {"competition": name, "written": written, "told": drafted.told, "next": following}
        click.echo(json.dumps({"schema": 1, **facts}))
    else:
        click.echo("\n".join([*drafted.told, *(f"wrote {path}" for path in written), "next:", *following]))


@cli.command()
@click.argument("name")
@options("data", "sample", "cache", "preset", "set", "json")
def check(name: str, as_json: bool, **given: Any) -> None:
    """Read the data aloud: three rows, one batch through the model, one CSV row, counts."""
    from harness.presets import configure

    competition = registry.load(name)
    config = configure(competition, **given)
    from harness.pipeline import check as checking
    from harness.pipeline.preparation import data_root

    world = world_of(given["cache"], say=(lambda text: click.echo(text, err=as_json)))
    root = data_root(
        competition, data=path_of(given["data"]), sample=given["sample"], sample_rows=60, seed=0, world=world
    )
    counts = checking.check(competition, config, root, world)
    if as_json:
        click.echo(json.dumps({"schema": 1, **counts}))


@cli.command()
@click.argument("name")
@options("data", "sample")
@options("sample_rows", "folds")
@click.option("--only-folds", metavar="K,K", help="Train only these folds, e.g. 0,2.")
@click.option("--epochs", type=float, help="Total epochs, shared over the stages in proportion.")
@options("preset", "set")
@click.option("--tune", is_flag=True, help="Search learning rate and epochs on fold 0 first.")
@options("method", "trials", "storage", "study")
@click.option("--holdout", type=float, help="Share of the groups kept out of everything and scored once.")
@click.option("--split", type=click.Choice(["folds", "published"]), help="One published fold instead of folds.")
@options("precision", "determinism", "weights", "device", "processes", "seed")
@options("budget", "out", "cache", "json")
def run(name: str, device: str, only_folds: str | None, out: Path | None, as_json: bool, **given: Any) -> None:
    """Train all folds, score them honestly, write a validated submission."""
    from harness.presets import configure

    competition = registry.load(name)
    config = configure(competition, **given)
    from harness import pipeline

    request = request_of(given, device=device, only_folds=only_folds)
    with at_work(given["cache"]) as world:
        result = pipeline.run(competition, config, request, out=out, world=world)
    click.echo(json.dumps(result) if as_json else display.summary(result))


@cli.command()
@click.argument("run")
@options("data", "sample", "budget", "cache", "json")
def resume(run: str, data: str | None, sample: bool, budget: str | None, cache: Path | None, as_json: bool) -> None:
    """Go on with a run (a folder or an id) where it stopped; --budget grants a run that has one more time."""
    seconds = None if budget is None else seconds_of(budget)
    from harness import pipeline, runs

    with at_work(cache) as world:
        result = pipeline.resume(runs.find(run), data=data, sample=sample, budget=seconds, world=world)
    shown = display.tuned if result["status"] == "tuned" else display.summary
    click.echo(json.dumps(files.finite(result)) if as_json else shown(result))


@cli.command()
@click.argument("run")
@options("data", "sample", "cache", "json")
def predict(run: str, data: str | None, sample: bool, cache: Path | None, as_json: bool) -> None:
    """Write submission.csv of a finished run again, from its weights, for its own or other data."""
    from harness import pipeline, runs

    with display.bars() as progress:
        path = pipeline.predict(runs.find(run), data=data, sample=sample, world=world_of(cache, progress=progress))
    click.echo(json.dumps({"schema": 1, "submission": str(path)}) if as_json else str(path))


@cli.command()
@click.argument("name")
@click.argument("csv_file", metavar="CSV", type=click.Path(path_type=Path))
@options("data", "sample", "cache", "json")
def validate(name: str, csv_file: Path, data: str | None, sample: bool, cache: Path | None, as_json: bool) -> None:
    """Say whether a grader would take the file; every problem with row, column and fix."""
    competition = registry.load(name)
    from harness.pipeline import inspect

    found = inspect.validate(competition, csv_file, data=path_of(data), sample=sample, world=world_of(cache))
    if as_json:
        click.echo(json.dumps({"schema": 1, **found.as_json()}))
    else:
        click.echo("\n".join([problem.line() for problem in found.errors] or [f"valid: {found.rows} rows"]))
    if not found.valid:
        sys.exit(2)


@cli.command()
@click.argument("name")
@click.argument("csv_file", metavar="CSV", type=click.Path(path_type=Path))
@click.option("--answers", type=click.Path(path_type=Path), required=True, help="answers.csv of a run.")
@options("json")
def grade(name: str, csv_file: Path, answers: Path, as_json: bool) -> None:
    """Score a submission against answers with the competition's metric."""
    competition = registry.load(name)
    from harness.submission import grader

    competition = grader.mirrored(competition, answers)
    result = grader.grade(
        csv_file,
        answers,
        submission=competition.submission,
        metric=competition.metric,
        secondary=competition.secondary,
        task=competition.task,
    )
    text = f"{result['metric']}: {result['value']:.6f} ({result['rows']} rows)"
    if competition.task.kind == "tokens":
        click.echo("nats are the submitter's own word: only ids and token counts were checked", err=True)
    click.echo(json.dumps({"schema": 1, **result}) if as_json else text)


cli.add_command(bundling.bundle)
cli.add_command(kaggle.submit)
cli.add_command(kaggle.push)
cli.add_command(kaggle.leaderboard)
cli.add_command(kaggle.ledger_command)
cli.add_command(searching.tune)
cli.add_command(searching.lr_find)
cli.add_command(fetching.download)
cli.add_command(fetching.doctor)


def main(arguments: list[str] | None = None) -> None:
    """The console script: a user's mistake is one line and exit code 2, a bug a traceback and 1."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        cli.main(words, standalone_mode=False)
    except HarnessError as error:
        _stop(words, str(error).removesuffix(f"; {error.fix}"), error.fix, code=error.exit_code)
    except OSError as error:
        if error.errno not in MACHINE:
            raise
        _stop(words, f"{error.filename or 'disk'}: {error.strerror}", "check permissions, paths and free space")
    except click.exceptions.Abort:
        fix = "a started run goes on with: harness resume RUN"
        _stop(words, "stopped", "the same command goes on" if words[:1] in AGAIN else fix, code=3)
    except click.ClickException as error:
        _stop(words, error.format_message().replace("\n", " ").rstrip("."), "see --help")


def _stop(words: list[str], problem: str, fix: str, *, code: int = 2) -> None:
    """One line on stderr, JSON on stdout when asked for, and out."""
    click.echo(f"error: {problem}; {fix}", err=True)
    if "--json" in words:
        click.echo(json.dumps({"schema": 1, "error": problem, "fix": fix, "exit_code": code}))
    sys.exit(code)
