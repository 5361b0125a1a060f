"""What a name on the command line means on Kaggle: an adapter's page, or a page without an adapter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness import registry
from harness.competition import Competition
from harness.data import locate
from harness.errors import CompetitionError, ServiceError
from harness.kaggle.pages import Page, page_of


@dataclass(frozen=True)
class Wanted:
    """A page, the name of its data here, and its adapter, where there is one."""

    name: str
    page: Page
    competition: Competition | None = None

    @property
    def mounted(self) -> Path | None:
        """Where the kernel that this runs in has the data; None elsewhere."""
        owner, _, slug = self.page.ref.rpartition("/")
        if owner and self.competition is None:  # the older layout does not say whose it is
            places = [locate.inputs() / slug, locate.inputs() / "datasets" / owner / slug]
        else:
            others = self.competition.aliases if self.competition else ()
            places = locate.mounts(dict.fromkeys([slug, self.name, *others]))
        # a mount may be empty for a moment after it was added
        found = (path for path in places if path.is_dir())
        return next((path for path in found if any(path.iterdir())), None)


def meant(name: str) -> Wanted:
    """The page that a name stands for: an adapter's, a competition's slug, or a data set's `owner/slug`.

    Raises:
        CompetitionError: neither, or the beginning of several adapters' names.
        ServiceError: an adapter whose data is not on Kaggle.
    """
    if found := re.fullmatch(r"([\w-]+)/([\w-]+)", name):
        return Wanted(found[2], Page("dataset", name))
    try:
        competition = registry.load(name)
    except CompetitionError:
        normal = registry.normal(name)
        if not re.fullmatch(r"[\w-]+", name) or any(known.startswith(normal) for known in registry.names()):
            raise
        return Wanted(name, Page("competition", name))
    page = page_of(competition)
    if page is None:
        problem = f"{competition.name} is not on Kaggle: its source is {competition.source}"
        raise ServiceError(problem, fix=f"get it so: {competition.how_to_get}")
    return Wanted(competition.name, page, competition)
