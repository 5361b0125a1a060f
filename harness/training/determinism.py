"""How exactly a run repeats: three levels, and the operations that cannot keep the one asked for.

"fast" lets libraries choose and tune their kernels, so that two runs differ by rounding. "repeatable" asks for
deterministic kernels and notes which operations have none. "bitwise" stops at the first such operation. All three
train on the same rows in the same order with the same draws; on a CPU of the same type, threads and versions all repeat
to the bit. Source: PyTorch's notes on reproducibility (pytorch.org/docs/stable/notes/randomness.html).
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from harness.errors import ConfigError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
FILLING: Any = torch.utils.deterministic  # a module with properties, which types do not know
SAID = re.compile(r"(?P<operation>[\w:.<>, ]+?) does not have a deterministic implementation|(?P<cublas>CuBLAS)")


@contextmanager
def level(name: str) -> Iterator[set[str]]:
    """Computes at the level `name`; yields a set that fills with the operations that break it.

    Raises:
        ConfigError: at "bitwise", an operation without a deterministic kernel.
    """
    broken: set[str] = set()
    before = _switches()
    try:
        with warnings.catch_warnings():
            _set(name)
            _collect(broken)
            yield broken
    except RuntimeError as error:
        found = SAID.search(str(error))
        if name != "bitwise" or found is None:
            raise
        fix = "use --determinism repeatable, which notes such operations"
        raise ConfigError(f"{_operation(found)} has no deterministic kernel here", fix=fix) from error
    finally:
        _restore(before)


def _set(name: str) -> None:
    if name != "fast":
        # read when cuBLAS makes its first handle
        os.environ.setdefault(WORKSPACE, ":4096:8")
    torch.use_deterministic_algorithms(name != "fast", warn_only=name == "repeatable")
    FILLING.fill_uninitialized_memory = False  # it finds bugs, and costs a pass over every tensor
    torch.backends.cudnn.benchmark = name == "fast"
    torch.backends.cudnn.deterministic = name != "fast"


def _collect(broken: set[str]) -> None:
    """From here on, warnings of operations that break the level go to the set; all others go where they went."""
    usual = warnings.showwarning

    def show(message: Any, *rest: Any, **named: Any) -> None:
        found = SAID.search(str(message))
        if found is None:
            usual(message, *rest, **named)
        else:
            broken.add(_operation(found))

    warnings.filterwarnings("always", message=".*deterministic")
    warnings.showwarning = show


def _operation(found: re.Match[str]) -> str:
    return (found["operation"] or "cuBLAS").strip()


def _switches() -> tuple[Any, ...]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        FILLING.fill_uninitialized_memory,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
    )


def _restore(switches: tuple[Any, ...]) -> None:
    enabled, warn, fill, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = switches
    torch.use_deterministic_algorithms(enabled, warn_only=warn)
    FILLING.fill_uninitialized_memory = fill
