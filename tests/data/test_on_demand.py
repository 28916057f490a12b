"""Images that would take too much memory: decoded whenever they are needed, the same as ever."""

import os
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from goodteacher.data import doctor, load_dataset, prepare
from goodteacher.data import encoded as encoded_module
from goodteacher.data import images as images_module
from goodteacher.data.encoded import Buffers, Either, Files, OnDemand, decoding_threads
from goodteacher.data.images import ImageOptions, decode_images
from goodteacher.errors import DataError
from goodteacher.networks import Preparations

from .conftest import encode, hub_table, noted

RNG = np.random.default_rng(0)
LITTLE = 1e-9
"""GiB into which no image fits."""


def colour(count, height=9, width=7, seed=0):
    draw = np.random.default_rng(seed)
    return draw.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def pets(root, count=12, height=9, width=7):
    for seed, split in enumerate(("train", "test")):
        for row, pixels in enumerate(colour(count, height, width, seed)):
            path = root / split / ("cat", "dog")[row % 2] / f"{row:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(pixels, "JPEG", quality=95))
    return root


def shards(root, count=12):
    """A table of images in the hub's form, the training split in three files."""
    for seed, split in enumerate(("train", "test")):
        encoded = [encode(pixels) for pixels in colour(count, seed=seed)]
        parts = 3 if split == "train" else 1
        for part, rows in enumerate(np.array_split(np.arange(count), parts)):
            table = hub_table([encoded[row] for row in rows], [int(row) % 2 for row in rows])
            path = root / f"{split}-{part:05d}-of-{parts:05d}.parquet"
            pq.write_table(table, path, row_group_size=2)
    return root


def one_table(root, count=30, **columns):
    table = hub_table([encode(each) for each in colour(count)], [n % 2 for n in range(count)])
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, root / "pets.parquet", row_group_size=4)
    return root / "pets.parquet"


def divided_by_a_column(root):
    return one_table(root, split=["train", "test", "train", "validation", "train"] * 6)


def table_of_names(root):
    pets(root / "images")
    for split in ("train", "test"):
        files = sorted((root / "images" / split).rglob("*.jpg"))
        names = [str(file.relative_to(root / "images")) for file in files]
        classes = [file.parent.name for file in files]
        lines = [f"{name},{of}" for name, of in zip(names, classes, strict=True)]
        (root / f"{split}.csv").write_text("\n".join(["file,label", *lines]) + "\n")
    return root


def structs_of_paths(root):
    """The hub's form where only paths are given for some images."""
    pets(root / "there")
    for split in ("train", "test"):
        files = sorted((root / "there" / split).rglob("*.jpg"))
        table = hub_table([file.read_bytes() for file in files], [n % 2 for n in range(12)])
        paths = [None if n % 3 else str(f.relative_to(root)) for n, f in enumerate(files)]
        content = [f.read_bytes() if n % 3 else None for n, f in enumerate(files)]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        rows = [{"bytes": b, "path": p} for b, p in zip(content, paths, strict=True)]
        image = pa.array(rows, kind)
        pq.write_table(table.set_column(0, "image", image), root / f"{split}.parquet")
    return root


SOURCES = {
    "a folder": pets,
    "shards": shards,
    "one table": one_table,
    "one table with a column split": divided_by_a_column,
    "a table of names": table_of_names,
    "structs of paths": structs_of_paths,
}


@pytest.fixture(params=SOURCES)
def source(request, tmp_path):
    return SOURCES[request.param](tmp_path)


def everything(split):
    return torch.cat([*split.stored.chunks()])


@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
@pytest.mark.parametrize("resize", [None, (5, 6)])
def test_images_on_demand_are_those_in_memory(source, resize):
    memory = load_dataset(source, resize=resize)
    demand = load_dataset(source, resize=resize, images_gib=LITTLE)
    assert demand.splits.keys() == memory.splits.keys()
    for name, split in demand.splits.items():
        ours = memory.splits[name]
        assert isinstance(split.stored, OnDemand)
        assert torch.equal(everything(split), ours.inputs)
        assert torch.equal(split.ids, ours.ids)
        assert torch.equal(split.labels, ours.labels)
    assert demand.fingerprint == memory.fingerprint
    assert demand.class_names == memory.class_names
    assert demand.spec == memory.spec


def test_a_parquet_file_of_images_is_divided_by_its_column(tmp_path):
    data = load_dataset(divided_by_a_column(tmp_path))
    assert [len(split) for split in data.splits.values()] == [18, 6, 6]


def test_the_limit_is_what_decoded_images_take(tmp_path):
    pets(tmp_path)
    bytes_of_a_split = 12 * 9 * 7 * 3
    fits = load_dataset(tmp_path, images_gib=bytes_of_a_split / 2**30)
    assert fits.train.inputs.nbytes == bytes_of_a_split
    over = load_dataset(tmp_path, images_gib=(bytes_of_a_split - 1) / 2**30)
    assert isinstance(over.train.stored, OnDemand)


