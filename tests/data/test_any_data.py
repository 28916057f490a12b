"""Whatever is given as data is read, or refused in words; what is read says the same again."""

import json
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goodteacher.data import DataNote, load_dataset
from goodteacher.errors import DataError, InputError
from tests.any_arrays import any_arrays, asked_often

from .conftest import noted

PROPERTY = asked_often(50)
ARRAYS = any_arrays(max_dims=4)
CELLS = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.text(max_size=5),
    st.sampled_from(["0", "1", "0.5", "NaN", "inf", "1,5", "-1", "cat", "a.png"]),
)
HEADERS = st.sampled_from(["label", "x", "y", "text", "split", "id", "a", "", "target", "image"])


def loaded_or_refused(data):
    """A data set, or None where it is refused; anything else, a warning too, is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DataNote)
        try:
            found = load_dataset(data)
        except InputError:
            return None
    for split in found.splits.values():
        assert len(split.ids.unique()) == len(split.labels) == len(split.stored)
        assert int(split.labels.max()) < found.num_classes
        assert int(split.labels.min()) >= -1
    return found


@PROPERTY
@given(
    st.fixed_dictionaries(
        {"x_train": ARRAYS, "y_train": ARRAYS, "x_test": ARRAYS, "y_test": ARRAYS},
        optional={"ids_train": ARRAYS, "class_names": ARRAYS, "x_validation": ARRAYS},
    )
)
def test_any_arrays_are_data_or_refused(arrays):
    loaded_or_refused(arrays)


@PROPERTY
@given(
    header=st.lists(HEADERS, min_size=1, max_size=4),
    rows=st.lists(st.lists(CELLS, min_size=4, max_size=4), max_size=8),
    delimiter=st.sampled_from([",", ";", "\t"]),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_csv_file_is_data_or_refused(tmp_path_factory, header, rows, delimiter, ending):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    shown = [["" if cell is None else str(cell) for cell in row[: len(header)]] for row in rows]
    text = ending.join(delimiter.join(row) for row in [header, *shown])
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    loaded_or_refused(path)


@PROPERTY
@given(
    content=st.binary(max_size=60),
    ending=st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet", ".npz", ".csv.gz"]),
)
def test_any_bytes_are_data_or_refused(tmp_path_factory, content, ending):
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    path.write_bytes(content)
    assert loaded_or_refused(path) is None


@PROPERTY
@given(st.dictionaries(HEADERS, st.lists(CELLS, min_size=10, max_size=10), min_size=1, max_size=4))
def test_any_lines_of_json_are_data_or_refused(tmp_path_factory, columns):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    rows = [{name: values[row] for name, values in columns.items()} for row in range(10)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    loaded_or_refused(path)


# --- what such data had once met -----------------------------------------------------------------


def arrays(**changes):
    x = np.arange(24, dtype=np.float64).reshape(8, 3) % 7
    labels = np.arange(8) % 2
    return {"x_train": x, "y_train": labels, "x_test": x + 0.5, "y_test": labels, **changes}


def test_csv_file_of_an_old_system_ends_its_lines_with_a_carriage_return_alone(tmp_path):
    rows = [f"{n % 2},{n * 0.37 % 1:.2f}" for n in range(40)]
    found = []
    for ending in ("\r", "\r\n", "\n"):
        path = tmp_path / "d.csv"
        path.write_bytes(ending.join(["label,x", *rows]).encode())
        found.append(load_dataset(path))
    assert found[0].train.inputs.shape == (32, 1)
    assert len({data.fingerprint for data in found}) == 1


@pytest.mark.parametrize("value", [1e300, -1e300, 2.0**60])
def test_label_beyond_what_a_fraction_holds_exactly_is_no_class(value):
    labels = np.array([0.0, 1.0] * 3 + [0.0, value])
    with pytest.raises(DataError, match=r"Labels must be integers or text.*and hold"):
        load_dataset(arrays(y_train=labels))


def test_names_of_classes_in_bytes_are_read_as_utf8_or_refused():
    named = np.array(["müde".encode(), b"wach"] * 4)
    data = load_dataset(arrays(y_train=named, y_test=named))
    assert data.class_names == ("müde", "wach")
    with pytest.raises(DataError, match="y_test of 'arrays' holds bytes that are not UTF-8"):
        load_dataset(arrays(y_train=named, y_test=np.array([b"\xff", b"wach"] * 4)))


def test_number_too_large_for_float32_is_refused_beside_whole_numbers_too():
    huge = np.full((8, 3), 1e300)
    huge[:, 0] = np.arange(8) * 0.5
    whole = np.arange(24).reshape(8, 3) % 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="too large for float32"):
            load_dataset(arrays(x_train=huge, x_test=whole))


# --- the same data, stored in another way --------------------------------------------------------

NUMBERS = np.random.default_rng(0).normal(size=(30, 2)).round(3)
CLASSES = np.array(["up", "down", "left"])[np.arange(30) % 3]


def as_csv(path, delimiter=",", point="."):
    lines = [delimiter.join(["kind", "a", "b"])]
    for row, label in zip(NUMBERS, CLASSES, strict=True):
        lines.append(delimiter.join([label, *(f"{n:.3f}".replace(".", point) for n in row)]))
    path.write_text("\n".join(lines))


def as_json(path):
    rows = [
        {"kind": label, "a": a, "b": b}
        for (a, b), label in zip(NUMBERS.tolist(), CLASSES.tolist(), strict=True)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))


def as_parquet(path, **options):
    table = pa.table({"kind": CLASSES.tolist(), "a": NUMBERS[:, 0], "b": NUMBERS[:, 1]})
    pq.write_table(table, path, **options)


def as_dictionary(path):
    kinds = pa.array(CLASSES.tolist()).dictionary_encode()
    pq.write_table(pa.table({"kind": kinds, "a": NUMBERS[:, 0], "b": NUMBERS[:, 1]}), path)


WAYS = {
    "d.csv": as_csv,
    "semicolons.csv": lambda path: as_csv(path, ";"),
    "commas.csv": lambda path: as_csv(path, ";", ","),
    "d.tsv": lambda path: as_csv(path, "\t"),
    "d.jsonl": as_json,
    "d.parquet": as_parquet,
    "groups.parquet": lambda path: as_parquet(path, row_group_size=7),
    "dictionary.parquet": as_dictionary,
}


@pytest.mark.parametrize("name", WAYS)
def test_one_table_is_the_same_data_however_it_is_stored(tmp_path, name):
    as_csv(tmp_path / "reference.csv")
    reference, _ = noted(tmp_path / "reference.csv", target="kind")
    WAYS[name](tmp_path / name)
    found, _ = noted(tmp_path / name, target="kind")
    assert found.class_names == reference.class_names == ("down", "left", "up")
    assert found.fingerprint == reference.fingerprint
    torch.testing.assert_close(found.train.inputs, reference.train.inputs)


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 1, 0], [1, 2, 0]])
def test_order_of_columns_is_that_of_the_features_and_no_class_depends_on_it(tmp_path, order):
    names = np.array(["kind", "a", "b"])[order].tolist()
    columns = {"kind": CLASSES.tolist(), "a": NUMBERS[:, 0], "b": NUMBERS[:, 1]}
    pq.write_table(pa.table({name: columns[name] for name in names}), tmp_path / "d.parquet")
    data, _ = noted(tmp_path / "d.parquet", target="kind")
    assert data.feature_names == tuple(name for name in names if name != "kind")
    ids = data.train.ids.numpy()
    expected = NUMBERS[ids][:, [0, 1] if data.feature_names == ("a", "b") else [1, 0]]
    np.testing.assert_allclose(data.train.inputs.numpy(), expected, rtol=1e-6)
    assert [data.class_names[c] for c in data.train.labels.tolist()] == CLASSES[ids].tolist()
