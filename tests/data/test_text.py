"""Text into tokens, ids, blocks, and windows for training and scoring."""

from __future__ import annotations

import hashlib
import json
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.batch import Batch
from harness.data.stretches import UNSCORED, evaluation_windows, row_lengths
from harness.data.text import Unit, Vocabulary, blocks, tokenize
from harness.data.windows import Order, TextWindows

ORDERS: tuple[Order, ...] = ("sequential", "shuffled")
RUNS = [np.arange(0, 100, dtype=np.int32), np.arange(500, 553, dtype=np.int32)]  # a token tells its place


def windows(order: Order, *, context: int = 6, seed: int = 3) -> TextWindows:
    return TextWindows(RUNS, context, order, seed=seed, fold=1, stage=0)


def fingerprint(batches: list[Batch]) -> str:
    whole = hashlib.blake2b(digest_size=8)
    for batch in batches:
        assert batch.target is not None
        for tensor in (batch.inputs["tokens"], batch.inputs["fresh"], batch.target, batch.rows):
            whole.update(str(tensor.shape).encode() + tensor.numpy().tobytes())
    return whole.hexdigest()


class TestTokens:
    def test_every_line_ends_in_eos_even_a_blank_one(self) -> None:
        assert tokenize("a b\n\n c", "word") == ["a", "b", "<eos>", "<eos>", "c", "<eos>"]

    def test_a_final_newline_starts_no_line_and_two_start_one(self) -> None:
        assert tokenize("a\n", "word") == ["a", "<eos>"]
        assert tokenize("a\n\n", "word") == ["a", "<eos>", "<eos>"]
        assert tokenize("\n", "word") == ["<eos>"]
        assert tokenize("", "word") == []

    def test_carriage_returns_are_no_words(self) -> None:
        assert tokenize("a b\r\n\r\nc\r\n", "word") == tokenize("a b\n\nc\n", "word")

    def test_characters_and_bytes_keep_the_whole_text(self) -> None:
        assert tokenize("é\n", "char") == ["é", "\n"]
        assert tokenize("é\n", "byte") == ["\xc3", "\xa9", "\n"]

    def test_wikitext_2_has_its_published_counts(self, real_data: Path) -> None:
        archive = zipfile.ZipFile(real_data / "wikitext-2.zip")
        text = {name: archive.read(f"wikitext-2/{name}.txt").decode() for name in ("train", "valid", "test")}
        # the sample's train and valid are WikiText-2's validation file, cut in two
        assert len(tokenize(text["train"], "word")) + len(tokenize(text["valid"], "word")) == 217_646
        assert len(tokenize(text["test"], "word")) == 245_569


class TestBlocks:
    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 60), st.integers(1, 12))
    def test_no_token_is_dropped_or_doubled(self, count: int, size: int) -> None:
        tokens = [str(index) for index in range(count)]
        found = blocks(tokens, size)
        assert [token for _, part in found for token in part] == tokens
        assert all(tokens[first] == part[0] for first, part in found)
        assert all(size / 2 <= len(part) < 3 * size / 2 for _, part in found[1:])

    def test_a_short_last_block_joins_the_one_before(self) -> None:
        assert [(first, len(part)) for first, part in blocks(["x"] * 24, 10)] == [(0, 10), (10, 14)]
        assert [(first, len(part)) for first, part in blocks(["x"] * 25, 10)] == [(0, 10), (10, 10), (20, 5)]


