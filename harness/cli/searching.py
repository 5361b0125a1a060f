"""Commands that look for settings: a range test, and the search of rate and length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness import display, files, registry
from harness.cli.options import at_work, options, request_of, world_of


@click.command()
@click.argument("name")
@options("data", "sample", "sample_rows", "folds", "preset", "set")
@options("method", "trials", "storage", "study")
@click.option("--workers", type=click.IntRange(min=1), help="Processes that share the search [1].")
@options("precision", "determinism", "weights", "device", "seed", "out", "cache", "json")
def tune(name: str, device: str, workers: int | None, out: Path | None, as_json: bool, **given: Any) -> None:
    """Search learning rate and epochs on fold 0; `harness resume RUN` trains all folds with what is found."""
    from harness.presets import configure

    competition = registry.load(name)
    config = configure(competition, **given)
    from harness import pipeline

    request = request_of({**given, "tune": "alone", "processes": workers}, device=device)
    with at_work(given["cache"]) as world:
        result = pipeline.run(competition, config, request, out=out, world=world)
    click.echo(json.dumps(files.finite(result)) if as_json else display.tuned(result))


@click.command("lr-find")
@click.argument("name")
@options("data", "sample", "sample_rows", "preset", "set", "precision", "weights", "device", "seed")
@click.option(
    "--stage", type=click.IntRange(min=0), default=0, show_default=True, help="Which stage's size and groups."
)
@click.option("--low", type=float, default=1e-6, show_default=True, help="Rate of the first step.")
@click.option("--high", type=float, default=10.0, show_default=True, help="Rate of the last step.")
@click.option("--steps", type=click.IntRange(min=20), default=100, show_default=True, help="Optimizer steps at most.")
@click.option("--out", type=click.Path(path_type=Path), help="The picture [lr-find-NAME.png].")
@options("cache", "json")
def lr_find(
    name: str,
    device: str,
    stage: int,
    low: float,
    high: float,
    steps: int,
    out: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Range test: how the loss moves while the learning rate grows; suggests rates and draws them."""
    from harness.presets import configure

    competition = registry.load(name)
    config = configure(competition, **given)
    from harness.pipeline import finding
    from harness.report import plots

    request, span = request_of(given, device=device), finding.Span(low, high, steps)
    found = finding.find_rate(competition, config, request, stage=stage, span=span, world=world_of(given["cache"]))
    picture = out or Path(f"lr-find-{competition.name}.png")
    title = f"{competition.name}, stage {config.stages[stage].name}"
    plots.range_test(picture, found.rates, found.losses, found.smooth, found.suggestions(), title=title)
    facts = {
        "suggested": found.suggested(),
        "suggestions": found.suggestions(),
        "diverged": found.diverged,
        "steps": len(found.rates),
    }
    if as_json:
        click.echo(json.dumps({"schema": 1, "competition": competition.name, **facts, "picture": str(picture)}))
    else:
        click.echo(display.rates(facts, picture))
