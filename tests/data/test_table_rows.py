"""Rows with words, categories and gaps: what becomes of files, frames and what people give."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from goodteacher.data import (
    DataNote,
    InputSpec,
    TableRows,
    load_dataset,
    prepare,
    rows_of_table,
    rows_spec,
    table_of,
)
from goodteacher.data.row_columns import are_rows, have_gaps, of_their_own
from goodteacher.data.table_rows import UNSEEN, as_table, words_of
from goodteacher.errors import ConfigError, DataError

N = 60
SPEC = rows_spec({"size": None, "colour": ("blue", "red")})


def frame(seed=0, **extra):
    drawn = np.random.default_rng(seed)
    made = {
        "size": drawn.normal(size=N),
        "colour": drawn.choice(["red", "blue", "green"], N),
        "species": np.array(["x", "y", "z"])[np.arange(N) % 3],
    }
    return pd.DataFrame(made | extra)


def column_of(data, name, split="train"):
    return data.splits[split].inputs[:, data.spec.columns.index(name)]


# --- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl"])
def test_one_file_of_words_and_numbers_is_rows(tmp_path, suffix):
    table, path = frame(), tmp_path / f"table.{suffix}"
    table.loc[[4, 7], "size"] = None
    write = {
        "csv": lambda: table.to_csv(path, index=False),
        "tsv": lambda: table.to_csv(path, index=False, sep="\t"),
        "parquet": lambda: table.to_parquet(path),
        "jsonl": lambda: table.to_json(path, orient="records", lines=True),
    }
    write[suffix]()
    data = load_dataset(path, target="species")
    assert data.spec == rows_spec({"size": None, "colour": ("blue", "green", "red")})
    assert data.class_names == ("x", "y", "z")
    read = {
        int(each): row.tolist()
        for split in data.splits.values()
        for each, row in zip(split.ids, split.inputs, strict=True)
    }
    assert len(read) == N
    for row in range(N):
        size, place = read[row]
        assert np.isnan(size) if row in (4, 7) else size == pytest.approx(table["size"][row])
        assert data.spec.words["colour"][int(place)] == table["colour"][row]


def test_a_word_that_training_lacks_is_unseen_and_an_empty_one_missing(tmp_path):
    frame().to_csv(tmp_path / "train.csv", index=False)
    test = frame(1)
    test.loc[0, "colour"], test.loc[1, "colour"], test.loc[2, "colour"] = "violet", "  ", " red "
    test.to_csv(tmp_path / "test.csv", index=False)
    data = load_dataset(tmp_path, target="species")
    assert "violet" not in data.spec.words["colour"]
    unseen, missing, red = column_of(data, "colour", "test")[:3].tolist()
    assert unseen == UNSEEN
    assert np.isnan(missing)
    assert data.spec.words["colour"][int(red)] == "red"


def test_categories_of_numbers_are_words_and_categories_of_labels_stay_numbers():
    table = frame(zone=pd.Categorical((np.arange(N) // 3) % 4 * 10))
    table["species"] = pd.Categorical(np.arange(N) % 3)
    data = load_dataset(table, target="species")
    assert data.spec.words["zone"] == ("0", "10", "20", "30")
    assert data.class_names == ("0", "1", "2")


def test_numbers_without_gaps_stay_numbers_and_with_one_become_rows(tmp_path):
    table = frame().drop(columns="colour").assign(weight=1.5)
    table.to_csv(tmp_path / "a.csv", index=False)
    assert load_dataset(tmp_path / "a.csv", target="species").spec.kind == "numbers"
    table.loc[N // 2, "size"] = None
    table.to_csv(tmp_path / "a.csv", index=False)
    assert load_dataset(tmp_path / "a.csv", target="species").spec.kind == "rows"


def test_numbers_have_the_names_of_their_columns(tmp_path):
    table = frame().drop(columns="colour").assign(weight=np.arange(N) % 7)
    table.to_csv(tmp_path / "a.csv", index=False)
    data = load_dataset(tmp_path / "a.csv", target="species")
    assert data.spec == InputSpec(kind="numbers", shape=(2,), columns=("size", "weight"))
    assert prepare(data).spec == data.spec
    assert str(data.spec) == "2 numbers"
    same = replace(data, feature_names=("a", "b"))
    assert same.fingerprint == data.fingerprint  # it is of the contents, as it was before
    assert replace(data, feature_names=("a", "a")).spec.columns == ()
    assert replace(data, feature_names=()).spec.columns == ()


def test_a_column_called_class_is_an_input_where_the_target_is_named(tmp_path):
    kinds = np.array(["1st class", "2nd class"])[np.arange(N) % 2]
    frame(**{"class": kinds}).to_csv(tmp_path / "a.csv", index=False)
    assert "class" in load_dataset(tmp_path / "a.csv", target="species").spec.columns


def test_words_of_which_each_row_has_its_own_are_left_out_with_a_note(tmp_path):
    names = [f"Smith, Mr. {n}" for n in range(N)]
    frame(name=names).to_csv(tmp_path / "a.csv", index=False)
    with pytest.warns(DataNote, match="'name' has a different value in nearly every row"):
        data = load_dataset(tmp_path / "a.csv", target="species")
    assert data.spec.columns == ("size", "colour")
    frame(name=names).drop(columns="colour").to_csv(tmp_path / "a.csv", index=False)
    with pytest.warns(DataNote, match="To classify it as a text"):
        assert load_dataset(tmp_path / "a.csv", target="species").spec.kind == "numbers"


def test_other_words_are_other_data():
    one, other = (rows_spec({"colour": words}) for words in (("blue",), ("red",)))
    tensor = torch.zeros(2, 1)
    assert not one.is_like(other)
    data = [load_dataset(frame(), target="species")]
    data.append(load_dataset(frame().replace({"colour": {"red": "rot"}}), target="species"))
    assert data[0].fingerprint != data[1].fingerprint
    assert TableRows(tensor, one).spec != TableRows(tensor, other).spec


# --- frames --------------------------------------------------------------------------------------


def polars_of(table):
    return pytest.importorskip("polars").from_pandas(table)


@pytest.mark.parametrize("kind", [pd.DataFrame, pa.Table.from_pandas, polars_of])
def test_a_frame_is_read_like_the_file_of_it(tmp_path, kind):
    table = frame()
    table.loc[[4, 7], "size"] = None
    pq.write_table(pa.Table.from_pandas(table), tmp_path / "a.parquet")
    from_file = load_dataset(tmp_path / "a.parquet", target="species")
    data = load_dataset(kind(table), target="species")
    assert data.name == "table"
    assert data.fingerprint == from_file.fingerprint


def test_categories_of_polars_are_words():
    polars = pytest.importorskip("polars")
    made = polars.from_pandas(frame()).with_columns(polars.col("colour").cast(polars.Categorical))
    data = load_dataset(made, target="species")
    assert data.fingerprint == load_dataset(frame(), target="species").fingerprint


def test_a_frame_without_its_target_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"target = 'specie' is not in .*Did you mean 'species'"):
        load_dataset(frame(), target="specie")
    with pytest.raises(DataError, match="column of labels that is called"):
        load_dataset(frame())
    with pytest.raises(DataError, match=r"cannot be read as a table.*each column one"):
        load_dataset(frame(odd=[1, "a"] * (N // 2)), target="species")


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extra, message",
    [
        ({"day": pd.date_range("2024-01-01", periods=N)}, "dates cannot be inputs: 'day'"),
        ({"day": [f"2024-01-{1 + n % 28:02}" for n in range(N)]}, "dates cannot be inputs: 'day'"),
        (
            {"age": [("?", "1", "2.5", "3")[n % 4] for n in range(N)]},
            "'age' .* is taken as numbers, but",
        ),
        ({"size": [1e300] + [1.0] * (N - 1)}, r"infinite or too large for float32 \(size: 1\)"),
        ({"text": [f"what a day it is, number {n}" for n in range(N)]}, "texts|several"),
    ],
)
def test_what_is_neither_words_nor_numbers_is_refused(extra, message):
    with pytest.raises(DataError, match=f"(?s){message}"):
        load_dataset(frame(**extra), target="species")


def test_lists_in_a_row_are_refused():
    table = pa.Table.from_pandas(frame()).append_column("many", pa.array([[1, 2]] * N))
    with pytest.raises(
        DataError, match=r"has many: list<.*Turn these into columns of numbers or words"
    ):
        load_dataset(table, target="species")


@pytest.mark.parametrize(
    "target, message",
    [
        ([f"n{n}" for n in range(N)], "60 classes have one example each.*Is it the right column"),
        (["a"] * (N - 1) + ["b"], r"one class has one example \('b'\)"),
        ([float(n) / 7 for n in range(N)], "column of measurements.*--target"),
        (["a"] * N, "at least two classes"),
        (
            (np.arange(N) * 7 % 397).tolist(),
            "look like a measurement, as for a regression",
        ),
    ],
)
def test_targets_that_are_no_classes_are_refused(target, message):
    with pytest.raises(DataError, match=message):
        load_dataset(frame(species=target), target="species")


def test_many_classes_with_enough_examples_are_no_measurement():
    table = frame(species=np.arange(N) % 2 * 300)
    with pytest.raises(DataError, match="label 300 and only"):
        load_dataset(table, target="species")
    labels = np.repeat(np.arange(60), 12)
    table = pd.DataFrame({"a": np.sin(labels * 7.0), "b": np.cos(labels), "species": labels})
    assert load_dataset(table, target="species").num_classes == 60


def test_a_file_without_rows_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("size,colour,species\n")
    with pytest.raises(DataError, match="has columns but no rows"):
        load_dataset(tmp_path / "a.csv", target="species")
    with pytest.raises(DataError, match="no rows"):
        load_dataset(frame()[:0], target="species")


def test_a_split_with_words_where_training_has_numbers_is_refused(tmp_path):
    frame().to_csv(tmp_path / "train.csv", index=False)
    frame(1, size=["many"] * N).to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(DataError, match=r"'size' must hold numbers in every split.*'many'"):
        load_dataset(tmp_path, target="species")


# --- which columns -------------------------------------------------------------------------------


def texts(words, count=40):
    return [" ".join([f"w{n}"] * words) for n in range(count)]


@pytest.mark.parametrize(
    "columns, rows",
    [
        ({"a": ["x", "y"] * 20, "n": [1, 2] * 20}, True),
        ({"a": ["x", "y"] * 20}, False),
        ({"a": ["x", "y"] * 20, "b": ["u", "v"] * 20}, True),
        ({"a": texts(8), "n": [1, 2] * 20}, False),
        ({"a": texts(4), "n": [1, 2] * 20}, True),
        ({"a": texts(4), "b": ["u", "v"] * 20}, False),
        ({"review": texts(2), "n": [1, 2] * 20}, False),
        ({"review": ["good", "bad"] * 20, "n": [1, 2] * 20}, True),
        ({"premise": ["x", "y"] * 20, "hypothesis": ["u", "v"] * 20}, False),
        ({"a": texts(1), "b": texts(2)}, False),
    ],
)
def test_running_text_is_told_from_words(columns, rows):
    assert are_rows(pa.table(columns), list(columns)) is rows


def test_few_rows_may_all_have_other_words():
    assert of_their_own(pa.table({"a": ["x", "y", "z"]}), ["a"]) == []
    assert of_their_own(pa.table({"a": texts(1), "n": range(40)}), ["a", "n"]) == ["a"]


def test_gaps_are_nulls_and_nan():
    whole, null, nan = ([1.0, 2.0], [1.0, None], [1.0, float("nan")])
    found = [have_gaps([pa.chunked_array([each])]) for each in (whole, null, nan)]
    assert found == [False, True, True]


# --- what people give ----------------------------------------------------------------------------

GIVEN = {
    "a frame": pd.DataFrame({"colour": ["red", "green", None], "size": [1.0, None, 3.0]}),
    "an arrow table": pa.table({"size": [1.0, None, 3.0], "colour": ["red", "green", None]}),
    "columns": {"size": [1.0, None, 3.0], "colour": ["red", "green", None], "more": [0, 0, 0]},
    "records": [{"size": 1, "colour": "red"}, {"colour": "green"}, {"size": 3.0}],
    "rows": [(1, "red"), (None, "green"), (3.0, None)],
    "an array of objects": np.array([[1, "red"], [None, "green"], [3.0, float("nan")]], object),
    "categories": pd.DataFrame(
        {"size": [1, None, 3], "colour": pd.Categorical(["red", "green", None])}
    ),
}


@pytest.mark.parametrize("name", GIVEN)
def test_rows_are_taken_in_every_way_in_which_people_have_them(name):
    found = rows_of_table(table_of(GIVEN[name], SPEC.columns), SPEC)
    assert found.nan_to_num(9).tolist() == [[1, 1], [9, UNSEEN], [3, 9]]


def test_one_row_is_taken_too():
    for one in ({"size": 2.0, "colour": "blue"}, (2.0, "blue"), [{"size": 2.0, "colour": "blue"}]):
        assert rows_of_table(table_of(one, SPEC.columns), SPEC).tolist() == [[2, 0]]
    assert rows_of_table(table_of([], SPEC.columns), SPEC).shape == (0, 2)


@pytest.mark.parametrize(
    "given, message",
    [
        ([(1.0,)], "rows of 2 values.*must have 2 values"),
        ("red", "a str cannot be read so"),
        ({"size": [1], "colour": ["red", "blue"]}, "cannot be read so"),
        ({"size": [1.0]}, r"does not have the columns 'colour'; it has 'size'.*may be None"),
        ([("big", "red")], r"'size' must hold numbers .*'big'"),
    ],
)
def test_what_are_no_such_rows_is_refused(given, message):
    with pytest.raises(DataError, match=message):
        rows_of_table(table_of(given, SPEC.columns), SPEC)


def test_rows_check_what_they_hold():
    with pytest.raises(DataError, match=r"infinite .*\(size: 1\)"):
        TableRows(torch.tensor([[float("inf"), 0.0]]), SPEC).check()
    for place in (2.0, -2.0):
        with pytest.raises(DataError, match="'colour' has 2 words"):
            TableRows(torch.tensor([[1.0, place]]), SPEC).check()
    TableRows(torch.tensor([[float("nan"), -1.0]]), SPEC).check()


def test_words_are_sorted_as_numbers_where_all_are():
    assert words_of(pa.chunked_array([["10", "9", None, " 9"]])) == ("9", "10")
    assert words_of(pa.chunked_array([[1, 2]])) is None
    assert as_table(pa.table({"a": [1]})).num_rows == 1


def test_names_of_columns_may_be_numbers_in_each_way_of_giving_rows():
    spec = rows_spec({"0": None, "1": None})
    for given in ({0: [1.0], 1: [2.0]}, [{0: 1.0, 1: 2.0}], [(1.0, 2.0)]):
        assert rows_of_table(table_of(given, spec.columns), spec).tolist() == [[1, 2]]
