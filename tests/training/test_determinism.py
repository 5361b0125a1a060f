"""Levels of determinism: switches set and put back, operations that break one named, and other warnings let through."""

from __future__ import annotations

import warnings

import pytest
import torch

from harness.errors import ConfigError
from harness.training import determinism


def breaks() -> None:
    """`put_` without accumulation has no deterministic kernel, on a CPU either: equal indices race."""
    torch.zeros(4).put_(torch.tensor([1, 1]), torch.tensor([1.0, 2.0]))


def switches() -> tuple[bool, ...]:
    cudnn = torch.backends.cudnn
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.benchmark,
        cudnn.deterministic,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fast", (False, False, True, False)),
        ("repeatable", (True, True, False, True)),
        ("bitwise", (True, False, False, True)),
    ],
)
def test_a_level_sets_its_switches_and_puts_them_back(name: str, expected: tuple[bool, ...]) -> None:
    before = switches()
    with determinism.level(name):
        assert switches() == expected
    assert switches() == before


def test_repeatable_names_what_breaks_it_once_and_goes_on() -> None:
    with determinism.level("repeatable") as broken:
        torch.zeros(4).index_add_(0, torch.tensor([1]), torch.ones(1))
        assert broken == set()
        breaks()
        breaks()
    assert broken == {"put_"}


def test_bitwise_stops_at_what_breaks_it_and_says_which() -> None:
    before = switches()
    said = "put_ has no deterministic kernel here; use --determinism repeatable"
    with pytest.raises(ConfigError, match=said), determinism.level("bitwise"):
        breaks()
    assert switches() == before


def test_fast_lets_everything_pass_and_other_errors_stay_what_they_are() -> None:
    with determinism.level("fast") as broken:
        breaks()
    assert broken == set()
    with pytest.raises(RuntimeError, match="mat1 and mat2"), determinism.level("bitwise"):
        torch.mm(torch.ones(2, 3), torch.ones(2, 3))


def test_other_warnings_go_where_they_went() -> None:
    with determinism.level("repeatable"), pytest.warns(UserWarning, match="look here"):
        warnings.warn("look here", UserWarning, stacklevel=1)
    with pytest.raises(UserWarning, match="an error in tests"), determinism.level("repeatable"):
        warnings.warn("an error in tests", UserWarning, stacklevel=1)
