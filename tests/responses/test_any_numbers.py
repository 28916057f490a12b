"""Whatever is given as a response or as labels is read, or refused in words: never a traceback."""

import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import save_file

from goodteacher.errors import DataError, InputError, ResponseError
from goodteacher.responses import Response, as_response, read_labels, read_response
from goodteacher.responses.files import read_recorded
from tests.any_arrays import any_arrays, asked_often

PROPERTY = asked_often(60)
ARRAYS = any_arrays(hnp.datetime64_dtypes(), max_dims=3)
NAMES = st.sampled_from(
    ["logits", "probabilities", "ids", "id", "labels", "y", "class_names", "classes", "other"]
)


def read_or_refused(read, *arguments, **settings):
    """What is read, or None where it is refused; anything else, a warning too, is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return read(*arguments, **settings)
        except InputError:
            return None


def check(response):
    """What a response that was read promises."""
    if response is not None:
        assert response.logits.dtype == torch.float32
        assert response.logits.ndim == 2
        assert not torch.isnan(response.logits).any()
        assert len(response.ids.unique()) == len(response.logits)


@PROPERTY
@given(ARRAYS, st.booleans())
def test_any_array_is_a_response_or_refused(array, probabilities):
    check(read_or_refused(as_response, array, probabilities=probabilities))


@PROPERTY
@given(st.dictionaries(NAMES, ARRAYS, max_size=4), st.booleans())
def test_any_named_arrays_are_a_response_or_refused(arrays, probabilities):
    check(read_or_refused(as_response, arrays, probabilities=probabilities))


@PROPERTY
@given(arrays=st.dictionaries(NAMES, ARRAYS, max_size=3))
def test_any_npz_file_holds_labels_or_is_refused(tmp_path_factory, arrays):
    path = tmp_path_factory.getbasetemp() / "any.npz"
    np.savez(path, **arrays)
    found = read_or_refused(read_labels, path)
    assert found is None or (found.labels.dtype == torch.int64 and found.labels.ndim == 1)
    check(read_or_refused(read_response, path))


COLUMNS = st.one_of(
    st.lists(st.floats(), min_size=3, max_size=3),
    st.lists(st.integers(-5, 5), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.floats(-3, 3)), min_size=3, max_size=3),
    st.lists(st.lists(st.floats(-3, 3), max_size=3), min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
)
HEADERS = st.sampled_from(
    ["id", "label", "y", "logits", "probabilities", "0", "1", "cat", "dog", "", "logit_0", "text"]
)


@PROPERTY
@given(
    columns=st.dictionaries(HEADERS, COLUMNS, max_size=4),
    probabilities=st.booleans(),
    class_names=st.sampled_from([(), ("cat", "dog"), ("0", "1", "2")]),
)
def test_any_table_is_a_response_or_refused(tmp_path_factory, columns, probabilities, class_names):
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    pq.write_table(pa.table(columns), path)
    wanted = {"probabilities": probabilities, "class_names": class_names}
    check(read_or_refused(read_response, path, **wanted))
    read_or_refused(read_labels, path)


@PROPERTY
@given(
    content=st.one_of(
        st.binary(max_size=80),
        st.text(alphabet='0123456789.,;\r\n\t"ab-e ', max_size=80).map(str.encode),
    ),
    ending=st.sampled_from([".csv", ".tsv", ".csv.gz", ".npy", ".npz", ".parquet", ".safetensors"]),
)
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, ending):
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    path.write_bytes(content)
    check(read_or_refused(read_response, path))
    read_or_refused(read_labels, path)
    read_or_refused(read_recorded, path)


# --- what such inputs had once passed by ---------------------------------------------------------


@pytest.mark.parametrize("probabilities", [False, True])
@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3)])
def test_response_without_examples_or_classes_is_refused(shape, probabilities):
    with pytest.raises(ResponseError, match="holds nothing: its shape is"):
        as_response(np.zeros(shape), probabilities=probabilities)


@pytest.mark.parametrize("value", [-1e300, 1e300, 2.0**60, -(2.0**60)])
def test_numbers_that_no_fraction_holds_exactly_are_no_labels_and_no_ids(tmp_path, value):
    np.save(tmp_path / "y.npy", np.array([0.0, value]))
    with pytest.raises(DataError, match="must be whole numbers, one for each row, but are float64"):
        read_labels(tmp_path / "y.npy")
    with pytest.raises(ResponseError, match="Ids in the response must be whole numbers"):
        as_response({"logits": 5 * np.eye(2), "ids": np.array([0.0, value])})


def test_labels_in_half_precision_are_whole_numbers_too(tmp_path):
    np.save(tmp_path / "y.npy", np.array([0, 2, 1], np.float16))
    assert read_labels(tmp_path / "y.npy").labels.tolist() == [0, 2, 1]


def test_labels_beside_a_response_that_are_no_classes_are_left_out():
    values = {"logits": 5 * np.eye(2), "labels": np.array([0.0, 1e300])}
    assert as_response(values).labels is None
    assert as_response({**values, "labels": np.array([0.0, 1.0])}).labels.tolist() == [0, 1]
    huge = np.array([0, 2**64 - 1], np.uint64)
    assert as_response({**values, "labels": huge}).labels is None


def test_names_in_bytes_are_read_as_utf8_or_refused(tmp_path):
    path = tmp_path / "labels.npz"
    np.savez(path, labels=np.array(["müde".encode(), b"wach"]))
    assert read_labels(path).class_names == ("müde", "wach")
    np.savez(path, labels=np.array([b"\xff", b"a"]))
    with pytest.raises(DataError, match=r"labels\.npz holds bytes that are not UTF-8"):
        read_labels(path)


def test_label_that_is_empty_is_no_class(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("id,label\n1,a\n2,\n3,b\n")
    with pytest.raises(DataError, match=r"labels\.csv are missing for some examples"):
        read_labels(path)


def test_recorded_file_without_logits_is_refused_by_its_name(tmp_path):
    save_file({"weights": torch.eye(2)}, tmp_path / "1-transfer.safetensors")
    with pytest.raises(ResponseError, match=r"transfer\.safetensors holds 'weights', but no 'log"):
        read_recorded(tmp_path / "1-transfer.safetensors")


# --- numbers that are read keep their meaning ----------------------------------------------------


@given(
    hnp.arrays(np.float32, (4, 3), elements=st.floats(-1e4, 1e4, width=32)),
    st.sampled_from([np.float32, np.float64, "list"]),
)
def test_logits_are_what_was_given(logits, kind):
    given_logits = logits.tolist() if kind == "list" else logits.astype(kind)
    found = read_or_refused(as_response, {"logits": given_logits})
    assert found is None or np.array_equal(found.logits.numpy(), logits)


@given(hnp.arrays(np.float64, (5, 4), elements=st.floats(1e-6, 1)))
def test_probabilities_come_back_from_their_logits(weights):
    probabilities = weights / weights.sum(1, keepdims=True)
    found = as_response(probabilities, probabilities=True)
    np.testing.assert_allclose(found.logits.softmax(1).numpy(), probabilities, atol=1e-6)


@given(st.permutations(range(6)))
def test_rows_follow_their_ids_whatever_their_order(order):
    logits = np.arange(18.0).reshape(6, 3) - 40
    ids = np.array([3, 7, 1, 100, 0, 5])
    shuffled = as_response({"logits": logits[order], "ids": ids[order]})
    asked = torch.tensor([100, 0, 3])
    wanted = as_response({"logits": logits, "ids": ids}).aligned_to(asked)
    assert torch.equal(shuffled.aligned_to(asked), wanted)
    assert isinstance(shuffled, Response)
