import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.datasets import load_digits

from goodteacher.data import SOURCES, DataNote, Source, load_dataset
from goodteacher.data.named_splits import hold_out
from goodteacher.errors import ConfigError, DataError

from .conftest import encode, hub_table, make_dataset

# the fixed test split is part of the data: were it to move, published numbers would not compare
DIGITS_TEST_IDS = [21, 24, 28, 34, 35, 37, 39, 42]


def write(folder, table, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = pq.write_table if path.suffix == ".parquet" else pyarrow.csv.write_csv
        writer(table, path)
    return folder


def numbers(labels=("cat", "dog") * 3, **extra):
    columns = {"label": list(labels), "height": np.arange(len(labels)) / 2, **extra}
    return pa.table(columns)


def test_digits_are_all_of_scikit_learns_with_16_stored_as_white():
    data, source = load_dataset("digits"), load_digits()
    assert (len(data.train), len(data.test)) == (1437, 360)
    rows = torch.cat([data.train.ids, data.test.ids]).numpy()
    assert sorted(rows) == list(range(1797))
    for split in (data.train, data.test):
        rows = split.ids.numpy()
        assert np.array_equal(
            np.round(split.inputs[:, 0].double().numpy() * 16 / 255), source.images[rows]
        )
        assert np.array_equal(split.labels.numpy(), source.target[rows])
    assert data.train.inputs.max() == 255


def test_digits_are_the_same_everywhere():
    data = load_dataset("digits")
    assert data.test.ids[:8].tolist() == DIGITS_TEST_IDS
    counts = torch.bincount(data.test.labels)
    assert counts.min() >= 35
    assert counts.max() <= 37


def test_a_data_set_passes_through():
    data = make_dataset()
    assert load_dataset(data) is data


def test_hub_parquet_is_read_with_its_class_names(parquet_folder, pixels):
    data = load_dataset(parquet_folder)
    assert data.name == parquet_folder.name
    assert data.class_names == ("cat", "dog")
    assert np.array_equal(data.train.inputs[:, 0].numpy(), pixels)
    assert np.array_equal(data.test.inputs[:, 0].numpy(), pixels[::-1])
    assert data.train.labels.tolist() == [0, 1] * 3
    assert data.train.ids.tolist() == list(range(6))


@pytest.mark.parametrize("place", ["", "data/"])
def test_shards_are_joined_in_order(tmp_path, pixels, place):
    for split in ("train", "test"):
        for shard in range(2):
            rows = pixels[3 * shard : 3 * shard + 3]
            table = hub_table([encode(row) for row in rows], [0, 1, 0])
            write(tmp_path, table, f"{place}{split}-0000{shard}-of-00002.parquet")
    assert np.array_equal(load_dataset(tmp_path).train.inputs[:, 0].numpy(), pixels)


def test_a_missing_shard_is_refused(tmp_path, pixels):
    table = hub_table([encode(row) for row in pixels], [0, 1] * 3)
    write(tmp_path, table, "train-00000-of-00003.parquet", "train-00001-of-00003.parquet")
    with pytest.raises(DataError, match=r"should hold 3 shards, .*but has 2"):
        load_dataset(tmp_path)


def test_other_column_names_of_the_hub_are_understood(tmp_path, pixels):
    coarse = pa.array([1] * 6)
    table = hub_table(
        [encode(row) for row in pixels], [0, 1] * 3, image="img", label="fine_label", coarse=coarse
    )
    data = load_dataset(write(tmp_path, table, "train.parquet", "test.parquet"))
    assert data.input_shape == (1, 5, 4)
    assert data.class_names == ("cat", "dog")


def test_the_only_class_label_is_the_label_whatever_its_name(tmp_path, pixels):
    table = hub_table([encode(row) for row in pixels], [0, 1] * 3, label="species")
    data = load_dataset(write(tmp_path, table, "train.parquet", "test.parquet"))
    assert data.train.labels.tolist() == [0, 1] * 3


def test_images_are_found_by_their_type_without_metadata(tmp_path, pixels):
    table = hub_table([encode(row) for row in pixels], [0, 1] * 3).replace_schema_metadata(None)
    data = load_dataset(write(tmp_path, table, "train.parquet", "test.parquet"))
    assert data.is_image
    assert data.class_names == ("0", "1")


def test_images_that_are_only_paths_are_read_from_the_folder(tmp_path, pixels):
    (tmp_path / "files").mkdir()
    structs = []
    for number, row in enumerate(pixels):
        (tmp_path / "files" / f"{number}.png").write_bytes(encode(row))
        structs.append({"bytes": None, "path": f"files/{number}.png"})
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(structs, kind), "label": [0, 1] * 3})
    data = load_dataset(write(tmp_path, table, "train.parquet", "test.parquet"))
    assert np.array_equal(data.train.inputs[:, 0].numpy(), pixels)


