"""Responses and labels: every kind of file round-trips, ids align, wrong input is refused."""

from __future__ import annotations

import io
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from goodteacher.errors import DataError, ResponseError
from goodteacher.responses import Labels, Response, read_labels, read_response, write_response

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0], [1.0, 1.0, 4.0], [-5.0, 0.25, 0.0]])
IDS = np.array([30, 10, 40, 20])


def class_columns(values, prefix="class_"):
    return {f"{prefix}{k}": values[:, k] for k in range(values.shape[1])}


def write_table(path, columns):
    table = pa.table(columns)
    if path.suffix == ".csv":
        pa.csv.write_csv(table, path)
    else:
        pa.parquet.write_table(table, path)


def save_safetensors(path, name, values, ids):
    arrays = {name: np.ascontiguousarray(values)} | ({} if ids is None else {"ids": ids})
    save_file(arrays, path)


def save_npz(path, name, values, ids):
    np.savez(path, **({name: values} | ({} if ids is None else {"ids": ids})))


def save_lists(path, name, values, ids):
    columns = {name: values.tolist()} if ids is None else {"id": ids, name: values.tolist()}
    write_table(path, columns)


def save_columns(path, name, values, ids):
    write_table(path, ({} if ids is None else {"ids": ids}) | class_columns(values))


SAVERS = {
    "safetensors": (".safetensors", save_safetensors),
    "npz": (".npz", save_npz),
    "parquet lists": (".parquet", save_lists),
    "parquet columns": (".parquet", save_columns),
    "csv": (".csv", save_columns),
}
every_kind = pytest.mark.parametrize("kind", SAVERS)


def save(folder, kind, values, ids=None, name="logits"):
    suffix, saver = SAVERS[kind]
    path = Path(folder) / f"response{suffix}"
    saver(path, name, values, ids)
    return path


def saved_array(path, **arrays):
    np.savez(path, **arrays)
    return path


matrices = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.integers(2, 5)),
    elements=st.floats(-100, 100, width=32),
).filter(lambda values: not np.allclose(values.sum(1), 1, atol=5e-3))


@every_kind
@settings(max_examples=15, deadline=None)
@given(values=matrices, entropy=st.integers(0, 2**32))
def test_every_kind_of_file_round_trips_logits_and_ids(kind, values, entropy):
    ids = np.random.default_rng(entropy).choice(10**9, len(values), replace=False)
    with tempfile.TemporaryDirectory() as folder:
        response = read_response(save(folder, kind, values, ids))
    assert response.logits.dtype == torch.float32
    np.testing.assert_array_equal(response.logits.numpy(), values)
    np.testing.assert_array_equal(response.ids.numpy(), ids)
    assert response.has_ids


@settings(max_examples=25, deadline=None)
@given(values=matrices, entropy=st.integers(0, 2**32), extra=st.integers(0, 3))
def test_alignment_is_right_for_any_permutation_and_any_subset(values, entropy, extra):
    rng = np.random.default_rng(entropy)
    ids = rng.choice(1000, len(values), replace=False) - 500
    row_of = {int(i): row for row, i in enumerate(ids)}
    response = Response(torch.from_numpy(values), torch.from_numpy(ids))
    wanted = rng.permutation(ids)[: max(1, len(ids) - extra)]
    expected = np.stack([values[row_of[int(i)]] for i in wanted])
    aligned = response.aligned_to(torch.from_numpy(wanted))
    np.testing.assert_array_equal(aligned.numpy(), expected)


