"""The language-model adapter reads every layout of text, real corpora, and damaged files."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import pytest

from harness import registry
from harness.competition import Competition
from harness.data.materialise import write_file, write_sample
from harness.data.text import tokenize
from harness.data.unpack import unpack
from harness.errors import DataError
from harness.rows import Rows

TEXT = registry.load("text-language-model")


def laid(folder: Path, **files: str | bytes) -> Path:
    """Files by name, where `__` stands for a dot and `___` for a slash."""
    for name, content in files.items():
        write_file(folder, name.replace("___", "/").replace("__", "."), content)
    return folder


def held_out(root: Path) -> Rows:
    found = TEXT.test(root)
    assert found is not None
    return found


def whole(competition: Competition) -> bool:
    assert competition.tokens is not None
    return competition.tokens.whole_test


def test_the_sample_has_about_a_thousand_tokens_a_row_and_three_hundred_words(tmp_path: Path) -> None:
    root = write_sample(TEXT, rows=20, seed=0, cache=tmp_path)
    train, test = TEXT.train(root), held_out(root)
    assert (train.ids, train["split"], test.ids) == (["train.txt", "valid.txt"], ["train", "valid"], ["test.txt"])
    counts = [len(tokenize(text, "word")) for text in train["text"] + test["text"]]
    assert 19_000 < sum(counts) <= 20_000
    assert counts[0] == pytest.approx(16_000, abs=100)
    assert len(set(tokenize(train["text"][0], "word"))) == pytest.approx(300, abs=15)
    # valid.txt has a byte order mark and CRLF on the disk, and blank lines are kept
    assert (root / "valid.txt").read_bytes().startswith(b"\xef\xbb\xbf\r\n = ")
    assert train["text"][1].startswith("\n = ")
    assert "\r" not in train["text"][1]
    assert pickle.loads(pickle.dumps(TEXT)) == TEXT


def test_real_wikitext_2_has_its_published_tokens(real_data: Path, shared_cache: Path) -> None:
    root = unpack(real_data / "wikitext-2.zip", cache=shared_cache)
    train, test = TEXT.train(root), held_out(root)
    assert (train.ids, test.ids) == (["train.txt", "valid.txt"], ["test.txt"])
    assert [len(tokenize(text, "word")) for text in train["text"]] == [195_890, 21_756]  # 217,646 in all
    assert len(tokenize(test["text"][0], "word")) == 245_569
    assert TEXT.adapt(TEXT, root).told == ("split files: train.txt, valid.txt, test.txt",)


def test_real_shakespeare_is_cut_into_90_5_and_5_percent(real_data: Path, shared_cache: Path) -> None:
    root = unpack(real_data / "tinyshakespeare.zip", cache=shared_cache)
    train, test = TEXT.train(root), held_out(root)
    assert (train.ids, test.ids) == (["input.txt/train", "input.txt/valid"], ["input.txt/test"])
    texts = train["text"] + test["text"]
    assert [len(text) for text in texts] == [1_003_854, 55_770, 55_770]
    assert "".join(texts) == (root / "input.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("form", ["wiki.{}.tokens", "wiki.{}.raw", "ptb.{}.txt", "{}.txt", "corpus/{}.txt"])
def test_split_files_are_found_under_their_aliases(tmp_path: Path, form: str) -> None:
    for split in ("valid", "test", "train"):
        write_file(tmp_path, form.format(split), f"{split} text\n")
    write_file(tmp_path, "README.txt", "about")
    train = TEXT.train(tmp_path)
    names = [form.format(split).removeprefix("corpus/") for split in ("train", "valid", "test")]
    assert (train.ids, held_out(tmp_path).ids) == (names[:2], names[2:])
    assert train["text"] == ["train text\n", "valid text\n"]
    assert not whole(TEXT.adapt(TEXT, tmp_path))


def test_training_text_alone_has_no_test_rows(tmp_path: Path) -> None:
    root = laid(tmp_path, train__txt="a b\n")
    assert TEXT.train(root).ids == ["train.txt"]
    assert TEXT.test(root) is None


def test_a_table_of_texts_is_one_row_each_and_is_valid_is_honoured(tmp_path: Path) -> None:
    root = laid(
        tmp_path,
        texts__csv='label,text,is_valid\nneg,"a, b\nc",False\npos,d,True\n',
        test__csv="id,text\n7,e f\n3,g\n",
        sample_submission__csv="id,nats,tokens\n3,1,1\n7,1,1\n",
    )
    train = TEXT.train(root)
    assert train.ids == ["texts-1", "texts-2"]
    assert (train["text"], train["split"]) == (["a, b\nc", "d"], ["train", "valid"])
    assert held_out(root).ids == ["3", "7"]  # in the order of the sample submission
    found = TEXT.adapt(TEXT, root)
    assert whole(found)
    assert found.told == ("tables of texts: test.csv, texts.csv",)
    (root / "sample_submission.csv").write_text("id,nats,tokens\n3,1,1\n8,1,1\n")
    with pytest.raises(DataError, match=r"sample_submission\.csv: the id 7 stands in test\.csv only"):
        TEXT.test(root)


def test_a_table_may_call_its_texts_reviews_and_come_with_tabs_mark_and_crlf(tmp_path: Path) -> None:
    root = laid(tmp_path, reviews__csv=b"\xef\xbb\xbfid\tReview\r\n5\tgood\r\n6\tbad\r\n")
    train = TEXT.train(root)
    assert (train.ids, train["text"]) == (["5", "6"], ["good", "bad"])
    assert TEXT.test(root) is None


def test_a_tree_of_texts_is_a_row_a_file_in_natural_order(tmp_path: Path) -> None:
    root = laid(tmp_path, b___10__txt="ten", b___2__txt="two", a__txt="a", __hidden__txt="no", LICENSE__txt="no")
    assert TEXT.train(root).ids == ["a.txt", "b/2.txt", "b/10.txt"]
    assert TEXT.test(root) is None
    laid(root, test___x__txt="x", valid___y__txt="y")
    train = TEXT.train(root)
    assert (train.ids[-1], train["split"][-1]) == ("valid/y.txt", "valid")
    assert held_out(root).ids == ["test/x.txt"]
    assert TEXT.adapt(TEXT, root).told == ("a tree of texts: 3 train, 1 valid, 1 test",)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "no text"),
        ({"notes__md": "x"}, "no text"),
        ({"table__csv": "id,price\n1,2\n"}, "no text"),
        ({"train__txt": "a", "input__txt": "b"}, r"two layouts at once: .*train\.txt and .*input\.txt"),
        ({"train__txt": "a", "train__csv": "text\nb\n"}, r"two layouts at once: .*train\.txt and .*train\.csv"),
        ({"poem__txt": "a", "train__csv": "text\nb\n"}, r"two layouts at once: .*train\.csv and .*poem\.txt"),
        (
            {"wiki__train__tokens": "a", "wiki__train__raw": "b"},
            r"two train files: wiki\.train\.raw and wiki\.train\.t",
        ),
        ({"test__txt": "a"}, "no training text; call it train.txt"),
        ({"test__csv": "text\na\n"}, "no table of training texts"),
        ({"a__csv": "text\nb\n", "b__csv": "text\nb\n"}, r"two tables of texts: a\.csv and b\.csv"),
        ({"train__txt": " \n\n"}, r"train\.txt: an empty training text"),
        ({"train__csv": "id,text\n1,a\n1,b\n"}, r"train\.csv, row 3: the id '1' has 'b' here and 'a' on row 2"),
        ({"train__csv": "id,text\n1,a,b\n"}, r"train\.csv, row 2: 3 cells under 2 columns"),
        ({"train__txt": b"a\nb\n\xe9t\xe9\n"}, r"train\.txt, row 3: not UTF-8 text"),
        ({"train__txt": b"\xef\xbb\xbf\n\xff"}, r"train\.txt, row 2: not UTF-8 text"),
        ({"train__txt": "a\n".encode("utf-16")}, r"train\.txt, row 1: not UTF-8 text"),
        ({"train__txt": "a", "valid__txt": b"b\r\n\xff\r\n"}, r"valid\.txt, row 2: not UTF-8 text"),
        ({"train__csv": b"id,text\n1,\xff\n"}, r"train\.csv: not UTF-8 text"),
    ],
)
def test_a_folder_that_cannot_be_read_one_way_is_refused(tmp_path: Path, files: dict[str, str], told: str) -> None:
    with pytest.raises(DataError, match=told):
        TEXT.train(laid(tmp_path, **files))


@pytest.mark.parametrize(
    ("column", "cell", "wrong"),
    [
        ("log-probability", "-6.0", "0.5"),
        ("log_prob", "-6.0", "0.5"),
        ("nll", "6.0", "-6"),
        ("Loss", "6.0", "-6"),
        ("perplexity", repr(math.exp(2)), "0.5"),
    ],
)
def test_the_submission_has_the_one_number_that_the_sample_names(
    tmp_path: Path, column: str, cell: str, wrong: str
) -> None:
    sample = f"row,{column}\n7,1\n"
    root = laid(tmp_path, train__csv="text\na\n", test__csv="id,text\n7,e f\n", sample_submission__csv=sample)
    found = TEXT.adapt(TEXT, root)
    submission = found.submission
    assert submission.header == ("row", column)
    assert submission.write("7", (6.0, 3, 11)) == [("7", cell)]
    assert submission.read([(cell,)], (11, 3)) == (pytest.approx(6.0), 3, 11)
    assert submission.cells[column](cell, (11, 3)) is None
    assert submission.cells[column](wrong, (11, 3)) is not None
    assert column in found.told[-1]


def test_nats_and_tokens_are_the_form_by_default_whatever_the_id_is_called(tmp_path: Path) -> None:
    root = laid(tmp_path, train__csv="text\na\n", sample_submission__csv="Row,Nats,Tokens\n7,1,1\n")
    for competition in (TEXT, TEXT.adapt(TEXT, root)):
        assert competition.submission.write("7", (6.0, 3, 11)) == [("7", "6.0", "3")]
        assert competition.submission.read([("6.0", "3")], (11, 1)) == (6.0, 3, 11)
    assert TEXT.adapt(TEXT, root).submission.header == ("Row", "Nats", "Tokens")
    with pytest.raises(DataError, match="a sample submission with the columns id,sentiment"):
        TEXT.mirror(TEXT, ("id", "sentiment"), ())
