"""The commands that speak to Kaggle about submissions: push, submit, leaderboard, ledger."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import click

from harness import files, registry
from harness.cli import standings
from harness.cli.options import options, path_of, world_of
from harness.errors import RunError, SubmissionError
from harness.meter import seconds_of

WAIT = click.option("--wait", is_flag=True, help="Return when it is over, and say how it ended.")
LIMIT = click.option("--limit", metavar="40m", help="Longest time to wait; then exit with 3 [push 12h, submit 1h].")


def _say(text: str) -> None:
    click.echo(text, err=True)


@click.command()
@click.argument("target", metavar="RUN|CSV")
@click.option("-m", "--message", required=True, help="The submission's description.")
@click.option("-c", "--competition", "name", help="Of a CSV that lies in no run folder.")
@click.option("--kernel", metavar="OWNER/SLUG/VERSION", help="Of a code competition [what was pushed last].")
@WAIT
@LIMIT
@options("data", "cache", "json")
def submit(
    target: str,
    message: str,
    name: str | None,
    kernel: str | None,
    wait: bool,
    limit: str | None,
    data: str | None,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Validate a run's submission, send it to Kaggle once, and keep its score in submissions/ledger.jsonl."""
    from harness.kaggle import pages, sending, service, submitting
    from harness.submission import ledger

    found = sending.found(target, name)
    competition = registry.load(found.competition)
    slug = pages.slug_of(competition)
    if kernel is None:
        _check(competition, found.file, data=data, cache=cache)
    kaggle = service.connect()
    parcel = sending.parcel(kaggle, found, slug, message=message, kernel=kernel)
    seconds = (3600.0 if limit is None else seconds_of(limit)) if wait else 0.0
    entry = submitting.submit(kaggle, ledger.PATH, parcel, wait=seconds)
    if as_json:
        click.echo(json.dumps(files.finite({"schema": 1, **dataclasses.asdict(entry)})))
    else:
        click.echo(standings.submission(dataclasses.asdict(entry)))


@click.command()
@click.argument("run")
@WAIT
@LIMIT
@options("data", "cache", "json")
def push(run: str, wait: bool, limit: str | None, data: str | None, cache: Path | None, as_json: bool) -> None:
    """Upload a run's bundle and run it as a kernel on Kaggle; with --wait fetch and validate what it wrote."""
    from harness import runs
    from harness.kaggle import pushing, service

    seconds = pushing.LONGEST if limit is None else seconds_of(limit)
    folder = runs.find(run)
    bundle = folder.path / "bundle"
    if not (bundle / "bundle.json").exists():
        raise RunError("no bundle of this run", file=folder.path, fix=f"harness bundle {folder.path}")
    kaggle = service.connect()
    competition = registry.load(folder.settings()["competition"])
    pushed = pushing.pushed_as(bundle, "queued") if wait else None
    pushed = pushed or pushing.push(kaggle, bundle, say=_say)
    if wait:
        check = functools.partial(_check, competition, data=data, cache=cache)
        pushed = pushing.followed(kaggle, bundle, pushed, check=check, wait=seconds, say=_say)
    facts = {**dataclasses.asdict(pushed), "page": pushed.page}
    click.echo(json.dumps({"schema": 1, **facts}) if as_json else f"{pushed.named}: {pushed.state}, {pushed.page}")


@click.command()
@click.argument("name")
@click.option("--top", type=click.IntRange(min=0), default=10, show_default=True, help="Rows to show.")
@options("json")
def leaderboard(name: str, top: int, as_json: bool) -> None:
    """The leaderboard of a competition, own rows, and where medals would begin; refreshes the ledger's scores."""
    from harness.kaggle import pages, service, standing, submitting
    from harness.submission import ledger

    competition = registry.load(name)
    slug = pages.slug_of(competition)
    kaggle = service.connect()
    submitting.refreshed(kaggle, ledger.PATH, slug=slug)
    board = standing.fetch(kaggle, competition, slug)
    if as_json:
        click.echo(json.dumps(files.finite({**board, "competition": competition.name})))
    else:
        click.echo(standings.board(board, top=top))


@click.command("ledger")
@click.argument("name", required=False)
@options("json")
def ledger_command(name: str | None, as_json: bool) -> None:
    """Runs beside their leaderboard scores, and whether cross-validation can be trusted. Asks nobody."""
    from harness.kaggle import standing
    from harness.submission import ledger

    entries = ledger.read(ledger.PATH)
    names = [registry.load(name).name] if name else sorted({entry.competition for entry in entries})
    found = [standing.standing(each, entries) for each in names]
    if as_json:
        click.echo(json.dumps(files.finite({"schema": 1, "competitions": found})))
    else:
        click.echo("\n\n".join(standings.standing(each) for each in found) or "nothing was submitted yet")


def _check(competition: Any, file: Path, *, data: str | None, cache: Path | None) -> None:
    """Refuses what a grader would refuse.

    Raises:
        SubmissionError: the first problem, and how many there are.
    """
    from harness.pipeline import inspect

    found = inspect.validate(competition, file, data=path_of(data), sample=False, world=world_of(cache))
    if found.errors:
        more = f" (and {len(found.errors) - 1} more)" if len(found.errors) > 1 else ""
        fix = f"see all: harness validate {competition.name} {file}"
        raise SubmissionError(f"is not valid: {next(iter(found.errors)).line()}{more}", file=file, fix=fix)
