"""Which Kaggle credential the client will take, and where it lies. Its secret is never kept, shown or written.

Source of the order: `KaggleApi.authenticate` and `kagglesdk.kaggle_env` of kaggle 2.2.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.errors import ServiceError

HOW = "make a token at https://www.kaggle.com/settings and save it as ~/.kaggle/access_token, or: kaggle auth login"
# what goes into a header as it is; a client's error shows the header with all else, and so the token
UNSENDABLE = re.compile(r"[^\x21-\x7e]")
LONGEST = 255  # letters of a file's name on most disks: the client looks for a file of that name


@dataclass(frozen=True)
class Credential:
    """Where a credential was found.

    Attributes:
        kind: an API token, a user name with a key, or what `kaggle auth login` left.
        place: the variable or file that holds it.
        user: whose it is, where that stands beside it.
        problem: what is wrong with it; empty when nothing is seen.
    """

    kind: Literal["token", "key", "login"]
    place: str
    user: str | None = None
    problem: str = ""


def find(environment: Mapping[str, str] | None = None, home: Path | None = None) -> Credential | None:
    """The credential that the client takes first; None where there is none."""
    given = os.environ if environment is None else environment
    base = (home or Path.home()) / ".kaggle"
    return _token(given, base) or _key(given, base) or _login(base)


def refused(found: Credential) -> ServiceError:
    """What is said of a credential that cannot be used."""
    problem, _, fix = found.problem.partition(": ")
    words = f"Kaggle does not take the credential of {found.place}" + (f": it {problem}" if problem else "")
    return ServiceError(words, fix=fix or HOW)


def shown_by(error: BaseException) -> bool:
    """Whether the words of an error may hold the credential: http.client and requests show a header they refuse."""
    return isinstance(error, UnicodeEncodeError) or (isinstance(error, ValueError) and "header" in str(error).lower())


def _token(given: Mapping[str, str], base: Path) -> Credential | None:
    mounted = given.get("KAGGLE_API_V1_TOKEN")
    if given.get("KAGGLE_KERNEL_RUN_TYPE") and mounted and _text(Path(mounted)):
        return Credential("token", f"{mounted} (KAGGLE_API_V1_TOKEN)", problem=_sendable(_text(Path(mounted))))
    named = given.get("KAGGLE_API_TOKEN")
    if named and (held := _text(Path(named))):
        problem = _sendable(held) or _readable(Path(named))
        return Credential("token", f"{named} (KAGGLE_API_TOKEN)", problem=problem)
    if named:
        long = f"is longer than {LONGEST} letters: save it as ~/.kaggle/access_token" if len(named) > LONGEST else ""
        return Credential("token", "KAGGLE_API_TOKEN", problem=_sendable(named) or long)
    for path in (base / "access_token", base / "access_token.txt"):
        if held := _text(path):
            return Credential("token", str(path), problem=_sendable(held) or _readable(path))
    return None


def _key(given: Mapping[str, str], base: Path) -> Credential | None:
    folder = Path(given["KAGGLE_CONFIG_DIR"]) if given.get("KAGGLE_CONFIG_DIR") else base
    if not given.get("KAGGLE_CONFIG_DIR") and not base.exists():
        folder = Path(given.get("XDG_CONFIG_HOME") or base.parent / ".config") / "kaggle"
    path, held = folder / "kaggle.json", {}
    problem = ""
    if _text(path):
        try:
            held = json.loads(_text(path))
            problem = _readable(path)
        except ValueError:
            problem = "is no JSON: download it again from https://www.kaggle.com/settings"
    held = held if isinstance(held, dict) else {}
    user, key = given.get("KAGGLE_USERNAME") or held.get("username"), given.get("KAGGLE_KEY") or held.get("key")
    if user and key:
        place = "KAGGLE_USERNAME and KAGGLE_KEY" if given.get("KAGGLE_KEY") else str(path)
        return Credential("key", place, user=str(user), problem="" if given.get("KAGGLE_KEY") else problem)
    return Credential("key", str(path), problem=problem or "has no username and key") if path.exists() else None


def _login(base: Path) -> Credential | None:
    path = base / "credentials.json"
    if not _text(path):
        return None
    try:
        held = json.loads(_text(path))
    except ValueError:
        return None
    return Credential("login", str(path), user=held.get("username") if isinstance(held, dict) else None)


def _text(path: Path) -> str:
    """The content of a small text file; nothing where there is none."""
    try:
        return path.read_text().strip() if path.is_file() else ""
    except (OSError, ValueError):
        return ""


def _sendable(token: str) -> str:
    """What is wrong with the letters of a token."""
    return (
        "has a space, a line end or a letter that no token has: copy it once more" if UNSENDABLE.search(token) else ""
    )


def _readable(path: Path) -> str:
    """What is wrong with the rights on a secret."""
    return f"others can read it: chmod 600 {path}" if os.name != "nt" and path.stat().st_mode & 0o044 else ""
