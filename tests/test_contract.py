"""What every adapter must keep; a new one is added to the list of names and inherits all of it."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import registry
from harness.data import loader
from harness.pipeline import answer, fold, hardware, preparation
from harness.submission import grader, writer
from harness.training import loop
from tests.kit import SHIPPED, sample_data, sample_root

# the all-empty answer on each adapter's sample: the share of empty masks; nothing for a volume with a lesion
CONSTANT = {"ultrasound-nerve-segmentation": 7 / 20, "lgg-mri-segmentation": 0.0}
CPU = hardware.Hardware("cpu", "fp32", None)


@pytest.mark.parametrize("name", SHIPPED)
class TestContract:
    def test_the_adapter_is_short_named_after_its_file_and_pickles(self, name: str) -> None:
        competition = registry.load(name)
        file = Path(inspect.getfile(competition.train))
        assert competition.name == name == file.stem.replace("_", "-")
        assert len(file.read_text().splitlines()) <= 100
        assert "lambda" not in file.read_text()
        assert pickle.loads(pickle.dumps(competition)) == competition

    def test_rows_are_read_in_the_same_order_twice_and_test_ids_are_the_submission_s(
        self, name: str, shared_cache: Path
    ) -> None:
        competition, root = registry.load(name), sample_root(name, shared_cache)
        rows = competition.train(root)
        assert rows == competition.train(root)
        assert {competition.picture.column, competition.target} <= set(rows.columns)
        test = competition.test(root)
        if test is not None:
            assert competition.picture.column in test
            assert competition.sample_submission is not None
            with open(root / competition.sample_submission, newline="") as handle:
                lines = list(csv.reader(handle))
            assert tuple(lines[0]) == competition.submission.header
            ids = [name for row in test.ids for name in competition.submission.ids(row)]
            assert ids == [line[0] for line in lines[1:]]

    def test_the_true_answers_score_the_metric_s_best(self, name: str, shared_cache: Path, tmp_path: Path) -> None:
        competition, _, data = sample_data(name, shared_cache)
        answers, perfect = tmp_path / "answers.csv", tmp_path / "perfect.csv"
        rows = range(len(data.train))
        writer.write_answers(answers, competition.submission, answer.truths(competition, data, rows))
        truths = ((identity, truth) for identity, truth, _, _ in answer.truths(competition, data, rows))
        writer.write_submission(perfect, competition.submission, truths)
        result = grader.grade(perfect, answers, submission=competition.submission, metric=competition.metric)
        assert result["value"] == competition.metric.best

    def test_a_constant_answer_scores_the_number_written_here(
        self, name: str, shared_cache: Path, tmp_path: Path
    ) -> None:
        competition, _, data = sample_data(name, shared_cache)
        answers, constant = tmp_path / "answers.csv", tmp_path / "constant.csv"
        rows = range(len(data.train))
        writer.write_answers(answers, competition.submission, answer.truths(competition, data, rows))
        empty = ((data.train.ids[row], np.zeros(data.pictures.sizes[row], dtype=bool)) for row in rows)
        writer.write_submission(constant, competition.submission, empty)
        result = grader.grade(constant, answers, submission=competition.submission, metric=competition.metric)
        assert result["value"] == pytest.approx(CONSTANT[name], abs=1e-12)

    def test_no_group_is_in_two_folds(self, name: str, shared_cache: Path) -> None:
        competition, config, data = sample_data(name, shared_cache)
        plan = preparation.plan_folds(competition, config, data)
        group = competition.folds.group
        assert group is not None
        folds_of: dict[str, set[int]] = {}
        for value, number in zip(data.train[group], plan.fold.tolist(), strict=True):
            folds_of.setdefault(value, set()).add(number)
        assert all(len(numbers) == 1 for numbers in folds_of.values())
        assert set(plan.fold.tolist()) == set(range(plan.number))

    def test_predictions_do_not_depend_on_the_batch_size(self, name: str, shared_cache: Path) -> None:
        competition, config, data = sample_data(name, shared_cache)
        torch.manual_seed(0)
        net = hardware.build_net(competition, config, CPU).eval()
        planes = []
        for batch in (1, 3):
            batches = loader.prediction_batches(
                data.pictures, range(7), name=competition.picture.column, size=(64, 64), batch=batch
            )
            with torch.inference_mode():
                planes.append(torch.cat([competition.task.decode(net(part.inputs)) for part in batches]))
        assert torch.allclose(planes[0], planes[1], atol=1e-5)

    def test_one_batch_overfits(self, name: str, shared_cache: Path) -> None:
        competition, config, data = sample_data(name, shared_cache, "train.augment=0")
        plan = preparation.plan_folds(competition, config, data)
        loop.seed_everything(0, 0)
        net = hardware.build_net(competition, config, CPU)
        areas = data.areas()
        masked = [row for row in plan.training(0).tolist() if areas[row] > 0][:4]
        examples = dataclasses.replace(
            fold.stream(competition, config, data=data, plan=plan, fold=0, stage=0), rows=np.array(masked)
        )
        batch = next(iter(examples.batches(0, 1, batch=4, workers=0, pin=False)))
        assert batch.target is not None
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
        losses = []
        for _ in range(60):
            loss = competition.task.loss(net(batch.inputs), batch.target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.25 * losses[0]
