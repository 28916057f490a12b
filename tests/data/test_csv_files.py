"""CSV and other text files as people save them."""

import gzip

import pytest

from goodteacher.data import load_dataset
from goodteacher.errors import DataError

from .conftest import noted

ROWS = "height,weight,label\n" + "1.5,2.25,a\n3.5,4.75,b\n" * 5


def write(folder, content, suffix=".csv"):
    for split in ("train", "test"):
        (folder / f"{split}{suffix}").write_bytes(content)
    return folder


def check(data):
    assert data.class_names == ("a", "b")
    assert data.train.inputs[:2].tolist() == [[1.5, 2.25], [3.5, 4.75]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_that_the_bytes_tell_are_read(tmp_path, encoding):
    check(load_dataset(write(tmp_path, ROWS.encode(encoding))))


def test_windows_line_ends_are_read(tmp_path):
    check(load_dataset(write(tmp_path, ROWS.replace("\n", "\r\n").encode())))


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_read_with_a_note(tmp_path, delimiter):
    write(tmp_path, ROWS.replace(",", delimiter).encode())
    data, notes = noted(tmp_path)
    check(data)
    assert "train.csv has" in notes[0]


def test_tabs_in_a_tsv_file_need_no_note(tmp_path):
    check(load_dataset(write(tmp_path, ROWS.replace(",", "\t").encode(), ".tsv")))


def test_decimal_commas_beside_semicolons_are_numbers(tmp_path):
    write(tmp_path, ROWS.replace(",", ";").replace(".", ",").encode())
    data, notes = noted(tmp_path)
    check(data)
    assert any("decimal commas in 'height', 'weight'" in note for note in notes)


def test_commas_in_quoted_texts_are_no_delimiters(tmp_path):
    write(tmp_path, b'text;label\n"one, two, three";a\n"x, y; z";b\n')
    data, notes = noted(tmp_path)
    assert "semicolons" in notes[0]
    assert data.train.texts == ("one, two, three", "x, y; z")


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp1250"])
def test_an_unknown_encoding_is_refused_with_what_to_do(tmp_path, encoding):
    write(tmp_path, "text,label\ncafé,a\nthé,b\n".encode(encoding))
    with pytest.raises(DataError, match=r"not UTF-8: byte 0xe9 in line 2.*iconv -f"):
        load_dataset(tmp_path)


def test_utf_16_without_a_mark_is_refused(tmp_path):
    write(tmp_path, ROWS.encode("utf-16-le"))
    with pytest.raises(DataError, match=r"contains zero bytes.*UTF-16"):
        load_dataset(tmp_path)


def test_compressed_and_json_lines_are_read(tmp_path):
    check(load_dataset(write(tmp_path, gzip.compress(ROWS.encode()), ".csv.gz")))
    for path in tmp_path.iterdir():
        path.unlink()
    rows = '{"height":1.5,"weight":2.25,"label":"a"}\n{"height":3.5,"weight":4.75,"label":"b"}\n'
    check(load_dataset(write(tmp_path, rows.encode(), ".jsonl")))


def test_nested_fields_of_json_lines_are_refused_by_name(tmp_path):
    write(tmp_path, b'{"x":{"y":1},"label":0}\n{"x":{"y":2},"label":1}\n', ".jsonl")
    with pytest.raises(DataError, match=r"must be numeric, but .* has x: struct"):
        load_dataset(tmp_path)
