"""Rows as numbers: what scikit-learn's transformers make of them, kept as plain numbers."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from goodteacher.data import Dataset, Split, TableRows, load_dataset, prepare, rows_spec
from goodteacher.errors import ConfigError, DataError, ModelError
from goodteacher.integrations.sklearn.encoding import encoder
from goodteacher.networks import Encode, Preparations, fit_preparation, preparation_from
from goodteacher.networks.encoding import MOST_WORDS, NumberColumn, WordColumn, fit_encoding
from goodteacher.networks.normalization import Normalization
from goodteacher.networks.preparation import Chain

GAP = float("nan")


def frame(count=200, words=9, seed=0):
    drawn = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "size": drawn.normal(3, 2, count),
            "weight": drawn.normal(-40, 9, count),
            "colour": drawn.choice([f"c{n}" for n in range(words)], count),
            "shape": drawn.choice(["round", "square"], count),
        }
    )
    made.loc[::7, "size"], made.loc[::11, "shape"] = None, None
    return made.assign(species=np.array(["a", "b"])[np.arange(count) % 2])


def stored(table):
    """All rows of a frame as they are stored, in its order."""
    data = load_dataset(table, target="species")
    rows = torch.empty(len(table), len(data.spec.columns))
    for split in data.splits.values():
        rows[split.ids] = split.inputs
    return rows, data.spec


@pytest.mark.parametrize("words", [9, MOST_WORDS, MOST_WORDS + 30])
def test_it_makes_of_rows_what_scikit_learn_makes_of_the_frame(words):
    table = frame(400, words)
    rows, spec = stored(table)
    theirs = encoder().fit(table.drop(columns="species"))
    ours = fit_encoding(rows, spec, scaled=False)
    expected = theirs.transform(table.drop(columns="species"))
    # theirs: numbers, where gaps were, words; ours the same
    assert np.allclose(ours(rows).numpy(), expected, atol=1e-4)
    odd = table.drop(columns="species").head(5)
    odd["colour"], odd["shape"] = "never seen", [None, "oval", "round", "square", None]
    odd["weight"] = [None, 1.0, 2.0, 3.0, 4.0]
    odd_rows = torch.tensor([[GAP if v is None else v for v in row] for row in places(odd, spec)])
    expected = theirs.transform(odd)
    assert np.allclose(ours(odd_rows).numpy(), expected, atol=1e-4)


def places(table, spec):
    for row in table.to_dict("records"):
        yield [
            place(row[name], spec.words[name]) if name in spec.words else none_of(row[name])
            for name in spec.columns
        ]


def place(word, words):
    if word is None or word != word:
        return None
    return float(words.index(word)) if word in words else -1.0


def none_of(value):
    return None if value is None or value != value else float(value)


def test_numbers_get_mean_zero_and_variance_one_gaps_filled():
    rows, spec = stored(frame())
    made = fit_encoding(rows, spec)(rows)[:, :2]
    assert made.mean(0).abs().max() < 1e-5
    assert made.std(0, unbiased=False).numpy() == pytest.approx(1, abs=1e-4)
    constant = torch.full((9, 1), 7.0)
    fitted = fit_encoding(constant, rows_spec({"size": None}))
    assert fitted(constant).tolist() == [[0.0]] * 9


def test_a_column_that_is_missing_in_all_of_the_training_part_is_nothing():
    fitted = fit_encoding(torch.full((5, 1), GAP), rows_spec({"size": None}))
    assert fitted(torch.tensor([[GAP], [3.0]])).isfinite().all()


def test_words_of_others_than_the_training_part_count_as_unseen():
    spec = rows_spec({"colour": ("blue", "green", "red")})
    fitted = fit_encoding(torch.tensor([[0.0], [2.0], [0.0]]), spec)
    (colour,) = fitted.words
    assert (colour.width, colour.places, colour.unseen, colour.missing) == (2, (0, -1, 1), -1, -1)
    assert fitted(torch.tensor([[1.0], [-1.0], [GAP]])).abs().sum() == 0


def test_rare_words_share_a_column_with_those_never_seen():
    count = MOST_WORDS + 5
    spec = rows_spec({"colour": tuple(f"c{n:03}" for n in range(count))})
    codes = torch.tensor([float(n) for n in range(count) for _ in range(1 + (n < MOST_WORDS - 1))])
    (colour,) = fit_encoding(codes[:, None], spec).words
    rest = colour.places[MOST_WORDS - 1 :]
    assert colour.width == MOST_WORDS
    assert {*rest} == {colour.unseen} == {MOST_WORDS - 1}


def test_learners_of_categories_get_the_number_of_each_word():
    size = NumberColumn(name="size", median=2.0)
    colour = WordColumn(name="colour", width=2, unseen=-1, missing=1, places=(1, 0))
    encode = Encode([size], [colour], ["colour", "size"])
    given = torch.tensor([[0.0, GAP], [-1.0, 4.0], [GAP, 5.0]])
    found = encode.ordinal(given)
    assert found.nan_to_num(9).tolist() == [[1, 9], [9, 4], [1, 5]]
    assert given.isnan().sum() == 2, "the rows given stay as they are"


def test_it_can_be_traced_for_a_graph():
    rows, spec = stored(frame())
    encode = fit_encoding(rows, spec)
    sizes = {0: torch.export.Dim("batch")}
    graph = torch.export.export(encode, (rows[:2],), dynamic_shapes={"raw": sizes})
    assert torch.equal(graph.module()(rows[3:60]), encode(rows[3:60]))


# --- as the preparation of a network -------------------------------------------------------------


def dataset():
    return load_dataset(frame(), target="species")


def test_networks_get_rows_encoded_by_their_training_part_alone():
    data = dataset()
    parts = prepare(data)
    own = Preparations(parts).of("mlp:4")
    assert own.to_dict() == Chain(fit_encoding(parts.training.inputs, data.spec)).to_dict()
    assert own.output(data.spec).shape == (2 + 1 + 9 + 3,)
    loaded = preparation_from(json.loads(json.dumps(own.to_dict())))
    rows = parts.selection.inputs
    assert torch.equal(loaded(rows), own(rows))


def test_rows_are_encoded_once_for_all_networks(monkeypatch):
    parts = prepare(dataset())
    networks, calls = Preparations(parts), []
    encode = Encode.forward
    monkeypatch.setattr(Encode, "forward", lambda self, raw: calls.append(1) or encode(self, raw))
    for spec in ("mlp:4", "linear"):
        networks.examples(spec, parts.training).inputs(torch.tensor([3, 1]))
    assert len(calls) == 1


def test_rows_can_stay_unscaled():
    scaled, plain = (
        fit_preparation("mlp:4", dataset().train, normalization=choice).steps[0]
        for choice in ("auto", "none")
    )
    assert {each.std for each in plain.numbers} == {1.0}
    assert 1.0 not in {each.std for each in scaled.numbers}
    with pytest.raises(ConfigError, match="Normalization object applies to numbers"):
        fit_preparation(
            "mlp:4",
            dataset().train,
            normalization=Normalization(torch.zeros(4), torch.ones(4), 1.0),
        )


@pytest.mark.parametrize("spec", ["mlp:4@raw", "mlp:4@resize:3", "mlp:4@tfidf:9"])
def test_other_preparations_do_not_take_rows(spec):
    with pytest.raises(ModelError, match=r"but the examples of these data are rows of 4 columns"):
        fit_preparation(spec, dataset().train)


def test_rows_of_other_columns_are_refused():
    rows, spec = stored(frame())
    encode = fit_encoding(rows, spec)
    others = (
        rows_spec({**dict.fromkeys(spec.columns), "more": None}),
        rows_spec({name: spec.words.get(name) for name in reversed(spec.columns)}),
        rows_spec({name: ("x",) if name in spec.words else None for name in spec.columns}),
    )
    for other in others:
        with pytest.raises(
            ValueError, match="are not rows with the columns size, weight, colour, shape"
        ):
            encode.output(other)


@pytest.mark.parametrize(
    "change",
    [
        {"columns": ["size"]},
        {"numbers": []},
        {"words": [{"name": "colour"}]},
        {"numbers": [{"name": "size", "median": 1, "std": 0}]},
    ],
)
def test_a_record_that_was_edited_is_refused(change):
    size = NumberColumn(name="size", median=2.0)
    colour = WordColumn(name="colour", width=1, unseen=-1, missing=-1, places=(0,))
    record = Chain(Encode([size], [colour], ["size", "colour"])).to_dict()
    assert preparation_from(record).to_dict() == record
    record["steps"][0] |= change
    with pytest.raises(DataError, match="step 'encode' of a preparation cannot be read"):
        preparation_from(record)


def test_a_pipeline_of_the_same_rows_needs_no_preparation_of_numbers():
    """What networks see is as good for a classifier as what scikit-learn's encoder gives it."""
    table = frame(300)
    table["species"] = np.where(table["colour"].isin(["c0", "c1", "c2"]), "a", "b")
    rows, spec = stored(table)
    made = fit_encoding(rows, spec)(rows).numpy()
    labels = (table["species"] == "a").to_numpy()
    assert LogisticRegression(max_iter=500).fit(made, labels).score(made, labels) == 1.0


def test_a_split_of_rows_keeps_its_kind_in_a_dataset():
    spec = rows_spec({"size": None})
    split = Split.from_arrays(TableRows(torch.tensor([[GAP], [1.0]] * 10), spec), [0, 1] * 10)
    data = Dataset("tiny", split, split, ("a", "b"))
    assert data.spec.kind == "rows"
    assert split.subset([1]).stored.spec == spec
