"""Validation splits of one's own, training sets without labels, and labels in many forms."""

import numpy as np
import pandas as pd
import pytest
import torch

import goodteacher
from goodteacher.data import Dataset, Split, doctor, load_dataset, prepare
from goodteacher.errors import ConfigError, DataError

from .conftest import make_features, noted

RNG = np.random.default_rng(0)


def arrays(labels=None, num_train=60, **changes):
    labels = np.arange(num_train) % 3 if labels is None else np.asarray(labels)
    x = RNG.normal(size=(len(labels), 2))
    return {"x_train": x, "y_train": labels, "x_test": x + 9, "y_test": labels} | changes


def validation(name, size=12):
    return {f"x_{name}": RNG.normal(size=(size, 2)), f"y_{name}": np.arange(size) % 3}


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev"])
def test_a_validation_split_of_arrays_is_the_selection_split(tmp_path, name):
    given = arrays() | validation(name)
    np.savez(tmp_path / "data.npz", **given)
    data = load_dataset(tmp_path / "data.npz")
    assert data.fingerprint == load_dataset(given).fingerprint
    assert data.fingerprint != load_dataset({k: given[k] for k in arrays()}).fingerprint
    parts = prepare(data)
    assert torch.equal(parts.selection.inputs, data.validation.inputs)
    assert parts.selection.ids.tolist() == list(range(60, 72))
    assert len(parts.training) == len(parts.transfer) == 60


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev"])
def test_a_validation_table_is_the_selection_split(tmp_path, name):
    for split, size in (("train", 30), (name, 12), ("test", 12)):
        table = pd.DataFrame({"x": RNG.normal(size=size), "label": np.arange(size) % 3})
        table.to_parquet(tmp_path / f"{split}.parquet", index=False)
    assert prepare(load_dataset(tmp_path)).selection.ids.tolist() == list(range(30, 42))


def test_a_column_split_may_name_a_validation_part(tmp_path):
    split = ["train"] * 20 + ["dev"] * 6 + ["test"] * 6
    table = pd.DataFrame({"x": RNG.normal(size=32), "label": np.arange(32) % 2, "split": split})
    table.to_csv(tmp_path / "all.csv", index=False)
    data = load_dataset(tmp_path / "all.csv")
    assert data.validation.ids.tolist() == list(range(20, 26))
    other, _ = noted(tmp_path / "all.csv", test_split="dev")
    assert other.test.ids.tolist() == list(range(20, 26))


def test_ids_that_train_and_validation_share_are_counted_on(tmp_path):
    for split, size in (("train", 30), ("val", 12), ("test", 12)):
        table = pd.DataFrame({"id": range(100, 100 + size), "x": RNG.normal(size=size)})
        table.assign(label=np.arange(size) % 3).to_csv(tmp_path / f"{split}.csv", index=False)
    data, notes = noted(tmp_path)
    assert data.validation.ids.tolist() == list(range(130, 142))
    assert "new ids, from 130 on" in notes[0]


def test_a_data_set_refuses_ids_that_two_splits_share():
    split = make_features(6)
    with pytest.raises(DataError, match="The ids of train and validation must differ"):
        Dataset("made", split, split, ("a", "b"), split)


def test_validation_without_test_is_the_test_split(tmp_path):
    given = arrays() | validation("val")
    del given["x_test"], given["y_test"]
    data, notes = noted(given)
    assert (len(data.test), data.validation) == (12, None)
    assert "Its val split is used as the test split" in notes[0]


def test_the_test_arrays_can_be_named():
    given = arrays() | validation("val") | validation("holdout", 9)
    with pytest.raises(DataError, match="also has x_holdout"):
        load_dataset(given)
    data, notes = noted(given, test_split="holdout")
    assert (len(data.test), len(data.validation)) == (9, 12)
    assert "'test', which is not used" in notes[0]
    with pytest.raises(ConfigError, match="text_column = 't' does not apply to arrays"):
        load_dataset(given, text_column="t")