@settings(max_examples=20, deadline=None)
@given(values=matrices, has_ids=st.booleans())
def test_a_written_response_reads_back_the_same(values, has_ids):
    ids = torch.arange(len(values)) * (3 if has_ids else 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.safetensors"
        write_response(path, Response(torch.from_numpy(values), ids, has_ids))
        again = read_response(path)
    assert torch.equal(again.logits, torch.from_numpy(values))
    assert torch.equal(again.ids, ids)
    assert again.has_ids == has_ids


@every_kind
def test_a_file_without_ids_has_row_numbers_and_says_so(tmp_path, kind):
    response = read_response(save(tmp_path, kind, LOGITS))
    assert not response.has_ids
    assert response.ids.tolist() == [0, 1, 2, 3]
    assert (response.num_examples, response.num_classes) == (4, 3)


def test_an_npy_file_is_the_logits_themselves(tmp_path):
    np.save(tmp_path / "r.npy", LOGITS.astype(np.float16))
    np.testing.assert_array_equal(read_response(tmp_path / "r.npy").logits.numpy(), LOGITS)


def test_bfloat16_safetensors_are_read(tmp_path):
    save_torch({"logits": torch.tensor(LOGITS).bfloat16()}, tmp_path / "r.safetensors")
    np.testing.assert_array_equal(read_response(tmp_path / "r.safetensors").logits.numpy(), LOGITS)


@every_kind
@pytest.mark.parametrize("name", ["probabilities", "logits"])
def test_probabilities_become_logits_of_the_same_softmax(tmp_path, kind, name):
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    path = save(tmp_path, kind, probabilities, IDS, name=name)
    response = read_response(path, probabilities=True)
    torch.testing.assert_close(
        response.logits.softmax(1).double(), torch.from_numpy(probabilities), rtol=1e-5, atol=1e-7
    )


def test_zero_probabilities_stay_zero_at_every_temperature(tmp_path):
    np.save(tmp_path / "r.npy", np.array([[0.7, 0.3, 0.0], [0.0, 0.0, 1.0]]))
    response = read_response(tmp_path / "r.npy", probabilities=True)
    assert (response.logits / 64).softmax(1)[0, 2] == 0
    assert not response.is_one_hot


def test_hard_labels_are_recognised(tmp_path):
    np.save(tmp_path / "r.npy", np.eye(4)[[2, 0, 1]])
    assert read_response(tmp_path / "r.npy", probabilities=True).is_one_hot


@pytest.mark.parametrize(
    "logits",
    [
        torch.tensor([[9.0, 0.0, 0.0]]).log_softmax(1),  # smoothing
        torch.tensor([[80.0, 0.0, 20.0]]),  # saturated, yet similar to class 2 at high temperature
        torch.zeros(1, 3),
        torch.tensor([[80.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    ],
)
def test_soft_responses_are_not_called_hard(logits):
    assert not Response(logits, torch.arange(len(logits))).is_one_hot


def test_rows_may_miss_a_sum_of_one_by_the_tolerance_only(tmp_path):
    np.save(tmp_path / "near.npy", np.array([[0.5, 0.4991], [0.5, 0.5]]))
    assert read_response(tmp_path / "near.npy", probabilities=True).num_examples == 2
    np.save(tmp_path / "far.npy", np.array([[0.5, 0.5], [0.503, 0.4871]]))
    with pytest.raises(ResponseError, match=r"1 of 2 rows do not; the first is row 1.*0\.9901"):
        read_response(tmp_path / "far.npy", probabilities=True)


def test_a_response_may_hold_more_examples_than_are_asked_for(tmp_path):
    path = save(tmp_path, "npz", LOGITS, IDS)
    response = read_response(path)
    np.testing.assert_array_equal(
        response.aligned_to(torch.tensor([20, 30])).numpy(), LOGITS[[3, 0]]
    )


def test_aligning_to_its_own_ids_copies_nothing():
    response = Response(torch.randn(4, 3), torch.tensor(IDS))
    assert response.aligned_to(torch.tensor(IDS)).data_ptr() == response.logits.data_ptr()


def test_label_columns_beside_classes_are_not_classes(tmp_path):
    columns = {"id": IDS, "label": [0, 1, 2, 1]} | class_columns(LOGITS)
    write_table(tmp_path / "r.csv", columns)
    assert read_response(tmp_path / "r.csv").num_classes == 3
    assert read_labels(tmp_path / "r.csv").labels.tolist() == [0, 1, 2, 1]


def test_bare_class_numbers_are_column_names_not_a_missing_header(tmp_path):
    write_table(tmp_path / "r.csv", class_columns(LOGITS, prefix=""))
    np.testing.assert_array_equal(read_response(tmp_path / "r.csv").logits.numpy(), LOGITS)


def test_metadata_is_kept_and_nothing_else_is_left_in_the_folder(tmp_path):
    path = tmp_path / "r.safetensors"
    write_response(path, Response(torch.randn(4, 3), torch.tensor(IDS)), metadata={"epoch": "4"})
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["epoch"] == "4"
        assert set(file.keys()) == {"logits", "ids"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.safetensors"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "r.safetensors"
    old = Response(torch.randn(4, 3), torch.tensor(IDS))
    write_response(path, old)

    def full(self, target):
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ResponseError, match="No space left"):
        write_response(path, Response(torch.zeros(4, 3), torch.tensor(IDS)))
    assert torch.equal(read_response(path).logits, old.logits)
    assert len(list(tmp_path.iterdir())) == 1


def test_views_that_are_not_contiguous_are_written_right(tmp_path):
    logits = torch.randn(3, 4).T
    write_response(tmp_path / "r.safetensors", Response(logits, torch.tensor(IDS)))
    assert torch.equal(read_response(tmp_path / "r.safetensors").logits, logits)


@pytest.mark.parametrize(
    "logits, ids, message",
    [
        (torch.zeros(3), torch.arange(3), r"but is torch.float32 of shape \[3\]"),
        (torch.zeros(3, 2).double(), torch.arange(3), "float32 of shape .* but is torch.float64"),
        (torch.zeros(3, 1), torch.arange(3), "2 classes, but has shape"),
        (torch.zeros(0, 2), torch.arange(0), "at least 1 example"),
        (torch.tensor([[0.0, torch.nan], [0.0, torch.inf]]), torch.arange(2), "2 of 2 rows"),
        (torch.zeros(3, 2), torch.arange(2), "each of the 3 rows"),
        (torch.zeros(2, 2), torch.arange(2).float(), "int64 id for each"),
        (torch.zeros(3, 2), torch.tensor([5, 5, 1]), "1 appear more than once: 5"),
    ],
)
def test_a_response_that_breaks_its_rules_is_refused(logits, ids, message):
    with pytest.raises(ResponseError, match=message):
        Response(logits, ids)


def test_missing_ids_are_counted_and_the_first_few_named():
    response = Response(torch.zeros(3, 2), torch.arange(3))
    with pytest.raises(ResponseError, match=r"7 of 10 examples: ids 3, 4, 5, 6, 7, \.\.\."):
        response.aligned_to(torch.arange(10))


def test_ids_asked_for_twice_are_refused():
    response = Response(torch.zeros(3, 2), torch.arange(3))
    with pytest.raises(ResponseError, match=r"to align to must be unique, but 2 .*: 0, 1"):
        response.aligned_to(torch.tensor([0, 1, 2, 1, 0, 0]))


def test_alignment_by_row_number_says_that_the_file_had_no_ids(tmp_path):
    np.save(tmp_path / "r.npy", LOGITS)
    with pytest.raises(ResponseError, match="row numbers, since it came without ids"):
        read_response(tmp_path / "r.npy").aligned_to(torch.tensor([4]))


@every_kind
def test_logits_that_look_like_probabilities_are_refused(tmp_path, kind):
    path = save(tmp_path, kind, np.array([[0.75, 0.25], [0.5, 0.5]]))
    with pytest.raises(ResponseError, match=r"look like probabilities\. Pass probabilities=True"):
        read_response(path)


@every_kind
def test_logits_given_as_probabilities_are_refused(tmp_path, kind):
    path = save(tmp_path, kind, LOGITS)
    with pytest.raises(ResponseError, match="If they are logits"):
        read_response(path, probabilities=True)


@pytest.mark.parametrize("kind", ["npz", "safetensors", "parquet lists"])
def test_an_array_named_probabilities_asks_for_the_flag(tmp_path, kind):
    path = save(tmp_path, kind, np.array([[0.75, 0.25]]), name="probabilities")
    with pytest.raises(ResponseError, match=r"'probabilities', not 'logits'\. Pass"):
        read_response(path)


class Harmful:
    """Unpickling this would call the function."""

    def __reduce__(self):
        return (Path.touch, (Path("unpickled"),))


@pytest.mark.parametrize(
    "reader, error", [(read_response, ResponseError), (read_labels, DataError)]
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_pickled_arrays_are_never_loaded(tmp_path, monkeypatch, reader, error, suffix):
    monkeypatch.chdir(tmp_path)
    array = np.array([Harmful()], dtype=object)
    path = tmp_path / f"r{suffix}"
    if suffix == ".npy":
        np.save(path, array, allow_pickle=True)
    else:
        np.savez(path, logits=array, allow_pickle=True)
    with pytest.raises(error, match="never unpickles"):
        reader(path)
    path.write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(error, match=r"never unpickles|cannot be read as"):
        reader(path)
    assert not Path("unpickled").exists()


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet", ".csv"])
@pytest.mark.parametrize("content", [b"", b"\x00garbage\xff" * 9], ids=["empty", "garbage"])
def test_damaged_files_are_refused_without_a_traceback_of_their_library(tmp_path, suffix, content):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(ResponseError, match=f"broken{suffix}"):
        read_response(path)


def test_a_cut_off_file_is_refused(tmp_path):
    whole = io.BytesIO()
    np.savez(whole, logits=LOGITS)
    (tmp_path / "r.npz").write_bytes(whole.getvalue()[:-40])
    with pytest.raises(ResponseError, match="Is it damaged"):
        read_response(tmp_path / "r.npz")


def test_unknown_and_missing_files_name_what_would_work(tmp_path):
    with pytest.raises(
        ResponseError, match=r"'\.pt' is not supported. Supported are \.safetensors"
    ):
        read_response(tmp_path / "teacher.pt")
    with pytest.raises(ResponseError, match="There is no file"):
        read_response(tmp_path / "teacher.npz")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ResponseError, match="is a folder, but only regular files are read"):
        read_response(tmp_path / "folder.csv")


def test_writing_asks_for_safetensors_in_a_folder_that_exists(tmp_path):
    response = Response(torch.zeros(4, 3), torch.tensor(IDS))
    with pytest.raises(ResponseError, match=r"written as \.safetensors"):
        write_response(tmp_path / "r.npz", response)
    with pytest.raises(ResponseError, match="Does its folder exist"):
        write_response(tmp_path / "none" / "r.safetensors", response)


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"outputs": LOGITS}, "holds 'outputs', but no 'logits'"),
        ({"logits": LOGITS[0]}, r"one number for each of 3 examples \(shape \[3\]\)"),
        ({"logits": LOGITS[None]}, r"of shape \[1, 4, 3\]"),
        ({"logits": LOGITS.astype(str)}, "must be numbers of shape"),
        ({"logits": LOGITS * 1e300}, "4 of 4 rows of the response contain NaN or infinity"),
        ({"logits": LOGITS, "ids": IDS[:2]}, "each of the 4 rows"),
        ({"logits": LOGITS, "ids": IDS + 0.5}, "must be whole numbers"),
        ({"logits": LOGITS, "ids": IDS * np.nan}, "must be whole numbers"),
        (
            {"logits": LOGITS, "ids": np.array(["a.png", "b", "c", "d"])},
            "row numbers, unless the data have",
        ),
        ({"logits": LOGITS, "ids": IDS + np.uint64(2**63)}, "must be whole numbers"),
        ({"logits": LOGITS, "ids": IDS // 20}, "must be unique, but 1 .*: 1"),
        ({}, "holds nothing usable"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, message):
    with pytest.raises(ResponseError, match=message):
        read_response(saved_array(tmp_path / "r.npz", **arrays))


@pytest.mark.parametrize(
    "text, message",
    [
        ("0.5,1.5\n2.0,3.0\n", "Add a header line"),
        (",a,b\n7,0.5,1.5\n", "looks like an index of the rows, but not in order"),
        ("index,a,b\n1,0.5,1.5\n0,2,1\n", "looks like an index of the rows, but not in order"),
        ("image_id,a,b\n5,0.5,1.5\n", "looks like an index of the rows, but not in order"),
        ("c0,c1,c10,c2\n1,2,3,4\n", r"numbered \[0, 1, 10, 2\]\.\.\., not in order and"),
        ("id,a,b\n1,0.5,one\n2,1,2\n", "column 'b' contains 'one' among numbers"),
        ("a,b\n1,'x'\n2,'y'\n", "Note: .*column 'b' left out: neither name nor values"),
        ('a,b\n"1,5","2,5"\n', "column 'a' contains numbers as text, such as '1,5'"),
        ("a,a\n1,2\n", "'a' appears more than once"),
        ("a;b\n1,5;2.5\n", "decimal points and others with decimal commas"),
        ("id,a,b\n1,0.5,\n", "column 'b' has no value in 1 of 1 rows"),
        ("id\n1\n", "but no 'logits'"),
        ("a,b\n1,2,3\n", r"cannot be read as \.csv"),
        ("a,b\n", "no rows below its header"),
    ],
)
def test_tables_that_would_be_misread_are_refused(tmp_path, text, message):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(ResponseError, match=message):
        read_response(tmp_path / "r.csv")


def test_lists_of_different_length_are_refused(tmp_path):
    write_table(tmp_path / "r.parquet", {"logits": [[1.0, 2.0], [1.0]]})
    with pytest.raises(ResponseError, match=r"differ in length: \[1, 2\]"):
        read_response(tmp_path / "r.parquet")


@pytest.mark.parametrize("name", ["labels", "label", "y"])
@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".parquet", ".csv"])
def test_labels_are_read_from_every_kind_of_file_by_every_name(tmp_path, suffix, name):
    path = tmp_path / f"l{suffix}"
    arrays = {"ids": IDS, name: np.array([2, 0, 1, 1], dtype=np.uint8)}
    if suffix == ".npz":
        np.savez(path, **arrays)
    elif suffix == ".safetensors":
        save_file(arrays, path)
    else:
        write_table(path, arrays)
    labels = read_labels(path)
    assert labels.labels.dtype == torch.int64
    assert labels.labels.tolist() == [2, 0, 1, 1]
    assert labels.ids.tolist() == IDS.tolist()
    assert labels.has_ids


@pytest.mark.parametrize("text", [",label\n0,2\n1,0\n", "f10,f2,label\n1.5,,2\n0.5,1,0\n"])
def test_other_columns_beside_labels_do_not_matter(tmp_path, text):
    (tmp_path / "l.csv").write_text(text)
    assert read_labels(tmp_path / "l.csv").labels.tolist() == [2, 0]


def test_labels_alone_have_row_numbers(tmp_path):
    np.save(tmp_path / "l.npy", np.array([2.0, 0.0, 1.0]))
    labels = read_labels(tmp_path / "l.npy")
    assert labels.labels.tolist() == [2, 0, 1]
    assert labels.ids.tolist() == [0, 1, 2]
    assert not labels.has_ids


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"outputs": IDS}, "'outputs', but no labels"),
        ({"labels": np.eye(3, dtype=int)}, "If they are one-hot"),
        ({"labels": np.array([0.5, 1.0])}, "whole numbers"),
        ({"labels": np.array([True, False])}, "whole numbers"),
        ({"labels": np.array([-2, 0])}, "smallest is -2"),
        ({"labels": np.array([], dtype=int)}, "non-empty"),
        ({"labels": IDS, "ids": np.zeros(4, dtype=int)}, "1 appear more than once: 0"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        read_labels(saved_array(tmp_path / "l.npz", **arrays))


def test_labels_check_their_type_in_memory_too():
    with pytest.raises(DataError, match=r"int64 vector, but are torch\.float32"):
        Labels(torch.zeros(2), torch.arange(2))
