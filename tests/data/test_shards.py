"""Tables in several files: which belong together, and whether all are there."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goodteacher.data import load_dataset
from goodteacher.errors import DataError

from .conftest import noted

HASH = "-b42a775f407cee45"


def write(folder, *names):
    """Write shards of two rows each; the feature is the number of the file."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"x": [number + 0.5] * 2, "label": [0, 1]}), path)
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"],
        [f"data/train-0000{n}-of-00002{HASH}.parquet" for n in range(2)],
        ["train/0000.parquet", "train/0001.parquet"],
        ["train/part-00000-of-00002.parquet", "train/part-00001-of-00002.parquet"],
        ["train/shard_1_of_2.parquet", "train/shard_2_of_2.parquet"],
        ["train_1.parquet", "train_2.parquet"],
        ["data/train/a.parquet", "data/train/b.parquet"],
        [f"train/part-0000{n}-1a2b3c4d-c000.snappy.parquet" for n in range(2)],
        [f"train_{year}.parquet" for year in (2023, 2024)],
    ],
)
def test_every_scheme_of_names_is_joined_in_order(tmp_path, names):
    write(tmp_path, *names, "test.parquet")
    assert load_dataset(tmp_path).train.inputs[:, 0].tolist() == [0.5, 0.5, 1.5, 1.5]


def test_shards_are_in_the_order_of_their_numbers(tmp_path):
    write(tmp_path, *(f"train/{n}.parquet" for n in range(12)), "test/0.parquet")
    inputs = load_dataset(tmp_path).train.inputs[::2, 0]
    assert np.array_equal(inputs, np.arange(12) + 0.5)


@pytest.mark.parametrize(
    "names, message",
    [
        (["train-00000-of-00002.parquet"], "2 shards, .*but has 1: number 1 is missing"),
        ([f"data/train-00001-of-00002{HASH}.parquet"], "number 0 is missing"),
        (["train/0000.parquet", "train/0002.parquet"], "number 1 is missing"),
        (["train/0001.parquet", "train/0002.parquet"], "number 0 is missing"),
        ([f"train/shard_{n}_of_8.parquet" for n in (1, 2, 4, 5, 6, 7, 8)], "number 3 is missing"),
        ([f"train/part-0000{n}-of-00010.parquet" for n in range(8)], "number 8, 9 are missing"),
        (
            [f"train-00000-of-00001{h}.parquet" for h in (HASH, "-0fb11f1eb8a0b5f6")],
            "number 0 appears more than once",
        ),
        (["train_0.parquet", "train_1.parquet", "train_3.parquet"], "number 2 is missing"),
    ],
)
def test_a_missing_or_doubled_shard_is_refused_whatever_its_name(tmp_path, names, message):
    write(tmp_path, *names, "test.parquet")
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


def test_a_missing_shard_of_the_test_split_is_refused(tmp_path):
    write(tmp_path, "train.parquet", "test-00001-of-00002.parquet")
    with pytest.raises(DataError, match="number 0 is missing"):
        load_dataset(tmp_path)


def test_one_shard_given_as_a_file_is_refused(tmp_path):
    write(tmp_path, f"train-00000-of-00002{HASH}.parquet")
    with pytest.raises(DataError, match="should hold 2 shards"):
        load_dataset(tmp_path / f"train-00000-of-00002{HASH}.parquet")


def test_a_split_that_is_there_twice_is_told(tmp_path):
    write(tmp_path, "train.parquet", "data/train-00000-of-00001.parquet", "test.parquet")
    data, notes = noted(tmp_path)
    assert data.train.inputs[0, 0] == 0.5
    assert "more than one table of the train split: train.parquet is used" in notes[0]


def test_the_layout_of_converted_data_sets_is_read_at_every_level(tmp_path):
    write(tmp_path / "default", "train/0000.parquet", "test/0000.parquet")
    assert len(load_dataset(tmp_path / "default").train) == 2
    _, notes = noted(tmp_path)
    assert "contains only 'default'" in notes[0]
    write(tmp_path / "small", "train/0000.parquet", "test/0000.parquet")
    with pytest.raises(DataError, match=r"contains 2 data sets, .*default, .*small. Give one"):
        load_dataset(tmp_path)


def test_shards_whose_columns_differ_in_type_are_joined_or_refused(tmp_path):
    write(tmp_path, "train_0.parquet", "train_1.parquet", "test.parquet")
    pq.write_table(pa.table({"x": [1, 2], "label": [0, 1]}), tmp_path / "train_1.parquet")
    assert load_dataset(tmp_path).train.inputs[:, 0].tolist() == [0.5, 0.5, 1, 2]
    pq.write_table(pa.table({"x": ["a", "b"], "label": [0, 1]}), tmp_path / "train_1.parquet")
    with pytest.raises(DataError, match="cannot be joined"):
        load_dataset(tmp_path)
