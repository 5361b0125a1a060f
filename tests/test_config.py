"""Keys, values and presets of a configuration."""

from __future__ import annotations

import json
import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import registry
from harness.config import Dimension, Stage, TrainConfig, as_json, from_json, keys, override, with_epochs
from harness.errors import ConfigError
from harness.presets import PRESETS

TWO_STAGES = TrainConfig(stages=(Stage("small", 3, (64, 64)), Stage("large", 1)))
positive = st.floats(1e-6, 1e3)
words = st.text(string.ascii_letters + string.digits + "_./", min_size=1, max_size=12)
settings_of_any_key = st.one_of(
    positive.map("train.rate={}".format),
    st.integers(1, 512).map("train.batch={}".format),
    st.tuples(st.integers(8, 999), st.integers(8, 999)).map("train.size={0[0]}x{0[1]}".format),
    st.just("train.size=none"),
    st.floats(0, 1).map("train.augment={}".format),
    st.integers(-1, 8).map("train.workers={}".format),
    st.lists(st.integers(1, 512), min_size=1, max_size=6).map(lambda c: f"model.decoder={','.join(map(str, c))}"),
    words.map("model.encoder={}".format),
    st.one_of(st.none(), st.integers(2, 20)).map("data.folds={}".format),
    st.sampled_from(["folds", "published"]).map("data.split={}".format),
    st.tuples(positive, positive).map(lambda c: f"space.rate={min(c)},{max(c) * 2}"),
    st.tuples(positive, positive).map(lambda c: f"space.weight_decay={min(c)}:{max(c) * 2}:log"),
    st.sampled_from(["space.batch=8:64", "space.flip=", "space.model.text=lstm|gpt", "space.blurpool=true|false"]),
    positive.map("stages.1.epochs={}".format),
    st.sampled_from(["auto", "fp16", "bf16", "fp32"]).map("precision={}".format),
    st.integers(0, 2**32 - 1).map("seed={}".format),
)


def refusal(*settings: str) -> str:
    with pytest.raises(ConfigError) as caught:
        override(TWO_STAGES, settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("train.rate=1e-4", lambda config: config.train.rate == 1e-4),
        ("train.batch=3", lambda config: config.train.batch == 3),
        ("train.size=96x128", lambda config: config.train.size == (96, 128)),
        ("train.size=96,128", lambda config: config.train.size == (96, 128)),
        ("train.size=none", lambda config: config.train.size is None),
        ("model.encoder=resnet18", lambda config: config.model.encoder == "resnet18"),
        ("model.decoder=8,4", lambda config: config.model.decoder == (8, 4)),
        ("data.folds=7", lambda config: config.data.folds == 7),
        ("data.folds=none", lambda config: config.data.folds is None),
        ("data.split=published", lambda config: config.data.split == "published"),
        ("space.rate=1e-5,1e-2", lambda config: config.space.rate == (1e-5, 1e-2)),
        ("report.resamples=10", lambda config: config.report.resamples == 10),
        ("stages.1.epochs=2.5", lambda config: [stage.epochs for stage in config.stages] == [3, 2.5]),
        ("stages.0.size=none", lambda config: config.stages[0].size is None),
        ("precision=bf16", lambda config: config.precision == "bf16"),
        ("weights=/a=b/c", lambda config: config.weights == "/a=b/c"),
        (" seed = 5 ", lambda config: config.seed == 5),
    ],
)
def test_a_setting_changes_its_key(setting, read) -> None:
    changed = override(replace(TWO_STAGES, seed=1), [setting])
    assert read(changed)


def test_later_settings_win_and_the_configuration_given_stays_as_it_was() -> None:
    assert override(TWO_STAGES, ["train.rate=1", "train.rate=2"]).train.rate == 2
    assert TWO_STAGES.train.rate == TrainConfig().train.rate


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("train.rat=1", "did you mean 'train.rate'?"),
        ("trian.rate=1", "did you mean 'train.rate'?"),
        ("rate=1", "did you mean 'train.rate' or 'space.rate'?"),
        ("encodr=x", "did you mean 'model.encoder'?"),
        ("train.rate.peak=1", "did you mean 'train.rate'?"),
        ("stages.3.epochs=1", "did you mean 'stages.1.epochs'?"),
        ("stages.2.epoch=1", "did you mean 'stages.2.epochs'?"),
        ("train.zzz=1", "known: train.rate, train.schedule"),
        ("zzz=1", "known: train.rate, train.schedule"),
    ],
)
def test_an_unknown_key_is_answered_with_what_may_be_meant(setting, told) -> None:
    message = refusal(setting)
    assert f"unknown key '{setting.partition('=')[0]}'" in message
    assert told in message


def test_a_setting_is_searched_by_its_last_word_as_numbers_or_choices() -> None:
    settings = ["space.weight_decay=1e-4:1e-1:log", "space.train.batch=8:64", "space.flip=", "space.layers=2|3"]
    config = override(TrainConfig(), settings)
    assert config.space.dimensions == (
        Dimension("train.weight_decay", 1e-4, 1e-1, log=True),
        Dimension("train.batch", 8, 64, whole=True),
        Dimension("train.flip", choices=("random", "alternating")),
        Dimension("model.layers", choices=("2", "3")),
    )
    assert from_json(json.loads(json.dumps(as_json(config)))) == config
    assert override(config, ["space.batch=4:8"]).space.dimensions[-1] == Dimension("train.batch", 4, 8, whole=True)
    assert override(config, ["space.rate=1e-4:1e-2:log", "space.epochs=2:8"]).space.epochs == (2, 8)


