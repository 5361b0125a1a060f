"""`harness bundle`: a run made ready for a Kaggle kernel without internet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness.cli.options import options


@click.command()
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), help="The bundle's folder, anew [RUN/bundle].")
@click.option(
    "--mode",
    type=click.Choice(["predict", "run"]),
    default="predict",
    show_default=True,
    help="Answer with the run's weights, or train the whole run again there.",
)
@click.option("--owner", metavar="USER", help="Kaggle user name [KAGGLE_USERNAME, else kaggle.json].")
@click.option("--accelerator", metavar="none|t4x2|NAME", help="The kernel's machine [like the run's].")
@click.option(
    "--image",
    "freeze",
    metavar="FREEZE",
    type=click.Path(path_type=Path),
    help="`pip freeze` of a kernel [the shipped list].",
)
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of wheels to take instead of fetching.",
)
@options("json")
def bundle(
    run: str,
    out: Path | None,
    mode: str,
    owner: str | None,
    accelerator: str | None,
    freeze: Path | None,
    wheels: Path | None,
    as_json: bool,
) -> None:
    """Make a run ready for Kaggle: wheels, weights, notebook and metadata for a kernel without internet."""
    from harness import runs
    from harness.kaggle import bundle as bundling
    from harness.kaggle import metadata

    wanted = bundling.Wanted(
        metadata.owner_of(owner), "run" if mode == "run" else "predict", accelerator, freeze, wheels
    )
    facts = bundling.make(runs.find(run), wanted, out)
    click.echo(json.dumps(facts) if as_json else shown(facts))


def shown(facts: dict[str, Any]) -> str:
    """What was made, how large, and what comes next."""
    lines = [
        f"bundle {facts['bundle']}: {facts['bytes']['dataset'] / 1e6:.1f} MB for {facts['image']}",
        f"  data set {facts['dataset']}, to be uploaded with --dir-mode {facts['dir_mode']}",
        f"  kernel   {facts['kernel']} on {facts['machine_shape'] or 'a CPU'}, private, no internet",
        *(f"  wheel    {wheel['file']}" for wheel in facts["wheels"]),
    ]
    if not facts["source"]["kind"]:
        lines.append(f"  the data of {facts['competition']} is not on Kaggle: add it to the kernel's input by hand")
    return "\n".join(lines)
