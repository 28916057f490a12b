import numpy as np
import pytest
import torch

from goodteacher.data import load_dataset
from goodteacher.data.arrays import to_inputs
from goodteacher.errors import DataError


def arrays(inputs=None, labels=(0, 1, 2, 0, 1, 2), **changes):
    inputs = np.arange(6 * 12, dtype=np.uint8).reshape(6, 4, 3) if inputs is None else inputs
    labels = np.asarray(labels)
    return {"x_train": inputs, "y_train": labels, "x_test": inputs, "y_test": labels} | changes


def test_an_npz_file_is_read(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays(class_names=["x", "y", "z"], ids_test=np.arange(6) + 10))
    data = load_dataset(path)
    assert data.name == "mine"
    assert data.class_names == ("x", "y", "z")
    assert data.train.ids.tolist() == list(range(6))
    assert data.test.ids.tolist() == list(range(10, 16))
    assert np.array_equal(data.train.inputs[:, 0].numpy(), arrays()["x_train"])
    assert load_dataset(str(path)).fingerprint == data.fingerprint


def test_a_mapping_of_arrays_or_tensors_is_read_alike():
    given = arrays()
    tensors = {key: torch.from_numpy(value) for key, value in given.items()}
    assert load_dataset(given).fingerprint == load_dataset(tensors).fingerprint


def test_names_as_labels_are_numbered_in_sorted_order():
    data = load_dataset(arrays(labels=["dog", "cat", "emu"] * 2))
    assert data.class_names == ("cat", "dog", "emu")
    assert data.train.labels.tolist() == [1, 0, 2, 1, 0, 2]


def test_labels_as_a_column_are_accepted():
    data = load_dataset(arrays(labels=[[0], [1], [2]] * 2))
    assert data.train.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_the_channel_axis_is_told_from_the_shape():
    last = np.arange(2 * 5 * 4 * 3, dtype=np.uint8).reshape(2, 5, 4, 3)
    assert np.array_equal(to_inputs(last, "x"), last.transpose(0, 3, 1, 2))
    first = last.transpose(0, 3, 1, 2)
    assert np.array_equal(to_inputs(first, "x"), first)
    assert to_inputs(np.zeros((2, 5, 4, 1), np.uint8), "x").shape == (2, 1, 5, 4)
    assert to_inputs(np.zeros((2, 5, 4), np.uint8), "x").shape == (2, 1, 5, 4)


@pytest.mark.parametrize(
    "shape, which", [((2, 3, 5, 3), "both"), ((2, 1, 5, 3), "both"), ((2, 4, 5, 4), "neither")]
)
def test_an_ambiguous_channel_axis_is_refused(shape, which):
    with pytest.raises(DataError, match=rf"{which} of the second and the last axis"):
        to_inputs(np.zeros(shape, np.uint8), "train split")


@pytest.mark.parametrize("inputs", [np.zeros(6), np.zeros((6, 2), complex)])
def test_inputs_that_are_no_numbers_of_examples_are_refused(inputs):
    with pytest.raises(DataError, match=r"must be numbers \[N, ...\], for example uint8 images"):
        load_dataset(arrays(inputs))


@pytest.mark.parametrize("shape", [(6, 9, 9), (6, 3, 9, 8), (6, 9, 8, 1)])
@pytest.mark.parametrize(
    "dtype, largest, remedy, other",
    [
        (float, 1, r"\(255 \* images\).round\(\)", "another unit"),
        (np.int64, 255, r"images.astype\('uint8'\)", "int16"),
    ],
)
def test_images_that_were_scaled_or_widened_are_refused(shape, dtype, largest, remedy, other):
    inputs = (np.arange(np.prod(shape)) % (largest + 1)).reshape(shape).astype(dtype)
    with pytest.raises(
        DataError, match=rf"look like images, .*: {remedy}.* are not images, .*{other}"
    ):
        load_dataset(arrays(inputs))
    told_otherwise = inputs.astype(np.int16) if dtype is np.int64 else 100 * inputs
    assert load_dataset(arrays(told_otherwise)).input_shape == shape[1:]


@pytest.mark.parametrize(
    "inputs",
    [
        np.linspace(-1, 1, 6 * 9 * 9).reshape(6, 9, 9),
        np.arange(6 * 4 * 4).reshape(6, 4, 4),
        np.zeros((6, 12, 9)),
        np.arange(6 * 9 * 9).reshape(6, 9, 9) % 7,
        np.zeros((6, 2, 9, 9, 3)),
    ],
)
def test_series_and_other_numbers_of_any_shape_are_taken(inputs):
    data = load_dataset(arrays(inputs))
    assert data.input_shape == inputs.shape[1:]
    assert data.spec.kind == ("integers" if inputs.dtype.kind == "i" else "numbers")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"labels": [0.5, 1.0, 2.0] * 2}, "integers or text, .* of type double and hold 0.5"),
        ({"labels": np.full((6, 3), 1 / 3)}, r"not one-hot. .* y.argmax"),
        ({"labels": [2, 3, 4] * 2}, r"none in the train split \(0, 1\)"),
        ({"labels": [0, 1, 10**12] * 2}, "label 1000000000000 and only 6 training examples"),
        ({"class_names": ["a", "b"]}, r"Labels must be in 0\.\.1.*values 2"),
        ({"y_test": np.array([0, 1, 2])}, r"labels must have shape \[6\]"),
        ({"y_test": np.array([0, 1, 2, 0, 1, 5])}, r"none in the train split \(3, 4, 5\)"),
        ({"ids_train": np.zeros(6, int)}, "ids must be unique"),
        ({"y_val": np.zeros(6)}, "also has y_val"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        load_dataset(arrays(**changes))


def test_a_missing_array_is_named_with_what_is_there():
    given = arrays()
    del given["y_test"]
    with pytest.raises(DataError, match=r"'arrays' lacks y_test; it has x_test, x_train, y_train"):
        load_dataset(given)


def test_python_objects_are_never_unpickled(tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, **arrays(x_train=np.array([{}] * 6, dtype=object)))
    with pytest.raises(DataError, match=r"cannot be read as an \.npz.*Object arrays"):
        load_dataset(path)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04cut"])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.npz cannot be read as an \.npz file"):
        load_dataset(path)


def test_a_lone_array_under_the_name_of_an_npz_is_refused(tmp_path):
    path = tmp_path / "lone.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r"lone\.npz cannot be read as an \.npz"):
        load_dataset(path)


def test_images_are_resized_on_request_and_features_never():
    assert load_dataset(arrays(), resize=(8, 6)).input_shape == (1, 8, 6)
    with pytest.raises(DataError, match=r"resize=\(8, 6\) applies to images"):
        load_dataset(arrays(np.random.rand(6, 5)), resize=(8, 6))
