"""A wheel is exactly what was installed or lies in the checkout, or what pip finds for the kernel's Python."""

from __future__ import annotations

import shutil
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from harness.errors import BundleError
from harness.kaggle import packing
from tests.kaggle.wheel_files import made

SMP = "segmentation-models-pytorch"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own wheel."""
    return packing.own_wheel(tmp_path_factory.mktemp("own"))


def test_pip_is_asked_for_one_wheel_that_the_kernel_s_python_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = tmp_path / "links"
    tags = (
        "cp312-cp312-manylinux_2_28_x86_64",
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp312-cp312-manylinux_2_39_x86_64",
    )
    for number, tag in enumerate(tags):
        made(links, f"stones-{number + 1}.0-{tag}.whl", "sand")
    made(links, "sand-1.0-py3-none-any.whl")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert packing.fetch(Requirement("stones"), tmp_path).name == f"stones-1.0-{tags[0]}.whl"
    assert len(list(tmp_path.glob("*.whl"))) == 1


@pytest.mark.parametrize("line", ["start.pth,sha256=AAA,1", "stones.py,,", "../../bin/stones.sh,sha256=AAA,1"])
def test_what_an_installation_has_beyond_a_pure_wheel_is_not_packed(line: str, tmp_path: Path) -> None:
    facts = tmp_path / "stones-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: stones\nVersion: 1.0\n")
    (facts / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (facts / "RECORD").write_text(f"{line}\nstones-1.0.dist-info/RECORD,,\n")
    (installed,) = metadata.distributions(path=[str(tmp_path)])
    assert packing.pack(installed, tmp_path) is None


def test_the_own_wheel_is_whole_and_the_same_twice(own: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(own) as archive:
        names = set(archive.namelist())
    assert {"harness/cli/__init__.py", "competitions/camvid.py", "harness/kaggle/in_kernel.py"} <= names
    assert "harness/kaggle/image.txt" in names
    assert not [name for name in names if name.startswith("tests/")]
    assert packing.own_wheel(tmp_path).read_bytes() == own.read_bytes()


def test_stray_files_of_a_checkout_are_not_in_its_wheel(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    checkout = tmp_path / "checkout"
    for name in ("harness", "competitions"):
        shutil.copytree(request.config.rootpath / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(request.config.rootpath / name, checkout / name)
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    first = packing.build(checkout, tmp_path / "first")
    strays = ("competitions/.env", "competitions/notes.txt", "harness/kaggle.json", "harness/kaggle/token.txt")
    for name in (*strays, "harness/__pycache__/cells.cpython-312.pyc"):
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text("a secret")
    second = packing.build(checkout, tmp_path / "second")
    assert second.read_bytes() == first.read_bytes()
    with zipfile.ZipFile(second) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert {Path(name).suffix for name in names} == {".py", ".txt"}
    assert [name for name in names if name.endswith(".txt")] == ["harness/kaggle/image.txt"]


def test_an_installed_wheel_is_packed_as_it_was(own: Path, tmp_path: Path) -> None:
    place = tmp_path / "site-packages"
    with zipfile.ZipFile(own) as archive:
        archive.extractall(place)
        content = {name: archive.read(name) for name in archive.namelist() if not name.endswith("RECORD")}
    (installed,) = metadata.distributions(path=[str(place)])
    packed = packing.pack(installed, tmp_path)
    assert packed is not None
    assert packed.name == own.name
    with zipfile.ZipFile(packed) as archive:
        assert {name: archive.read(name) for name in archive.namelist() if not name.endswith("RECORD")} == content
        assert archive.testzip() is None


def test_a_file_changed_since_its_installation_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "site-packages"
    installed = metadata.distribution(SMP)
    for path in installed.files or []:
        if ".." not in path.parts and path.suffix != ".pyc":
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(path.locate()), place / path)
    (copy,) = metadata.distributions(path=[str(place)])
    first = packing.pack(copy, tmp_path)
    assert first is not None
    assert first.read_bytes() == (packing.pack(installed, place) or Path()).read_bytes()
    with open(place / "segmentation_models_pytorch" / "__init__.py", "a") as handle:
        handle.write("# mended by hand\n")
    with pytest.raises(BundleError, match=r"__init__\.py: was changed since it was installed"):
        packing.pack(copy, tmp_path)


@pytest.mark.parametrize("name", ["numpy", "torch", "pillow"])
def test_compiled_code_is_not_packed_for_another_python(name: str, tmp_path: Path) -> None:
    assert packing.pack(metadata.distribution(name), tmp_path) is None
