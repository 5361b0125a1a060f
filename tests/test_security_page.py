"""SECURITY.md says the limits that the code has, and names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from harness.config import TrainConfig
from harness.data.download import Manners
from harness.data.pictures import FORMATS, LARGEST
from harness.data.unpack import Limits

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_the_limits_it_names_are_those_of_the_code() -> None:
    limits = Limits()
    for said in (
        f"a header of more than {LARGEST:,} pixels",
        f"a picture of {LARGEST:,} pixels takes {3 * LARGEST / 1e6:.0f} MB",
        f"`data.quarantine` of the rows ({TrainConfig().data.quarantine})",
        f"names of more than {limits.name:,} letters or {limits.depth} folders",
        f"more than {limits.entries:,} entries",
        f"more than {limits.ratio} times the packed size where that is beyond {limits.large:,} bytes",
        f"none of more than {Manners().largest:,} bytes",
    ):
        assert said in PAGE, said


def test_every_kind_of_picture_that_is_tried_is_named_and_no_other() -> None:
    (named,) = re.findall(r"only ([A-Za-z, ]+) are tried", PAGE)
    assert sorted(re.split(", | AND ", named.upper())) == sorted(FORMATS)


def test_the_files_and_targets_it_names_are_there() -> None:
    assert all((ROOT / path).exists() for path in re.findall(r"\]\(([^)]+)\)", PAGE))
    assert re.search(r"^fuzz: ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in ("README.md", "docs/contract.md"):
        assert "SECURITY.md" in (ROOT / page).read_text(encoding="utf-8"), page
