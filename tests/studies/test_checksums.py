"""What is noted of files, and how damage is told."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from goodteacher.errors import StudyError
from goodteacher.studies import Store, checksums, local_files
from goodteacher.studies.checksums import (
    NOTES_FILE,
    folder_notes,
    is_free,
    read_event,
    sealed,
    unsealed,
)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path)
    made.write_text("a.txt", "first")
    return made


def notes_of(store, name="a.txt"):
    return [(note.size, note.sha256 is not None) for note in store.files.notes(name)]


def test_every_flip_of_a_bit_in_a_sealed_line_is_seen():
    line = sealed({"event": "done", "seconds": 0.5})
    assert unsealed(line) == {"event": "done", "seconds": 0.5}
    for place in range(len(line)):
        for bit in range(7):
            flipped = line[:place] + chr(ord(line[place]) ^ 1 << bit) + line[place + 1 :]
            assert unsealed(flipped) is None, flipped


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_torn_line_is_seen(cut):
    assert unsealed(sealed({"event": "done", "task": "a"})[:-cut]) is None


def test_events_of_other_writers_are_read_and_damaged_ones_left_out():
    assert read_event('{"event": "by hand"}') == {"event": "by hand"}
    assert read_event(sealed({"event": "done"}).replace("done", "dome")) is None
    assert [read_event(line) for line in ("", "3", "[]", "{", '{"other": 1}')] == [None] * 5


def test_each_write_has_a_note_and_the_same_again_has_none(store):
    store.write_text("a.txt", "second one")
    store.write_text("a.txt", "second one")
    store.remove("a.txt")
    assert notes_of(store) == [(5, True), (10, True), (None, False)]
    lines = store.path(NOTES_FILE).read_text().splitlines()
    assert [json.loads(line)["file"] for line in lines] == ["a.txt"] * 3


def test_a_note_after_a_torn_one_is_whole(store):
    with store.path(NOTES_FILE).open("a") as file:
        file.write('{"format": 1, "ti')
    store.write_text("b.txt", "x")
    assert store.read_text("b.txt") == "x"
    assert store.read_text("a.txt") == "first"


def test_old_or_new_version_is_known_after_a_kill(store, monkeypatch):
    """Once between the note and the rename, which is when both are."""

    def killed(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            store.write_text("a.txt", "second one")
    assert notes_of(store) == [(5, True), (10, True)]
    assert store.read_text("a.txt") == "first"
    store.write_text("a.txt", "second one")
    assert store.read_text("a.txt") == "second one"


def test_a_version_before_the_last_two_is_refused(store):
    old = store.path("a.txt").read_bytes()
    for text in ("second", "third"):
        store.write_text("a.txt", text)
    store.path("a.txt").write_bytes(old)
    with pytest.raises(StudyError, match=r"a\.txt was changed or cut"):
        store.read_text("a.txt")


def test_a_note_is_on_the_disk_before_the_file_has_its_name(store, monkeypatch):
    order = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle):
        order.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def replaced(self, target):
        order.append("renamed")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    store.write_text("a.txt", "second")
    assert order[0].startswith(".a.txt")
    assert order[1:] == [NOTES_FILE, "renamed", store.path().name]


def test_notes_of_another_process_are_seen(store):
    code = "import sys; from goodteacher.studies import Store; "
    code += "[Store(sys.argv[1]).write_text(f'{n}.txt', 'x' * n) for n in range(20)]"
    command = [sys.executable, "-c", code, str(store.root)]
    others = [subprocess.Popen(command) for _ in range(2)]
    for number in range(20, 40):
        store.write_text(f"{number}.txt", "y")
    assert [other.wait() for other in others] == [0, 0]
    assert all(store.read_text(f"{n}.txt") == "x" * n for n in range(20))
    assert all(store.read_text(f"{n}.txt") == "y" for n in range(20, 40))


def test_notes_of_a_later_version_are_named(store):
    line = sealed({"format": 2, "time": 0.0, "file": "a.txt", "length": 3})
    with store.path(NOTES_FILE).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(StudyError, match="written by a later version of goodteacher"):
        store.read_text("a.txt")


def test_damage_to_the_notes_themselves_is_seen_by_a_process_that_read_them(store):
    assert store.read_text("a.txt") == "first"
    path = store.path(NOTES_FILE)
    path.write_text(path.read_text().replace("a.txt", "b.txt"))
    assert folder_notes(store.path()).all() == {}
    store.path("study.toml").write_text("")  # so that files must have notes
    with pytest.raises(StudyError, match=r"a\.txt is not accounted for"):
        store.read_text("a.txt")


def test_a_folder_that_was_made_elsewhere_needs_no_notes(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert Store(tmp_path).read_text("config.json") == "{}"
    (tmp_path / "study.toml").write_text("")
    with pytest.raises(StudyError, match=r"config\.json is not accounted for"):
        Store(tmp_path).read_text("config.json")


@pytest.mark.parametrize(
    ("name", "free"),
    [
        ("events.jsonl", True),
        ("events/a-00000.jsonl", True),
        ("tensorboard/events.1", True),
        (".lock", True),
        ("students/a/.rows.parquet.0.part", True),
        ("students/a/rows.parquet", False),
        ("students/events.jsonl", False),
    ],
)
def test_what_is_appended_to_or_hidden_has_no_notes(name, free):
    assert is_free(name) is free


def test_digests_of_files_that_were_read_do_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "_digests", {})
    monkeypatch.setattr(checksums, "_MOST_DIGESTS", 3)
    for number in range(8):
        path = tmp_path / str(number)
        path.write_text(str(number))
        assert checksums.digest_of(path) == hashlib.sha256(str(number).encode()).hexdigest()
    assert len(checksums._digests) <= 3


@pytest.fixture
def long_notes(store, monkeypatch):
    """A store whose files were written again and again; short notes are compacted, too."""
    monkeypatch.setattr(local_files, "COMPACTED_FROM", 0)
    for number in range(30):
        for name in ("a.txt", "deep/b.txt"):
            store.write_text(name, f"content {number}")
    store.write_text("gone.txt", "x")
    store.remove("gone.txt")
    return store


def known(store):
    """What counts of the notes, by file."""
    notes = store.files.all_notes()
    return {n: [(note.size, note.sha256) for note in of[-2:]] for n, of in notes.items()}


def num_lines(store, folder=""):
    return len((store.root / folder / NOTES_FILE).read_text().splitlines())


def test_notes_are_bounded_by_the_number_of_files(long_notes):
    before, folders = known(long_notes), list(long_notes.files.noted_folders())
    assert num_lines(long_notes) > 30
    with long_notes.lock():
        assert num_lines(long_notes) == 2 + 2 + 1, "two files, and the folder"
        assert num_lines(long_notes, "deep") == 2
        for number in range(30):
            long_notes.write_text("deep/b.txt", f"again {number}")
        assert num_lines(long_notes, "deep") == 32
    assert num_lines(long_notes, "deep") == 2
    assert known(long_notes)["a.txt"] == before["a.txt"]
    assert known(long_notes)["gone.txt"] == before["gone.txt"]
    assert list(long_notes.files.noted_folders()) == folders == ["deep/"]
    assert long_notes.read_text("deep/b.txt") == "again 29"
    assert not list(long_notes.path().rglob("*.part"))


def test_notes_that_are_short_or_count_are_left(store):
    with store.lock():
        pass
    for number in range(9):
        store.write_text("a.txt", str(number))
    with store.lock():
        pass
    assert num_lines(store) == 10


STEPS = ["write_text", "sync", "replace", "parent"]


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_while_notes_are_made_short_loses_none(long_notes, step, monkeypatch):
    before = known(long_notes)

    def kill(*_, **__):
        raise KeyboardInterrupt

    def killed_at_the_folder(path):
        if path == long_notes.root:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step in ("write_text", "replace"):
            patch.setattr(Path, step, kill)
        else:
            patch.setattr(checksums, "sync", kill if step == "sync" else killed_at_the_folder)
        with pytest.raises(KeyboardInterrupt), long_notes.lock():
            pass
    assert known(long_notes) == before
    with long_notes.lock():
        pass
    assert known(long_notes) == before
    assert num_lines(long_notes) == 5


def test_a_disk_without_space_for_short_notes_keeps_the_long_ones(long_notes, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    before = known(long_notes)
    monkeypatch.setattr(Path, "write_text", full)
    with long_notes.lock():
        assert known(long_notes) == before


def test_notes_that_others_add_while_they_are_made_short_are_kept(store, monkeypatch):
    monkeypatch.setattr(local_files, "COMPACTED_FROM", 0)
    code = "import sys; from goodteacher.studies import Store; "
    code += "[Store(sys.argv[1]).write_text(f'{n % 40}.txt', 'x' * n) for n in range(400)]"
    other = subprocess.Popen([sys.executable, "-c", code, str(store.root)])
    shorter = 0
    while other.poll() is None:
        before = num_lines(store)
        folder_notes(store.path()).compact()
        shorter += num_lines(store) < before
    assert other.wait() == 0
    assert shorter > 0
    assert all(store.read_text(f"{n}.txt") == "x" * (360 + n) for n in range(40))


def test_what_is_read_of_notes_that_grow_is_what_is_new(store, monkeypatch):
    """So that a study of many files is not read again for each of them."""
    read = []
    plain = checksums.FolderNotes._go_on

    def counted(self, *, grown):
        before = self._read
        plain(self, grown=grown)
        read.append(self._read - before)

    monkeypatch.setattr(checksums.FolderNotes, "_go_on", counted)
    for number in range(50):
        store.write_text(f"{number}.txt", "x")
    size = store.path(NOTES_FILE).stat().st_size
    assert sum(read) <= size
    assert max(read) < size / 10
