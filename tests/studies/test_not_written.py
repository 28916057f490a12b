"""A disk that is full, a folder that is not ours, names that no settings can hold."""

import dataclasses
import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from typer.testing import CliRunner

from goodteacher import load_dataset, search
from goodteacher.cli import app
from goodteacher.config import Frozen
from goodteacher.errors import DataError, InputError, RunError, StorageError, StudyError
from goodteacher.studies import Store, not_written, place_of
from tests.made import SETTINGS, arrays, as_options, dataset

NOT_TEXT = os.fsdecode(b"caf\xe9")


class Row(Frozen):
    value: int


WRITES = {
    "text": lambda store: store.write_text("a/file", "x"),
    "json": lambda store: store.write_json("a/file", {"x": 1}),
    "records": lambda store: store.write_records("a/file", [Row(value=1)]),
    "table": lambda store: store.write_table("a/file", [Row(value=1)], Row),
    "tensors": lambda store: store.write_tensors("a/file", {"x": torch.ones(3)}),
    "log": lambda store: store.log("begun"),
}


def failing(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "your share of it"),
        (errno.EROFS, "Make the folder writable"),
        (errno.EACCES, "Make the folder writable"),
        (errno.EIO, "Is the disk full"),
    ],
)
def test_every_kind_of_file_says_why_it_cannot_be_written(
    kind, number, said, tmp_path, monkeypatch
):
    store = Store(tmp_path)
    WRITES[kind](store)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(os, "fsync", failing(number))
    monkeypatch.setattr(Path, "open", failing(number))
    with pytest.raises(StorageError, match=f"cannot be written: .*{said}") as error:
        WRITES[kind](store)
    assert ("events.jsonl" if kind == "log" else "a/file") in str(error.value)
    monkeypatch.undo()
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path: after[path] for path in before if path.name[0] != "."} == {
        path: content for path, content in before.items() if path.name[0] != "."
    }, "what was there is there"
    assert not [path for path in after if path.suffix == ".part"], "and nothing half-written"


def test_reason_is_found_in_what_a_library_says():
    told = SafetensorError("Error while serializing: I/O error: No space left (os error 28)")
    said = str(not_written(Path("a"), told))
    assert said.startswith("a cannot be written: No space left on device. The disk is full")


@pytest.mark.parametrize("step", range(1, 60, 7))
def test_a_search_on_a_full_disk_goes_on_when_there_is_space(step, tmp_path, monkeypatch):
    """Whichever file it is that finds no space: the message is one, and nothing is lost."""
    settings = {**SETTINGS, "student_epochs": 2, "seeds": 2, "search_seeds": 1, "rungs": 1}
    count, fsync = 0, os.fsync

    def filling(handle):
        nonlocal count
        count += 1
        if count >= step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", filling)
    with pytest.raises(StorageError, match="Free some space"):
        search(dataset(), out=tmp_path / "s", **settings)
    assert not list(tmp_path.rglob("*.part"))
    monkeypatch.setattr(os, "fsync", fsync)
    found = search(dataset(), out=tmp_path / "s", **settings)
    assert found.finished


def test_a_folder_that_may_not_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StudyError, match=r"cannot be written: Permission denied\. Make the folder"):
        Store(tmp_path).files.check()


def test_a_name_that_is_too_long_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(StudyError, match=r"name is too long\. Name another folder with --out"):
        search(dataset(), out=tmp_path / ("a" * 300), **SETTINGS)


def of_number(number):
    return not_written(Path("a"), OSError(number, os.strerror(number)))


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO]
)
def test_a_disk_that_fails_is_no_wrong_input(number):
    """So that the command line ends with 1, not with 2."""
    assert isinstance(of_number(number), RunError)


def test_what_another_name_would_mend_is_wrong_input():
    denied = PermissionError(errno.EACCES, "")
    for found in (of_number(errno.ENAMETOOLONG), not_written(Path("a"), denied, at_the_door=True)):
        assert isinstance(found, InputError)
        assert not isinstance(found, RunError)


def exit_code(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)]).exit_code


def test_the_command_line_ends_with_1_on_a_full_disk_and_with_2_on_a_wrong_folder(
    tmp_path, monkeypatch
):
    np.savez(tmp_path / "circle.npz", **arrays())
    options = as_options({**SETTINGS, "student_epochs": 2, "seeds": 2, "rungs": 1})
    command = ("search", tmp_path / "circle.npz", *options)
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    assert exit_code(*command, f"--out={tmp_path / 'study'}") == 1
    monkeypatch.undo()
    (tmp_path / "file").write_text("")
    assert exit_code(*command, f"--out={tmp_path / 'file'}") == 2
    assert exit_code(*command, f"--out={tmp_path / ('a' * 300)}") == 2


def test_names_that_are_no_text_are_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(StudyError, match=r"folder is called '.*caf\\udce9', which is not UTF-8"):
        place_of(tmp_path / NOT_TEXT)
    np.savez(tmp_path / f"{NOT_TEXT}.npz", **arrays())
    with pytest.raises(DataError, match=r"data set is called '.*caf\\udce9\.npz', which is not"):
        load_dataset(str(tmp_path / f"{NOT_TEXT}.npz"))


def test_a_folder_of_images_whose_name_is_no_text_is_refused(tmp_path):
    from PIL import Image

    for split in ("train", "test"):
        for name in ("cat", NOT_TEXT):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(4):
                Image.new("L", (4, 4), 50 * number).save(folder / f"{number}.png")
    with pytest.raises(DataError, match=r"is called '.*caf\\udce9.*', which is not UTF-8"):
        load_dataset(tmp_path)


def test_a_class_whose_name_is_no_text_is_refused():
    made = dataset()
    with pytest.raises(DataError, match=r"A class is called 'caf\\udce9', which is not UTF-8"):
        dataclasses.replace(made, class_names=(*made.class_names[:-1], NOT_TEXT))