@pytest.mark.parametrize(
    "key", ["size", "train.workers", "seed", "data.folds", "train.rate", "mixup", "encoder", "zzz"]
)
def test_what_would_change_the_rows_or_only_the_speed_is_not_searched(key) -> None:
    assert f"unknown key 'space.{key}'" in refusal(f"space.{key}=1:2")


@pytest.mark.parametrize("group", ["train", "stages", "stages.0", "data"])
def test_a_group_of_keys_is_answered_with_its_keys(group) -> None:
    message = refusal(f"{group}=1")
    assert f"'{group}' is a group of keys" in message
    assert f"{group}." in message.partition("set one of")[2]


@pytest.mark.parametrize(
    "setting",
    [
        "train.rate",
        "train.rate=fast",
        "train.rate=-1",
        "train.rate=0",
        "train.rate=nan",
        "train.rate=inf",
        "train.batch=1.5",
        "train.batch=0",
        "train.size=96",
        "train.size=axb",
        "train.size=1x2x3",
        "train.size=4x4",
        "train.ema=1",
        "train.warmup=0",
        "train.augment=1.1",
        "train.weight_decay=-1",
        "train.clip=0",
        "train.save_every=0",
        "train.workers=-2",
        "model.decoder=",
        "model.decoder=8,0",
        "model.dropout=1",
        "data.folds=1",
        "data.holdout=1",
        "data.split=random",
        "space.rate=1,1e-3",
        "space.folds=0",
        "space.weight_decay=1",
        "space.weight_decay=1:0",
        "space.weight_decay=0:1:log",
        "space.weight_decay=0:1:linear",
        "space.batch=1.5:3",
        "space.flip=random|sideways",
        "space.warmup=0:2",
        "space.dropout=0.1:3",
        "space.flip=1:2",
        "report.confidence=1",
        "report.resamples=0",
        "stages.0.epochs=0",
        "stages.0.size=1x1",
        "precision=fp8",
        "seed=-1",
        "seed=4294967296",
    ],
)
def test_a_bad_value_is_refused_with_its_key(setting) -> None:
    assert setting.split("=")[0].split(".")[-1] in refusal(setting)


@given(st.lists(settings_of_any_key, max_size=5))
def test_a_configuration_survives_json(changes) -> None:
    config = override(TWO_STAGES, changes)
    assert from_json(json.loads(json.dumps(as_json(config)))) == config


def test_json_with_a_key_of_another_version_is_refused() -> None:
    value = as_json(TrainConfig())
    value["train"]["rhythm"] = 3
    with pytest.raises(ConfigError, match="rhythm"):
        from_json(value)


def test_every_key_listed_can_be_set_to_the_value_it_has() -> None:
    config = override(TWO_STAGES, ["train.size=64x64", "data.folds=3", "stages.1.size=64x64"])
    for key in keys(config):
        value = config
        for part in key.split("."):
            value = value[int(part)] if isinstance(value, tuple) else getattr(value, part)
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        assert override(config, [f"{key}={text}"]) == config


def test_the_number_after_the_last_stage_is_a_new_one() -> None:
    config = override(TrainConfig(), ["stages.1.epochs=3", "stages.1.size=64x64", "stages.2.name=last"])
    assert [(stage.name, stage.epochs) for stage in config.stages] == [("train", 10), ("stage1", 3), ("last", 10)]
    assert config.stages[1].size == (64, 64)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("stages.0.freeze=maybe", "true or false"),
        ("stages.0.rates=0.1,0.01", "low,high"),
        ("stages.0.name=a/b", "part of a file name"),
        ("stages.1.name=train", "a name of its own"),
        ("train.cooldown=0.9", "1 - train.warmup"),
        ("train.schedule=linear", "one of one-cycle, cosine"),
    ],
)
def test_stages_and_schedules_that_cannot_be_are_refused(setting: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        override(TrainConfig(), [setting])


@given(st.lists(st.floats(0.1, 50), min_size=1, max_size=4), st.floats(0.1, 100))
def test_a_total_of_epochs_is_shared_in_proportion(epochs, total) -> None:
    config = with_epochs(
        TrainConfig(stages=tuple(Stage(f"stage{number}", one) for number, one in enumerate(epochs))), total
    )
    assert sum(stage.epochs for stage in config.stages) == pytest.approx(total)
    for before, stage in zip(epochs, config.stages, strict=True):
        assert stage.epochs / total == pytest.approx(before / sum(epochs))


@pytest.mark.parametrize("total", [0, -3, float("nan"), float("inf")])
def test_a_total_of_epochs_that_is_none_is_refused(total) -> None:
    with pytest.raises(ConfigError, match="epochs"):
        with_epochs(TrainConfig(), total)


def test_presets_change_nothing_but_what_they_return() -> None:
    presets = [*PRESETS.values(), *(p for name in registry.names() for p in registry.load(name).presets.values())]
    for preset in presets:
        before = as_json(TWO_STAGES)
        assert preset(TWO_STAGES) == preset(TWO_STAGES)
        assert as_json(TWO_STAGES) == before


def test_the_standard_preset_is_the_defaults_and_best_doubles_the_epochs() -> None:
    assert PRESETS["standard"](TWO_STAGES) == TWO_STAGES
    assert [stage.epochs for stage in PRESETS["best"](TWO_STAGES).stages] == [6, 2]


@pytest.mark.parametrize("name", ["leaks", "duplicates"])
def test_what_protects_a_score_is_turned_off_with_a_reason_only(name: str) -> None:
    config = override(TrainConfig(), [f"data.{name}=ignore: the names are the labels"])
    assert config.data.ignored(name) == "the names are the labels"  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"data.{name}=ignore"):
        override(TrainConfig(), [f"data.{name}=ignore"])
