"""The wheels of a bundle: for the kernel's Python, with nothing left unmet."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from harness.errors import BundleError
from harness.kaggle import image, packing, wheels
from tests.kaggle.wheel_files import made

SMP = "segmentation-models-pytorch"


def without(*names: str) -> image.Image:
    """The shipped image, with some packages missing."""
    shipped = image.read()
    return image.Image("this image", {name: had for name, had in shipped.versions.items() if name not in names})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own wheel, built once."""
    return packing.own_wheel(tmp_path_factory.mktemp("own"))


@pytest.fixture(autouse=True)
def _built_once(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "own_wheel", lambda into: Path(shutil.copy(built, into)))


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


@pytest.mark.parametrize(
    ("python", "fit"), [("", True), (">=3.9", True), (">=3.13", False), ("<3.12", False), (">=3.12.4", False)]
)
def test_a_wheel_says_which_python_it_runs_on(python: str, fit: bool, tmp_path: Path) -> None:
    wheel = wheels.read(made(tmp_path, "stones-1.0-py3-none-any.whl", python=python))
    if fit:
        wheels.check([wheel], image.read())
    else:
        with pytest.raises(BundleError, match=r"not for CPython 3\.12 .* stones-1\.0"):
            wheels.check([wheel], image.read())


@pytest.mark.parametrize("marker", ['python_full_version >= "3.12.4"', 'python_full_version < "3.12.4"'])
def test_a_requirement_of_some_third_number_of_the_python_is_one(marker: str, tmp_path: Path) -> None:
    wheel = wheels.read(made(tmp_path, "stones-1.0-py3-none-any.whl", f"sand; {marker}"))
    with pytest.raises(BundleError, match="stones needs sand"):
        wheels.check([wheel], image.read())


def test_what_an_extra_needs_is_held_against_the_rest_too(tmp_path: Path) -> None:
    plain = made(tmp_path, "stones-1.0-py3-none-any.whl", "pebbles")
    smooth = made(tmp_path, "rocks-1.0-py3-none-any.whl", "pebbles[smooth]")
    needed = 'pebbles[wet]; extra == "smooth"', 'marble; extra == "wet"', 'chalk; extra == "dry"'
    pebbles = wheels.read(made(tmp_path, "pebbles-1.0-py3-none-any.whl", *needed))
    wheels.check([wheels.read(plain), pebbles], image.read())
    with pytest.raises(BundleError, match=r"meet: pebbles needs marble; "):
        wheels.check([wheels.read(smooth), wheels.read(plain), pebbles], image.read())


def test_a_wheel_that_brings_another_along_is_read_by_its_own_name(tmp_path: Path) -> None:
    path = made(tmp_path, "stones-1.0-py3-none-any.whl", vendored="stones/_vendor/another-9.dist-info/METADATA")
    assert wheels.read(path).name == "stones"


@pytest.mark.usefixtures("no_index")
def test_extras_are_followed_also_where_the_package_was_found_before(tmp_path: Path) -> None:
    given = tmp_path / "given"
    made(given, "albucore-99.0-py3-none-any.whl", "pebbles", "rocks")
    made(given, "pebbles-1.0-py3-none-any.whl", 'marble; extra == "smooth"', 'pebbles[smooth]; extra == "smooth"')
    made(given, "rocks-1.0-py3-none-any.whl", "pebbles[smooth]", "sand[wet]", 'chalk; extra == "dry"')
    made(given, "sand-1.0-py3-none-any.whl", 'clay; extra == "wet"')
    made(given, "clay-1.0-py3-none-any.whl")
    made(given, "marble-1.0-py3-none-any.whl")
    made(given, "plugin-1.0-py3-none-any.whl", "albucore")
    found = wheels.gather(without("albucore"), tmp_path / "out", given=given, also=["plugin"])
    brought = {"plugin", "albucore", "pebbles", "rocks", "marble", "sand", "clay"}
    assert {wheel.name for wheel in found} == {"harness", SMP, *brought}


@pytest.mark.usefixtures("no_index")
def test_a_given_wheel_of_a_version_that_will_not_do_is_not_taken(tmp_path: Path) -> None:
    given = tmp_path / "given"
    made(given, "plugin-1.0-py3-none-any.whl", "sand<2")
    made(given, "sand-3.0-py3-none-any.whl")
    with pytest.raises(BundleError, match="has no wheel that meets sand<2"):
        wheels.gather(image.read(), tmp_path / "out", given=given, also=["plugin"])
    made(given, "sand-1.5-py3-none-any.whl")
    found = wheels.gather(image.read(), tmp_path / "out", given=given, also=["plugin"])
    assert [wheel.path.name for wheel in found if wheel.name == "sand"] == ["sand-1.5-py3-none-any.whl"]


@pytest.mark.usefixtures("no_index")
def test_what_was_gathered_is_checked_as_a_whole(tmp_path: Path) -> None:
    given = tmp_path / "given"
    made(given, "plugin-1.0-py3-none-any.whl", "sand", "rocks")
    made(given, "sand-3.0-py3-none-any.whl")
    made(given, "rocks-1.0-py3-none-any.whl", "sand<2")
    with pytest.raises(BundleError, match="rocks needs sand<2"):
        wheels.gather(image.read(), tmp_path / "out", given=given, also=["plugin"])


@pytest.mark.parametrize("compiled", ["py3-none-any", "cp311-cp311-linux_x86_64"])
def test_what_was_installed_from_a_place_of_the_user_s_is_never_fetched(
    compiled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "site" / "my_stones-0.1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-stones\nVersion: 0.1.0\n")
    (facts / "WHEEL").write_text(f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {compiled}\n")
    record = ["_my_stones.pth,sha256=AAA,1", "my_stones-0.1.0.dist-info/METADATA,sha256=AAA,1"]
    (facts / "RECORD").write_text("\n".join(record) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    made(tmp_path / "index", "my_stones-0.1.0-py3-none-any.whl")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    with pytest.raises(BundleError, match=r"my-stones was installed from a place of your own .* --wheels"):
        wheels.gather(image.read(), tmp_path / "one", also=["my-stones"])
    (facts / "direct_url.json").write_text('{"url": "file:///my", "dir_info": {"editable": true}}')
    made(tmp_path / "given", "plugin-1.0-py3-none-any.whl", "my-stones")
    with pytest.raises(BundleError, match=r"my-stones was installed from a place of your own .* --wheels"):
        wheels.gather(image.read(), tmp_path / "two", given=tmp_path / "given", also=["plugin"])


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


@pytest.mark.parametrize("wanted", ["torch>=2.6", "torchvision>=0.21", "numpy>=1.26"])
def test_what_an_image_is_compiled_against_is_never_brought(wanted: str, tmp_path: Path) -> None:
    name = Requirement(wanted).name
    old = image.Image("an old image", {**image.read().versions, name: Version("0.1.0")})  # type: ignore[dict-item]
    with pytest.raises(BundleError, match=rf"an old image has 0\.1\.0 of {name}, and {wanted} is needed"):
        wheels.gather(old, tmp_path)
