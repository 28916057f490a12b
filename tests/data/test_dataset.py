import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goodteacher.data import Dataset, Split
from goodteacher.data.dataset import shorten
from goodteacher.errors import DataError

from .conftest import make_dataset, make_features, make_images


def dataset_with(train=None, test=None, class_names=("a", "b"), name="made"):
    return Dataset(name, train or make_features(), test or make_features(seed=1), class_names)


def relabelled(labels):
    return Split.from_arrays(make_features(len(labels)).inputs, labels)


def test_a_split_is_frozen_and_compared_by_identity():
    split = make_features()
    with pytest.raises(dataclasses.FrozenInstanceError, match="labels"):
        split.labels = torch.zeros(40)
    assert split == split
    assert split != make_features()


def test_ids_are_row_numbers_unless_given():
    assert make_features(4).ids.tolist() == [0, 1, 2, 3]
    assert Split.from_arrays([[1.0], [2.0]], [0, 1], [70, 7]).ids.tolist() == [70, 7]


def test_a_subset_keeps_inputs_labels_and_ids_together():
    split = make_features(10, num_classes=5)
    part = split.subset([7, 2])
    assert part.ids.tolist() == [7, 2]
    assert part.labels.tolist() == [2, 2]
    assert torch.equal(part.inputs, split.inputs[[7, 2]])
    assert torch.equal(split.subset(torch.tensor([7, 2])).inputs, part.inputs)


def test_a_subset_that_names_a_row_twice_is_refused():
    with pytest.raises(DataError, match=r"unique within a split.*\(2\)"):
        make_features().subset([2, 2])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint16, np.uint64, ">i4"])
def test_any_integer_type_of_label_is_kept_as_int64(dtype):
    split = Split.from_arrays(np.zeros((2, 1)), np.array([0, 1]).astype(dtype))
    assert split.labels.dtype == torch.int64
    assert split.labels.tolist() == [0, 1]


def test_fractions_become_float32_and_whole_numbers_stay():
    for dtype in (np.float64, np.float32, np.float16):
        assert Split.from_arrays(np.ones((2, 3), dtype), [0, 1]).inputs.dtype == torch.float32
    for dtype in (np.uint8, np.int16, np.int64):
        split = Split.from_arrays(np.full((2, 3), 7, dtype), [0, 1])
        assert split.inputs.dtype == getattr(torch, np.dtype(dtype).name)
        assert (split.stored.spec.kind, split.stored.spec.high) == ("integers", 7)
    assert Split.from_arrays(np.ones((2, 3), np.uint32), [0, 1]).inputs.dtype == torch.int64


def test_read_only_and_reversed_arrays_are_copied_rather_than_refused():
    array = np.arange(6.0).reshape(3, 2)
    array.flags.writeable = False
    split = Split.from_arrays(array[::-1], np.array([0, 1, 0])[::-1])
    assert split.inputs.tolist() == [[4, 5], [2, 3], [0, 1]]


def test_labels_as_a_column_are_flattened():
    assert Split.from_arrays([[0.0], [1.0]], [[0], [1]]).labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    "inputs, labels, ids, message",
    [
        (np.zeros((0, 3)), np.zeros(0, int), None, r"at least one example.*\[0, 3\]"),
        (np.zeros((2, 0)), [0, 1], None, r"at least one value.*\[2, 0\]"),
        (np.zeros((2, 1)), [0.0, 1.0], None, r"labels must be integers.*float64"),
        (np.zeros((2, 1)), [True, False], None, r"labels must be integers.*bool"),
        (np.zeros((2, 1)), ["a", "b"], None, "labels must be an array of numbers"),
        (np.zeros((2, 1)), [0, 1, 1], None, r"labels must have shape \[2\].*\[3\]"),
        (np.zeros((2, 1)), np.eye(2, dtype=int), None, "one-hot"),
        (
            np.zeros((2, 1)),
            [0, 1],
            [5, 5],
            r"ids must be unique.*1 of them appear more than once \(5\)",
        ),
        (np.zeros((2, 1)), [0, 1], [0.5, 1.5], "ids must be integers"),
        (np.zeros((2, 4, 4), np.uint8), [0, 1], None, "without a channel axis"),
        (np.zeros(2), [0, 1], None, r"one axis after that of the examples, .* \[2\]"),
        (np.zeros((2, 1), complex), [0, 1], None, "but are torch.complex128"),
        ({}, np.zeros(0, int), None, "need at least one field"),
        ({"a": np.zeros((2, 1)), "b": np.zeros((3, 1))}, [0, 1], None, "a 2, b 3"),
        ({"a": np.zeros(2)}, [0, 1], None, "In the field 'a': inputs must be"),
        ([[1.0], [1.0, 2.0]], [0, 1], None, "inputs must be an array of numbers"),
    ],
)
def test_a_malformed_split_is_refused(inputs, labels, ids, message):
    with pytest.raises(DataError, match=message):
        Split.from_arrays(inputs, labels, ids)


