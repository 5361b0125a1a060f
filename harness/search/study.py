"""Optuna's study: a journal file of its own, or a database that an address names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from harness.errors import ConfigError


class _Lock:
    """Of the journal file, by the operating system: a killed process holds nothing, and nobody waits for it."""

    def __init__(self, path: Path) -> None:
        self.lock = FileLock(path.with_name(f".{path.name}.lock"))

    def acquire(self) -> bool:
        self.lock.acquire()
        return True

    def release(self) -> None:
        self.lock.release()


def opened(name: str, storage: str | Path, *, higher_is_better: bool, **how: Any) -> optuna.Study:
    """A new or known study: in a journal file of its own, or in a database that an address names.

    Args:
        how: sampler and pruner.

    Raises:
        ConfigError: a database that cannot be reached, or whose driver is not installed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction = "maximize" if higher_is_better else "minimize"
    try:
        place = _journal(storage) if isinstance(storage, Path) else RDBStorage(_with_driver(storage))
        return optuna.create_study(study_name=name, storage=place, direction=direction, load_if_exists=True, **how)
    except (ImportError, ValueError, optuna.exceptions.StorageInternalError) as error:
        raise _unreachable(storage, error) from error
    except Exception as error:
        if not type(error).__module__.startswith("sqlalchemy"):
            raise
        raise _unreachable(storage, error) from error


def _journal(path: Path) -> JournalStorage:
    lock: Any = _Lock(path)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _with_driver(address: str) -> str:
    """A PostgreSQL address with the driver that is asked for by this project's `postgres` extra."""
    kind, separator, rest = address.partition("://")
    return f"postgresql+psycopg://{rest}" if separator and kind in ("postgres", "postgresql") else address


def _unreachable(storage: str | Path, error: BaseException) -> ConfigError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    fix = "give sqlite:///FILE, or postgresql://USER@HOST/DATABASE (pip install 'harness[postgres]')"
    return ConfigError(f"--storage {storage}: {reason}", fix=fix)
