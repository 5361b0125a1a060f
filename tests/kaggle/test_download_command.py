"""`harness download` from the command line to rows that the adapter reads, Planet's archives in archives included."""

from __future__ import annotations

import json
from pathlib import Path

import py7zr
import pytest

from harness import registry
from harness.cli import main
from harness.data import locate
from harness.data.materialise import write_sample
from tests.kaggle import world
from tests.kaggle.conftest import Given
from tests.kaggle.test_downloading import FILES, WHOLE, shipped

PLANET = "planet-understanding-the-amazon-from-space"


def planet(folder: Path) -> dict[str, bytes]:
    """A drawn sample as Kaggle ships Planet: each folder a tar in a 7z, each table a zip."""
    import tarfile

    root = write_sample(registry.load("planet"), rows=12, seed=0, cache=folder)
    files = {}
    for name in ("train-jpg", "test-jpg", "test-jpg-additional"):
        with tarfile.open(folder / f"{name}.tar", "w") as bundle:
            bundle.add(root / name, name)
        with py7zr.SevenZipFile(folder / f"{name}.tar.7z", "w") as packed:
            packed.write(folder / f"{name}.tar", f"{name}.tar")
        files[f"{name}.tar.7z"] = (folder / f"{name}.tar.7z").read_bytes()
    for name in ("train_v2.csv", "sample_submission_v2.csv"):
        files[f"{name}.zip"] = shipped({name: (root / name).read_bytes(), f"__MACOSX/._{name}": b"fork"})
    return {**files, "Kaggle-planet-train-tif.torrent": b"d8:announce"}


def told(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_planet_arrives_unpacked_and_its_adapter_reads_it(
    kaggle: Given, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = planet(tmp_path / "drawn")
    kaggle.kaggle.contests[PLANET] = world.Contest(files={**files, f"{PLANET}.zip": shipped(files)})
    main(["download", "planet", "--json"])
    facts = told(capsys)
    assert (facts["competition"], facts["path"], facts["files"]) == (PLANET, f"data/{PLANET}", 6)
    assert (facts["schema"], facts["downloaded"]) == (1, len(shipped(files)))
    competition = registry.load("planet")
    root = locate.locate(competition, None)
    train, test = competition.train(root), competition.test(root)
    assert (len(train), test is not None and len(test)) == (12, 4)
    assert all(Path(path).is_file() for path in train["image"])
    main(["download", "planet"])
    assert capsys.readouterr().out == f"data/{PLANET}: there already, as Kaggle has it\n"


def test_planet_without_what_is_not_needed(kaggle: Given, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = planet(tmp_path / "drawn")
    kaggle.kaggle.contests[PLANET] = world.Contest(files=files)
    main(["download", "planet", "--file", "train-jpg.tar.7z", "--file", "train_v2.csv.zip", "--json"])
    assert told(capsys)["files"] == 2
    competition = registry.load("planet")
    assert len(competition.train(locate.locate(competition, None))) == 12


def test_a_slug_without_an_adapter_and_a_data_set_come_to_their_own_names(
    kaggle: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    kaggle.kaggle.contests["toy"].files = {**FILES, "toy.zip": WHOLE}
    kaggle.kaggle.datasets["lsind18/gemstones-images"] = world.Dataset(
        [{**FILES, "gemstones-images.zip": WHOLE}], 0, {}
    )
    for name, path in (("toy", "data/toy.zip"), ("gemstones-images", "data/gemstones-images.zip")):
        main(["download", name, "--json"])
        assert told(capsys)["path"] == path
    main(["download", "toy", "--out", "elsewhere", "--json"])
    assert told(capsys)["path"] == "elsewhere/toy.zip"


def test_files_are_listed_and_nothing_is_downloaded(kaggle: Given, capsys: pytest.CaptureFixture[str]) -> None:
    kaggle.kaggle.contests["toy"].files = {**FILES, "toy.zip": WHOLE}
    main(["download", "toy", "--list"])
    assert capsys.readouterr().out.splitlines() == ["          4,500  train.csv", "      1,000,000  pictures/1.bin"]
    main(["download", "toy", "--list", "--json"])
    assert told(capsys)["files"][0] == {"name": "train.csv", "bytes": 4500}
    assert not Path("data").exists()


@pytest.mark.parametrize("layout", [PLANET, f"competitions/{PLANET}", "planet"])
def test_in_a_kernel_what_is_mounted_is_named(
    kaggle: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], layout: str
) -> None:
    monkeypatch.setenv("HARNESS_KAGGLE", str(tmp_path / "root"))
    place = tmp_path / "root" / "input" / layout
    place.mkdir(parents=True)
    kaggle.kaggle.contests[PLANET] = world.Contest(accepted=False)
    with pytest.raises(SystemExit):
        main(["download", "planet"])  # an empty mount is none
    (place / "train_v2.csv").write_text("image_name,tags\n")
    capsys.readouterr()
    main(["download", "planet", "--json"])
    assert told(capsys)["path"] == str(place)
    assert locate.locate(registry.load("planet"), None) == place


def test_a_data_set_s_newer_mount_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_KAGGLE", str(tmp_path))
    place = tmp_path / "input" / "datasets" / "mateuszbuda" / "lgg-mri-segmentation"
    place.mkdir(parents=True)
    (place / "data.csv").write_text("x")
    main(["download", "lgg"])
    assert capsys.readouterr().out == f"{place}: mounted here, nothing to download\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("camvid", "camvid is not on Kaggle: its source is https://github.com/.*; get it so: "),
        ("gemstone", "'gemstone' fits gemstone-price, gemstones-images; give more letters"),
        ("toy", "accept the rules at https://www.kaggle.com/competitions/toy/rules"),
        ("no/such", "Kaggle refuses .*; check that it is yours, or public"),
    ],
)
def test_what_cannot_be_had_is_one_line(
    kaggle: Given, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    import re

    kaggle.kaggle.contests["toy"].accepted = False
    with pytest.raises(SystemExit) as stop:
        main(["download", name])
    assert stop.value.code == 2
    shown = capsys.readouterr().err.strip()
    assert re.search(words, shown), shown
    assert len(shown.splitlines()) == 1


def test_a_wrong_key_is_one_line_without_it(
    kaggle: Given, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "wr0ng")
    with pytest.raises(SystemExit):
        main(["download", "toy"])
    shown = capsys.readouterr().err
    assert "Kaggle does not take the credential" in shown
    assert "wr0ng" not in shown
