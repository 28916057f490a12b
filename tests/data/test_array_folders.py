"""Folders of arrays in files of their own: mapped, named, and refused by name."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from goodteacher.data import load_dataset
from goodteacher.data.array_folders import is_array_folder, open_arrow
from goodteacher.data.inputs import Fields, Mapped
from goodteacher.errors import DataError

N = 12
ROWS = np.arange(3.0 * N).reshape(N, 3)


@pytest.fixture
def folder(tmp_path):
    """Twelve examples of three numbers in each split, of two classes."""
    for split in ("train", "test"):
        np.save(tmp_path / f"x_{split}.npy", ROWS)
        np.save(tmp_path / f"y_{split}.npy", np.arange(N) % 2)
    return tmp_path


def write_arrow(path, columns, *, stream=False, **options):
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(str(path), table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return path


def lists(rows, kind):
    return pa.array([list(row) for row in rows], kind)


# --- what is read --------------------------------------------------------------------------------


def test_inputs_stay_in_their_files_and_labels_are_read(folder):
    data = load_dataset(folder)
    assert isinstance(data.train.stored, Mapped)
    assert data.train.stored.nbytes == 0
    torch.testing.assert_close(
        data.train.stored.rows(torch.tensor([2, 0])), torch.tensor(ROWS[[2, 0]]).float()
    )
    assert data.train.labels.tolist() == (np.arange(N) % 2).tolist()


@pytest.mark.parametrize(
    "stored",
    [
        ROWS.astype(">f8"),
        ROWS.astype(np.float16),
        ROWS.astype(np.longdouble),
        np.asfortranarray(ROWS),
        ROWS.astype(np.float64)[:, ::-1][:, ::-1],
    ],
    ids=["big endian", "half", "long", "by columns", "reversed twice"],
)
def test_every_way_of_storing_fractions_is_the_same_numbers(folder, stored):
    np.save(folder / "x_train.npy", stored)
    inputs = load_dataset(folder).train.stored
    (rows,) = inputs.chunks()
    torch.testing.assert_close(rows, torch.tensor(ROWS).float())


@pytest.mark.parametrize(
    "column",
    [
        pa.array(ROWS.tolist(), pa.list_(pa.float64())),
        lists(ROWS, pa.list_(pa.float32(), 3)),
        lists(ROWS, pa.large_list(pa.float64())),
        pa.FixedShapeTensorArray.from_numpy_ndarray(ROWS),
    ],
    ids=["lists", "lists of one length", "large lists", "tensors"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_arrow_columns_of_lists_are_rows(tmp_path, column, stream):
    found = open_arrow(write_arrow(tmp_path / "a.arrow", {"x": column}, stream=stream))
    assert isinstance(found, Mapped)
    torch.testing.assert_close(
        found.rows(torch.arange(N)), torch.tensor(ROWS).float(), check_stride=False
    )


def test_arrow_file_of_several_batches_is_one_set_of_rows(tmp_path):
    table = pa.table({"x": ROWS.tolist()})
    batches = pa.Table.from_batches(table.to_batches(max_chunksize=5))
    assert batches.column("x").num_chunks == 3
    found = open_arrow(write_arrow(tmp_path / "a.arrow", batches))
    asked = torch.tensor([11, 0, 4, 5, 9])
    torch.testing.assert_close(found.rows(asked), torch.tensor(ROWS).float()[asked])
    assert len(found.subset(asked)) == 5
    torch.testing.assert_close(found.subset(asked).rows(torch.tensor([1])), found.rows(asked[1:2]))


def test_lists_of_lists_keep_their_axes(tmp_path):
    nested = np.arange(N * 2 * 3.0).reshape(N, 2, 3)
    found = open_arrow(write_arrow(tmp_path / "a.arrow", {"x": nested.tolist()}))
    assert found.spec.shape == (2, 3)
    torch.testing.assert_close(found.rows(torch.arange(N)), torch.tensor(nested).float())


def test_part_of_a_longer_table_is_read_from_where_it_begins(tmp_path):
    sliced = pa.table({"x": ROWS.tolist()}).slice(4, 3)
    found = open_arrow(write_arrow(tmp_path / "a.arrow", sliced))
    torch.testing.assert_close(found.rows(torch.arange(3)), torch.tensor(ROWS[4:7]).float())


def test_plain_column_is_a_row_of_one_number(tmp_path):
    found = open_arrow(write_arrow(tmp_path / "a.arrow", {"x": np.arange(N)}))
    assert found.spec.shape == (1,)
    assert str(found.spec) == "1 whole numbers from 0 to 11"


def test_several_columns_are_fields_by_name(folder):
    for split in ("train", "test"):
        (folder / f"x_{split}.npy").unlink()
        columns = {"ids": lists(np.full((N, 4), 7), pa.list_(pa.int32())), "age": np.arange(N) / 2}
        write_arrow(folder / f"x_{split}.arrow", columns)
    inputs = load_dataset(folder).train.stored
    assert isinstance(inputs, Fields)
    assert inputs.spec.shapes == {"ids": (4,), "age": (1,)}


def test_compressed_arrow_file_is_read_all_the_same(tmp_path):
    path = write_arrow(tmp_path / "a.arrow", {"x": ROWS.tolist()}, compression="lz4")
    torch.testing.assert_close(open_arrow(path).rows(torch.arange(N)), torch.tensor(ROWS).float())


def test_folder_of_arrays_is_told_by_its_training_inputs(folder, tmp_path):
    assert is_array_folder(folder)
    (folder / "x_train.npy").rename(folder / "x_train.txt")
    assert not is_array_folder(folder)
    assert not is_array_folder(tmp_path / "none")


# --- what is refused -----------------------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "something else": lambda path: path.write_bytes(b"hello " * 50),
    "cut short": cut,
    "objects": lambda path: np.save(path, np.array([{}] * N, dtype=object), allow_pickle=True),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", ["x_train", "y_test"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_array_is_refused_by_its_name_and_never_unpickled(folder, name, damage):
    path = folder / f"{name}.npy"
    DAMAGES[damage](path)
    said = "is a folder, but only regular" if damage == "a folder" else r"cannot be read as a \.npy"
    with pytest.raises(DataError, match=rf"{name}\.npy {said} file"):
        load_dataset(folder)


@pytest.mark.parametrize("content", [b"", b"ARROW1" * 30, b"hello " * 50])
def test_damaged_arrow_file_is_refused_by_its_name(folder, content):
    (folder / "x_train.npy").unlink()
    (folder / "x_train.arrow").write_bytes(content)
    with pytest.raises(DataError, match=r"x_train\.arrow cannot be read as an Arrow file"):
        load_dataset(folder)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_arrow_file_that_is_cut_short_is_refused(tmp_path, stream, share):
    path = write_arrow(tmp_path / "a.arrow", {"x": np.arange(500.0)}, stream=stream)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=r"cannot be read as an Arrow file.*may be incomplete"):
        open_arrow(path)


TENSOR_WITH_A_GAP = pa.ExtensionArray.from_storage(
    pa.fixed_shape_tensor(pa.float32(), [2]),
    pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)),
)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1.0, 2.0], None]),
        pa.array([[1.0, 2.0], [None, 1.0]]),
        pa.array([[1.0], None], pa.list_(pa.float32(), 1)),
        pa.array([None, 1.0]),
        pa.array(["a", "b"]),
        pa.array(["a", "b"]).dictionary_encode(),
        pa.array([True, False]),
        pa.nulls(2),
        pa.array([{"b": 1}, {"b": 2}]),
        pa.array([[{"b": 1}], [{"b": 2}]]),
        pa.array([[("k", 1.0)]] * 2, pa.map_(pa.string(), pa.float64())),
        pa.array([1, 2], pa.decimal128(5, 2)),
        pa.array([1, 2], pa.timestamp("s")),
        TENSOR_WITH_A_GAP,
    ],
    ids=lambda column: str(column.type),
)
def test_arrow_column_that_is_no_numbers_is_refused_by_its_name(tmp_path, column):
    path = write_arrow(tmp_path / "a.arrow", {"weight": column})
    with pytest.raises(
        DataError, match=r"column 'weight' of .* (must contain a number, or a list|contains texts)"
    ):
        open_arrow(path)


@pytest.mark.parametrize("last", [[[1.0]], [[1.0, 2.0, 3.0, 4.0]], [[1.0], [1.0] * 5]])
def test_rows_of_other_lengths_are_refused_with_the_lengths(tmp_path, last):
    path = write_arrow(tmp_path / "a.arrow", {"x": [[1.0, 2.0, 3.0]] * 3 + last})
    lengths = [3, *map(len, last)]
    with pytest.raises(DataError, match=rf"differ in length \({min(lengths)} to {max(lengths)}\)"):
        open_arrow(path)


def test_arrow_file_without_rows_or_with_two_columns_of_one_name_is_refused(tmp_path):
    empty = write_arrow(tmp_path / "a.arrow", {"x": pa.array([], pa.float64())})
    with pytest.raises(DataError, match="has no rows"):
        open_arrow(empty)
    column = pa.array([1.0, 2.0])
    twice = pa.Table.from_arrays([column, column], names=["x", "x"])
    with pytest.raises(DataError, match="has two columns called 'x'"):
        open_arrow(write_arrow(tmp_path / "b.arrow", twice))


def test_array_that_is_there_twice_is_refused(folder):
    write_arrow(folder / "x_train.arrow", {"x": ROWS.tolist()})
    with pytest.raises(DataError, match=r"holds x_train twice, as \.npy and \.arrow"):
        load_dataset(folder)


@pytest.mark.parametrize("stream", [False, True])
def test_arrow_column_whose_name_is_no_utf8_is_refused(tmp_path, stream):
    table = pa.table({"pixel": [1.0, 2.0], "other": [1.0, 2.0]})
    sink = pa.BufferOutputStream()
    writer = (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema)
    writer.write_table(table)
    writer.close()
    path = tmp_path / "x_train.arrow"
    path.write_bytes(sink.getvalue().to_pybytes().replace(b"pixel", b"pix\xe1l"))
    with pytest.raises(
        DataError, match=r"x_train\.arrow has a column whose name is not valid UTF-8"
    ):
        open_arrow(path)


@pytest.mark.parametrize("name", ["y_train", "ids_train"])
def test_labels_and_ids_in_an_arrow_file_are_refused(folder, name):
    (folder / f"{name}.npy").unlink(missing_ok=True)
    write_arrow(folder / f"{name}.arrow", {"x": np.arange(N) % 2})
    with pytest.raises(DataError, match=rf"{name}\.arrow is an Arrow file, but only inputs"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((N, 3), complex), "are complex128"),
        (np.zeros(N, [("a", "f4")]), r"Inputs must be numbers \[N, \.\.\.\]"),
        (np.float32(3), r"float32 \[\]"),
        (np.arange(float(N)), r"float64 \[12\]"),
        (np.zeros((N, 3), "M8[s]"), "datetime64"),
        (np.zeros((0, 3)), r"shape \[0, 3\]"),
        (np.zeros((N, 0)), r"shape \[12, 0\]"),
        (np.full((N, 3), np.nan), "12 of 12 examples of the train split hold NaN"),
        (np.zeros((N, 4)), r"those of train are \[4\] and those of test \[3\]"),
        (np.zeros((N - 1, 3)), r"labels must have shape \[11\].*but have \[12\]"),
    ],
)
def test_mapped_inputs_that_are_no_examples_are_refused(folder, array, message):
    np.save(folder / "x_train.npy", array)
    with pytest.raises(DataError, match=message):
        load_dataset(folder)
