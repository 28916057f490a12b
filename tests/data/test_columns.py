"""Which columns of a table are inputs, which are left out with a note, and which are refused."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from goodteacher.data import DataNote, load_dataset
from goodteacher.data.odd_columns import copies_label, image_suffixes, numbers_rows
from goodteacher.errors import ConfigError, DataError, InputError

from .conftest import encode

N = 60


def frame(num_rows=N, seed=0, **extra):
    """Noise with labels in the order of the rows, as a table sorted by class."""
    rng = np.random.default_rng(seed)
    columns = {"a": rng.normal(size=num_rows), "b": rng.normal(size=num_rows)}
    return pd.DataFrame(columns | {"label": np.arange(num_rows) * 3 // num_rows} | extra)


def save(folder, train, test=None, suffix="csv"):
    for split, table in (("train", train), ("test", frame(seed=1) if test is None else test)):
        if suffix == "csv":
            table.to_csv(folder / f"{split}.csv", index=False)
        else:
            table.to_parquet(folder / f"{split}.parquet")
    return folder


def load_with_note(folder, match, **settings):
    with pytest.warns(DataNote, match=match):
        return load_dataset(folder, **settings)


@pytest.mark.parametrize("name", ["Unnamed: 0", "", "index", "IDX", "id ", "__index_level_0__"])
def test_columns_with_the_name_of_an_index_are_left_out_with_a_note(tmp_path, name):
    values = np.random.default_rng(0).normal(size=N)
    folder = save(
        tmp_path, frame().assign(**{name: values}), frame(seed=1).assign(**{name: values})
    )
    data = load_with_note(folder, f"'{name}' has the name of an index and is not used as input")
    assert data.feature_names == ("a", "b")


def test_the_shuffled_index_of_a_parquet_file_is_left_out(tmp_path):
    tables = [frame(seed=s).sample(frac=1, random_state=s) for s in (0, 1)]
    folder = save(tmp_path, *tables, suffix="parquet")
    assert load_with_note(folder, "__index_level_0__").input_shape == (2,)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(N),
        np.arange(N)[::-1] + 1000,
        np.random.default_rng(0).permutation(N) + 1.0,
        np.arange(N) * 7,  # in the order of the rows, with gaps
    ],
)
def test_row_numbers_are_left_out_whatever_their_name(tmp_path, values):
    folder = save(tmp_path, frame(visit=values), frame(visit=values))
    data = load_with_note(folder, "column 'visit' contains row numbers")
    assert data.feature_names == ("a", "b")


def test_row_numbers_from_before_the_split_are_found_in_both_tables(tmp_path):
    order = np.random.default_rng(0).permutation(2 * N)
    folder = save(tmp_path, frame(row_no=order[:N]), frame(row_no=order[N:]))
    assert load_with_note(folder, "'row_no' contains row numbers").input_shape == (2,)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).permutation(N) / 2,  # no integers
        np.arange(N) // 2,  # not all different
        np.random.default_rng(0).choice(10**6, N, replace=False),  # far from all integers
    ],
)
def test_measurements_are_no_row_numbers(tmp_path, values):
    folder = save(tmp_path, frame(visit=values), frame(visit=values))
    assert load_dataset(folder).feature_names == ("a", "b", "visit")


def test_a_few_different_integers_may_be_a_measurement():
    assert not numbers_rows(np.arange(10.0), [])


def test_an_array_with_row_numbers_is_refused():
    inputs = np.random.default_rng(0).normal(size=(N, 3))
    inputs[:, 1] = np.arange(N)
    arrays = {"x_train": inputs, "y_train": np.arange(N) % 3, "x_test": inputs}
    with pytest.raises(DataError, match=r"Column 1 of x_train .* np.delete\(x, 1, axis=1\)"):
        load_dataset(arrays | {"y_test": np.arange(N) % 3})


def test_two_columns_of_one_name_are_refused_by_name(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("a,a,label\n" + "1,2,0\n" * 9)
    with pytest.raises(InputError, match="more than one column 'a'"):
        load_dataset(path)
    table = pa.table([pa.array([0, 1])] * 3, names=["x", "label", "label"])
    pq.write_table(table, tmp_path / "two.parquet")
    with pytest.raises(InputError, match="more than one column 'label'"):
        load_dataset(tmp_path / "two.parquet")


def test_a_table_without_a_header_is_recognised(tmp_path):
    (tmp_path / "bare.csv").write_text("5,0,0,1\n" + "1,2,3,4\n" * 9)
    with pytest.raises(DataError, match=r"more than one column '0'.*first line is an example"):
        load_dataset(tmp_path / "bare.csv")
    (tmp_path / "bare.csv").write_text("5.1,3.5,setosa\n" + "1,2,virginica\n" * 9)
    with pytest.raises(DataError, match=r"needs a column of labels.*first line is an example"):
        load_dataset(tmp_path / "bare.csv")


def test_a_copy_of_the_label_is_left_out(tmp_path):
    names = np.array(["cat", "dog", "emu"])
    tables = [frame(seed=s) for s in (0, 1)]
    tables = [t.assign(code=7 - t.label, species=names[t.label]) for t in tables]
    data = load_with_note(save(tmp_path, *tables), "'code', 'species' repeat the label")
    assert data.feature_names == ("a", "b")


def test_a_feature_that_follows_the_label_by_chance_of_few_rows_stays():
    column = pa.chunked_array([[0, 1, 0, 1]])
    assert not copies_label(column, np.array([0, 1, 0, 1]))
    many = pa.chunked_array([[0, 1] * 20])
    assert copies_label(many, np.array([0, 1] * 20))
    assert not copies_label(many, np.array([0, 1] * 19 + [1, 0]))


def test_other_columns_named_as_labels_are_no_inputs(tmp_path):
    tables = [frame(seed=s).assign(target=np.arange(N) % 5) for s in (0, 1)]
    data = load_with_note(
        save(tmp_path, *tables), "'target' has the name of a label .*from 'label'"
    )
    assert (data.num_classes, data.feature_names) == (3, ("a", "b"))


def test_the_label_column_can_be_named(tmp_path):
    tables = [frame(seed=s, kind=np.arange(N) % 5).drop(columns="label") for s in (0, 1)]
    folder = save(tmp_path, *tables)
    with pytest.raises(DataError, match="--target"):
        load_dataset(folder)
    assert load_dataset(folder, target="kind").num_classes == 5
    with pytest.raises(ConfigError, match=r"target = 'kin' is not in .*Did you mean 'kind'"):
        load_dataset(folder, target="kin")


def test_the_label_column_is_found_in_any_case(tmp_path):
    tables = [frame(seed=s).rename(columns={"label": " Label"}) for s in (0, 1)]
    assert load_dataset(save(tmp_path, *tables)).feature_names == ("a", "b")


def test_another_label_column_makes_other_data(tmp_path):
    tables = [frame(seed=s, kind=np.arange(N) % 5) for s in (0, 1)]
    folder = save(tmp_path, *tables)
    ours, theirs = load_dataset(folder), load_dataset(folder, target="kind")
    assert ours.fingerprint != theirs.fingerprint


def test_the_text_column_can_be_named_and_the_others_are_left_out(tmp_path):
    rows = {"title": ["x"] * 6, "body": ["card lost", "top up"] * 3, "stars": [1, 2] * 3}
    table = pd.DataFrame(rows | {"label": [0, 1] * 3})
    folder = save(tmp_path, table, table)
    with pytest.raises(DataError, match="--text-column"):
        load_dataset(folder)
    assert load_dataset(folder, text_column="body").train.texts[0] == "card lost"
    with pytest.raises(DataError, match="must be a column of strings"):
        load_dataset(folder, text_column="stars")


def test_columns_in_another_order_in_the_test_table_are_read_by_name(tmp_path):
    test = frame(seed=1)
    folder = save(tmp_path, frame(), test[["label", "b", "a"]])
    expected = torch.tensor(test[["a", "b"]].to_numpy(), dtype=torch.float32)
    assert torch.allclose(load_dataset(folder).test.inputs, expected)


def test_missing_numbers_make_rows(tmp_path):
    table = frame()
    table.loc[[3, 5], "b"] = np.nan
    data = load_dataset(save(tmp_path, table))
    assert data.spec.kind == "rows"
    assert data.train.inputs.isnan().sum(0).tolist() == [0, 2]


def test_a_column_without_any_value_is_left_out(tmp_path):
    tables = [frame(seed=s).assign(empty=None) for s in (0, 1)]
    assert load_with_note(save(tmp_path, *tables), "'empty' holds no value").input_shape == (2,)


@pytest.mark.parametrize(
    "values, message",
    [
        (
            ["12", "13", "?"] * 20,
            r"is taken as numbers, but 20 of 60 values are not numbers \('\?'\)",
        ),
        (
            ["2024-05-0" + str(1 + n % 9) for n in range(N)],
            "dates cannot be inputs: 'odd'",
        ),
        (["05/0" + str(1 + n % 9) + "/24" for n in range(N)], "dates cannot be inputs: 'odd'"),
    ],
)
def test_columns_of_other_kinds_among_numbers_are_refused_with_a_way_out(tmp_path, values, message):
    values = np.roll(values, 1)
    with pytest.raises(DataError, match=f"(?s){message}"):
        load_dataset(save(tmp_path, frame(odd=values), frame(odd=values)))


def test_numbers_with_a_word_for_missing_are_no_texts(tmp_path):
    table = pd.DataFrame({"age": ["12", "n.a.", "14"] * 4, "label": [0, 1, 0] * 4})
    with pytest.raises(DataError, match=r"column 'age'|Column 'age' .* is taken as numbers"):
        load_dataset(save(tmp_path, table, table))


def test_labels_as_categories_of_pandas_are_names(tmp_path):
    tables = [frame(seed=s) for s in (0, 1)]
    tables = [
        t.assign(label=t.label.map({0: "x", 1: "y", 2: "z"}).astype("category")) for t in tables
    ]
    data = load_dataset(save(tmp_path, *tables, suffix="parquet"))
    assert data.class_names == ("x", "y", "z")


# Names of files ----------------------------------------------------------------------------------


def listed(paths, column="image"):
    return pd.DataFrame({column: paths, "label": np.arange(len(paths)) % 2})


@pytest.mark.parametrize("where", ["", "images", "train"])
def test_images_named_in_a_column_are_read_where_they_are(tmp_path, pixels, where):
    (tmp_path / where).mkdir(exist_ok=True)
    for number, row in enumerate(pixels):
        (tmp_path / where / f"{number}.png").write_bytes(encode(row))
    table = listed([f"{n}.png" for n in range(6)])
    table.to_csv(tmp_path / "all.csv", index=False)
    pq.write_table(
        pa.table({"image": table.image, "label": table.label}), tmp_path / "train.parquet"
    )
    if where == "train":
        (tmp_path / "test").mkdir()
        for number, row in enumerate(pixels):
            (tmp_path / "test" / f"{number}.png").write_bytes(encode(row))
    table.to_csv(tmp_path / "test.csv", index=False)
    with pytest.warns(DataNote, match="also has 'all', which is not used"):
        data = load_dataset(tmp_path)
    assert np.array_equal(data.train.inputs[:, 0].numpy(), pixels)


@pytest.mark.parametrize(
    "paths, message",
    [
        ([f"images/img_{n}.JPG" for n in range(8)], "none of the 8 files was found.*--text-column"),
        ([rf"C:\data\{n}.webp" for n in range(8)], "none of the 8 files was found"),
        ([f"https://x.org/{n}.png?w=1" for n in range(8)], "Download the images"),
        ([f"clips/{n}.wav" for n in range(8)], "names audio .*Sound files are not read"),
        ([f"notes/{n}.txt" for n in range(8)], "names documents"),
    ],
)
def test_names_of_files_are_no_texts(tmp_path, paths, message):
    table = listed(paths)
    with pytest.raises(DataError, match=f"(?s){message}"):
        load_dataset(save(tmp_path, table, table))
    data = load_dataset(tmp_path, text_column="image")  # who says so may classify names
    assert data.is_text


def test_texts_that_are_addresses_are_read_with_a_note(tmp_path):
    table = listed([f"https://example.org/{n}" for n in range(8)], "url")
    assert load_with_note(save(tmp_path, table, table), "is an address").is_text


def test_texts_that_are_identifiers_are_told(tmp_path):
    table = listed([f"img_{n:05d}" for n in range(8)], "id_code")
    assert load_with_note(save(tmp_path, table, table), "names of files or of examples").is_text


def test_an_only_input_that_tells_the_class_is_kept(tmp_path):
    table = pd.DataFrame({"text": ["card lost", "top up"] * 20, "label": [0, 1] * 20})
    assert load_dataset(save(tmp_path, table, table)).is_text


def test_texts_that_mention_files_stay_texts(tmp_path):
    table = listed(["open cat.png please", "I lost it.", "see dog.jpg", "ok"] * 2, "text")
    assert load_dataset(save(tmp_path, table, table)).is_text


def test_every_ending_that_pillow_decodes_is_an_image():
    assert {".jfif", ".webp", ".tiff", ".jpe", ".png", ".jp2"} <= image_suffixes()
    assert not {".h5", ".mpg", ".pdf", ".npy"} & image_suffixes()
