"""What a disk has after a power cut: every state between two writes is tried, and loses nothing.

A disk keeps what a file held when it was last synced, and the names of a folder as they were when
the folder was; what came later it has or has not. Two of the states that are possible are looked at
after each step: the *least*, which has nothing that was not synced, and the *newest names*, which
has every new name, but of contents only what was synced.
"""

import os
import shutil
from pathlib import Path

import pytest

from goodteacher.errors import StudyError
from goodteacher.studies import Store


class Disk:
    """Watches what is synced below a folder, and says what a power cut would leave of it."""

    def __init__(self, root, monkeypatch):
        self.root, self.contents, self.names = root, {}, {}
        self.states, self.promised = [], {}
        self.fsync, self.replace, self.unlink = os.fsync, Path.replace, Path.unlink
        monkeypatch.setattr(os, "fsync", self._synced)
        monkeypatch.setattr(Path, "replace", lambda *given: self._did(self.replace, *given))
        monkeypatch.setattr(Path, "unlink", lambda *a, **k: self._did(self.unlink, *a, **k))

    def _did(self, function, *given, **how):
        found = function(*given, **how)
        self._cut()
        return found

    def _synced(self, handle):
        self._cut()
        self.fsync(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if path.is_dir():
            self.names[path] = {each.name: each.stat().st_ino for each in path.iterdir()}
        else:
            self.contents[path.stat().st_ino] = path.read_bytes()
        self._cut()

    def _cut(self):
        """Keep what is left after a power cut now, and what was promised until now."""
        synced = {f / n: i for f, names in self.names.items() for n, i in names.items()}
        least = {p: i for p, i in synced.items() if self._folders_of(p) <= synced.keys()}
        newest = {p: p.stat().st_ino for p in self.root.rglob("*") if p.is_file()}
        for named in (least, newest):
            state = {
                path.relative_to(self.root): self.contents.get(inode, b"")
                for path, inode in named.items()
                if path.is_relative_to(self.root) and not path.is_dir()
            }
            if (state, self.promised) not in self.states:
                self.states.append((state, dict(self.promised)))

    def _folders_of(self, path):
        """The folders that lead to a file: each is a name in another one."""
        return {f for f in path.parents if f.is_relative_to(self.root) and f != self.root}

    def promise(self, name, texts):
        """Note that a write has returned: from now on one of these must be found there."""
        self.promised[name] = texts


def after(state, folder):
    """A folder that holds what a disk has."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in state.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    folder.mkdir(exist_ok=True)
    return Store(folder)


def read(store, name):
    """A text; None where it is not there, or where it is seen that it is not as it was written."""
    try:
        return store.read_text(name)
    except StudyError:
        return None


@pytest.fixture
def disk(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    return Disk(tmp_path / "study", monkeypatch)


def test_what_was_written_is_there_and_nothing_is_half_there(disk, tmp_path):
    store = Store(disk.root)
    store.write_text("study.toml", "")
    disk.promise("study.toml", {""})
    for text in ("first", "second one", "third"):
        store.write_text("a/b.txt", text)
        disk.promise("a/b.txt", {text})
    written = {"first", "second one", "third"}
    assert len(disk.states) > 20
    for state, promised in disk.states:
        kept = after(state, tmp_path / "after")
        found = read(kept, "a/b.txt")
        assert found in {None, *written}, "never a part, and never what nobody wrote"
        if "a/b.txt" in promised:
            assert found is not None, "what has been written stays"
            order = ["first", "second one", "third"]
            (last,) = promised["a/b.txt"]
            assert order.index(found) >= order.index(last), "and does not go back"


def test_a_file_of_another_study_is_taken_over_whole(disk, tmp_path):
    lender = Store(tmp_path / "lender")
    lender.write_text("a.txt", "lent")
    store = Store(disk.root)
    store.take_over("b.txt", lender, "a.txt")
    disk.promise("b.txt", {"lent"})
    for state, promised in disk.states:
        found = read(after(state, tmp_path / "after"), "b.txt")
        assert found in ({"lent"} if promised else {"lent", None})


def test_a_file_that_was_removed_may_be_there_but_is_whole(disk, tmp_path):
    store = Store(disk.root)
    store.write_text("a.txt", "state")
    store.remove("a.txt")
    for state, _ in disk.states:
        assert read(after(state, tmp_path / "after"), "a.txt") in {"state", None}


def test_without_syncing_a_power_cut_would_leave_a_name_without_its_content(
    disk, tmp_path, monkeypatch
):
    """The test's own test: the states are such as would be found wrong."""
    monkeypatch.setattr("goodteacher.studies.local_files.sync", lambda path: None)
    store = Store(disk.root)
    store.write_text("a.txt", "state")
    disk.promise("a.txt", {"state"})
    disk._cut()
    found = {read(after(state, tmp_path / "after"), "a.txt") for state, said in disk.states if said}
    assert found == {None}
