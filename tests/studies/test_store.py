import errno
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_model
from torch import nn

from goodteacher.config import Recipe, StudyConfig, parse
from goodteacher.errors import StudyError
from goodteacher.studies.store import Store
from goodteacher.studies.tensor_files import load_weights


def config(**changes):
    return parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:4", **changes)


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "study", config())


def test_settings_are_kept_beside_the_study(store):
    assert store.config(StudyConfig) == config()
    assert Store.open(store.root).config(StudyConfig) == config()


def test_same_settings_go_on_with_the_study(store):
    store.log("before")
    again = Store.create(store.root, config(threads=2))
    assert [event["event"] for event in again.events()] == ["before"]


def test_other_settings_are_refused_and_named(store):
    with pytest.raises(StudyError, match=r"epochs was 32, now 8; teacher_seeds was .0., now .3."):
        Store.create(store.root, config(epochs=8, teacher_seeds=3))


def test_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_text("x")
    with pytest.raises(StudyError, match=r"not empty and holds no study\.toml"):
        Store.create(tmp_path, config())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["holiday.jpg"]


def test_file_instead_of_a_folder_is_refused(tmp_path):
    target = tmp_path / "out"
    target.write_text("x")
    with pytest.raises(StudyError, match="is a file, but a study is a folder"):
        Store.create(target, config())


def test_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(StudyError, match="is not a folder that you may write to"):
        Store.create(tmp_path / "out" / "study", config())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StudyError, match="may write to"):
        Store.create(tmp_path / "study", config())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no file system that refuses root")
def test_folder_that_the_system_refuses_to_make_is_refused():
    with pytest.raises(StudyError, match=r"/proc/study/study\.toml cannot be written"):
        Store.create("/proc/study", config())


def test_opening_what_is_no_study_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"it has no study\.toml"):
        Store.open(tmp_path)


def test_file_appears_whole_or_not_at_all(store):
    def write_half():
        with store.writing("a", "b.txt") as path:
            path.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_half()
    assert not store.exists("a", "b.txt")
    assert list(store.path("a").iterdir()) == []


def test_results_survive_a_round_trip(store):
    recipe = Recipe(temperature=4)
    store.write_json("recipe.json", recipe)
    store.write_records("recipes.jsonl", [recipe, Recipe()])
    store.write_table("recipes.parquet", [recipe, Recipe()], Recipe)
    assert store.read_json("recipe.json", Recipe) == recipe
    assert store.read_records("recipes.jsonl", Recipe) == [recipe, Recipe()]
    assert store.read_table("recipes.parquet", Recipe) == [recipe, Recipe()]


def test_tensors_survive_a_round_trip_with_their_notes(store):
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor(3)}
    store.write_tensors("x.safetensors", tensors, view="0")
    back = store.read_tensors("x.safetensors")
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    assert store.read_notes("x.safetensors")["view"] == "0"


def test_missing_or_foreign_result_is_a_clear_error(store):
    with pytest.raises(StudyError, match="cannot be read: No such file"):
        store.read_json("sweet_spot.json", Recipe)
    store.write_text("recipe.json", json.dumps({"loss": "kl", "colour": "red"}))
    with pytest.raises(StudyError, match="does not hold a Recipe"):
        store.read_json("recipe.json", Recipe)


def test_torn_last_event_is_skipped(store):
    store.log("one", seconds=1.5)
    with store.path("events.jsonl").open("a") as handle:
        handle.write('{"time": 3, "eve')
    assert [event["event"] for event in store.events()] == ["one"]


@pytest.mark.parametrize("line", ["{}", "3", "null", '["event"]', '{"other": 1}', '"event"', ""])
def test_line_that_holds_no_event_is_skipped(store, line):
    store.log("first")
    path = store.path("events.jsonl")
    path.write_text(path.read_text() + line + "\n")
    store.log("second")
    assert [event["event"] for event in store.events()] == ["first", "second"]


def test_study_belongs_to_one_process_at_a_time(store):
    other = Store.open(store.root)
    taken = pytest.raises(StudyError, match="in use by another goodteacher process")
    with store.lock(), taken, other.lock():
        pass
    with other.lock():
        pass


