"""What is kept of examples of every kind: small pictures, texts cut short, rows."""

import base64
import io

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from scipy.sparse import csr_matrix

from goodteacher.data import (
    InputSpec,
    Sparse,
    Split,
    TableRows,
    load_dataset,
    rows_of_table,
    rows_spec,
)
from goodteacher.data.inputs import InMemory
from goodteacher.studies import excerpt, shown_examples
from goodteacher.studies.shown import MOST_CELLS, MOST_CHARACTERS

HOSTILE = "</script><script>alert(1)</script>\x00\x1b[2J \u202egnirts \ud800 end"


def split_of(inputs):
    return Split.from_arrays(inputs, torch.zeros(len(inputs), dtype=torch.int64))


def opened(shown):
    return Image.open(io.BytesIO(base64.b64decode(shown.picture)))


def test_no_example_asked_for_is_none_shown():
    assert shown_examples(split_of(torch.zeros(3, 2)), []) == ()


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_images_become_small_pictures_in_the_order_asked_for(channels, mode):
    images = torch.zeros(3, channels, 8, 6, dtype=torch.uint8)
    images[2] = 200
    first, second = shown_examples(split_of(images), [2, 0])
    assert (opened(first).mode, opened(first).size) == (mode, (6, 8))
    assert np.asarray(opened(first)).min() == 200
    assert np.asarray(opened(second)).max() == 0
    assert (first.text, first.cells, first.remark) == (None, (), "")


def test_large_images_are_shrunk_to_64_pixels():
    (shown,) = shown_examples(split_of(torch.zeros(1, 3, 640, 320, dtype=torch.uint8)), [0])
    assert opened(shown).size == (32, 64)


def test_images_in_files_are_read_where_they_are_asked_for(tmp_path):
    for part in ("train", "test"):
        for name, grey in (("cat", 10), ("dog", 240)):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for number in range(3):
                Image.new("L", (5, 5), grey + number).save(folder / f"{number}.png")
    data = load_dataset(str(tmp_path), images_gib=1e-9)
    shown = shown_examples(data.train, [0, 5])
    assert [np.asarray(opened(each)).max() for each in shown] == [10, 242]


def test_images_in_a_mapped_file_are_shown(tmp_path):
    stored = np.arange(4, dtype=np.uint8).repeat(25).reshape(4, 1, 5, 5)
    np.save(tmp_path / "x.npy", stored)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    (shown,) = shown_examples(split_of(mapped), [3])
    assert np.asarray(opened(shown)).max() == 3


def test_texts_are_cut_short_on_one_line():
    (shown,) = shown_examples(Split.from_texts(["one\n two", "word " * 200], [0, 1]), [1])
    assert len(shown.text) <= MOST_CHARACTERS
    assert shown.text.startswith("word word")
    assert shown.text.endswith(" ...")
    assert shown.picture is None


def test_several_texts_of_an_example_stand_on_one_line():
    texts = {"question": ["who?"], "answer": ["me"]}
    assert shown_examples(Split.from_texts(texts, [0]), [0])[0].text == "who? | me"


def test_characters_that_cannot_be_seen_or_turn_the_line_are_left_out():
    (shown,) = shown_examples(Split.from_texts([HOSTILE], [0]), [0])
    assert shown.text == "</script><script>alert(1)</script> [2J gnirts end"
    shown.text.encode()  # the half of a pair is gone


def test_emoji_of_several_characters_stay_whole():
    family = "\U0001f469\u200d\U0001f467"
    assert excerpt(family, 20) == family


def table():
    spec = rows_spec({"size": None, "colour": ("blue", "red"), "<b>": None})
    rows = pa.table({"size": [1.5, None], "colour": ["red", "green"], "<b>": [3.0, 4.0]})
    return split_of(TableRows(rows_of_table(rows, spec), spec))


def test_rows_say_names_of_columns_values_and_what_is_missing():
    first, second = shown_examples(table(), [0, 1])
    assert first.cells == (("size", "1.5"), ("colour", "red"), ("<b>", "3"))
    assert second.cells[:2] == (("size", "missing"), ("colour", "another word"))
    assert first.remark == ""


def test_of_many_columns_the_first_are_shown_and_the_others_counted():
    names = tuple(f"column {number}" for number in range(MOST_CELLS + 1000))
    spec = InputSpec(kind="numbers", shape=(len(names),), columns=names)
    split = split_of(InMemory(torch.arange(2.0 * len(names)).reshape(2, -1), spec))
    (shown,) = shown_examples(split, [0])
    assert len(shown.cells) == MOST_CELLS
    assert shown.cells[3] == ("column 3", "3")
    assert shown.remark == "and 1,000 more columns"


def test_long_names_and_words_of_a_row_are_cut():
    spec = rows_spec({"n" * 500: ("w" * 500,)})
    split = split_of(TableRows(torch.zeros(1, 1), spec))
    ((name, value),) = shown_examples(split, [0])[0].cells
    assert len(name) <= 60
    assert len(value) <= 60


@pytest.mark.parametrize("shape", [(1, 6, 5), (6, 5), (6, 5, 1)])
def test_numbers_in_two_dimensions_are_drawn_in_grey(shape):
    numbers = torch.linspace(-2, 3, 30).reshape(1, *shape)
    (shown,) = shown_examples(split_of(numbers), [0])
    pixels = np.asarray(opened(shown))
    assert (pixels.shape, pixels.min(), pixels.max()) == ((6, 5), 0, 255)
    assert "the lowest black" in shown.remark


@pytest.mark.parametrize("shape", [(40,), (3, 4, 5, 6)])
def test_of_other_numbers_it_is_said_that_there_is_no_picture(shape):
    (shown,) = shown_examples(split_of(torch.full((1, *shape), 0.25)), [0])
    assert shown.picture is None
    assert shown.text.startswith("0.25, 0.25, ")
    assert shown.text.endswith(", ...")
    assert "there is no picture of these" in shown.remark


def test_few_whole_numbers_are_all_written():
    (shown,) = shown_examples(split_of(torch.tensor([[101, 2, 3]])), [0])
    assert shown.text == "101, 2, 3"


def test_sparse_numbers_are_shown_like_others():
    (shown,) = shown_examples(split_of(Sparse(csr_matrix(np.eye(20, dtype=np.float32)))), [1])
    assert shown.text.startswith("0, 1, 0")


def test_several_inputs_of_an_example_are_named():
    fields = {"ids": torch.tensor([[1, 2]]), "image": torch.zeros(1, 4, 4)}
    (shown,) = shown_examples(Split.from_arrays(fields, [0]), [0])
    assert shown.cells == (("ids", "1, 2"), ("image", "no picture"))
