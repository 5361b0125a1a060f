"""The wheels of a bundle: exactly what was installed, for the kernel's Python, with nothing left unmet."""

from __future__ import annotations

import shutil
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.tags import parse_tag
from packaging.version import Version

from harness.errors import BundleError
from harness.kaggle import image, packing, wheels

SMP = "segmentation-models-pytorch"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own wheel."""
    return packing.own_wheel(tmp_path_factory.mktemp("own"))


def made(folder: Path, name: str, *requires: str) -> Path:
    """A wheel of that file name with no code in it."""
    folder.mkdir(exist_ok=True)
    distribution, version, *_ = name.split("-")
    lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
    with zipfile.ZipFile(folder / name, "w") as archive:
        text = "\n".join([*lines, *(f"Requires-Dist: {text}" for text in requires)]) + "\n"
        archive.writestr(f"{distribution}-{version}.dist-info/METADATA", text)
    return folder / name


def without(*names: str) -> image.Image:
    """The shipped image, with some packages missing."""
    shipped = image.read()
    return image.Image("this image", {name: had for name, had in shipped.versions.items() if name not in names})


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pip that finds nothing, at once."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def test_the_shipped_image_lacks_segmentation_models_and_the_harness_alone(tmp_path: Path) -> None:
    found = wheels.gather(image.read(), tmp_path)
    assert [wheel.name for wheel in found] == ["harness", SMP]
    assert all(str(next(iter(wheel.tags))) == "py3-none-any" for wheel in found)
    assert str(found[1].version) == metadata.version(SMP)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(wheel.path.name for wheel in found)


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
    ],
)
def test_a_wheel_fits_by_its_tags(tag: str, fit: bool) -> None:
    assert image.fits(frozenset(parse_tag(tag))) is fit


def test_a_wheel_of_another_platform_is_named(tmp_path: Path) -> None:
    strange = wheels.read(made(tmp_path, "stones-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"))
    with pytest.raises(BundleError, match=r"not for CPython 3\.12 .* stones-1\.0-cp311"):
        wheels.check([strange], image.read())


def test_every_requirement_that_nothing_meets_is_named(tmp_path: Path) -> None:
    needy = made(tmp_path, "stones-1.0-py3-none-any.whl", "numpy>=9", "pebbles>=1", "sand", 'rocks; python_version<"3"')
    other = made(tmp_path, "pebbles-0.5-py3-none-any.whl", "numpy>=1.26", 'marble; extra == "smooth"')
    with pytest.raises(BundleError) as refused:
        wheels.check([wheels.read(needy), wheels.read(other)], image.read())
    assert refused.value.problem.endswith("stones needs numpy>=9, stones needs pebbles>=1, stones needs sand")


@pytest.mark.usefixtures("no_index")
def test_what_a_lacking_package_needs_is_brought_too(tmp_path: Path) -> None:
    given = tmp_path / "given"
    for name in ("albucore", "stringzilla", "simsimd"):
        version = metadata.version(name)
        tag = "py3-none-any" if name == "albucore" else "cp312-cp312-manylinux_2_28_x86_64"
        needs = ["stringzilla>=3", "simsimd>=5"] if name == "albucore" else []
        made(given, f"{name}-{version}-{tag}.whl", *needs)
    made(given, "simsimd-99.0-cp311-cp311-manylinux_2_28_x86_64.whl")
    has = without("albumentations", "albucore", "stringzilla", "simsimd")
    found = {wheel.name: wheel for wheel in wheels.gather(has, tmp_path / "out", given=given)}
    assert set(found) == {"harness", SMP, "albumentations", "albucore", "stringzilla", "simsimd"}
    assert str(found["albumentations"].version) == metadata.version("albumentations")  # type: ignore[index]
    assert str(found["simsimd"].version) == metadata.version("simsimd")  # type: ignore[index]


@pytest.mark.usefixtures("no_index")
def test_what_pip_does_not_find_is_one_line_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no wheel of safetensors==\S+ for Python 3\.12 .*--wheels"):
        wheels.gather(without("safetensors"), tmp_path)
    (tmp_path / "given").mkdir()
    with pytest.raises(BundleError, match="has no wheel that meets safetensors=="):
        wheels.gather(without("safetensors"), tmp_path, given=tmp_path / "given")


def test_torch_is_never_brought(tmp_path: Path) -> None:
    old = image.Image("an old image", {**image.read().versions, "torch": Version("2.1.0")})  # type: ignore[dict-item]
    with pytest.raises(BundleError, match=r"an old image has 2\.1\.0 of torch, and torch>=2\.6 is needed"):
        wheels.gather(old, tmp_path)


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


def test_a_freeze_is_read_in_all_its_forms(tmp_path: Path) -> None:
    freeze = tmp_path / "freeze.txt"
    freeze.write_text(
        "# made by pip\nTorch==2.10.0+cu128\nPyYAML==6.0.3\ngoogle-colab @ file:///x.tar.gz\n-e git+x#egg=y\n\nrich\n"
    )
    found = image.read(freeze)
    assert {name: had and str(had) for name, had in found.versions.items()} == {
        "torch": "2.10.0+cu128",
        "pyyaml": "6.0.3",
        "google-colab": None,
        "rich": None,
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