def test_a_quarter_of_the_free_memory_is_the_limit(tmp_path, monkeypatch):
    class Free:
        available = 4 * 12 * 9 * 7 * 3

    pets(tmp_path)
    monkeypatch.setattr(images_module.psutil, "virtual_memory", Free)
    assert not isinstance(load_dataset(tmp_path).train.stored, OnDemand)
    Free.available -= 1
    assert isinstance(load_dataset(tmp_path).train.stored, OnDemand)


def test_normalization_and_findings_are_those_of_memory(tmp_path):
    pets(tmp_path, count=30)
    copy = (tmp_path / "train/cat/00.jpg").read_bytes()
    (tmp_path / "test/cat/02.jpg").write_bytes(copy)  # leaked
    (tmp_path / "train/cat/04.jpg").write_bytes(copy)  # a duplicate
    (tmp_path / "train/dog/05.jpg").write_bytes(copy)  # with another label
    memory, demand = load_dataset(tmp_path), load_dataset(tmp_path, images_gib=LITTLE)
    assert doctor(demand) == doctor(memory)
    codes = [finding.code for finding in doctor(demand)]
    assert {"leakage", "duplicates", "conflicting_labels"} <= set(codes)
    ours, theirs = prepare(memory), prepare(demand)
    for spec in ("cnn:2", "cnn:2@resize:3"):
        of_memory, of_demand = (Preparations(parts).of(spec) for parts in (ours, theirs))
        assert of_demand.to_dict() == of_memory.to_dict()


# What is wrong at loading ------------------------------------------------------------------------


def ways(encoded, **options):
    """Return what is raised, in memory and on demand."""
    told = []
    for gib in (None, LITTLE):
        with pytest.raises(DataError) as found:
            decode_images(
                encoded,
                describe="image {}".format,
                options=ImageOptions(images_gib=gib, **options),
            )
        told.append(str(found.value))
    return told


@pytest.mark.parametrize(
    "encoded",
    [
        [encode(colour(1)[0]), encode(colour(1)[0], "JPEG")[:200], encode(colour(1)[0])],
        [encode(colour(1)[0]), None],
        [encode(colour(1)[0]), encode(colour(1, 5, 5)[0])],
        [encode(colour(1)[0]), encode(colour(1)[0, :, :, 0])],
        [encode(colour(1)[0]), encode(np.full((9, 7), 40_000, np.uint16))],
        [b"?", b"!"],
    ],
    ids=["cut", "missing", "sizes", "kinds", "deep", "nothing"],
)
def test_the_same_is_refused_in_the_same_words(encoded):
    memory, demand = ways(encoded)
    assert memory == demand


def test_corrupt_images_are_left_out_and_the_others_keep_their_ids(tmp_path):
    pets(tmp_path)
    (tmp_path / "train" / "cat" / "04.jpg").write_bytes(b"no image")
    for gib in (None, LITTLE):
        with pytest.warns(UserWarning, match=r"1 of 12 images cannot be read: .*04\.jpg"):
            data = load_dataset(tmp_path, skip_corrupt=True, images_gib=gib)
        assert data.train.ids.tolist() == [0, 1, *range(3, 12)]
        assert everything(data.train).shape == (11, 3, 9, 7)


# What happens while a study runs -----------------------------------------------------------------


def test_a_file_that_is_deleted_is_named_with_what_to_do(tmp_path):
    data = load_dataset(pets(tmp_path), images_gib=LITTLE)
    (tmp_path / "train" / "dog" / "03.jpg").unlink()
    with pytest.raises(DataError, match=r"dog/03\.jpg could be decoded when .*FileNotFoundError"):
        everything(data.train)
    assert data.train.stored.rows(torch.tensor([0, 1])).shape == (2, 3, 9, 7)  # others can be read


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no image", "UnidentifiedImageError"),
        (encode(colour(1, 4, 4)[0], "JPEG"), r"\(3, 4, 4\) pixels, not \(3, 9, 7\)"),
    ],
)
def test_a_file_that_has_changed_is_named(tmp_path, content, message):
    data = load_dataset(pets(tmp_path), images_gib=LITTLE)
    (tmp_path / "train" / "cat" / "00.jpg").write_bytes(content)
    with pytest.raises(DataError, match=message):
        data.train.stored.rows(torch.tensor([5, 0]))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    data = load_dataset(pets(tmp_path), images_gib=LITTLE)
    path = tmp_path / "train" / "cat" / "02.jpg"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match=r"02\.jpg could be decoded .*is a pipe, but only regular"):
        everything(data.train)
    with pytest.raises(DataError, match="is a pipe"):
        decode_images([path], describe=str, options=ImageOptions())


def bytes_on_demand(count):
    encoded = [encode(pixels) for pixels in colour(count)]
    images, _ = decode_images(
        encoded, describe="image {}".format, options=ImageOptions(images_gib=LITTLE)
    )
    return images


