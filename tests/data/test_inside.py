"""Paths that come from files lead nowhere out of the folder that was named."""

import contextlib
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from goodteacher.data import inside, load_dataset
from goodteacher.data.named_folder import Inside
from goodteacher.errors import DataError, StudyError

NAMES = ["../secret.png", "a/../../secret.png", "/secret.png", "link.png", "way/secret.png", "\0"]


@pytest.fixture
def place(tmp_path):
    """A folder, beside it a secret, and links that lead there."""
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    picture(tmp_path / "secret.png")
    picture(folder / "a" / "1.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "way").symlink_to(tmp_path)
    (folder / "near.png").symlink_to("a/1.png")
    return folder


def picture(path, value=3):
    Image.fromarray(np.full((4, 4), value, dtype=np.uint8)).save(path)


@pytest.mark.parametrize("name", NAMES)
def test_name_that_leads_out_is_refused(name, place):
    name = name.replace("/secret", f"{place.parent}/secret") if name[0] == "/" else name
    with pytest.raises(DataError, match=r"leads out of the folder .*folder, so it is not opened"):
        inside(place, name)


@pytest.mark.parametrize("name", ["a/1.png", "a/../a/1.png", "near.png", "a/none.png", "./a"])
def test_name_that_stays_is_taken(name, place):
    assert inside(place, name) == place / name


def test_whole_path_into_the_folder_is_taken(place):
    assert inside(place, str(place / "a" / "1.png")) == place / "a" / "1.png"


def test_folder_may_itself_be_a_link(place, tmp_path):
    (tmp_path / "elsewhere").symlink_to(place)
    assert Inside(tmp_path / "elsewhere").path("a/1.png").exists()
    with pytest.raises(StudyError):
        Inside(tmp_path / "elsewhere", error=StudyError).path("link.png")


def test_files_of_the_hubs_cache_are_links_beside_the_folder(tmp_path):
    repository = tmp_path / "models--owner--name"
    snapshot = repository / "snapshots" / "abc"
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "blobs" / "1f").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/1f")
    assert inside(snapshot, "config.json").read_text() == "{}"
    (tmp_path / "secret").write_text("")
    (snapshot / "other.json").symlink_to("../../../secret")
    with pytest.raises(DataError, match=r"'other\.json' leads out"):
        inside(snapshot, "other.json")
    (repository / "refs").rmdir()  # a folder that only calls itself snapshots
    with pytest.raises(DataError, match="leads out"):
        inside(snapshot, "config.json")


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "link", "way", "/"]), max_size=8))
def test_no_parts_lead_out(tmp_path_factory, parts):
    folder = tmp_path_factory.getbasetemp() / "parts" / "folder"
    (folder / "a").mkdir(parents=True, exist_ok=True)
    if not (folder / "way").is_symlink():
        (folder / "way").symlink_to(folder.parent)
    name = "/".join(parts)
    real = os.path.realpath(folder / name)
    root = os.path.realpath(folder)
    stays = real == root or real.startswith(root + os.sep)
    try:
        inside(folder, name)
    except DataError:
        assert not stays
    else:
        assert stays


# Listings of images.


def listed(folder, names, ending):
    labels = ["cat", "dog"] * 4
    columns = {"image": names, "label": labels}
    if ending == ".csv":
        lines = [f"{name},{label}" for name, label in zip(names, labels, strict=True)]
        (folder / "train.csv").write_text("\n".join(["image,label", *lines]))
    elif ending == ".jsonl":
        import json

        rows = [json.dumps({"image": n, "label": c}) for n, c in zip(names, labels, strict=True)]
        (folder / "train.jsonl").write_text("\n".join(rows))
    else:
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        structs = pa.array([{"bytes": None, "path": name} for name in names], kind)
        pq.write_table(pa.table({**columns, "image": structs}), folder / "train.parquet")
    (folder / f"test{ending}").write_bytes((folder / f"train{ending}").read_bytes())
    return folder


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("name", NAMES[:-1])
def test_listing_cannot_name_images_elsewhere(name, ending, place):
    name = str(place.parent / "secret.png") if name[0] == "/" else name
    folder = listed(place, ["a/1.png"] * 7 + [name], ending)
    with pytest.raises(DataError, match="leads out of the folder"):
        load_dataset(folder)
    with pytest.raises(DataError, match="leads out of the folder"):
        load_dataset(folder / f"train{ending}")


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_listing_in_its_folder_is_read(ending, place):
    data = load_dataset(listed(place, ["a/1.png", "near.png"] * 4, ending))
    assert data.train.inputs.unique().tolist() == [3]


def test_path_beside_the_bytes_of_an_image_is_not_looked_at(place):
    content = (place / "a" / "1.png").read_bytes()
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    structs = pa.array([{"bytes": content, "path": "/home/somebody/1.png"}] * 8, kind)
    for split in ("train", "test"):
        table = pa.table({"image": structs, "label": ["cat", "dog"] * 4})
        pq.write_table(table, place / f"{split}.parquet")
    assert len(load_dataset(place).train) == 8


@pytest.mark.parametrize("kind", ["file", "class"])
def test_link_in_a_folder_of_images_cannot_lead_out(kind, tmp_path):
    for name in ("train/cat", "train/dog", "test/cat", "test/dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        picture(tmp_path / "pets" / name / "1.png")
    (tmp_path / "private").mkdir()
    picture(tmp_path / "private" / "me.png")
    assert len(load_dataset(tmp_path / "pets").train) == 2
    if kind == "file":
        (tmp_path / "pets/train/cat/2.png").symlink_to(tmp_path / "private" / "me.png")
    else:
        (tmp_path / "pets/train/emu").symlink_to(tmp_path / "private")
    with pytest.raises(DataError, match="leads out of the folder"):
        load_dataset(tmp_path / "pets")


# Pickles in data.


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def bombs(marker):
    return np.array([Bomb(marker)] * 4, dtype=object)


def test_arrays_of_objects_are_never_unpickled(tmp_path):
    marker = tmp_path / "ran"
    values = {"x_train": bombs(marker), "y_train": np.arange(4)}
    np.savez(tmp_path / "data.npz", **values, x_test=bombs(marker), y_test=np.arange(4))
    folder = tmp_path / "arrays"
    folder.mkdir()
    for name in ("x_train", "x_test"):
        np.save(folder / f"{name}.npy", bombs(marker))
    for name in ("y_train", "y_test"):
        np.save(folder / f"{name}.npy", np.arange(4))
    for place in (tmp_path / "data.npz", folder):
        with pytest.raises(DataError, match="never unpickled"):
            load_dataset(place)
    assert not marker.exists()


def test_types_that_a_table_brings_run_nothing(tmp_path):
    """An extension type of Arrow is rebuilt only by code of this process that registered it."""
    marker = tmp_path / "ran"
    field = pa.field(
        "text",
        pa.string(),
        metadata={
            b"ARROW:extension:name": b"arrow.py_extension_type",
            b"ARROW:extension:metadata": pickle.dumps(Bomb(marker)),
        },
    )
    schema = pa.schema([field, pa.field("label", pa.string())])
    table = pa.table([["one", "two"] * 4, ["a", "b"] * 4], schema=schema)
    for split in ("train", "test"):
        pq.write_table(table, tmp_path / f"{split}.parquet")
    with contextlib.suppress(DataError):  # some releases of Arrow do not know the type
        load_dataset(tmp_path)
    assert not marker.exists()
