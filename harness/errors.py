"""The error tree: what a user can mend is a HarnessError, everything else is a bug with a traceback."""

from __future__ import annotations

from pathlib import Path


class HarnessError(Exception):
    """A mistake in the input, told in one line: where, what, and the fix. The command line exits with 2."""

    exit_code = 2

    def __init__(self, problem: str, *, fix: str, file: str | Path | None = None, row: int | str | None = None) -> None:
        self.problem, self.fix = " ".join(problem.split()), " ".join(fix.split())
        self.file, self.row = (None if file is None else str(file)), row
        super().__init__(str(self))

    def __str__(self) -> str:
        place = ", ".join(([self.file] if self.file else []) + ([f"row {self.row}"] if self.row is not None else []))
        return f"{place + ': ' if place else ''}{self.problem}; {self.fix}"

    def __reduce__(self) -> tuple:
        # keyword-only arguments: the default reduction cannot rebuild the error in the parent of a worker
        return (_rebuild, (type(self), self.problem, self.fix, self.file, self.row))


def _rebuild(kind: type[HarnessError], problem: str, fix: str, file: str | None, row: int | str | None) -> HarnessError:
    return kind(problem, fix=fix, file=file, row=row)


class CompetitionError(HarnessError):
    """No such competition, or its adapter cannot be loaded."""


class ConfigError(HarnessError):
    """An option, key or value that does not fit."""


class DataError(HarnessError):
    """Data that is absent, unreadable or contradicts itself."""


class LeakError(HarnessError):
    """Something would flatter the score: a fold that knows what it is validated on."""


class SpaceError(HarnessError):
    """Not enough free disk for what is about to be written."""


class MemoryShortError(HarnessError):
    """Not enough memory for a step, however small, or for predictions."""


class RunError(HarnessError):
    """A run folder that cannot be used as asked."""


class SubmissionError(HarnessError):
    """A submission or answers file that a grader would refuse."""


class ServiceError(HarnessError):
    """A service refuses what is asked of it, or cannot be reached."""


class UnreachedError(ServiceError):
    """A service is not reached, or too busy; the same command may reach it later. The command line exits with 3."""

    exit_code = 3


class UnclearError(ServiceError):
    """Nobody knows yet whether a service did what it was asked; the command line exits with 3."""

    exit_code = 3


class NotYetError(HarnessError):
    """What is asked can be had later, by the same command; the command line exits with 3."""

    exit_code = 3


class BundleError(HarnessError):
    """A run that cannot be made into a bundle, or wheels that the kernel's image does not fit."""


class DivergedError(HarnessError):
    """Training left the finite numbers."""


class Stopped(HarnessError):
    """The run was asked to end, and what it has is kept; the command line exits with 3."""

    exit_code = 3


class OutOfTime(HarnessError):
    """The time of a run is over with work left; the command line exits with 3."""

    exit_code = 3
