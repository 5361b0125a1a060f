"""Where a competition stands on Kaggle, read from the page that its adapter names as its source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from harness.competition import Competition
from harness.errors import ServiceError


@dataclass(frozen=True)
class Page:
    """A competition `slug`, or a data set `owner/slug`."""

    kind: Literal["competition", "dataset"]
    ref: str


def page_of(competition: Competition) -> Page | None:
    """The page on Kaggle; None of a competition that is elsewhere."""
    return page_at(competition.source)


def page_at(address: str) -> Page | None:
    """The page of an address; None of one that is not Kaggle's."""
    found = re.search(r"//(?:www\.)?kaggle\.com/(?:c|competitions)/([\w-]+)", address)
    if found:
        return Page("competition", found[1])
    found = re.search(r"//(?:www\.)?kaggle\.com/(?:datasets/)?([\w-]+/[\w-]+)", address)
    return Page("dataset", found[1]) if found else None


def slug_of(competition: Competition) -> str:
    """The slug of a competition that takes submissions.

    Raises:
        ServiceError: it has no leaderboard on Kaggle.
    """
    page = page_of(competition)
    if page is None or page.kind != "competition":
        problem = f"{competition.name} has no leaderboard on Kaggle: its source is {competition.source}"
        raise ServiceError(problem, fix="grade it with: harness grade")
    return page.ref
