"""Commands that fetch: a competition's data from Kaggle, and what stands in the way of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from harness.cli.options import cache_root, options
from harness.errors import Stopped


@click.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="Where to.")
@click.option("--file", "names", multiple=True, metavar="NAME", help="Only this file, again for more.")
@click.option("--list", "listing", is_flag=True, help="Only list the files.")
@click.option("--keep-zip", is_flag=True, help="Keep the zip, too, where it is unpacked because of archives in it.")
@options("cache", "json")
def download(
    name: str, out: Path, names: tuple[str, ...], listing: bool, keep_zip: bool, cache: Path | None, as_json: bool
) -> None:
    """Fetch data from Kaggle to data/NAME.zip (or a folder), where `harness run NAME` finds it.

    NAME is a competition of `harness list`, a competition's slug on Kaggle, or a data set's owner/slug. What a cut or a
    kill left is gone on with by the same command.
    """
    from harness.kaggle import downloading, named, service, sources

    wanted = named.meant(name)
    facts: dict[str, Any] = {"schema": 1, "competition": wanted.name}
    if (mounted := wanted.mounted) is not None and not listing:
        facts |= {"state": "mounted", "path": str(mounted), "files": None, "bytes": None, "downloaded": 0}
        click.echo(json.dumps(facts) if as_json else f"{mounted}: mounted here, nothing to download")
        return
    kaggle = service.connect()
    if listing:
        files = sources.listed(kaggle, wanted.page)
        rows = [{"name": file.name, "bytes": file.bytes} for file in files]
        lines = [f"{file.bytes:>15,}  {file.name}" for file in files]
        click.echo(json.dumps({**facts, "files": rows}) if as_json else "\n".join(lines))
        return

    def say(text: str) -> None:
        click.echo(text, err=True)

    try:
        if names:
            found = downloading.fetch_singles(kaggle, wanted, names, into=out, say=say)
        else:
            found = downloading.fetch(kaggle, wanted, into=out, cache=cache_root(cache), keep_zip=keep_zip, say=say)
    except KeyboardInterrupt as error:
        raise Stopped("stopped", fix="the same command goes on") from error
    words = {
        "downloaded": f"{found.path}: {found.files:,} files, {found.bytes:,} bytes",
        "there": f"{found.path}: there already, as Kaggle has it",
        "own": f"{found.path}: there already, and not from here: left as it is",
    }
    counts = {"files": found.files, "bytes": found.bytes, "downloaded": found.downloaded}
    facts |= {"state": found.state, "path": str(found.path), **counts}
    click.echo(json.dumps(facts) if as_json else words[found.state])


@click.command()
@click.argument("name", required=False)
@options("cache", "json")
def doctor(name: str | None, cache: Path | None, as_json: bool) -> None:
    """Say what is there for a run and for Kaggle, and what to do about what is not; with NAME, of that competition.

    Exits with 0 whatever it finds: `todo` lines say what to do, and --json has "ok": false.
    """
    from harness.kaggle import doctor as examining

    lines = []
    for line in examining.examine(name, cache=cache_root(cache)):
        lines.append(line)
        if not as_json:
            click.echo(line.text())
            sys.stdout.flush()
    if as_json:
        facts = [{"what": line.what, "ok": line.ok, "found": line.found, "fix": line.fix} for line in lines]
        click.echo(json.dumps({"schema": 1, "ok": all(line.ok for line in lines), "lines": facts}))
