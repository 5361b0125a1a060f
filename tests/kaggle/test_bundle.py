"""What a bundle holds, what it refuses, and what Kaggle is told of it."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
import safetensors.numpy
from slugify import slugify

from harness import registry, runs
from harness.cli import main
from harness.errors import BundleError
from harness.kaggle import bundle as bundling
from harness.kaggle import metadata, notebook, place
from harness.kaggle.pages import Page, page_at, page_of
from tests.kit import run_small

SETTINGS = ("data.folds=2",)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    run_small("gemstones-images", SETTINGS, folder / "run", folder / "cache", sample_rows=12)
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> runs.Run:
    """A copy of it, to be damaged."""
    return runs.Run(Path(shutil.copytree(finished, tmp_path / "run")))


@pytest.fixture
def own_wheel_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is built: bundles of these tests are not installed."""
    monkeypatch.setattr("harness.kaggle.wheels.gather", lambda *_, **__: [])


def test_a_bundle_holds_weights_as_safetensors_and_otherwise_only_text_and_wheels(run: runs.Run) -> None:
    facts = bundling.make(run, bundling.Wanted("bob"))
    folder = Path(facts["bundle"])
    assert facts == {**place.read(folder), "bundle": str(folder)}
    endings = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert endings == {".safetensors", ".json", ".csv", ".whl", ".ipynb", ".py"}
    assert {path.name for path in (folder / "dataset").iterdir()} == {"dataset-metadata.json", "run", "wheels"}
    weights = sorted((folder / "dataset/run/weights").glob("*.safetensors"))
    assert [path.name for path in weights] == ["fold0.safetensors", "fold1.safetensors"]
    assert safetensors.numpy.load_file(weights[0])
    assert facts["wheels"][0]["file"] == "harness-0.1.0-py3-none-any.whl"
    for wheel in facts["wheels"]:
        content = (folder / "dataset" / "wheels" / wheel["file"]).read_bytes()
        assert wheel["sha256"] == hashlib.sha256(content).hexdigest()
    assert facts["convert_to_csv"] is False
    assert facts["dir_mode"] == "zip"


@pytest.mark.usefixtures("own_wheel_at_hand")
def test_the_same_run_makes_the_same_bundle(run: runs.Run, tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two", "two"):
        bundling.make(run, bundling.Wanted("bob"), tmp_path / name)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert contents[0] == contents[1] == contents[2]


@pytest.mark.parametrize("name", [*registry.names(), *registry.BUILT_IN])
@pytest.mark.parametrize("mode", ["predict", "run"])
def test_kaggle_takes_the_names_and_fields(name: str, mode: metadata.Mode) -> None:
    competition = registry.load(name)
    names = metadata.names_of("bob", competition.name, "0a1b2c", mode)
    page = page_of(competition)
    kernel = metadata.kernel(names, page, metadata.T4X2)
    dataset = metadata.dataset(names, competition.name, "words")
    assert slugify(kernel["title"]) == kernel["id"].split("/")[1]
    assert slugify(dataset["title"]) == dataset["id"].split("/")[1]
    assert all(6 <= len(facts["title"]) <= 50 for facts in (kernel, dataset))
    assert 20 <= len(dataset["subtitle"]) <= 80
    assert len(dataset["licenses"]) == 1
    assert kernel["is_private"] is dataset["isPrivate"] is True
    assert (kernel["enable_internet"], kernel["enable_gpu"], kernel["machine_shape"]) == (False, True, "NvidiaTeslaT4")
    assert kernel["docker_image_pinning_type"] == "original"
    assert kernel["code_file"] == "notebook.ipynb"
    assert kernel["id"].endswith(f"-0a1b2c-{mode}"), "each mode is a kernel of its own"
    assert dataset["licenses"][0]["name"] == "other"
    assert dataset["id"] in kernel["dataset_sources"]
    sources = kernel["competition_sources"] + kernel["dataset_sources"][1:]
    assert sources == ([page.ref] if page else [])
    assert bool(sources) == ("kaggle.com" in competition.source)


def test_every_field_that_the_client_reads_of_a_kernel_is_written() -> None:
    # found, not imported: the package signs in when it is imported
    found = importlib.util.find_spec("kaggle")
    assert found is not None
    assert found.submodule_search_locations is not None
    client = Path(found.submodule_search_locations[0]) / "api" / "kaggle_api_extended.py"
    tree = ast.parse(client.read_text(encoding="utf-8"))
    (push,) = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "kernels_push")
    read = set(re.findall(r"meta_data(?:\.get\(|, )'(\w+)'", ast.unparse(push)))
    kernel = metadata.kernel(metadata.names_of("bob", "x", "0a1b2c", "run"), None, "")
    assert len(read) > 12
    assert read - {"id_no"} == set(kernel)