class TestVocabulary:
    def test_words_go_by_frequency_then_spelling_after_the_special_ones(self) -> None:
        texts = [tokenize("b a c a <unk>", "word"), tokenize("b d d d once", "word")]
        vocabulary = Vocabulary.build(texts, "word")
        assert vocabulary.tokens == ("<unk>", "<eos>", "d", "a", "b")
        assert Vocabulary.build(texts, "word", most=3).tokens == ("<unk>", "<eos>", "d")
        assert vocabulary.ids(["b", "once", "<unk>", "<eos>"]).tolist() == [4, 0, 0, 1]
        assert vocabulary.ids(["b"]).dtype == np.int32

    def test_an_unk_written_in_the_text_is_not_out_of_vocabulary(self) -> None:
        vocabulary = Vocabulary.build([["a", "a"]], "word")
        assert vocabulary.out_of_vocabulary(["a", "<unk>", "z"]).tolist() == [False, False, True]

    def test_characters_seen_once_are_known(self) -> None:
        vocabulary = Vocabulary.build([list("ba")], "char")
        assert vocabulary.tokens == ("<unk>", "\n", "a", "b")
        assert vocabulary.ids(list("b?")).tolist() == [3, 0]
        assert vocabulary.tokens[vocabulary.start] == "\n"

    def test_no_byte_is_unknown(self) -> None:
        vocabulary = Vocabulary.build([], "byte")
        tokens = tokenize("naïve 漢\n", "byte")
        assert len(vocabulary) == 256
        assert bytes(vocabulary.ids(tokens).tolist()).decode() == "naïve 漢\n"
        assert not vocabulary.out_of_vocabulary(tokens).any()
        assert vocabulary.start == 10

    @pytest.mark.parametrize("unit", ["word", "char", "byte"])
    def test_json_gives_the_same_vocabulary_back(self, unit: Unit) -> None:
        vocabulary = Vocabulary.build([tokenize('a "a" é\u2028', unit)], unit, minimum_frequency=1)
        assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.as_json()))) == vocabulary


class TestTrainingWindows:
    @pytest.mark.parametrize("order", ORDERS)
    def test_targets_are_the_tokens_that_follow(self, order: Order) -> None:
        ring = np.concatenate(RUNS)
        for batch in windows(order).batches(0, 40, batch=4):
            assert batch.target is not None
            places = batch.rows.numpy()[:, None] + np.arange(batch.target.shape[1])
            assert np.array_equal(batch.inputs["tokens"].numpy(), ring[places % 153])
            assert np.array_equal(batch.target.numpy(), ring[(places + 1) % 153])

    @pytest.mark.parametrize("order", ORDERS)
    def test_resuming_at_any_cursor_gives_the_same_windows(self, order: Order) -> None:
        whole = list(windows(order).batches(0, 60, batch=4))
        for step in (1, 5, 6, 7, 8, 31, 59):
            assert fingerprint(list(windows(order).batches(4 * step, 60 - step, batch=4))) == fingerprint(whole[step:])

    def test_windows_are_the_same_in_every_process(self) -> None:
        # written down: whatever process drew these, this one draws the same
        here = [fingerprint(list(windows(order).batches(0, 30, batch=4))) for order in ORDERS]
        assert here == ["73aa1af8ee1bb892", "837dbc5e01bbb10d"]
        others = [fingerprint(list(windows(order, seed=4).batches(0, 30, batch=4))) for order in ORDERS]
        assert len({*here, *others}) == 4

    def test_a_lane_goes_on_where_its_window_before_ended(self) -> None:
        stream = windows("sequential")
        found = list(stream.batches(0, 50, batch=4))
        epochs = 1
        for before, batch in pairwise(found):
            if not torch.equal(batch.rows, (before.rows + before.inputs["tokens"].shape[1]) % 153):
                assert batch.inputs["fresh"].all()
                epochs += 1
        assert stream.steps(epochs - 1, 4) < 50 <= stream.steps(epochs, 4)

    @pytest.mark.parametrize(("order", "batch", "rest"), [("sequential", 4, 153 % 4), ("shuffled", 1, 153 % 6)])
    def test_an_epoch_reads_each_token_once_but_for_a_rest(self, order: Order, batch: int, rest: int) -> None:
        stream = windows(order)
        found = stream.batches(0, stream.steps(1, batch), batch=batch)
        read = [token for part in found for token in part.inputs["tokens"].flatten().tolist()]
        assert len(read) == len(set(read)) == 153 - rest

    def test_a_lane_is_fresh_where_it_entered_another_run(self) -> None:
        stream = windows("sequential")
        ring = np.concatenate(RUNS)
        before: Batch | None = None
        entered = 0
        for batch in stream.batches(0, 50, batch=4):
            if before is not None and not batch.inputs["fresh"].all():
                changed = (ring[batch.rows] >= 500) != (ring[before.rows] >= 500)
                assert np.array_equal(batch.inputs["fresh"].numpy(), changed)
                entered += int(changed.sum())
            before = batch
        assert entered > 0

    def test_lengths_vary_around_the_context_as_in_awd_lstm(self) -> None:
        stream = TextWindows([np.arange(400_000, dtype=np.int32)], 70, "sequential", seed=0, fold=0, stage=0)
        lengths = np.array(
            [batch.inputs["tokens"].shape[1] for batch in stream.batches(0, stream.steps(1, 1), batch=1)]
        )
        halves = lengths < 52
        assert 0.035 < halves.mean() < 0.065
        assert abs(lengths[~halves].mean() - 69.5) < 0.5  # whole numbers below: half a token less
        assert abs(lengths[~halves].std() - 5) < 0.5
        assert lengths.sum() == 400_000

    def test_too_small_a_corpus_lowers_the_lanes(self) -> None:
        stream = TextWindows([np.arange(15, dtype=np.int32)], 5, "sequential", seed=0, fold=0, stage=0)
        batch = next(iter(stream.batches(0, 1, batch=64)))
        assert batch.inputs["tokens"].shape[0] == len(batch.rows) == stream.lanes(64) == 3
        for order in ("sequential", "shuffled"):
            tiny = TextWindows([np.array([7, 8], dtype=np.int32)], 5, order, seed=0, fold=0, stage=0)
            for batch in tiny.batches(0, 3, batch=4):
                assert batch.target is not None
                assert torch.equal(batch.target, 15 - batch.inputs["tokens"])  # 7 after 8 after 7

    def test_one_token_is_refused(self) -> None:
        with pytest.raises(AssertionError, match="at least two tokens"):
            TextWindows([np.array([7], dtype=np.int32)], 5, "shuffled", seed=0, fold=0, stage=0)


