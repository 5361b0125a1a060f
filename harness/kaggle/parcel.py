"""What is to be sent, and what stands for its content."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUTPUT = "submission.csv"  # of a run, and of a kernel


@dataclass(frozen=True)
class Parcel:
    """What is to be sent.

    Attributes:
        competition, slug: the adapter's name, and Kaggle's.
        message: the user's.
        file: the CSV; None of a kernel's version.
        sha256: of the file when it was validated.
        kernel: `owner/slug/version`, of a code competition.
        facts: what the ledger says of the run beside (fields of `Entry`).
    """

    competition: str
    slug: str
    message: str
    file: Path | None = None
    sha256: str = ""
    kernel: str | None = None
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        assert (self.file is None) != (self.kernel is None), "a file or a kernel's version"

    @property
    def tag(self) -> str:
        """What stands for the content: equal for the same file, or the same version of a kernel."""
        return hashlib.sha256(f"{self.slug}/{self.sha256 or self.kernel}".encode()).hexdigest()[:12]
