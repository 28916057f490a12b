import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from goodteacher.data import load_dataset
from goodteacher.data.hub import is_hub_name
from goodteacher.errors import DataError, PackageError

from .conftest import encode, hub_table

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory, monkeypatch):
    """No network, and no traces in the user's cache."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    datasets.disable_progress_bars()


def fake_hub(monkeypatch, answer):
    asked = []

    def load_dataset(name, config=None):
        asked.append((name, config))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def made_splits(*names, num_rows=6):
    columns = {"label": [0, 1] * (num_rows // 2), "x": list(range(num_rows))}
    return datasets.DatasetDict({name: datasets.Dataset.from_dict(columns) for name in names})


def test_a_local_folder_is_read_through_the_library(parquet_folder, pixels):
    data = load_dataset(f"hf:{parquet_folder}")
    assert data.class_names == ("cat", "dog")
    assert np.array_equal(data.train.inputs[:, 0].numpy(), pixels)
    assert data.fingerprint == load_dataset(parquet_folder).fingerprint


def test_an_image_folder_is_read_through_the_library(tmp_path, pixels):
    for split in ("train", "test"):
        for number, row in enumerate(pixels):
            folder = tmp_path / split / ("cat" if number < 3 else "dog")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.png").write_bytes(encode(row))
    data = load_dataset(f"hf:{tmp_path}")
    assert data.fingerprint == load_dataset(tmp_path).fingerprint


def test_rows_that_the_library_reordered_keep_image_and_label_together(monkeypatch, pixels):
    table = hub_table([encode(row) for row in pixels], [0, 1, 0, 1, 0, 1])
    split = datasets.Dataset(table).shuffle(seed=1)
    fake_hub(monkeypatch, datasets.DatasetDict({"train": split, "test": split}))
    data = load_dataset("hf:owner/pets")
    assert data.train.labels.tolist() == split["label"][:]
    expected = np.stack([np.asarray(image) for image in split["image"]])
    assert np.array_equal(data.train.inputs[:, 0].numpy(), expected)


@pytest.mark.parametrize(
    "spec, expected",
    [
        ("hf:owner/name", ("owner/name", None)),
        ("hf:owner/name:small", ("owner/name", "small")),
        ("owner/name:small", ("owner/name", "small")),
        ("hf:mnist", ("mnist", None)),
    ],
)
def test_a_name_may_carry_a_config(monkeypatch, spec, expected):
    asked = fake_hub(monkeypatch, made_splits("train", "test"))
    assert load_dataset(spec).name == expected[0]
    assert asked == [expected]


def test_validation_serves_as_test_only_with_a_warning(monkeypatch):
    fake_hub(monkeypatch, made_splits("train", "validation"))
    with pytest.warns(UserWarning, match="Its validation split is used as the test split"):
        load_dataset("hf:owner/name")
    fake_hub(monkeypatch, made_splits("train", "validation", "test"))
    load_dataset("hf:owner/name")  # warnings are errors here


@pytest.mark.parametrize("splits", [("train",), ("test",), ("train", "unsupervised")])
def test_a_data_set_without_a_needed_split_is_refused(monkeypatch, splits):
    fake_hub(monkeypatch, made_splits(*splits))
    with pytest.raises(DataError, match=f"but 'owner/name' has {', '.join(splits)}"):
        load_dataset("hf:owner/name")


@pytest.mark.parametrize(
    "error",
    [ConnectionError("no route"), FileNotFoundError("no such data set"), ValueError("no config")],
)
def test_a_failure_of_the_library_becomes_one_clear_message(monkeypatch, error):
    fake_hub(monkeypatch, error)
    with pytest.raises(DataError, match=rf"'owner/name' .*config 'small'.*{error}.*offline\?"):
        load_dataset("hf:owner/name:small")


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(PackageError, match=r"pip install 'goodteacher\[hub\]'"):
        load_dataset("hf:owner/name")


def test_a_prefix_without_a_name_is_refused():
    with pytest.raises(DataError, match="must name a data set after 'hf:'"):
        load_dataset("hf:")


def test_misspelt_paths_are_not_taken_for_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    pq.write_table(hub_table([], []), tmp_path / "data" / "x.parquet")
    for path in ("data/mnist", "./mnist", "../mnist", "owner/file.npz", "/a/b", "a/b/c", "mnist"):
        assert not is_hub_name(path)
    assert is_hub_name("owner/name")
