"""An adapter of the user's own goes into the bundle alone, so it must be importable alone."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from harness import registry
from harness.errors import BundleError
from harness.kaggle import adapter

NAME = "my-stones"
BESIDE = "import sys\nfrom pathlib import Path\n\nsys.path.insert(0, str(Path(__file__).parent))\n"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An adapter in the working directory, with another file beside it."""
    monkeypatch.chdir(tmp_path)
    shipped = Path(inspect.getfile(registry.load("gemstone-price").train)).read_text()
    file = tmp_path / "competitions" / "my_stones.py"
    file.parent.mkdir()
    file.write_text(shipped.replace('name="gemstone-price"', f'name="{NAME}"'))
    (file.parent / "_stones_common.py").write_text("X = 1\n")
    (tmp_path / "stones_at_hand.py").write_text("X = 1\n")
    return file


def with_lines(file: Path, lines: str) -> None:
    """Puts lines after the future import."""
    head, future, rest = file.read_text().partition("from __future__ import annotations\n")
    file.write_text(f"{head}{future}{lines}{rest}")


def test_an_adapter_that_stands_alone_is_copied_and_nothing_beside_it(own: Path, tmp_path: Path) -> None:
    assert adapter.copy(NAME, tmp_path / "data") == []
    copies = list((tmp_path / "data").rglob("*"))
    assert [path.name for path in copies if path.is_file()] == ["my_stones.py"]
    assert (tmp_path / "data" / "competitions" / "my_stones.py").read_bytes() == own.read_bytes()


@pytest.mark.parametrize(
    "lines", [f"{BESIDE}import _stones_common\n", "import stones_at_hand\n", "import benchmarks\n"]
)
def test_an_adapter_that_needs_another_file_is_refused_by_the_name_of_the_import(
    lines: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    with_lines(own, lines)
    missing = lines.splitlines()[-1].removeprefix("import ")
    with pytest.raises(
        BundleError, match=rf"my_stones\.py: does not import in the bundle .*No module named '{missing}'"
    ):
        adapter.copy(NAME, tmp_path / "data")


@pytest.mark.parametrize("name", ["gemstone-price", "folder"])
def test_what_the_harness_brings_itself_is_not_copied(name: str, tmp_path: Path) -> None:
    assert adapter.copy(name, tmp_path / "data") == []
    assert not (tmp_path / "data").exists()


def test_an_installed_adapter_is_brought_by_its_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = tmp_path / "stones_plugin-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: stones-plugin\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{registry.GROUP}]\nplugged-stones = stones:competition\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert adapter.copy("plugged-stones", tmp_path / "data") == ["stones-plugin"]


def test_an_adapter_that_reads_a_file_of_the_working_folder_is_refused(own: Path, tmp_path: Path) -> None:
    with_lines(own, 'open("stones_at_hand.py").close()\n')
    with pytest.raises(BundleError, match=r"No such file or directory: 'stones_at_hand\.py'"):
        adapter.copy(NAME, tmp_path / "data")
