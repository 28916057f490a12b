"""A study that was copied between a folder and a URL: it is whole there, and damage is found."""

import shutil
import uuid
from pathlib import Path

import fsspec
import pytest
import torch

from goodteacher.config import StudyConfig, parse
from goodteacher.errors import StudyError
from goodteacher.studies import Store, health_of

FILES = ("sweet_spot.json", "student/config.json", "students/one/rows.parquet")


def written(place):
    """A study, as far as its files go."""
    store = Store.create(place, parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:4"))
    for name in FILES:
        store.write_text(name, f"first {name}")
    store.write_tensors("teachers/a/x.safetensors", {"x": torch.arange(3.0)})
    store.log("begun")
    return store


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "study"


@pytest.fixture
def url():
    return f"memory://{uuid.uuid4().hex}/study"


def fetch(url, folder):
    """Copy a study from a URL to a folder, as anybody would."""
    fs, root = fsspec.core.url_to_fs(url)
    for name in fs.find(root):
        path = Path(folder, name.removeprefix(root).lstrip("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fs.cat_file(name))


def put(folder, url):
    """Copy a study from a folder to a URL."""
    fs, root = fsspec.core.url_to_fs(url)
    for path in Path(folder).rglob("*"):
        if path.is_file() and path.name != ".lock":
            fs.pipe_file(f"{root}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def wrong(place):
    found = health_of(place)
    return {
        kind: getattr(found, kind)
        for kind in ("damaged", "missing", "unknown")
        if getattr(found, kind)
    }


def read_all(place):
    store = Store.open(place)
    return [*(store.read_text(name) for name in FILES), store.events()[0]["event"]]


def test_a_study_from_a_url_is_whole_in_a_folder_and_back(url, folder):
    before = read_all(written(url).root)
    fetch(url, folder)
    assert wrong(folder) == {}
    assert read_all(folder) == before
    back = f"{url}-again"
    put(folder, back)
    assert wrong(back) == {}
    assert read_all(back) == before


def test_a_study_of_a_folder_is_whole_at_a_url_and_back(url, folder, tmp_path):
    before = read_all(written(folder).root)
    put(folder, url)
    assert wrong(url) == {}
    assert read_all(url) == before
    fetch(url, tmp_path / "back")
    assert wrong(tmp_path / "back") == {}
    assert read_all(tmp_path / "back") == before


def test_what_was_written_again_on_the_way_is_known_by_its_last_note(url, folder, tmp_path):
    written(folder)
    put(folder, url)
    for count in range(3):
        Store(url).write_text("sweet_spot.json", f"at the URL, {count}")
    Store(url).remove("student/config.json")
    assert wrong(url) == {}
    Store(url).log("went on")
    back = tmp_path / "back"
    fetch(url, back)
    Store(back).log("ended")
    assert [event["event"] for event in Store(back).events()] == ["begun", "went on", "ended"]
    assert wrong(back) == {}
    assert Store(back).read_text("sweet_spot.json") == "at the URL, 2"
    for count in range(3):
        Store(back).write_text("sweet_spot.json", f"in the folder, {count}")
    assert wrong(back) == {}
    shutil.copy(folder / "sweet_spot.json", back / "sweet_spot.json")
    assert wrong(back) == {"damaged": ("sweet_spot.json",)}


@pytest.mark.parametrize("name", [*FILES, "teachers/a/x.safetensors"])
def test_damage_to_a_copy_in_a_folder_is_found(name, url, folder):
    written(url)
    fetch(url, folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert wrong(folder) == {"damaged": (name,)}
    (folder / name).unlink()
    assert wrong(folder) == {"missing": (name,)}
    if (folder / name).parent != folder:
        shutil.rmtree((folder / name).parent)
        assert wrong(folder) == {"missing": (name,)}


@pytest.mark.parametrize("name", FILES)
def test_damage_to_a_copy_at_a_url_is_found(name, url, folder):
    written(folder)
    put(folder, url)
    fs, root = fsspec.core.url_to_fs(url)
    content = fs.cat_file(f"{root}/{name}")
    fs.pipe_file(f"{root}/{name}", bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(StudyError, match=f"{name} was changed or cut"):
        Store(url).read_text(name)
    fs.pipe_file(f"{root}/{name}", content + b"more")
    assert wrong(url) == {"damaged": (name,)}
    fs.rm_file(f"{root}/{name}")
    assert wrong(url) == {"missing": (name,)}


def test_a_folder_that_did_not_arrive_at_a_url_is_missed(url, folder):
    written(folder)
    shutil.rmtree(folder / "student")
    put(folder, url)
    assert wrong(url) == {"missing": ("student/",)}


def test_a_copy_without_its_notes_is_not_believed(url, folder):
    written(url)
    fetch(url, folder)
    shutil.rmtree(folder / ".checksums")
    assert set(wrong(folder)) == {"unknown"}
    with pytest.raises(StudyError, match="not accounted for"):
        Store(folder).read_text("sweet_spot.json")