def test_a_selection_fraction_beside_a_validation_split_is_told(tmp_path):
    told = []

    class Watcher:
        def begin(self, stage, total): ...
        def advance(self, units, stage=None): ...
        def note(self, text):
            told.append(text)

    data = load_dataset(arrays() | validation("val"))
    goodteacher.distill(
        data,
        responses=torch.randn(60, 3),
        student="mlp:2",
        out=tmp_path / "out",
        student_epochs=1,
        student_batch_size=30,
        selection_fraction=0.3,
        progress=Watcher(),
    )
    assert any("selection_fraction = 0.3 is not used" in text for text in told)


# Labels -------------------------------------------------------------------------------------------


def test_a_training_set_without_labels_works_where_others_have_them():
    given = arrays() | validation("val")
    del given["y_train"]
    data, _ = noted(given)
    assert bool((data.train.labels == -1).all())
    assert data.class_names == ("0", "1", "2")
    assert len(prepare(data).transfer) == 60


def test_without_any_label_to_choose_on_the_way_out_is_told():
    given = arrays()
    del given["y_train"]
    data, _ = noted(given)
    with pytest.raises(DataError, match="x_validation"):
        prepare(data)
    assert [f.code for f in doctor(data) if f.severity == "error"] == ["no_labels"]


def test_a_search_without_any_training_label_is_refused(tmp_path):
    given = arrays() | validation("val")
    del given["y_train"]
    data, _ = noted(given)
    with pytest.raises(DataError, match="trains teachers on labels"):
        goodteacher.search(
            data, teacher="mlp:2", student="mlp:2", out=tmp_path / "o", batch_sizes=[8],
            student_batch_size=8,
        )  # fmt: skip


@pytest.mark.parametrize("labels", [[-1, 0, 2], ["", "a", "c"], [np.nan, 0.0, 2.0]])
def test_missing_labels_are_understood_in_every_form(tmp_path, labels):
    table = pd.DataFrame({"x": RNG.normal(size=30), "label": labels * 10})
    table.to_csv(tmp_path / "train.csv", index=False)
    full = [labels[1], labels[2]] * 6 if isinstance(labels[1], str) else [0, 1, 2] * 4
    test = pd.DataFrame({"x": RNG.normal(size=12), "label": full})
    test.to_csv(tmp_path / "test.csv", index=False)
    if not isinstance(labels[1], str):
        table.loc[::2, "label"] = 1
        table.to_csv(tmp_path / "train.csv", index=False)
    assert int((load_dataset(tmp_path).train.labels == -1).sum()) in (5, 10)


@pytest.mark.parametrize("kind", [float, np.float16, np.uint8, str])
def test_whole_numbers_of_any_type_are_the_same_labels(kind):
    labels = np.arange(60) % 3
    assert load_dataset(arrays(labels.astype(kind))).train.labels.tolist() == labels.tolist()


def test_labels_that_count_from_one_are_understood_with_a_note():
    data, notes = noted(arrays(np.arange(60) % 3 + 1))
    assert data.class_names == ("1", "2", "3")
    assert data.train.labels.tolist() == (np.arange(60) % 3).tolist()
    assert "are numbered from 1 to 3" in notes[0]
    named, _ = noted(arrays(np.arange(60) % 3 + 1, class_names=["a", "b", "c"]))
    assert named.train.labels.tolist() == data.train.labels.tolist()


def test_minus_one_as_a_class_is_recognised():
    with pytest.raises(DataError, match="labels of 'arrays' are -1 and 1"):
        load_dataset(arrays(np.arange(60) % 2 * 2 - 1))


def test_negative_labels_are_refused_and_bytes_are_names():
    with pytest.raises(DataError, match="'arrays' has a label -2"):
        load_dataset(arrays(np.arange(60) % 3 - 2))
    data = load_dataset(arrays(np.array([b"cat", b"dog"] * 30)))
    assert data.class_names == ("cat", "dog")


def test_one_hot_labels_are_understood_with_a_note_and_others_refused():
    labels = np.arange(60) % 3
    data, notes = noted(arrays(np.eye(3)[labels]))
    assert data.train.labels.tolist() == labels.tolist()
    assert "one-hot" in notes[0]
    with pytest.raises(DataError, match=r"not one-hot.* several classes"):
        load_dataset(arrays(np.ones((60, 3), int)))


