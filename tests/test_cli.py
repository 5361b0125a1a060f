"""The command line's options are a promise: they are compared with a file, so that a change is seen in review."""

from __future__ import annotations

import inspect
from pathlib import Path

import click
import pytest

from harness import registry
from harness.cli import cli, main

RECORDED = Path(__file__).with_name("cli_options.txt")


def described() -> str:
    """Every command with its parameters, one a line."""
    lines = []
    for name, command in sorted(cli.commands.items()):
        for parameter in command.params:
            kind = parameter.type.name
            if isinstance(parameter.type, click.Choice):
                kind = "|".join(map(str, parameter.type.choices))
            flags = " ".join(parameter.opts) if isinstance(parameter, click.Option) else parameter.name
            default = (
                "" if parameter.default in (None, False) or "UNSET" in repr(parameter.default) else parameter.default
            )
            lines.append(" ".join(f"{name} {flags} <{kind}> {default}".split()))
    return "\n".join(lines) + "\n"


def test_the_options_are_the_recorded_ones() -> None:
    assert described() == RECORDED.read_text(), f"changed on purpose? write this to {RECORDED.name}:\n{described()}"


def adapter_whose_train_raises(error: str) -> None:
    """Writes ./competitions/broken_one.py, which reads as a competition and breaks when its rows are read."""
    shipped = Path(inspect.getfile(registry.load("lgg").train)).read_text()
    broken = shipped.replace('name="lgg-mri-segmentation"', 'name="broken-one"')
    broken = broken.replace("    folders: dict[str, Path] = {}", f"    raise {error}")
    Path("competitions").mkdir()
    Path("competitions/broken_one.py").write_text(broken)


def test_a_user_s_mistake_exits_with_two_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["run", "--no-such-option"])
    assert stop.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_bug_keeps_its_traceback() -> None:
    adapter_whose_train_raises("ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        main(["check", "broken-one", "--sample"])


def test_an_interrupted_command_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    adapter_whose_train_raises("KeyboardInterrupt")
    with pytest.raises(SystemExit) as stop:
        main(["run", "broken-one", "--sample", "--out", "here"])
    assert stop.value.code == 3
    assert "go on with: harness resume here" in capsys.readouterr().err


def test_what_the_machine_refuses_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    for words in (["--out", "file/run"], ["--cache", "file/cache"], ["--cache", "/proc/nowhere"]):
        with pytest.raises(SystemExit) as stop:
            main(["run", "lgg", "--sample", *words])
        assert stop.value.code == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_data_and_sample_together_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "lgg", "--sample", "--data", "/nonexistent"])
    assert "choose one of the two" in capsys.readouterr().err
