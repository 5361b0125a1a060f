"""Optuna's study: a journal file of its own, or a database that an address names."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from harness.errors import ConfigError


class _Lock:
    """Of the journal file, by the operating system: a killed process holds nothing, and nobody waits for it.

    Whoever takes it cuts off the half line that a process killed while it wrote has left: the next line would be joined
    to it, and no reader gets past a line that is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = FileLock(path.with_name(f".{path.name}.lock"))

    def acquire(self) -> bool:
        self.lock.acquire()
        with open(self.path, "r+b") as handle:
            end = handle.seek(0, os.SEEK_END)
            handle.seek(max(0, end - 1))
            if handle.read(1) not in (b"", b"\n"):
                handle.seek(0)
                handle.truncate(handle.read().rfind(b"\n") + 1)
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
        place = _journal(storage) if isinstance(storage, Path) else _database(storage)
        return optuna.create_study(study_name=name, storage=place, direction=direction, load_if_exists=True, **how)
    except (ImportError, ValueError, optuna.exceptions.StorageInternalError) as error:
        raise _unreachable(storage, error) from error
    except Exception as error:
        if not type(error).__module__.startswith("sqlalchemy"):
            raise
        raise _unreachable(storage, error) from error


def public(address: str) -> str:
    """A storage's address without its password; "" stays.

    Raises:
        ConfigError: it is no address.
    """
    if not address:
        return address
    from sqlalchemy import engine, exc

    try:
        known = engine.make_url(address)
    except (exc.ArgumentError, ValueError) as error:
        fix = "give sqlite:///FILE, or postgresql://USER@HOST/DATABASE"
        raise ConfigError("--storage is no address of a database", fix=fix) from error
    query = {key: value for key, value in known.query.items() if key not in ("password", "sslpassword")}
    if known.password is None and len(query) == len(known.query):
        return address
    # `set` would keep a password where None is given
    return known._replace(password=None).set(query=query).render_as_string(hide_password=False)


def _journal(path: Path) -> JournalStorage:
    lock: Any = _Lock(path)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _database(address: str) -> RDBStorage:
    """A database's storage, its tables made where there are none."""
    from sqlalchemy import exc, pool

    # a trial trains for minutes: between two questions no connection is held, none is found closed by the server
    how = {"poolclass": pool.NullPool}
    for pause in (0.1, 0.5, 2.0):
        try:
            return RDBStorage(_with_driver(address), how)
        except (exc.IntegrityError, exc.ProgrammingError):  # another worker makes the same tables just now
            time.sleep(pause)
    return RDBStorage(_with_driver(address), how)


def _with_driver(address: str) -> str:
    """A PostgreSQL address with the driver that is asked for by this project's `postgres` extra."""
    kind, separator, rest = address.partition("://")
    return f"postgresql+psycopg://{rest}" if separator and kind in ("postgres", "postgresql") else address


def _unreachable(storage: str | Path, error: BaseException) -> ConfigError:
    place = public(storage) if isinstance(storage, str) else storage
    cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else None
    said = str(cause or error).strip() or type(error).__name__
    fix = "give sqlite:///FILE, or postgresql://USER@HOST/DATABASE (pip install 'harness[postgres]')"
    return ConfigError(f"--storage {place}: {said.splitlines()[0]}", fix=fix)