def test_tied_tensors_are_written_once_and_read_under_each_name(store):
    one = torch.arange(6.0)
    tensors = {"one": one, "two": one, "part": torch.arange(10.0)[2:5], "other": one.clone()}
    store.write_tensors("tied.safetensors", tensors, view="0")
    with safe_open(store.path("tied.safetensors"), "pt") as file:
        assert sorted(file.keys()) == ["one", "other", "part"]
        assert file.metadata() == {"format": "pt", "two": "one", "view": "0"}
    back = store.read_tensors("tied.safetensors")
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)


def test_file_of_tied_weights_is_one_that_safetensors_loads_itself(store):
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    store.write_tensors("network.safetensors", network.state_dict())
    other = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    other[1].weight = other[0].weight
    load_model(other, store.path("network.safetensors"))
    assert torch.equal(other[1].weight, network[0].weight)


READERS = {
    "a value": lambda store: store.read_json("file", Recipe),
    "records": lambda store: store.read_records("file", Recipe),
    "a table": lambda store: store.read_table("file", Recipe),
    "tensors": lambda store: store.read_tensors("file"),
    "notes": lambda store: store.read_notes("file"),
}
DAMAGE = {
    "noise": (bytes(range(256)) * 40, "does not hold"),
    "not UTF-8": (b'{"loss": "\xff"}', "does not hold"),
    "cut": (b'{"loss": "kl", "tem', "does not hold"),
    "empty": (b"", "it is empty"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "conflict": (b"<<<<<<< HEAD\n{}\n=======\n", "merge conflict"),
    "another type": (b"[1, 2]", "does not hold"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_file_is_refused_by_name(store, reader, kind):
    content, message = DAMAGE[kind]
    if (reader, kind) == ("records", "empty"):
        content, message = b"\n", "does not hold"  # an empty file holds no records
    store.path("file").write_bytes(content)
    store.files.note("file")
    with pytest.raises(StudyError, match=message) as caught:
        READERS[reader](store)
    assert str(store.path("file")) in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
def test_folder_in_place_of_a_file_is_refused(store, reader):
    store.path("file").mkdir()
    with pytest.raises(StudyError, match="it is a folder, not a file"):
        READERS[reader](store)


@pytest.mark.parametrize("reader", READERS)
def test_missing_file_is_refused(store, reader):
    if reader == "records":
        assert READERS[reader](store) == []
        return
    with pytest.raises(StudyError, match="file cannot be read: No such file"):
        READERS[reader](store)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<<<<<< HEAD\n", "marks of a merge conflict"),
        ("epochs = = 3", "is not TOML"),
        ('epochs = "many"\n', "epochs = 'many' is not allowed"),
        ("colour = 1\n", "colour is not a setting"),
        ("", "it is empty"),
    ],
)
def test_damaged_settings_are_refused_by_name(store, text, message):
    store.write_text("study.toml", text)
    for read in (lambda: store.config(StudyConfig), lambda: Store.check(store.root, config())):
        with pytest.raises(StudyError, match=message) as caught:
            read()
        assert "study.toml" in str(caught.value)


def test_disk_that_is_full_is_told_with_what_to_do(store, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StudyError, match=r"recipe\.json cannot be written: No space left.*again"):
        store.write_json("recipe.json", Recipe())
    assert not store.exists("recipe.json")


def test_file_where_a_folder_is_needed_is_told(store):
    store.path("students").write_text("x")
    with pytest.raises(StudyError, match="cannot be written: "):
        store.write_tensors("students/a/state.safetensors", {"a": torch.zeros(1)})


def test_weights_of_another_network_are_refused_with_what_differs(store):
    path, network = store.path("x.safetensors"), nn.Linear(3, 2)
    for tensors, message in (
        ({"weight": torch.zeros(2, 3)}, "missing are bias"),
        ({**network.state_dict(), "more": torch.zeros(1)}, "unknown are more"),
        ({"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}, r"weight is \[2, 4\] instead of"),
    ):
        with pytest.raises(StudyError, match=message):
            load_weights(network, tensors, path)
