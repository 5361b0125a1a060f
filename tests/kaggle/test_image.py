"""What a kernel's image is said to have, and which wheels fit its Python."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.tags import parse_tag
from packaging.version import Version

from harness.errors import BundleError
from harness.kaggle import image

SMP = "segmentation-models-pytorch"


def test_the_shipped_image_has_every_other_dependency_in_a_version_that_will_do(request: pytest.FixtureRequest) -> None:
    project = tomllib.loads((request.config.rootpath / "pyproject.toml").read_text())["project"]
    needed = [Requirement(line) for line in project["dependencies"]]
    shipped = image.read()
    assert [wanted.name for wanted in needed if not shipped.meets(wanted)] == [SMP]
    assert shipped.versions["torch"] == Version("2.10.0+cu128")  # type: ignore[index]


@pytest.mark.parametrize(
    ("tag", "fit"),
    [
        ("py3-none-any", True),
        ("cp312-cp312-manylinux_2_28_x86_64", True),
        ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", True),
        ("cp38-abi3-manylinux2014_x86_64", True),
        ("cp312-none-manylinux1_x86_64", True),
        ("cp311-cp311-manylinux_2_28_x86_64", False),
        ("cp313-cp313-manylinux_2_28_x86_64", False),
        ("cp313-abi3-manylinux_2_28_x86_64", False),
        ("cp312-cp312-manylinux_2_39_x86_64", False),
        ("cp312-cp312-manylinux_2_28_aarch64", False),
        ("cp312-cp312-musllinux_1_2_x86_64", False),
        ("cp312-cp312-win_amd64", False),
        ("cp312-cp312-manylinux_2_29_x86_64", False),
        ("cp312-cp312-linux_x86_64", False),
    ],
)
def test_a_wheel_fits_by_its_tags(tag: str, fit: bool) -> None:
    assert image.fits(frozenset(parse_tag(tag))) is fit


def test_a_freeze_is_read_in_all_its_forms(tmp_path: Path) -> None:
    freeze = tmp_path / "freeze.txt"
    freeze.write_text(
        "\ufeffTorch==2.10.0+cu128\n# made by pip\n"
        "PyYAML==6.0.3\ngoogle-colab @ file:///x.tar.gz\n-e git+x#egg=y\n\nrich\n"
        "WARNING: pip is old\n[notice] a new release\nsand===1.0\nrocks===of-my-own\n",
        encoding="utf-8",
    )
    found = image.read(freeze)
    assert {name: had and str(had) for name, had in found.versions.items()} == {
        "torch": "2.10.0+cu128",
        "pyyaml": "6.0.3",
        "google-colab": None,
        "rich": None,
        "sand": "1.0",
        "rocks": None,
    }
    assert found.meets(Requirement("torch>=2.6"))
    assert found.meets(Requirement("rich>=13"))
    assert not found.meets(Requirement("pyyaml>=7"))
    assert not found.meets(Requirement("optuna"))


@pytest.mark.parametrize("text", ["torch>=2\n", "torch==two\n", "<html>\n", "numpy==2.0.2\n", "\x00\xff"])
def test_what_is_no_freeze_is_refused(text: str, tmp_path: Path) -> None:
    freeze = tmp_path / "freeze.txt"
    freeze.write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleError, match="freeze"):
        image.read(freeze)
