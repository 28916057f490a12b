"""What every store keeps to: in a folder, in fsspec's memory, on a server of S3's protocol."""

import pickle
import uuid
from functools import partial

import pytest
import torch

from goodteacher.config import Recipe, StudyConfig, parse
from goodteacher.errors import StudyError
from goodteacher.studies import Store, Url
from tests import object_stores

KINDS = ("folder", "memory", "s3")

# Of packages of the server, which are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    if request.param == "folder":
        return str(tmp_path / "study")
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}/study"
    request.getfixturevalue("server")
    return f"{object_stores.bucket()}/study"


def config(**changes):
    return parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:4", **changes)


@pytest.fixture
def store(place):
    return Store.create(place, config())


def test_settings_are_kept_and_others_refused(store):
    assert Store.open(store.root).config(StudyConfig) == config()
    assert Store.create(store.root, config(threads=2)).root == store.root
    with pytest.raises(StudyError, match=r"epochs was 32, now 8"):
        Store.create(store.root, config(epochs=8))


def test_place_of_other_things_is_refused(place):
    Store(place).write_text("holiday.txt", "x")
    with pytest.raises(StudyError, match=r"not empty and holds no study\.toml"):
        Store.create(place, config())


def test_opening_what_is_no_study_is_refused(place):
    with pytest.raises(StudyError, match=r"it has no study\.toml"):
        Store.open(place)


def test_results_survive_a_round_trip(store):
    recipe = Recipe(temperature=4)
    store.write_json("a/recipe.json", recipe)
    store.write_records("recipes.jsonl", [recipe, Recipe()])
    store.write_table("recipes.parquet", [recipe, Recipe()], Recipe)
    store.write_text("a/b/c.txt", "ä\n")
    assert store.read_json("a/recipe.json", Recipe) == recipe
    assert store.read_records("recipes.jsonl", Recipe) == [recipe, Recipe()]
    assert store.read_records("none.jsonl", Recipe) == []
    assert store.read_table("recipes.parquet", Recipe) == [recipe, Recipe()]
    assert store.read_text("a/b/c.txt") == "ä\n"


def test_tensors_survive_a_round_trip_with_their_notes(store):
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor(3)}
    store.write_tensors("x/y.safetensors", tensors, view="0")
    back = store.read_tensors("x/y.safetensors")
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    assert store.read_notes("x/y.safetensors")["view"] == "0"


def test_tensors_that_were_replaced_are_read_anew(store):
    for value in (1.0, 2.0, 3.0):
        store.write_tensors("x.safetensors", {"a": torch.full((3,), value)})
        assert store.read_tensors("x.safetensors")["a"].tolist() == [value] * 3


def test_file_appears_whole_or_not_at_all(store):
    def write_half(name):
        with store.writing(name) as path:
            path.write_text("half")
            raise RuntimeError("killed")

    store.write_text("kept.txt", "before")
    for name in ("a/b.txt", "kept.txt"):
        with pytest.raises(RuntimeError, match="killed"):
            write_half(name)
    assert not store.exists("a/b.txt")
    assert store.matching("a/*") == []
    assert store.read_text("kept.txt") == "before"


def test_missing_and_foreign_files_are_named(store):
    with pytest.raises(StudyError, match=r"/sweet_spot\.json cannot be read: No such file"):
        store.read_json("sweet_spot.json", Recipe)
    for reader in (store.read_tensors, store.read_notes, store.read_text):
        with pytest.raises(StudyError, match=r"none\.safetensors cannot be read"):
            reader("none.safetensors")
    store.write_text("recipe.json", '{"colour": "red"}')
    with pytest.raises(StudyError, match=r"/recipe\.json does not hold a Recipe"):
        store.read_json("recipe.json", Recipe)
    with pytest.raises(StudyError, match=r"/recipe\.json does not hold tensors"):
        store.read_tensors("recipe.json")


def test_names_match_part_by_part(store):
    for name in ("t/a/x.txt", "t/b/x.txt", "t/b/c/x.txt", "t/b/y.txt", "u/a/x.txt", "t-2/a/x.txt"):
        store.write_text(name, "x")
    assert store.matching("t/*/x.txt") == ["t/a/x.txt", "t/b/x.txt"]
    assert store.matching("t/b/*") == ["t/b/x.txt", "t/b/y.txt"]
    assert store.matching("t/b/y.*") == ["t/b/y.txt"]
    assert store.matching("v/*/x.txt") == []
    assert store.num_bytes("t") == 4
    assert store.num_bytes("t/a/x.txt") == 1
    assert store.num_bytes("v") == 0
    assert {"t", "u", "t-2"} <= set(store.files.top())


def test_what_is_removed_is_gone_and_may_be_gone_before(store):
    store.write_text("a.txt", "x")
    store.remove("a.txt")
    store.remove("a.txt")
    assert not store.exists("a.txt")


def test_what_was_taken_over_is_read_as_it_was_there(store, tmp_path):
    lender = Store(tmp_path / "other")
    lender.write_tensors("a.safetensors", {"a": torch.arange(3)})
    store.take_over("b/c.safetensors", lender, "a.safetensors")
    lender.take_over("back.safetensors", store, "b/c.safetensors")
    lender.write_tensors("a.safetensors", {"a": torch.zeros(3)})
    assert store.read_tensors("b/c.safetensors")["a"].tolist() == [0, 1, 2]
    assert lender.read_tensors("back.safetensors")["a"].tolist() == [0, 1, 2]
    with pytest.raises(StudyError, match=r"none\.txt"):
        store.take_over("d.txt", lender, "none.txt")
    assert not store.exists("d.txt")


