"""Inputs are bounded before they are believed: what they declare, expand to, or are."""

import gzip
import io
import os
import socket
import struct
import time
import zipfile
import zlib
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from goodteacher.config import ReadingConfig, check_regular, read_toml
from goodteacher.data import Dataset, Split, load_dataset, load_for
from goodteacher.data.bounds import (
    allowed_bytes,
    at_most,
    check_fits,
    check_shape,
    read_at_most,
)
from goodteacher.data.numpy_files import load_npy, load_npz
from goodteacher.data.parquet_pages import _pages, unpacked_bytes
from goodteacher.data.table_bounds import (
    check_json_lines,
    check_parquet,
    check_text_table,
    column_chunks,
)
from goodteacher.errors import ConfigError, DataError, ResponseError
from goodteacher.responses import read_response

HUGE = 10**13
TOO_MUCH = r"would take .* GiB of memory, but .* GiB.*--max-memory-gib"


def header(shape, kind="<f4"):
    """The header of a .npy file that declares a shape."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue()


def npz(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


# --- the rule ------------------------------------------------------------------------------------


@given(needed=st.floats(0, 1e18), gib=st.floats(1e-6, 1e6))
def test_what_fits_is_let_through_and_all_else_is_refused_with_both_figures(needed, gib):
    with at_most(gib):
        assert allowed_bytes() == gib * 2**30
        if needed <= gib * 2**30:
            check_fits(needed, "x")
        else:
            with pytest.raises(DataError, match=r"^x would take .*, but max_memory_gib says "):
                check_fits(needed, "x")


def test_half_of_the_free_memory_is_allowed_unless_a_setting_says_more_or_less():
    free = allowed_bytes()
    with at_most(None):
        assert allowed_bytes() == pytest.approx(free, rel=0.5)
    with at_most(0.25), at_most(None):
        assert allowed_bytes() == 2**28
    assert allowed_bytes() == pytest.approx(free, rel=0.5)


def test_the_setting_holds_for_everything_that_a_data_set_is_read_from(tmp_path):
    path = tmp_path / "data.npz"
    images = np.zeros((40, 64, 64), np.uint8)
    np.savez(path, x_train=images, y_train=np.arange(40) % 2, x_test=images, y_test=[0, 1] * 20)
    assert len(load_for(ReadingConfig(data=str(path), max_memory_gib=0.01), str(path)).train) == 40
    with pytest.raises(DataError, match=r"data\.npz would take .*max_memory_gib says 0\.0001"):
        load_for(ReadingConfig(data=str(path), max_memory_gib=1e-4), str(path))


def test_a_shape_is_refused_by_its_bytes():
    check_shape((10, 10), 4, "x")
    with pytest.raises(ResponseError, match=TOO_MUCH):
        check_shape((HUGE, 10), 4, "x", error=ResponseError)


def test_a_stream_is_read_whole_or_refused_as_soon_as_it_is_longer_than_allowed():
    assert read_at_most(io.BytesIO(b"abc"), "x") == b"abc"

    class Endless:
        given = 0

        def read(self, size):
            self.given += size
            return bytes(size)

    endless = Endless()
    with at_most(0.05), pytest.raises(DataError, match="longer than allowed"):
        read_at_most(endless, "x")
    assert endless.given < 2**27


# --- what the pages of Parquet declare -----------------------------------------------------------


def _write_pages(path, compression="snappy", rows=3000, **options):
    table = pa.table(
        {
            "n": np.arange(rows) % 7,
            "text": [f"number {n % 11}" * (n % 5) or None for n in range(rows)],
            "list": [[1.5] * (n % 3) for n in range(rows)],
            "yes": [n % 2 == 0 for n in range(rows)],
        }
    )
    pq.write_table(table, path, compression=compression, **options)


@pytest.mark.parametrize("compression", ["snappy", "zstd", "none"])
@pytest.mark.parametrize("options", [{}, {"data_page_version": "2.0"}, {"use_dictionary": False}])
def test_pages_of_a_parquet_file_take_what_its_end_declares(tmp_path, compression, options):
    path = tmp_path / "x.parquet"
    _write_pages(path, compression, data_page_size=1000, row_group_size=1100, **options)
    chunks = column_chunks(path)
    assert len(chunks) == 12
    with path.open("rb") as file:
        for chunk in chunks:
            pages = [*_pages(file, chunk)]
            headers = chunk.total_compressed_size - sum(packed for _, packed in pages)
            assert 0 < headers < 250 * len(pages)
            assert unpacked_bytes(file, chunk) == chunk.total_uncompressed_size - headers


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=60), place=st.integers(0, 100))
def test_pages_of_any_bytes_are_counted_without_complaint(content, place):
    chunk = SimpleNamespace(
        data_page_offset=place, dictionary_page_offset=None, total_compressed_size=10**9
    )
    assert unpacked_bytes(io.BytesIO(content), chunk) >= 0


def test_a_page_that_declares_gigabytes_is_refused_before_room_is_made(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [1.5, 2.5]}), path, use_dictionary=False, compression="none")
    content = path.read_bytes()
    check_parquet(path)
    assert content[4:6] == b"\x15\x00"  # the header of a page: its kind, then its bytes
    assert content[6] == 0x15
    longer = content[:7] + b"\xfe\xff\xff\xff\x0f" + content[8:]  # 2 GiB
    path.write_bytes(longer)
    with at_most(1.0), pytest.raises(DataError, match=r"x\.parquet " + TOO_MUCH):
        check_parquet(path)


# --- what headers declare ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(HUGE,), (HUGE, HUGE), (2**40, 8)])
@pytest.mark.parametrize("reader", ["data", "responses"])
def test_an_npz_that_declares_terabytes_is_refused_before_it_is_made(tmp_path, shape, reader):
    declared = header(shape)
    path = npz(tmp_path / "bomb.npz", x_train=declared, logits=declared)
    error, read = {"data": (DataError, load_dataset), "responses": (ResponseError, read_response)}[
        reader
    ]
    with pytest.raises(error, match=TOO_MUCH):
        read(path)


def test_an_npz_that_unpacks_into_more_than_fits_is_refused(tmp_path):
    path = npz(tmp_path / "bomb.npz", logits=header((2**21, 2)) + bytes(2**24))
    assert path.stat().st_size < 2**20
    with at_most(0.01), pytest.raises(ResponseError, match=TOO_MUCH):
        read_response(path)


@pytest.mark.parametrize("mode", ["r", "c", None])
def test_an_npy_that_declares_more_than_it_holds_is_refused(tmp_path, mode):
    path = tmp_path / "x.npy"
    path.write_bytes(header((HUGE,)) + bytes(100))
    with pytest.raises(ValueError, match=r"declares .* bytes, and 100 are there"):
        load_npy(path, DataError, mode=mode)


def test_an_npy_that_does_not_fit_may_still_be_mapped(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(2**16, np.float32))
    with at_most(1e-4):
        assert load_npy(path, DataError, mode="r")[-1] == 0
        with pytest.raises(DataError, match=TOO_MUCH):
            load_npy(path, DataError)


def test_a_negative_shape_and_python_objects_are_refused(tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(header((-1, 4)) + bytes(100))
    with pytest.raises(ValueError, match="declares a shape"):
        load_npy(path, DataError)
    with pytest.raises(ValueError, match="unpickled"):
        load_npz(npz(tmp_path / "x.npz", a=header((3,), "|O") + bytes(24)), DataError)


@given(
    shape=st.lists(st.integers(0, 4), max_size=3).map(tuple),
    kind=st.sampled_from(["<f4", "<i8", "|u1", ">f8", "<U3", "<f2"]),
)
def test_every_plain_array_is_read_as_numpy_reads_it(tmp_path_factory, shape, kind):
    path = tmp_path_factory.mktemp("npy") / "x.npy"
    array = np.arange(int(np.prod(shape))).reshape(shape).astype(kind)
    np.save(path, array)
    np.savez(path.with_suffix(".npz"), a=array, b=array.T)
    found = load_npz(path.with_suffix(".npz"), DataError)
    for one, other in ((load_npy(path, DataError), array), (found["a"], array)):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert (one == other).all()
    assert found["b"].shape == array.T.shape


def bomb(width, height):
    """A PNG of a few bytes that declares many pixels."""

    def chunk(kind, content):
        packed = kind + content
        return struct.pack(">I", len(content)) + packed + struct.pack(">I", zlib.crc32(packed))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(width + 1) * 4)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def image_folder(folder, **extra):
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True)
            for number in range(3):
                image = Image.new("L", (8, 8), number * 9 + len(name))
                image.save(folder / split / name / f"{number}.png")
    for name, content in extra.items():
        (folder / "train" / "cat" / f"{name}.png").write_bytes(content)
    return folder


@pytest.mark.parametrize("images_gib", [None, 1e-6])
def test_an_image_that_declares_more_pixels_than_fit_is_refused(tmp_path, images_gib):
    folder = image_folder(tmp_path / "pets", z=bomb(9000, 9000))
    with at_most(0.01), pytest.raises(DataError, match=r"An image of 9000x9000 pixels would"):
        load_dataset(folder, images_gib=images_gib)


def test_resizing_to_more_than_fits_is_refused_before_an_image_is_made(tmp_path):
    folder = image_folder(tmp_path / "pets")
    assert load_dataset(folder, resize=(4, 4)).input_shape == (1, 4, 4)
    with pytest.raises(DataError, match=r"resized to 1000000x1000000 would.*smaller resize"):
        load_dataset(folder, resize=(1_000_000, 1_000_000))
    images = np.zeros((4, 8, 8), np.uint8)
    arrays = {"x_train": images, "y_train": [0, 1] * 2, "x_test": images, "y_test": [0, 1] * 2}
    with pytest.raises(DataError, match=r"4 images resized to 1000000x1000000 would"):
        load_dataset(arrays, resize=(1_000_000, 1_000_000))


# --- what tables expand to -----------------------------------------------------------------------


def test_numbers_of_a_parquet_file_that_rows_share_are_counted_for_each_row(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": np.zeros(2_000_000), "label": np.zeros(2_000_000, int)}), path)
    assert path.stat().st_size < 2**16
    check_parquet(path)
    with at_most(0.02):
        check_parquet(path, ["label"])
        with pytest.raises(ResponseError, match=TOO_MUCH):
            check_parquet(path, error=ResponseError)
    with at_most(0.02), pytest.raises(DataError, match=TOO_MUCH):
        load_dataset(path)
    with at_most(0.02), pytest.raises(ResponseError, match=TOO_MUCH):
        read_response(path)


@pytest.mark.parametrize("nested", [False, True])
def test_a_long_text_that_rows_share_is_counted_for_each_row(tmp_path, nested):
    path = tmp_path / "x.parquet"
    texts = pa.array(["x" * 100_000] * 600)
    column = pa.StructArray.from_arrays([texts], ["bytes"]) if nested else texts
    pq.write_table(pa.table({"text": column}), path)
    assert path.stat().st_size < 2**20
    with at_most(0.03), pytest.raises(DataError, match=r"Column 'text.* of .* would take"):
        check_parquet(path)
    with at_most(1.0):
        check_parquet(path)


def test_cells_of_a_csv_file_are_counted(tmp_path):
    content = b"a,b,label\n" + b",,\n" * 1000
    check_text_table(io.BytesIO(content), b",", "x.csv")
    with at_most(2e4 / 2**30), pytest.raises(DataError, match=r"x\.csv would take"):
        check_text_table(io.BytesIO(content), b",", "x.csv")
    (tmp_path / "x.csv").write_bytes(content)
    for read, error in ((load_dataset, DataError), (read_response, ResponseError)):
        with at_most(2e4 / 2**30), pytest.raises(error, match=TOO_MUCH):
            read(tmp_path / "x.csv")


@pytest.mark.parametrize("name", ["x.csv.gz", "x.jsonl.gz"])
def test_a_compressed_table_is_refused_once_it_is_longer_than_allowed(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(b"a,label\n" + b"1,2\n" * 3_000_000))
    with at_most(0.01), pytest.raises(DataError, match=TOO_MUCH):
        load_dataset(tmp_path / name)


ROW = b'{"text": "null", "label": "a"}\n'


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"null", 1),
        (b"\xef\xbb\xbf\n \t null\n", 2),
        (b'null"text", label: 1', 1),
        (ROW + b"\r\n\n null\r\n" + ROW, 4),
        (ROW * 40_000 + b"null\n", 40_001),  # pyarrow reads blocks of a mebibyte
    ],
)
def test_a_line_of_json_that_is_null_is_refused_by_its_number(tmp_path, content, line):
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.jsonl: line {line} is null"):
        load_dataset(tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    "content",
    [
        ROW,
        b'{"text":\nnull, "label": "a"}\n',
        b'{"text": [\n"x",\nnull\n], "label":\n\n null}',
        b'{"text": "x",\n"label": null}\n' + ROW,
        b'{"text": "no\\nnull", "label": "a"}\n',
    ],
)
def test_null_inside_an_object_is_a_value(content):
    check_json_lines(content, "x.jsonl")


def test_json_lines_with_a_key_of_their_own_each_are_refused(tmp_path):
    lines = "\n".join(f'{{"label": "a", "k{n}": 1}}' for n in range(3000))
    with at_most(0.05), pytest.raises(DataError, match="3001 different keys in 3000 rows"):
        check_json_lines(lines.encode(), "x.jsonl")
    check_json_lines(b'{"text": "he said \\"no\\": never", "label": 1}\n' * 3000, "x.jsonl")
    (tmp_path / "x.jsonl").write_text(lines)
    with at_most(0.05), pytest.raises(DataError, match=TOO_MUCH):
        load_dataset(tmp_path / "x.jsonl")


# --- what is opened ------------------------------------------------------------------------------


@pytest.fixture
def odd(tmp_path):
    """A pipe, a folder, a socket and a link to a device, by what messages call them."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "socket"))
        yield {name: tmp_path / name for name in ("pipe", "folder", "device", "socket")}


