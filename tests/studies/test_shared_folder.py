"""Folders that processes share: the user's alone, gone with it, believed only as written."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from goodteacher.errors import RunError
from goodteacher.studies import SharedFolder, hand_over, shared_folder, take
from goodteacher.studies.shared_folder import remove_left_over


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(shared_folder, "_NEW", 0.0)
    return tmp_path


def killed(temporary):
    """Return the folder that a process leaves which is killed while it hands something over."""
    code = """
        import os, signal, tempfile
        from goodteacher.studies import SharedFolder, hand_over
        folder = SharedFolder()
        hand_over([1, 2], folder.path)
        print(folder.path, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return Path(done.stdout.strip())


def test_folder_is_the_users_alone_and_goes():
    folder = SharedFolder()
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    folder.remove()
    assert not folder.path.exists()


def test_what_a_killed_process_leaves_goes_when_the_next_begins(temporary):
    left = killed(temporary)
    assert (left / "objects.pickle").exists()
    folder = SharedFolder()
    assert not left.exists()
    folder.remove()


def test_folder_in_use_stays():
    first, second = SharedFolder(), SharedFolder()
    remove_left_over()
    assert first.path.exists()
    assert second.path.exists()
    first.remove()
    second.remove()


def test_new_folder_stays_since_its_process_may_be_about_to_lock_it(temporary, monkeypatch):
    (temporary / "goodteacher-shared-new").mkdir()
    monkeypatch.setattr(shared_folder, "_NEW", 60.0)
    remove_left_over()
    assert (temporary / "goodteacher-shared-new").exists()


def test_nothing_but_folders_of_this_user_is_removed(temporary, monkeypatch):
    (temporary / "kept").mkdir()
    (temporary / "kept" / "mine").write_text("")
    (temporary / "goodteacher-shared-link").symlink_to(temporary / "kept")
    theirs = temporary / "goodteacher-shared-theirs"
    theirs.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: theirs.stat().st_uid + 1)
    remove_left_over()
    assert theirs.exists()
    monkeypatch.undo()
    assert (temporary / "kept" / "mine").exists()


def test_objects_that_somebody_else_wrote_are_not_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
    handed = hand_over([1, 2], tmp_path / "mine")
    assert take(handed) == [1, 2]
    hand_over(Bomb(), tmp_path / "theirs")
    (tmp_path / "theirs" / "objects.pickle").replace(tmp_path / "mine" / "objects.pickle")
    with pytest.raises(RunError, match="is not what was written there, so it is not read"):
        take(handed)
    assert not (tmp_path / "ran").exists()