def test_names_and_numbers_of_classes_are_never_matched_by_place():
    given = arrays(np.array(["cat", "dog"] * 30), y_test=np.arange(60) % 2)
    with pytest.raises(DataError, match=r"also has '0', '1'"):
        load_dataset(given)


def test_labels_of_several_classes_in_a_table_are_refused(tmp_path):
    table = pd.DataFrame({"x": [1.5, 2.5], "label": [[0, 1], [1]]})
    for split in ("train", "test"):
        table.to_parquet(tmp_path / f"{split}.parquet")
    with pytest.raises(DataError, match="Each example must have one class"):
        load_dataset(tmp_path)


def test_a_hidden_test_label_names_the_way_out(tmp_path):
    table = pd.DataFrame({"x": [1.5, 2.5], "label": [0, 1]})
    table.to_csv(tmp_path / "train.csv", index=False)
    table.drop(columns="label").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(DataError, match=r"has no column 'label'.*--test-split"):
        load_dataset(tmp_path)


# The doctor ---------------------------------------------------------------------------------------


def codes(data):
    return {finding.code: finding for finding in doctor(data)}


def split_of(inputs, labels, first=0):
    return Split.from_arrays(inputs, labels, np.arange(len(labels)) + first)


def test_the_doctor_repeats_what_reading_told():
    data, notes = noted(arrays(np.arange(60) % 3 + 1))
    assert codes(data)["labels_from_one"].message == notes[0]


def test_the_doctor_finds_classes_that_are_spelt_in_several_ways():
    labels = np.array(["cat", "Cat", "cat ", "dog"] * 15)
    data = load_dataset(arrays(labels))
    assert "'Cat' = 'cat' = 'cat '" in codes(data)["label_variants"].message


def test_the_doctor_finds_an_input_that_tells_the_class():
    labels = np.arange(90) % 3
    splits = [
        split_of(np.c_[RNG.normal(size=90), 10 * labels + RNG.normal(size=90) / 9], labels)
        for _ in range(2)
    ]
    data = Dataset("told", *splits, ("a", "b", "c"), feature_names=("noise", "verdict"))
    assert "column 'verdict'" in codes(data)["tells_the_class"].message


def test_the_doctor_finds_row_numbers_and_constant_columns_in_a_data_set():
    labels = np.arange(60) % 3
    inputs = np.c_[np.arange(60), np.ones(60), RNG.normal(size=60)]
    data = Dataset("x", split_of(inputs, labels), split_of(inputs + 60, labels), ("a", "b", "c"))
    found = codes(data)
    assert found["row_numbers"].severity == "error"
    assert "feature 1" in found["constant_inputs"].message


def test_the_doctor_finds_validation_examples_in_the_other_splits():
    labels = np.arange(60) % 3
    train, test = (split_of(RNG.normal(size=(60, 2)), labels) for _ in range(2))
    inputs = np.r_[train.inputs[:2], RNG.normal(size=(10, 2))]
    data = Dataset("x", train, test, ("a", "b", "c"), split_of(inputs, np.arange(12) % 3, 60))
    assert "2 of 12 validation examples" in codes(data)["validation_leakage"].message


def test_the_doctor_finds_classes_that_count_in_the_order_of_text():
    names = tuple(sorted(f"class{n}" for n in range(1, 12)))
    splits = [make_features(220, 11, seed=s) for s in (0, 1)]
    assert (
        "label 1 means class 'class10'"
        in codes(Dataset("x", *splits, names))["class_order"].message
    )


def test_the_doctor_finds_texts_without_known_terms():
    train = Split.from_texts([f"card number {n}" for n in range(30)], np.arange(30) % 2)
    test = Split.from_texts(["carte bleue"] * 9 + ["card"], [0, 1] * 5)
    found = codes(Dataset("x", train, test, ("a", "b")))["unknown_terms"]
    assert found.severity == "error"
    assert "9 of 10 test texts" in found.message