def test_corrupt_rows_are_named_or_skipped_with_their_ids_kept(tmp_path, pixels):
    encoded = [encode(row) for row in pixels]
    encoded[2], encoded[3] = b"broken", None
    table = hub_table(encoded, [0, 1] * 3)
    write(tmp_path, table, "train.parquet", "test.parquet")
    with pytest.raises(DataError, match=r"2 of 6 images .* row 2 of the train split .*, row 3 of"):
        load_dataset(tmp_path)
    with pytest.warns(UserWarning, match="2 of 6 images"):
        data = load_dataset(tmp_path, skip_corrupt=True)
    assert data.train.ids.tolist() == [0, 1, 4, 5]
    assert data.train.labels.tolist() == [0, 1, 0, 1]
    assert np.array_equal(data.train.inputs[:, 0].numpy(), pixels[[0, 1, 4, 5]])


def test_different_sizes_are_refused_and_resized_on_request(tmp_path, pixels):
    encoded = [encode(row) for row in pixels]
    encoded[4] = encode(pixels[4].T.copy())
    write(tmp_path, hub_table(encoded, [0, 1] * 3), "train.parquet", "test.parquet")
    with pytest.raises(DataError, match=r"5x4: 5 images, 4x5: 1 images.*resize=\(height, width\)"):
        load_dataset(tmp_path)
    assert load_dataset(tmp_path, resize=(7, 9)).input_shape == (1, 7, 9)


def test_hub_rows_without_a_label_are_unlabelled(tmp_path, pixels):
    encoded = [encode(row) for row in pixels]
    write(tmp_path, hub_table(encoded, [0, 1, -1, None, 0, 1]), "train.parquet")
    write(tmp_path, hub_table(encoded, [0, 1] * 3), "test.parquet")
    assert load_dataset(tmp_path).train.labels.tolist() == [0, 1, -1, -1, 0, 1]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_lone_column_of_strings_is_text_as_written(tmp_path, suffix):
    texts = ["Where is, my card?", "", 'It said\n"no".']
    table = pa.table({"question": texts, "label": [0, 1, 0], "id": [7, 8, 9]})
    data = load_dataset(write(tmp_path, table, f"train.{suffix}", f"test.{suffix}"))
    assert data.is_text
    assert data.train.texts == tuple(texts)
    assert data.train.ids.tolist() == [7, 8, 9]


def test_one_file_of_texts_is_divided_like_any_table(tmp_path):
    table = pa.table({"text": [f"text {n}" for n in range(20)], "label": ["a", "b"] * 10})
    data = load_dataset(write(tmp_path, table, "all.csv") / "all.csv")
    assert (len(data.train), len(data.test), data.class_names) == (16, 4, ("a", "b"))
    assert set(data.train.texts) | set(data.test.texts) == set(table["text"].to_pylist())


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"text": ["a", "b"], "note": ["c", "d"]},
            r".* has 2 columns of texts \(text, note\).*--text-column text,note",
        ),
        (
            {"text": ["a", "b"], "age": [1, 2]},
            r"texts or numbers, but .* has both \(text: text; oth",
        ),
        ({"text": ["a", None]}, r"1 of 2 in column 'text' of the train split .* \(rows 1\)"),
    ],
)
def test_tables_that_are_not_one_text_each_are_refused(tmp_path, columns, message):
    write(tmp_path, pa.table({**columns, "label": [0, 1]}), "train.parquet", "test.parquet")
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