def test_files_and_folders_can_be_had_on_this_machine(store):
    store.write_text("student/config.json", "{}")
    store.write_text("student/deep/model.txt", "weights")
    assert store.local("student/config.json").read_text() == "{}"
    folder = store.local_folder("student")
    assert (folder / "config.json").read_text() == "{}"
    assert (folder / "deep/model.txt").read_text() == "weights"


def test_what_others_write_file_by_file_is_published(store):
    draft = store.files.draft("board")
    draft.mkdir(exist_ok=True)
    (draft / "events.1").write_text("x")
    store.files.publish("board", draft)
    assert store.read_text("board/events.1") == "x"


def test_events_are_kept_in_order_with_their_details(store):
    for number in range(5):
        store.log("done", task=f"t{number}", seconds=0.5)
    again = Store(store.root).events()
    assert [event["task"] for event in again] == [f"t{number}" for number in range(5)]
    assert all(event["event"] == "done" and event["seconds"] == 0.5 for event in again)


def test_many_questions_are_answered_as_one_each_would_be(store):
    names = [f"students/t{number}/rows.parquet" for number in range(30)]
    for name in names[::3]:
        store.write_text(name, "x")
    listed = store.listed()
    assert [listed.exists(name) for name in names] == [store.exists(name) for name in names]
    assert [n for n in names if listed.exists(n)] == names[::3]


def put(store, name, content):
    """Write an object or a file past the store, as damage does."""
    if isinstance(store.root, Url):
        store.files.put_bytes(name, content)
    else:
        store.path(name).write_bytes(content)


WRITERS = {
    "text": ("a/x.json", lambda store, name: store.write_json(name, Recipe())),
    "records": ("x.jsonl", lambda store, name: store.write_records(name, [Recipe()])),
    "table": ("a/x.parquet", lambda store, name: store.write_table(name, [Recipe()], Recipe)),
    "tensors": ("a/b/x.bin", lambda store, name: store.write_tensors(name, {"a": torch.ones(3)})),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_was_changed_since_it_was_written_is_refused_by_name(store, kind):
    name, write = WRITERS[kind]
    write(store, name)
    whole = store.files.read(name)
    readers = (store.local, store.read_text, store.read_tensors, store.read_notes)
    tables = (store.read_table, store.read_records, store.read_json)
    half, flipped = whole[: len(whole) // 2], bytes([whole[0] ^ 1]) + whole[1:]
    for content in (b"", half, flipped, whole + b" "):
        put(store, name, content)
        assert not store.intact(name)
        for read in (*readers, *(partial(table, kind=Recipe) for table in tables)):
            with pytest.raises(StudyError, match=f"{name} was changed or cut since it was writ"):
                read(name)
    put(store, name, whole)
    assert store.intact(name)
    store.local(name)


def test_a_file_that_nobody_wrote_is_refused_by_name(store):
    put(store, "by_hand.json", b"{}")
    with pytest.raises(StudyError, match=r"by_hand\.json is not accounted for"):
        store.read_json("by_hand.json", Recipe)
    store.files.note("by_hand.json")
    assert store.read_text("by_hand.json") == "{}"


def test_what_was_noted_is_told_of_all_files(store):
    store.write_text("a/x.txt", "x")
    store.write_text("a/gone.txt", "gone")
    store.remove("a/gone.txt")
    store.log("done")
    other = Store(store.root)
    notes = other.files.all_notes()
    assert {name: of[-1].size for name, of in notes.items() if name.startswith("a/")} == {
        "a/x.txt": 1,
        "a/gone.txt": None,
    }
    assert set(other.files.sizes()) == {"study.toml", "a/x.txt"}


def test_a_folder_to_be_read_here_is_compared_file_by_file(store):
    store.write_text("student/config.json", "{}")
    store.write_text("student/weights.bin", "weights")
    put(store, "student/weights.bin", b"wrights")
    with pytest.raises(StudyError, match=r"student/weights\.bin was changed or cut"):
        store.local_folder("student")
    store.files.set_aside("student/weights.bin")
    with pytest.raises(StudyError, match=r"student/weights\.bin cannot be read: No such file"):
        store.local_folder("student")


def test_store_can_be_sent_to_other_processes(store):
    store.write_text("a.txt", "x")
    sent = pickle.loads(pickle.dumps(store))
    assert sent.root == store.root
    assert sent.read_text("a.txt") == "x"


def test_study_belongs_to_one_at_a_time(store, monkeypatch):
    monkeypatch.setattr("goodteacher.studies.remote_lock.RENEWED", 0.1)
    other = Store.open(store.root)
    taken = pytest.raises(StudyError, match="in use by another goodteacher process")
    with store.lock(), taken, other.lock():
        pass
    with other.lock():
        other.write_text("a.txt", "x")
    assert not other.exists(".lock") or other.root == store.path()


def test_who_holds_it_is_seen_and_looking_takes_nothing(store):
    assert not store.is_held()
    with store.lock():
        assert store.is_held()
        assert store.is_held()
    assert not store.is_held()
    with store.lock():
        pass
