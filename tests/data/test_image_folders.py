"""Folders of images: which files count, which classes there are, and what has no label."""

import numpy as np
import pytest

from goodteacher.data import load_dataset, prepare
from goodteacher.errors import ConfigError, DataError

from .conftest import encode, noted

RNG = np.random.default_rng(0)


def put(folder, *names, file_format="PNG"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = RNG.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        path.write_bytes(encode(pixels, file_format))
    return folder


def pets(root, splits=("train", "test"), classes=("cat", "dog"), count=4):
    for split in splits:
        put(root, *(f"{split}/{c}/{n}.png" for c in classes for n in range(count)))
    return root


@pytest.mark.parametrize("ending", ["jfif", "JPE", "webp", "tiff", "bmp", "avif"])
def test_every_ending_that_pillow_decodes_is_read(tmp_path, ending):
    pets(tmp_path)
    kind = {"webp": "WEBP", "tiff": "TIFF", "bmp": "BMP", "avif": "AVIF"}.get(ending, "JPEG")
    put(tmp_path, f"train/cat/new.{ending}", file_format=kind)
    assert len(load_dataset(tmp_path, skip_corrupt=False).train) == 9


def test_files_that_are_left_out_are_counted_by_their_endings(tmp_path):
    pets(tmp_path)
    for name in ("a.heic", "b.HEIC", "notes.txt", "bare", "._0.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / "train" / "cat" / name).write_bytes(b"x")
    put(tmp_path, "train/dog/__MACOSX/0.png")
    data, notes = noted(tmp_path)
    assert len(data.train) == 8
    counted = "4 hidden or system files, 2 .heic, 1 .txt, 1 without a file extension"
    assert all(part in notes[0] for part in counted.split(", "))


def test_class_folders_that_are_numbers_are_classes_in_the_order_of_numbers(tmp_path):
    pets(tmp_path, classes=[str(n) for n in range(11)], count=1)
    data = load_dataset(tmp_path)
    assert data.class_names == tuple(map(str, range(11)))
    # rows stay in the order in which torchvision lists the files: 0, 1, 10, 2, ...
    assert data.train.labels.tolist() == [0, 1, 10, *range(2, 10)]


def test_names_of_numbers_sort_as_numbers_in_tables_and_arrays_too():
    labels = np.array([str(n) for n in (10, 9, 2)] * 2)
    inputs = RNG.normal(size=(6, 2))
    arrays = {"x_train": inputs, "y_train": labels, "x_test": inputs, "y_test": labels}
    assert load_dataset(arrays).class_names == ("2", "9", "10")


@pytest.mark.parametrize("other", ["Cat", "cat "])
def test_class_folders_that_differ_in_case_or_spaces_are_named(tmp_path, other):
    pets(tmp_path, splits=["train"])
    pets(tmp_path, splits=["test"], classes=(other, "dog"))
    with pytest.raises(DataError, match=f"differ only in case or spaces: '{other}' and 'cat'"):
        load_dataset(tmp_path)


def test_a_class_that_the_test_folder_lacks_is_no_reason_to_refuse(tmp_path):
    pets(tmp_path, splits=["train"], count=20)
    pets(tmp_path, splits=["test"], classes=("cat",))
    data = load_dataset(tmp_path)
    with pytest.warns(UserWarning, match=r"test split has no example of 1 of 2 classes \(dog\)"):
        prepare(data)


def test_an_empty_class_folder_is_named(tmp_path):
    pets(tmp_path)
    (tmp_path / "train" / "emu").mkdir()
    with pytest.raises(DataError, match=r"1 of 3 classes have none in the train split \(emu\)"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("where", ["train", "train/unlabelled", "unlabeled"])
def test_images_without_a_class_folder_are_unlabelled(tmp_path, where):
    pets(tmp_path)
    put(tmp_path, *(f"{where}/{n}.png" for n in range(3)))
    data, notes = noted(tmp_path)
    assert data.train.labels.tolist() == [0] * 4 + [1] * 4 + [-1] * 3
    assert "3 images in" in notes[0]


def test_a_flat_training_folder_takes_its_classes_from_validation_and_test(tmp_path):
    put(tmp_path, *(f"train/{n}.png" for n in range(5)))
    pets(tmp_path, splits=["val", "test"])
    data, notes = noted(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert data.train.labels.tolist() == [-1] * 5
    assert data.validation.ids.tolist() == list(range(5, 13))
    assert "No training example" in notes[0]
    parts = prepare(data)
    assert len(parts.transfer) == 5
    assert parts.selection.ids.tolist() == data.validation.ids.tolist()


def test_a_flat_test_folder_is_refused_with_a_way_out(tmp_path):
    pets(tmp_path, splits=["train"])
    put(tmp_path, "test/0.png", "test/1.png")
    with pytest.raises(DataError, match=r"2 images and no class folders.*--test-split"):
        load_dataset(tmp_path)


def test_a_folder_in_a_folder_is_found(tmp_path):
    pets(tmp_path / "data" / "data")
    (tmp_path / "__MACOSX").mkdir()
    data, notes = noted(tmp_path)
    assert len(data.train) == 8
    assert len(notes) == 2


def test_the_folder_to_test_on_can_be_named(tmp_path):
    pets(tmp_path, splits=["train", "val", "holdout"])
    data, notes = noted(tmp_path, test_split="holdout")
    assert (len(data.test), len(data.validation), notes) == (8, 8, [])
    with pytest.raises(ConfigError, match=r"test_split = 'holdut' .* Did you mean 'holdout'"):
        load_dataset(tmp_path, test_split="holdut")
    with pytest.raises(ConfigError, match="target = 'x' does not apply to a folder"):
        load_dataset(tmp_path, target="x")