def test_images_with_a_text_are_refused_and_with_names_of_files_are_not(tmp_path, pixels):
    encoded, labels = [encode(row) for row in pixels], [0, 1] * 3
    for extra in ("file_name", "text"):
        table = hub_table(encoded, labels, **{extra: pa.array(["name"] * 6)})
        write(tmp_path, table, "train.parquet", "test.parquet")
        if extra == "file_name":
            assert load_dataset(tmp_path).is_image
    with pytest.raises(DataError, match=r"images or texts, but .* has both \(image, text\)"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_numeric_tables_become_features(tmp_path, suffix):
    table = numbers(alive=[True, False] * 3)
    data = load_dataset(write(tmp_path, table, f"train.{suffix}", f"test.{suffix}"))
    assert data.class_names == ("cat", "dog")
    assert data.train.inputs.tolist() == [[n / 2, float(n % 2 == 0)] for n in range(6)]


def test_an_id_column_names_the_examples_and_is_no_feature(tmp_path):
    table = numbers(id=np.arange(6) * 11)
    data = load_dataset(write(tmp_path, table, "train.csv", "test.csv"))
    assert data.train.ids.tolist() == [0, 11, 22, 33, 44, 55]
    assert data.input_shape == (1,)


def test_a_missing_number_stays_missing_and_an_infinite_one_is_refused(tmp_path):
    write(tmp_path, numbers(weight=[1, 2, None, 4, 5, 6]), "train.csv", "test.csv")
    data = load_dataset(tmp_path)
    assert data.train.inputs[:, data.feature_names.index("weight")].isnan().tolist() == [
        row == 2 for row in range(6)
    ]
    write(tmp_path, numbers(weight=[1, 2, None, 4, 5, 1e300]), "train.csv", "test.csv")
    with pytest.raises(DataError, match=r"finite or missing, but .* \(weight: 1\)"):
        load_dataset(tmp_path)


def test_a_class_that_only_the_test_table_knows_is_refused(tmp_path):
    write(tmp_path, numbers(), "train.csv")
    write(tmp_path, numbers(["cat", "dgo"] * 3), "test.csv")
    with pytest.raises(DataError, match=r"test split of .* also has 'dgo'.*spelt differently"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    "train, test, message",
    [
        (pa.table({"kind": [0, 1], "x": [1, 2]}), None, r"column of labels .*has 'kind', 'x'"),
        (pa.table({"label": [0, 1]}), None, "Apart from the label, .* no column that can be"),
        (pa.table({"label": [0, 1], "x": [[1], [2]]}), None, r"x: list"),
        (pa.table({"label": [0.5, 1.0], "x": [1, 2]}), None, "Labels must be integers or text"),
        (numbers(), pa.table({"label": ["cat"]}), r"lacks 'height' \(it has 'label'\)"),
        (numbers(), numbers()[:0], "test split of .* has no rows"),
        (numbers(id=[1, 2, 3, 4, 5, None]), None, "1 of 6 in column 'id'.*are missing"),
        (pa.table({"label": [3, 900], "x": [1, 2]}), None, "label 900 and only 2 training"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, train, test, message):
    write(tmp_path, train, "train.parquet")
    write(tmp_path, train if test is None else test, "test.parquet")
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


def test_a_folder_without_a_test_table_is_refused(tmp_path):
    write(tmp_path, numbers(), "train.parquet")
    with pytest.raises(DataError, match=r"needs a train split and a test split .*has train\."):
        load_dataset(tmp_path)


def test_a_validation_table_serves_as_test_with_a_warning(tmp_path):
    write(tmp_path, numbers(), "train.csv", "validation.csv")
    with pytest.warns(UserWarning, match="no test split. Its validation split is used"):
        assert len(load_dataset(tmp_path).test) == 6


@pytest.mark.parametrize("content", [b"", b"PAR1 cut short"])
def test_a_damaged_table_is_refused(tmp_path, content):
    write(tmp_path, numbers(), "test.parquet")
    (tmp_path / "train.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"train\.parquet cannot be read as parquet"):
        load_dataset(tmp_path)


def test_an_empty_csv_is_refused(tmp_path):
    (tmp_path / "table.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"table\.csv cannot be read as csv"):
        load_dataset(tmp_path / "table.csv")


def test_a_single_table_is_divided_by_its_split_column(tmp_path):
    table = numbers(split=["train", "test", "test", "train", "train", "test"])
    write(tmp_path, table, "one.csv")
    data = load_dataset(tmp_path / "one.csv")
    assert data.train.ids.tolist() == [0, 3, 4]
    assert data.test.ids.tolist() == [1, 2, 5]
    assert data.input_shape == (1,)


def test_an_id_that_is_text_is_replaced_by_row_numbers(tmp_path):
    names = [f"row {n}" for n in range(6)]
    table = numbers(["cat", "dog", "cat", "cat", "dog", "dog"], id=names)
    table = table.append_column("split", pa.array(["test", "train"] * 3))
    write(tmp_path, table, "one.parquet")
    data = load_dataset(tmp_path / "one.parquet")
    assert data.train.ids.tolist() == [1, 3, 5]
    assert data.input_shape == (1,)


def test_a_split_column_with_other_words_is_refused(tmp_path):
    write(tmp_path, numbers(split=["train", "test", "x"] * 2), "one.csv")
    with pytest.raises(DataError, match=r"must say train or test .*, but also says x"):
        load_dataset(tmp_path / "one.csv")


def test_a_single_table_without_split_column_is_held_out_stratified(tmp_path):
    write(tmp_path, numbers(["cat", "dog", "emu"] * 20), "one.parquet")
    data = load_dataset(tmp_path / "one.parquet")
    assert torch.bincount(data.test.labels).tolist() == [4, 4, 4]
    both = torch.cat([data.train.ids, data.test.ids])
    assert both.sort().values.tolist() == list(range(60))
    assert torch.equal(data.test.inputs[:, 0], data.test.ids / 2)


def test_unlabelled_examples_are_never_held_out():
    labels = np.array([0, 1, -1] * 20)
    train_rows, test_rows = hold_out(labels, "x")
    assert (labels[test_rows] >= 0).all()
    assert sorted([*train_rows, *test_rows]) == list(range(60))


def test_a_class_that_cannot_be_held_out_is_refused():
    with pytest.raises(DataError, match=r"A single table has no test split, .*column 'split'"):
        hold_out(np.array([0] * 20 + [1]), "A single table")


def image_folder(root, pixels, test="test", classes=("cat", "dog")):
    for split in ("train", test):
        for number, row in enumerate(pixels):
            folder = root / split / classes[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.PNG").write_bytes(encode(row))
    return root


def test_an_image_folder_is_read_in_sorted_order(tmp_path, pixels):
    image_folder(tmp_path, pixels)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "train" / ".cache").mkdir()
    with pytest.warns(DataNote, match=r"These are left out: 1 \.txt"):
        data = load_dataset(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.train.ids.tolist() == list(range(6))
    assert np.array_equal(data.train.inputs[:, 0].numpy(), pixels[[0, 2, 4, 1, 3, 5]])


def test_an_image_folder_with_val_instead_of_test_is_read_with_a_warning(tmp_path, pixels):
    image_folder(tmp_path, pixels, test="val")
    with pytest.warns(UserWarning, match="Its val split is used"):
        assert len(load_dataset(tmp_path).test) == 6


def test_a_corrupt_image_file_is_named(tmp_path, pixels):
    image_folder(tmp_path, pixels)
    (tmp_path / "train" / "dog" / "3.PNG").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot be read: .*dog/3\.PNG"):
        load_dataset(tmp_path)


def test_class_folders_that_differ_are_named(tmp_path, pixels):
    image_folder(tmp_path, pixels)
    (tmp_path / "test" / "dog").rename(tmp_path / "test" / "Dog")
    with pytest.raises(DataError, match="differ only in case or spaces: 'Dog' and 'dog'"):
        load_dataset(tmp_path)


def test_an_image_folder_without_classes_or_test_is_refused(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="needs a train split and a test split"):
        load_dataset(tmp_path)
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match="has no images"):
        load_dataset(tmp_path)


def test_a_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "pets", numbers(), "train.csv", "test.csv")
    assert load_dataset("~/pets").name == "pets"


def test_an_unknown_name_is_refused_with_what_is_understood_and_what_is_close():
    with pytest.raises(
        DataError, match=r"'digit' is neither an existing file .*Did you mean 'digits'\?"
    ) as e:
        load_dataset("digit")
    for source in SOURCES.values():
        assert source.description in str(e.value)


def test_a_misspelt_path_is_refused_with_its_neighbour(tmp_path):
    (tmp_path / "cifar10").mkdir()
    with pytest.raises(DataError, match=r"Did you mean '.*/cifar10'\?"):
        load_dataset(tmp_path / "cifar")


def test_an_existing_path_of_unknown_kind_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(
            DataError, match="exists, but is not a data set that goodteacher can read"
        ):
            load_dataset(path)


@pytest.mark.parametrize("spec", ["", " ", "nothing/like\nthis", "~nobody-of-that-name/x", "\0"])
def test_nonsense_is_refused(spec):
    with pytest.raises(
        DataError, match="is neither an existing file or folder nor a known data set"
    ):
        load_dataset(spec)


def test_what_the_system_refuses_to_read_is_one_clear_message(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"cannot be read \(.*too long"):
        load_dataset("x" * 5000)

    def forbidden(_, __):
        raise PermissionError("Permission denied")

    source = Source("locked", lambda spec: spec == "locked", forbidden)
    monkeypatch.setitem(SOURCES, "locked", source)
    with pytest.raises(DataError, match=r"'locked' cannot be read .Permission denied"):
        load_dataset("locked")


def test_ids_that_do_not_fit_int64_are_refused(tmp_path):
    table = numbers(id=pa.array([2**64 - 1, 0, 1, 2, 3, 4], pa.uint64()))
    with pytest.raises(DataError, match=r"cannot be read .*not in range"):
        load_dataset(write(tmp_path, table, "train.parquet", "test.parquet"))


@pytest.mark.parametrize("metadata", ["{", "[]", '{"info": {"features": []}}'])
def test_hub_metadata_that_cannot_be_read_are_refused(tmp_path, metadata):
    table = numbers().replace_schema_metadata({"huggingface": metadata})
    with pytest.raises(DataError, match="'huggingface' metadata of the table must be JSON"):
        load_dataset(write(tmp_path, table, "train.parquet", "test.parquet"))


def test_settings_are_checked_whatever_the_source():
    with pytest.raises(ConfigError, match="resize must be"):
        load_dataset("digits", resize=(0, 0))


def test_digits_can_be_resized():
    assert load_dataset("digits", resize=(16, 16)).input_shape == (1, 16, 16)


def test_adding_a_source_is_one_entry(monkeypatch):
    data = make_dataset()
    source = Source("made up", lambda spec: spec == "made", lambda spec, options: data)
    monkeypatch.setitem(SOURCES, "made", source)
    assert load_dataset("made") is data


def test_an_archive_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "data.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"data\.zip' is an archive. Unpack it"):
        load_dataset(tmp_path / "data.zip")
