"""A language model on any folder of text: WikiText, Penn Treebank, one file, a table of texts, a tree of them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness import cells, corpus, listing
from harness.cells import Form
from harness.competition import Competition, Folds, SampleFile, Submission, Tokens
from harness.config import Model, Stage, TrainConfig, Training
from harness.errors import DataError
from harness.metrics import BITS_PER_BYTE, NATS_PER_TOKEN, PERPLEXITY
from harness.rows import Rows
from harness.tasks import NextToken

CHECKS = {"nats": cells.check_nats, "tokens": cells.check_count}
FORMS: dict[str, Form] = {"logprobability": "log_probability", "logprob": "log_probability", "logp": "log_probability"}
FORMS |= {"nats": "nats", "nll": "nats", "loss": "nats", "perplexity": "perplexity", "ppl": "perplexity"}


def train(root: Path) -> Rows:
    """Training texts, then validation texts."""
    return corpus.read(root).rows("train", "valid")


def test(root: Path) -> Rows | None:
    """Test texts, a table's in the order of the sample submission; None where there are none."""
    found, sample = corpus.read(root), listing.find_file(root, (corpus.SAMPLE,))
    rows = found.rows("test")
    if not len(rows) or sample is None or not found.table:  # blocks have ids of their own
        return rows if len(rows) else None
    (ids,) = listing.read_table(sample, listing.header(sample)[:1]).values()
    places = {identity: place for place, identity in enumerate(rows.ids)}
    if odd := min(set(ids) ^ set(places), key=listing.natural, default=""):
        problem = f"the id {odd} stands in {'test.csv' if odd in places else sample.name} only"
        raise DataError(problem, file=sample, fix="download the data again")
    return rows.take([places[identity] for identity in ids])


def adapt(competition: Competition, root: Path) -> Competition:
    """With the layout of this folder, and the form of its sample submission."""
    found, sample = corpus.read(root), listing.find_file(root, (corpus.SAMPLE,))
    inputs = tuple(replace(part, whole_test=found.table) for part in competition.inputs if isinstance(part, Tokens))
    competition = replace(competition, inputs=inputs, told=(found.told,))
    return competition.mirror(competition, listing.header(sample), ()) if sample else competition


def mirror(competition: Competition, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Competition:
    """With a submission of nats and tokens, or of the one number that `header` names."""
    names = ["".join(filter(str.isalnum, name.lower())) for name in header[1:]]
    if names == ["nats", "tokens"]:
        checks = dict(zip(header[1:], (cells.check_nats, cells.check_count), strict=True))
        submission = Submission(tuple(header), cells.nats_rows, cells.read_nats, checks)
        return replace(competition, submission=submission)
    if len(names) != 1 or names[0] not in FORMS:
        fix = "expected id,nats,tokens, or an id and one of log-probability, nll, loss, perplexity"
        raise DataError(f"a sample submission with the columns {','.join(header)}", row=1, fix=fix)
    form = FORMS[names[0]]
    write, read = (functools.partial(cells.score_rows, form=form), functools.partial(cells.read_score, form=form))
    submission = Submission(tuple(header), write, read, {header[1]: functools.partial(cells.check_score, form=form)})
    told = f"column '{header[1]}' is written as {form.replace('_', ' ')} of the whole text, in natural logarithms"
    return replace(competition, submission=submission, told=(*competition.told, told))


def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """Sentences of a small random grammar with 300 words."""
    from harness.data import samples_text

    return samples_text.grammar(rows, seed)


TRAINING = Training(rate=3e-3, batch=8, weight_decay=0.1)
competition = Competition(
    name="text-language-model",
    title="Word language model",
    source="https://arxiv.org/abs/1609.07843",
    how_to_get="any folder with train.txt, input.txt, a CSV of texts or .txt files; WikiText-2 is one",
    train=train,
    test=test,
    inputs=(Tokens("text", block=1000),),
    target="text",
    task=NextToken(),
    metric=PERPLEXITY,
    secondary=(BITS_PER_BYTE, NATS_PER_TOKEN),
    folds=Folds(5, contiguous=True, no_group="folds are runs of neighbouring blocks instead"),
    submission=Submission(("id", "nats", "tokens"), cells.nats_rows, cells.read_nats, CHECKS),
    sample=sample,
    sample_submission=corpus.SAMPLE,
    published_split="split",
    test_truth=True,
    aliases=("wikitext-2", "tinyshakespeare"),
    defaults=TrainConfig(train=TRAINING, model=Model(layers=4, context=64), stages=(Stage(epochs=2),)),
    adapt=adapt,
    mirror=mirror,
)
