"""Planet, design styles and gemstones: what they read from their samples, real files and damaged ones."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from harness import registry
from harness.competition import Competition
from harness.data import samples_labels
from harness.data.materialise import write_sample
from harness.data.unpack import unpack
from harness.errors import DataError
from harness.rows import Rows
from harness.tasks import SingleLabel

PLANET, DESIGN, STONES = (
    "planet-understanding-the-amazon-from-space",
    "design-image-style-categorization",
    "gemstones-images",
)
SIZE = (8, 8)


def sample(name: str, cache: Path) -> Path:
    return write_sample(registry.load(name), rows=20, seed=0, cache=cache)


def copied(name: str, cache: Path, to: Path) -> Path:
    """A copy of the sample that a test may damage."""
    return Path(shutil.copytree(sample(name, cache), to / "data"))


def adapted(name: str, root: Path) -> Competition:
    competition = registry.load(name)
    return competition.adapt(competition, root)


def rows_to_test(competition: Competition, root: Path) -> Rows:
    rows = competition.test(root)
    assert rows is not None
    return rows


@pytest.mark.parametrize("name", [PLANET, DESIGN, STONES])
def test_samples_are_pure_functions_of_rows_and_seed(name: str) -> None:
    draw = registry.load(name).sample
    first, again, other = (
        {path: bytes(content) if not isinstance(content, str) else content for path, content in draw(20, seed)}
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", [PLANET, DESIGN, STONES])
def test_an_adapted_competition_pickles_and_knows_all_labels_of_its_rows(name: str, shared_cache: Path) -> None:
    competition = adapted(name, sample(name, shared_cache))
    # partial functions are equal by identity only
    assert repr(pickle.loads(pickle.dumps(competition))) == repr(competition)
    rows = competition.train(sample(name, shared_cache))
    assert len(rows) == 20
    assert competition.task.learn(rows[competition.target]) == competition.task
    fresh = registry.load(name).task.learn(rows[competition.target])
    assert fresh.outputs == competition.task.outputs > 0


@pytest.mark.parametrize("name", [PLANET, DESIGN, STONES])
def test_every_target_survives_the_way_through_the_submission(name: str, shared_cache: Path) -> None:
    competition = adapted(name, sample(name, shared_cache))
    rows, task, submission = competition.train(sample(name, shared_cache)), competition.task, competition.submission
    for identity, cell in zip(rows.ids, rows[competition.target], strict=True):
        encoded = task.encode(cell, "file")
        written = submission.write(identity, task.present(encoded))
        assert [row[0] for row in written] == submission.ids(identity)
        for column, text in zip(submission.header[1:], written[0][1:], strict=True):
            assert submission.cells[column](text, SIZE) is None
        assert (task.encode(submission.read([row[1:] for row in written], SIZE), "file") == encoded).all()


def test_a_tag_said_twice_counts_once(shared_cache: Path) -> None:
    root = sample(PLANET, shared_cache)
    rows = registry.load(PLANET).train(root)
    assert rows.ids == [f"train_{number}" for number in range(20)]
    assert "train_7,primary partly_cloudy agriculture water primary\n" in (root / "train_v2.csv").read_text()
    assert rows["tags"][7] == ("primary", "partly_cloudy", "agriculture", "water")


def test_test_chips_stand_in_the_sample_s_order_and_without_it_folder_by_folder(
    shared_cache: Path, tmp_path: Path
) -> None:
    root, competition = copied(PLANET, shared_cache, tmp_path), registry.load(PLANET)
    order = ["test_0", "test_1", "test_2", "test_3", "file_0", "file_1"]
    assert rows_to_test(competition, root).ids == order
    assert [Path(path).stem for path in rows_to_test(competition, root)["image"]] == order
    table = root / "sample_submission_v2.csv"
    lines = table.read_text().splitlines()
    table.write_text("\r\n".join([lines[0], *reversed(lines[1:])]) + "\r\n")
    assert rows_to_test(competition, root).ids == order[::-1]
    table.unlink()
    assert rows_to_test(competition, root).ids == order
    shutil.rmtree(root / "test-jpg")
    shutil.rmtree(root / "test-jpg-additional")
    assert competition.test(root) is None


def test_planet_in_planet_other_table_names_and_a_folder_in_its_namesake_are_read(
    shared_cache: Path, tmp_path: Path
) -> None:
    competition, root = registry.load(PLANET), tmp_path / "planets" / "planet" / "planet"
    shutil.copytree(sample(PLANET, shared_cache), root)
    (root / "train_v2.csv").rename(root / "train_classes.csv")
    (root / "sample_submission_v2.csv").rename(root / "sample_submission.csv")
    inner = root / "test-jpg-additional" / "test-jpg-additional"
    inner.mkdir()
    for path in (root / "test-jpg-additional").glob("*.jpg"):
        path.rename(inner / path.name)
    assert len(competition.train(tmp_path / "planets")) == 20
    assert rows_to_test(competition, tmp_path / "planets").ids[-1] == "file_1"


def test_tags_that_differ_from_planet_s_are_told(shared_cache: Path, tmp_path: Path) -> None:
    root = copied(PLANET, shared_cache, tmp_path)
    assert adapted(PLANET, root).told[0] == "labels: 10, among them 10 of Planet's 17"
    (root / "train_v2.csv").write_text("image_name,tags\ntrain_0,road car\n")
    told = adapted(PLANET, root).told
    assert told[1] == "labels that are not Planet's: car"
    assert told[2].startswith("Planet's labels that do not occur: agriculture, artisinal_mine")


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("train_v2.csv", "image_name,tags\ntrain_0,road\ntrain_99,road\n", "row 3: the picture 'train_99' is missing"),
        ("train_v2.csv", "image_name,tags\ntrain_0,road\ntrain_1, \n", "row 3: no tags"),
        ("train_v2.csv", "image_name,tags\ntrain_0,road\ntrain_0,water\n", "row 3: the id 'train_0' has"),
        ("train_v2.csv", "image_name,labels\ntrain_0,road\n", "row 1: no column 'tags'"),
        ("sample_submission_v2.csv", "image_name,tags\ntest_8,road\n", "row 2: the picture 'test_8' is missing"),
        ("sample_submission_v2.csv", "", "an empty table"),
    ],
)
def test_a_damaged_table_is_told_with_file_and_row(
    file: str, text: str, problem: str, shared_cache: Path, tmp_path: Path
) -> None:
    root, competition = copied(PLANET, shared_cache, tmp_path), registry.load(PLANET)
    (root / file).write_text(text)
    with pytest.raises(DataError) as caught:
        (competition.train if file == "train_v2.csv" else competition.test)(root)
    assert problem in str(caught.value)
    assert str(root / file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_table_and_no_pictures_are_told(shared_cache: Path, tmp_path: Path) -> None:
    root = copied(PLANET, shared_cache, tmp_path)
    shutil.rmtree(root / "train-jpg")
    with pytest.raises(DataError, match="names 20 chips, but no folder train-jpg holds any; unpack"):
        registry.load(PLANET).train(root)
    (root / "train_v2.csv").unlink()
    with pytest.raises(DataError, match=r"no train_v2\.csv"):
        registry.load(PLANET).train(root)


def test_labels_alone_are_refused_and_other_tags_in_planet_s_layout_are_read(
    real_data: Path, shared_cache: Path
) -> None:
    with pytest.raises(DataError, match="names 40479 chips, but no folder train-jpg"):
        registry.load(PLANET).train(unpack(real_data / "planet-labels-only.zip", cache=shared_cache))
    root = unpack(real_data / "planet-layout-street-tags.zip", cache=shared_cache)
    competition = adapted(PLANET, root)
    rows = competition.train(root)
    assert (len(rows), competition.task.outputs) == (377, 11)
    assert rows["tags"][5] == ("building", "car", "pedestrian", "road", "sky")
    assert sum("road" in tags for tags in rows["tags"]) == 199
    assert rows_to_test(competition, root).ids == [f"test_{number}" for number in range(95)]
    assert competition.told[0] == "labels: 11, among them 1 of Planet's 17"


def test_labels_are_folder_names_with_spaces_and_ids_paths(shared_cache: Path) -> None:
    root = sample(STONES, shared_cache)
    competition = adapted(STONES, root)
    rows, test = competition.train(root), rows_to_test(competition, root)
    assert competition.task == SingleLabel(tuple(samples_labels.STONES))
    assert rows.row(4) == {
        "id": "Amethyst/amethyst_12.jpg",
        "image": str(root / "train" / "Amethyst" / "amethyst_12.jpg"),
        "label": "Amethyst",
    }
    assert list(test["label"]) == list(samples_labels.STONES)
    assert test.ids[1] == "Black Onyx/black onyx_12.jpg"


def test_the_sample_repeats_pictures_as_the_real_set_does(shared_cache: Path) -> None:
    root = sample(STONES, shared_cache)
    places: dict[bytes, list[str]] = {}
    for path in sorted(root.rglob("*.jpg")):
        places.setdefault(path.read_bytes(), []).append(path.relative_to(root).parent.as_posix())
    assert sorted(twice for twice in places.values() if len(twice) > 1) == [
        ["test/Amethyst", "train/Amethyst", "train/Rose Quartz"],
        ["test/Black Onyx", "train/Lapis Lazuli"],
    ]


def test_missing_folders_and_empty_classes_are_told(shared_cache: Path, tmp_path: Path) -> None:
    root, competition = copied(STONES, shared_cache, tmp_path), registry.load(STONES)
    (root / "train" / "Onyx Green").mkdir()
    with pytest.raises(DataError, match=r"Onyx Green: a class without pictures"):
        competition.train(root)
    shutil.rmtree(root / "test")
    assert competition.test(root) is None
    shutil.rmtree(root / "train")
    with pytest.raises(DataError, match="no folder 'train'"):
        competition.train(root)


def test_the_real_gemstones_are_29_classes_all_known_in_training(real_data: Path, shared_cache: Path) -> None:
    root = unpack(real_data / f"{STONES}.zip", cache=shared_cache)
    competition = adapted(STONES, root)
    rows, test = competition.train(root), rows_to_test(competition, root)
    assert (len(rows), len(test), competition.task.outputs) == (213, 57, 29)
    assert set(test["label"]) == set(rows["label"])
    assert min(rows["label"].count(label) for label in set(rows["label"])) == 2
    assert (rows.ids[0], rows.ids[14]) == ("Amethyst/amethyst_0.jpg", "Black Onyx/black onyx_0.jpg")
    assert competition.told == ("29 classes, of 87 in the whole set",)