def test_only_regular_files_and_links_to_them_are_opened(odd, tmp_path):
    for name, path in odd.items():
        with pytest.raises(DataError, match=f"{path} is a {name}, but only regular files"):
            check_regular(path, DataError)
    (tmp_path / "x").write_text("y")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    for path in (tmp_path / "x", tmp_path / "link", tmp_path / "missing"):
        check_regular(path, DataError)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".csv.gz", ".parquet", ".safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_no_reader_of_responses_waits_for_what_is_no_file(odd, suffix, kind):
    path = odd[kind].rename(odd[kind].with_name(f"x{suffix}"))
    with pytest.raises(ResponseError, match=f"is a {kind}, but only regular files are read"):
        read_response(path)


def test_no_reader_of_settings_waits_for_a_pipe(odd):
    with pytest.raises(ConfigError, match="is a pipe, but only regular"):
        read_toml(odd["pipe"])


@pytest.mark.parametrize("name", ["x_train.npy", "x_train.arrow", "y_train.npy"])
def test_no_reader_of_arrays_waits_for_a_pipe(tmp_path, name):
    np.save(tmp_path / "x_train.npy", np.zeros((4, 2)))
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    if name.endswith(".arrow"):
        (tmp_path / "x_train.npy").unlink()
    with pytest.raises(DataError, match="is a pipe, but only regular"):
        load_dataset(tmp_path)


# --- nothing is quadratic ------------------------------------------------------------------------


def seconds(work):
    before = time.process_time()
    work()
    return time.process_time() - before


def test_many_classes_are_checked_in_time_that_grows_with_their_number():
    labels = np.arange(60_000)

    def make():
        split = Split.from_arrays(np.zeros((len(labels), 1), np.float32), labels)
        return Dataset("many", split, split, tuple(map(str, labels)))

    assert seconds(make) < 5  # a check of every name against every other takes minutes


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_many_columns_of_a_response_are_read_in_time_that_grows_with_their_number(tmp_path, suffix):
    table = pa.table({f"logit_{n}": [0.5, 1.0] for n in range(4000)})
    path = tmp_path / f"x{suffix}"
    pq.write_table(table, path) if suffix == ".parquet" else pa.csv.write_csv(table, path)
    # Names asked for anew for each column took 15 s.
    assert seconds(lambda: read_response(path)) < 6
