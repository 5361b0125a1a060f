"""What every adapter must keep; a new one is found by its file and inherits all of it, but for one number."""

from __future__ import annotations

import csv
import inspect
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness import listing, registry
from harness.config import override
from harness.pipeline import answer, fold, network, planning
from harness.pipeline.nets import CPU, build_net, fit_fold
from harness.pipeline.parts import Data
from harness.submission import grader, writer
from harness.training import loop
from tests.kit import SHIPPED, constant_answer, sample_data, sample_root, token_nats

# what a constant answer scores on each adapter's sample, see `constant_answer`
CONSTANT = {
    "ultrasound-nerve-segmentation": 7 / 20,  # the share of empty masks
    "lgg-mri-segmentation": 0.0,  # every volume has a lesion
    "camvid": 0.028190950225856163,  # all road
    "design-image-style-categorization": 0.08641975308641975,
    "gemstone-price": 1191.4966822971014,
    "gemstones-images": 6 / 20,  # the share of the first class
    "planet-understanding-the-amazon-from-space": 0.07054729584141349,
    "playground-series-s3e8": 6722.219559044468,
    "text-language-model": float(np.e),  # one nat for each token
}


def grade(data: Data, answers: Path, prediction: Path) -> float:
    competition = grader.mirrored(data.competition, answers)
    settings = {"submission": competition.submission, "metric": competition.metric, "task": competition.task}
    return grader.grade(prediction, answers, **settings)["value"]


@pytest.mark.parametrize("name", SHIPPED)
class TestContract:
    def test_the_adapter_is_short_named_after_its_file_and_pickles(self, name: str) -> None:
        competition = registry.load(name)
        file = Path(inspect.getfile(competition.train))
        assert competition.name == name == file.stem.replace("_", "-")
        assert len(file.read_text().splitlines()) <= 100
        assert "lambda" not in file.read_text()
        assert repr(pickle.loads(pickle.dumps(competition))) == repr(competition)

    def test_rows_are_read_in_the_same_order_twice_and_test_ids_are_the_submission_s(
        self, name: str, shared_cache: Path
    ) -> None:
        competition, root = sample_data(name, shared_cache)[0], sample_root(name, shared_cache)
        rows = competition.train(root)
        assert rows == competition.train(root)
        assert competition.target in rows
        test = competition.test(root)
        if test is None or competition.sample_submission is None:
            return
        found = listing.find_file(root, [competition.sample_submission])
        if found is None:  # a corpus has one only where it is a competition's
            assert competition.task.kind == "tokens"
            return
        with open(found, newline="", encoding="utf-8-sig") as handle:
            lines = list(csv.reader(handle))
        assert tuple(lines[0]) == competition.submission.header
        ids = [name for row in test.ids for name in competition.submission.ids(row)]
        assert ids == [line[0] for line in lines[1:]]

    def test_the_true_answers_score_the_metric_s_best(self, name: str, shared_cache: Path, tmp_path: Path) -> None:
        competition, _, data = sample_data(name, shared_cache)
        answers, perfect = tmp_path / "answers.csv", tmp_path / "perfect.csv"
        rows = range(len(data))
        writer.write_answers(answers, competition.submission, answer.truths(competition, data, rows))
        truths = ((identity, truth) for identity, truth, _, _ in answer.truths(competition, data, rows))
        writer.write_submission(perfect, competition.submission, truths)
        assert grade(data, answers, perfect) == pytest.approx(competition.metric.best, abs=1e-12)

    def test_a_constant_answer_scores_the_number_written_here(
        self, name: str, shared_cache: Path, tmp_path: Path
    ) -> None:
        competition, _, data = sample_data(name, shared_cache)
        answers, constant = tmp_path / "answers.csv", tmp_path / "constant.csv"
        rows = range(len(data))
        writer.write_answers(answers, competition.submission, answer.truths(competition, data, rows))
        given = ((data.rows.ids[row], competition.task.present(constant_answer(data, row))) for row in rows)
        writer.write_submission(constant, competition.submission, given)
        assert grade(data, answers, constant) == pytest.approx(CONSTANT[name], rel=1e-6)

    def test_no_group_is_in_two_folds(self, name: str, shared_cache: Path) -> None:
        competition, config, data = sample_data(name, shared_cache)
        plan = planning.plan_folds(competition, config, data)
        folds_of: dict[str, set[int]] = {}
        for value, number in zip(data.units, plan.fold.tolist(), strict=True):
            folds_of.setdefault(value, set()).add(number)
        assert all(len(numbers) == 1 for numbers in folds_of.values())
        assert set(plan.fold.tolist()) == set(range(plan.number))

    def test_predictions_do_not_depend_on_the_batch_size(self, name: str, shared_cache: Path, tmp_path: Path) -> None:
        competition, config, data = sample_data(name, shared_cache)
        plan = planning.plan_folds(competition, config, data)
        fitted = fit_fold(competition, config, data=data, plan=plan, fold=0)
        torch.manual_seed(0)
        net = build_net(competition, config, CPU, fitted=fitted).eval()
        found = []
        for batch in (1, 3):
            changed = override(config, [f"train.batch={batch}"])
            found.append(_predicted(net, fitted, competition, changed, data, list(range(3))))
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4, rtol=1e-4)

    def test_one_batch_overfits(self, name: str, shared_cache: Path) -> None:
        competition, config, data = sample_data(name, shared_cache, "train.augment=0", "model.text=gpt")
        plan = planning.plan_folds(competition, config, data)
        loop.seed_everything(0, 0)
        fitted = fit_fold(competition, config, data=data, plan=plan, fold=0)
        net = build_net(competition, config, CPU, fitted=fitted)
        examples = fold.stream(competition, config, data=data, plan=plan, fold=0, stage=0, fitted=fitted)
        batch = next(part for part in examples.batches(0, 9, batch=4, workers=0, pin=False) if _tells(part.target))
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
        losses = []
        for _ in range(60):
            assert batch.target is not None
            loss = fitted.task.loss(net(batch.inputs), batch.target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.25 * losses[0]


def _tells(target: torch.Tensor | None) -> bool:
    """Whether a batch has anything to learn: masks may all be empty."""
    return target is not None and bool((target != 0).any())


def _predicted(net: Any, fitted: Any, competition: Any, config: Any, data: Data, rows: list[int]) -> list[np.ndarray]:
    """The net's decoded predictions of some rows."""
    if data.tokens is not None:
        return token_nats(net, fitted, config, data, rows)
    part = list(network.decoded([net], fitted, data, rows, competition=competition, config=config, hardware=CPU))
    assert [row for row, _ in part] == rows
    return [prediction for _, prediction in part]
