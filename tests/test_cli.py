"""The command line's options are a promise: they are compared with a file, so that a change is seen in review."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

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


def test_a_user_s_mistake_exits_with_two_and_a_bug_with_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["run", "--no-such-option"])
    assert stop.value.code == 2

    def broken(name: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("harness.registry.load", broken)
    with pytest.raises(ZeroDivisionError):
        main(["grade", "x", "a.csv", "--answers", "b.csv"])


def test_an_interrupted_command_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.registry.load", interrupted)
    with pytest.raises(SystemExit) as stop:
        main(["run", "x"])
    assert stop.value.code == 3
    assert "harness resume" in capsys.readouterr().err
