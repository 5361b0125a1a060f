"""What commands share: options, each defined once, and what becomes of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from harness import stopping
from harness.errors import ConfigError
from harness.meter import seconds_of

Command = Callable[..., Any]


def options(*names: str) -> Callable[[Command], Command]:
    """Adds options that several commands share, each defined once."""
    shared: dict[str, Callable[[Command], Command]] = {
        "data": click.option(
            "--data", type=click.Path(), help="Data folder or zip; else the usual places are searched."
        ),
        "sample": click.option("--sample", is_flag=True, help="Draw the adapter's small stand-in data and use it."),
        "cache": click.option(
            "--cache",
            type=click.Path(path_type=Path),
            help="Root of all derived files [HARNESS_CACHE, or the user's cache].",
        ),
        "preset": click.option(
            "--preset",
            type=click.Choice(["quick", "standard", "best"]),
            help="Size, epochs and encoder [standard; quick with --sample].",
        ),
        "set": click.option(
            "-o", "settings", multiple=True, metavar="KEY=VALUE", help="Override, e.g. train.rate=3e-3."
        ),
        "sample_rows": click.option(
            "--sample-rows", type=click.IntRange(min=1), default=60, show_default=True, help="Sample rows, about."
        ),
        "precision": click.option(
            "--precision", type=click.Choice(["auto", "fp16", "bf16", "fp32"]), help="Number format [auto]."
        ),
        "determinism": click.option(
            "--determinism",
            type=click.Choice(["fast", "repeatable", "bitwise"]),
            help="How exactly the run repeats on the same machine [repeatable].",
        ),
        "weights": click.option("--weights", metavar="auto|scratch|PATH", help="Pretrained encoder weights [auto]."),
        "device": click.option(
            "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
        ),
        "processes": click.option(
            "--processes",
            type=click.IntRange(min=1),
            help="Folds trained at once [one for each GPU; one on a CPU, whose cores they share].",
        ),
        "method": click.option(
            "--method",
            type=click.Choice(["branch", "lite", "tpe", "grid"]),
            help="Of the search [branch; lite with --preset quick].",
        ),
        "trials": click.option("--trials", type=click.IntRange(min=1), help="Of a search by tpe [20]."),
        "storage": click.option(
            "--storage", metavar="ADDRESS", help="Database of the search [a journal file in the run folder]."
        ),
        "study": click.option("--study", metavar="NAME", help="Of the search in the storage [the competition's]."),
        "budget": click.option(
            "--budget",
            metavar="9h|40m|300s",
            help="Seconds, minutes or hours from start to end of the process, all included; what does not fit is shed.",
        ),
        "folds": click.option("--folds", type=int, help="Number of folds; fails when there are fewer groups."),
        "seed": click.option("--seed", type=int, help="Of folds, weights, order and augmentation [0]."),
        "out": click.option(
            "--out", type=click.Path(path_type=Path), help="The run folder itself [submissions/NAME/<time>-<id>]."
        ),
        "json": click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line."),
    }

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            command = shared[name](command)
        return command

    return decorate


def world_of(cache: Path | None, **outside: Any) -> Any:
    """The pipeline's world with this cache; words go to stderr."""
    from harness.pipeline.preparation import World

    outside.setdefault("say", lambda text: click.echo(text, err=True))
    root = cache_root(cache)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the cache {root} cannot be made ({error.strerror})", fix="give --cache DIR") from error
    return World(cache=root, **outside)


@contextmanager
def at_work(cache: Path | None) -> Iterator[Any]:
    """Yields the world of a command that may take long: bars on stderr, signals that end it at a good place."""
    from harness import display

    if "TORCHELASTIC_RUN_ID" in os.environ:  # each would hear at another step, and torchrun ends them all
        with display.bars() as progress:
            yield world_of(cache, progress=progress, began=process_began())
        return
    with stopping.signals() as stop, display.bars() as progress:
        yield world_of(cache, progress=progress, began=process_began(), tick=stop.check, halt=stop.check)


def process_began() -> float:
    """When this process began, on the clock of `time.monotonic`: a budget counts the loading of libraries too.

    Source: proc(5), field 22 of /proc/PID/stat; elsewhere the processor time so far, of which loading is most.
    """
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        age = time.process_time()
    return time.monotonic() - max(0.0, age)


def cache_root(named: Path | None) -> Path:
    """--cache, else HARNESS_CACHE, else the user's cache folder."""
    if named is not None:
        return named.absolute()
    if os.environ.get("HARNESS_CACHE"):
        return Path(os.environ["HARNESS_CACHE"]).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("harness"))


def path_of(text: str | None) -> Path | None:
    """The path, where one is given."""
    return None if text is None else Path(text)


def numbers_of(text: str | None) -> tuple[int, ...]:
    """The numbers of a list such as `0,2`."""
    try:
        return tuple(int(word) for word in text.split(",")) if text else ()
    except ValueError as error:
        raise ConfigError(f"--only-folds {text}", fix="give numbers such as 0,2") from error


def request_of(given: dict[str, Any], *, device: str, only_folds: str | None = None) -> Any:
    """What a run is asked for."""
    from harness import pipeline

    tune = given.get("tune") or ""
    return pipeline.Request(
        data=None if given["data"] is None else str(Path(given["data"]).absolute()),
        sample=given["sample"],
        sample_rows=given["sample_rows"],
        only_folds=numbers_of(only_folds),
        device=device,
        processes=given.get("processes") or 0,
        tune="first" if tune is True else tune,
        search=_search_of(given, asked=bool(tune)),
        budget=None if given.get("budget") is None else seconds_of(given["budget"]),
    )


def _search_of(given: dict[str, Any], *, asked: bool) -> Any:
    """How to search.

    Raises:
        ConfigError: no search is asked for, or another one than an option is for.
    """
    from harness.pipeline.job import Search

    named = {name: given[name] for name in ("method", "trials", "storage", "study") if given.get(name) is not None}
    if named and not asked:
        raise ConfigError(f"--{next(iter(named))} without a search", fix="add --tune, or use harness tune")
    method = named.pop("method", "lite" if given.get("preset") == "quick" else "branch")
    if "trials" in named and method != "tpe":
        raise ConfigError(f"--trials with --method {method}", fix="add --method tpe, or leave it out")
    return Search(method=method, **named)