def test_a_part_is_read_ahead_and_no_more_than_that(monkeypatch):
    images, decoded = bytes_on_demand(100), []
    read = encoded_module.read_pixels

    def counted(encoded, size):
        decoded.append(1)
        return read(encoded, size)

    monkeypatch.setattr(encoded_module, "read_pixels", counted)
    parts = images.reads(torch.arange(100).split(10))
    first = next(parts)
    parts.close()
    assert torch.equal(first, images.rows(torch.arange(10)))
    ahead = len(decoded) - 10  # those of the comparison
    assert 10 <= ahead <= 30
    assert sum(map(len, images.reads(torch.arange(100).split(10)))) == 100


def interrupted(images):
    for _ in images.reads(torch.arange(40).split(10)):
        raise KeyboardInterrupt


def test_no_thread_is_left_whatever_ends_the_reading():
    images = bytes_on_demand(40)
    before = threading.active_count()
    parts = images.reads(torch.arange(40).split(10))
    next(parts)
    assert threading.active_count() > before
    parts.close()
    assert threading.active_count() == before
    with pytest.raises(KeyboardInterrupt):
        interrupted(images)
    assert threading.active_count() == before
    broken = OnDemand([b"?"] * 40, np.arange(40), (3, 9, 7), "image {}".format)
    with pytest.raises(DataError, match="image 0 could be decoded"):
        list(broken.chunks(10))
    assert threading.active_count() == before


def test_large_images_are_decoded_by_as_many_threads_as_pytorch_has(monkeypatch):
    monkeypatch.setattr(encoded_module.torch, "get_num_threads", lambda: 5)
    assert decoding_threads(28 * 28) == 1
    assert decoding_threads(224 * 224) == 5


@pytest.mark.parametrize("threads", [1, 4])
def test_rows_are_the_same_whatever_the_number_of_threads(monkeypatch, threads):
    images = bytes_on_demand(70)
    expected = images.rows(torch.arange(70))
    monkeypatch.setattr(encoded_module, "_THREADED_PIXELS", 0)
    monkeypatch.setattr(encoded_module.torch, "get_num_threads", lambda: threads)
    order = torch.from_numpy(RNG.permutation(70))
    assert torch.equal(images.rows(order), expected[order])


# How encoded images are held ---------------------------------------------------------------------


def test_encoded_images_are_held_one_at_a_time(tmp_path):
    files = Files([tmp_path / "ä 1.png", None])
    assert (len(files), files[0], files[1]) == (2, tmp_path / "ä 1.png", None)
    column = pa.chunked_array([[b"a", None], [], [b"bc"]], pa.binary())
    buffers = Buffers(column)
    found = [None if each is None else bytes(each) for each in buffers]
    assert (len(buffers), found) == (3, [b"a", None, b"bc"])
    with pytest.raises(IndexError):
        buffers[3]
    either = Either(buffers, Files([None, tmp_path, tmp_path]))
    assert bytes(either[0]) == b"a"
    assert either[1] == tmp_path
    assert bytes(either[2]) == b"bc"
    assert len(either) == 3


# Encoded images that are larger than memory themselves -------------------------------------------


def test_encoded_images_of_parquet_lie_in_a_file_that_is_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(encoded_module, "read_pixels", None)  # nothing is decoded here
    from goodteacher.data import mapped_tables

    made = []
    mapped = mapped_tables._mapped

    def watched(schema, batches):
        made.append(mapped(schema, batches))
        return made[-1]

    monkeypatch.setattr(mapped_tables, "_mapped", watched)
    load_dataset(one_table(tmp_path))
    assert made == []
    before = pa.total_allocated_bytes()
    load_dataset(tmp_path / "pets.parquet", images_gib=LITTLE)
    assert [len(table) for table in made] == [30, 24, 6]  # the whole, train and test
    assert pa.total_allocated_bytes() - before < made[0].nbytes / 2


def test_no_room_for_the_copy_is_told_with_the_way_out(tmp_path, monkeypatch):
    from goodteacher.data import mapped_tables

    class Full:
        def __init__(self, file, mode):
            raise OSError(28, "No space left on device")

    shards(tmp_path)
    monkeypatch.setattr(mapped_tables.pa, "PythonFile", Full)
    with pytest.raises(DataError, match=r"has no room for it .*TMPDIR"):
        load_dataset(tmp_path, images_gib=LITTLE)


@pytest.mark.parametrize("cut", [100, 600])
def test_a_damaged_parquet_file_is_named_as_ever(tmp_path, cut):
    shards(tmp_path)
    path = tmp_path / "train-00001-of-00003.parquet"
    content = bytearray(path.read_bytes())
    if cut == 600:  # within the pages: the footer is whole
        content[20:cut] = bytes(cut - 20)
        path.write_bytes(content)
    else:
        path.write_bytes(content[:-cut])
    with pytest.raises(DataError, match=rf"{path.name} cannot be read as parquet"):
        load_dataset(tmp_path, images_gib=LITTLE)


def test_a_table_of_features_is_read_as_ever_whatever_the_limit(tmp_path):
    table = pa.table({"label": ["a", "b"] * 10, "x": RNG.normal(size=20)})
    for split in ("train", "test"):
        pq.write_table(table, tmp_path / f"{split}.parquet")
    data, _ = noted(tmp_path, images_gib=LITTLE)
    assert data.train.inputs.shape == (20, 1)