def test_the_constructor_takes_int64_only():
    with pytest.raises(DataError, match=r"labels must be an int64 tensor.*int32"):
        Split(torch.zeros(2, 1), torch.zeros(2, dtype=torch.int32), torch.arange(2))


def test_a_data_set_knows_its_shape():
    data = make_dataset(make_images, shape=(3, 4, 5))
    assert (data.num_classes, data.input_shape, data.is_image) == (2, (3, 4, 5), True)
    data = make_dataset(num_features=7)
    assert (data.num_classes, data.input_shape, data.is_image) == (2, (7,), False)


def test_unlabelled_examples_are_allowed_in_train_only():
    partly = relabelled([0, 1, -1, -1])
    assert len(dataset_with(train=partly).train) == 4
    with pytest.raises(DataError, match=r"2 of 4 in the test split.*hides its labels"):
        dataset_with(test=partly)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"class_names": ("only",)}, r"at least two classes, but has 1 \(only\)"),
        ({"class_names": ()}, r"at least two classes, but has 0 \(none\)"),
        ({"class_names": ("a", "a")}, "must be unique.*: a"),
        ({"train": relabelled([0, 1, 2])}, r"Labels must be in 0\.\.1 .*1 of 3.*values 2; ids 2"),
        ({"test": relabelled([0, 1, 2])}, r"1 of 3 in the test split.*numbered from 1"),
        ({"train": relabelled([0, 1, -2])}, "values -2"),
        ({"train": relabelled([0, 0, 0])}, r"1 of 2 classes have none in the train split \(b\)"),
        ({"test": make_features(num_features=4)}, r"train are \[3\] and those of test \[4\]"),
        (
            {"test": make_images()},
            r"the same type, .* are 3 numbers and those of test images 1x4x4",
        ),
    ],
)
def test_a_data_set_that_cannot_be_used_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        dataset_with(**changes)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
@pytest.mark.parametrize("split", ["train", "test"])
def test_an_input_that_is_not_finite_is_refused_with_its_id(value, split):
    inputs = make_features().inputs.double()
    inputs[7, 1] = value
    bad = Split.from_arrays(inputs, torch.arange(40) % 2, torch.arange(40) + 100)
    with pytest.raises(
        DataError, match=rf"1 of 40 examples of the {split} split .*\(ids 107; feature 1: 1\)"
    ):
        dataset_with(**{split: bad})


def test_the_fingerprint_depends_on_everything_but_the_name():
    base = dataset_with()
    assert len(base.fingerprint) == 64
    assert dataset_with(name="other").fingerprint == base.fingerprint
    split = base.train
    bumped = split.inputs.clone()
    bumped[0, 0] += 1
    swapped = split.labels.clone()
    swapped[:2] = torch.tensor([1, 0])
    others = [
        dataset_with(train=Split(bumped, split.labels, split.ids)),
        dataset_with(train=Split(split.inputs, swapped, split.ids)),
        dataset_with(train=Split(split.inputs, split.labels, split.ids + 1)),
        dataset_with(train=base.test, test=split),
        dataset_with(class_names=("a", "c")),
        dataset_with(class_names=("b", "a")),
    ]
    assert len({data.fingerprint for data in [base, *others]}) == 7


def test_the_fingerprint_tells_shapes_of_equal_bytes_apart():
    def data(shape):
        split = Split.from_arrays(np.zeros((2, *shape), np.uint8), [0, 1])
        return dataset_with(train=split, test=split)

    assert data((1, 2, 8)).fingerprint != data((1, 4, 4)).fingerprint


def test_the_fingerprint_is_the_same_for_a_view_and_its_copy():
    wide = torch.randn(20, 6)
    labels = torch.arange(20) % 2
    view = Split.from_arrays(wide[:, ::2], labels)
    copy = Split.from_arrays(wide[:, ::2].contiguous(), labels)
    prints = {dataset_with(train=split, test=split).fingerprint for split in (view, copy)}
    assert len(prints) == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=10, unique=True))
def test_subsets_of_subsets_agree_with_indexing(rows):
    split = make_features(10)
    part = split.subset(rows)
    assert part.ids.tolist() == rows
    assert part.subset(range(len(rows))[::-1]).ids.tolist() == rows[::-1]


def test_shorten_lists_five_and_counts_the_rest():
    assert shorten([1, 2]) == "1, 2"
    assert shorten("abcde") == "a, b, c, d, e"
    assert shorten("abcdefg") == "a, b, c, d, e and 2 more"
    assert shorten([]) == ""