class TestEvaluationWindows:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=4), max_size=5),
        st.integers(1, 9),
        st.integers(1, 4),
        st.booleans(),
    )
    def test_each_token_is_scored_once_in_text_order(
        self, sizes: list[list[int]], context: int, batch: int, recurrent: bool
    ) -> None:
        stretches, expected, row, token = [], {}, 0, 100
        for stretch in sizes:
            parts = []
            for size in stretch:
                parts.append((row, np.arange(token, token + size, dtype=np.int32)))
                expected[row] = list(range(token, token + size))
                row, token = row + 1, token + size
            stretches.append(parts)
        found: dict[int, list[int]] = {row: [] for row in expected}
        for window in evaluation_windows(stretches, context=context, batch=batch, start=1, recurrent=recurrent):
            assert window.target is not None
            assert window.target.shape == window.rows.shape == window.inputs["tokens"].shape
            assert window.target.shape[0] <= batch
            assert window.target.shape[1] <= context
            scored = window.target != UNSCORED
            for number, target in zip(window.rows[scored].tolist(), window.target[scored].tolist(), strict=True):
                found[number].append(target)
        assert found == expected
        assert row_lengths(stretches) == {row: len(tokens) for row, tokens in expected.items()}

    def test_windows_without_a_carry_overlap_by_half(self) -> None:
        stretch = [(0, np.arange(10, 21, dtype=np.int32))]
        (window,) = evaluation_windows([stretch], context=4, batch=9, start=1, recurrent=False)
        assert window.target is not None
        assert window.inputs["tokens"].tolist() == [
            [1, 10, 11, 12],
            [11, 12, 13, 14],
            [13, 14, 15, 16],
            [15, 16, 17, 18],
            [16, 17, 18, 19],
        ]
        assert window.target.tolist() == [
            [10, 11, 12, 13],
            [-1, -1, 14, 15],
            [-1, -1, 16, 17],
            [-1, -1, 18, 19],
            [-1, -1, -1, 20],
        ]

    def test_a_lane_takes_the_next_stretch_and_starts_anew(self) -> None:
        stretches = [[(0, np.arange(10, 15))], [(1, np.arange(20, 22))], [(2, np.arange(30, 33))]]
        found = list(evaluation_windows(stretches, context=3, batch=2, start=1, recurrent=True))
        assert [batch.inputs["tokens"].tolist() for batch in found] == [
            [[1, 10, 11], [1, 20, 1]],
            [[12, 13, 1], [1, 30, 31]],
        ]
        assert [batch.inputs["fresh"].tolist() for batch in found] == [[True, True], [False, True]]