@pytest.mark.parametrize(
    ("address", "kind", "reference"),
    [
        ("https://www.kaggle.com/c/some-race", "competition", "some-race"),
        ("https://kaggle.com/competitions/some-race/overview", "competition", "some-race"),
        ("https://www.kaggle.com/datasets/ann/stones", "dataset", "ann/stones"),
        ("https://www.kaggle.com/ann/stones", "dataset", "ann/stones"),
        ("https://example.org/c/some-race", "", ""),
    ],
)
def test_where_the_data_is_follows_from_the_page(address: str, kind: str, reference: str) -> None:
    assert page_at(address) == (Page(kind, reference) if kind else None)  # type: ignore[arg-type]


def test_the_owner_is_named_or_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kaggle.json").write_text('{"username": "carol", "key": "k"}')
    recorded = {"KAGGLE_CONFIG_DIR": str(tmp_path)}
    assert metadata.owner_of("bob", {"KAGGLE_USERNAME": "ann", **recorded}) == "bob"
    assert metadata.owner_of(None, {"KAGGLE_USERNAME": "ann", **recorded}) == "ann"
    assert metadata.owner_of(None, recorded) == "carol"
    (tmp_path / "kaggle.json").write_text("[")
    with pytest.raises(BundleError, match="--owner"):
        metadata.owner_of(None, recorded)
    with pytest.raises(BundleError, match="no Kaggle user name"):
        metadata.owner_of("../bob", recorded)


def test_the_machine_is_like_the_run_s_unless_named() -> None:
    assert [metadata.machine_of(None, device) for device in ("cpu", "cuda")] == ["", "NvidiaTeslaT4"]
    named = [metadata.machine_of(name, "cpu") for name in ("none", "t4x2", "NvidiaL4")]
    assert named == ["", "NvidiaTeslaT4", "NvidiaL4"]
    for name in ("TpuV5E8", "T4", "nvidiateslat4", "gpu", ""):
        with pytest.raises(
            BundleError, match=f"--accelerator {name}: .*TPU" if "Tpu" in name else "no machine of that name"
        ):
            metadata.machine_of(name, "cpu")


def test_notebook_and_script_are_the_same_program() -> None:
    settings = {"MODE": "predict", "COMPETITION": "x", "BUNDLE": "bob/y", "KIND": "", "REFERENCE": ""}
    made = notebook.cells(settings)
    book = notebook.notebook(made)
    nbformat.validate(nbformat.from_dict(book))
    script = notebook.script(made)
    compile(script, "script.py", "exec")
    code = [cell["source"] for cell in book["cells"] if cell["cell_type"] == "code"]
    assert all(source in script for source in code)
    namespace: dict[str, object] = {}
    exec(code[1], namespace)
    assert {name: namespace[name] for name in settings} == settings
    assert [cell.kind for cell in made].count("markdown") == 1


@pytest.mark.usefixtures("own_wheel_at_hand")
def test_the_command_says_what_it_made(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["bundle", str(finished), "--owner", "bob", "--out", "here", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["source"] == {"kind": "dataset", "reference": "lsind18/gemstones-images"}
    assert (facts["dir_mode"], facts["machine_shape"], facts["bundle"]) == ("zip", "", "here")
    kernel = json.loads((tmp_path / "here/kernel/kernel-metadata.json").read_text())
    assert kernel["dataset_sources"] == [facts["dataset"], "lsind18/gemstones-images"]
    main(["bundle", str(finished), "--owner", "bob", "--out", "here", "--accelerator", "t4x2"])
    assert "on NvidiaTeslaT4, private, no internet" in capsys.readouterr().out
