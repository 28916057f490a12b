"""What is damaged or missing in a study is named, and made again by the command that made it."""

import json
import shutil
import uuid
from pathlib import Path

import pytest
from benchmarks.same_numbers import differences, numbers_of
from typer.testing import CliRunner

import goodteacher
from benchmarks import faults
from goodteacher.cli import app
from goodteacher.errors import StudyError
from goodteacher.studies import Store, audit, health_of, require_whole
from goodteacher.studies.checksums import NOTES_FILE
from tests.watching import Noting

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """A tiny study: searched, verified, exported."""
    return faults.Bench(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def copy(bench):
    """A copy of it beside its data."""
    return Path(shutil.copytree(bench.whole, bench.folder / uuid.uuid4().hex))


def first(folder, pattern):
    names = (path.relative_to(folder).as_posix() for path in folder.glob(pattern))
    return min(name for name in names if name == pattern or "/." not in name)


def searched(folder):
    notes = Noting()
    data = str(folder.parent / "data.npz")
    goodteacher.search(data, out=folder, progress=notes, **faults.SETTINGS)
    return " ".join(map(str, notes.notes))


SAMPLE = [
    ("student/model.safetensors", "bit flipped, middle", "load", "refused"),
    ("student/model.safetensors", "deleted", "search", "same"),
    ("students.parquet", "truncated", "search", "same"),
    ("sweet_spot.json", "bit flipped, last", "report", "refused"),
    ("sweet_spot.json", "later schema", "search", "refused"),
    ("teachers/*/responses/*.transfer.view-0.safetensors", "bit flipped, last", "search", "same"),
    ("teachers/*/checkpoints/epoch*", "bit flipped, middle", "verify", "refused"),
    ("teachers/*/checkpoints/epoch-00002*", "bit flipped, middle", "export", "refused"),
    ("teachers/*/trajectory.jsonl", "emptied", "verify", "refused"),
    ("students/search-*/rows.parquet", "deleted", "search", "same"),
    ("students/confirm-*/test.safetensors", "bit flipped, middle", "search", "same"),
    ("students/verify-*/test.safetensors", "deleted", "verify", "same"),
    ("verdict.json", "deleted", "report", "refused"),
    (NOTES_FILE, "bit flipped, middle", "search", "same"),
    ("events.jsonl", "bit flipped, middle", "search", "same"),
    ("study.toml", "truncated", "search", "same"),
    ("student/model.safetensors", "folder deleted", "load", "refused"),
    ("students/verify-*/test.safetensors", "folder deleted", "verify", "same"),
    ("teachers/*/trajectory.jsonl", "folder deleted", "report", "refused"),
]


@pytest.mark.parametrize(("pattern", "fault", "command", "how"), SAMPLE)
def test_a_fault_is_refused_by_name_or_ends_with_the_same_numbers(
    bench, pattern, fault, command, how
):
    name = first(bench.whole, pattern)
    ended = bench.run(faults.Case(faults.kind_of(name), name, fault, command))
    assert (ended.how, ended.said if ended.how != how else "") == (how, "")


def test_a_whole_study_is_found_whole_and_left_alone(copy):
    before = {p: p.read_bytes() for p in copy.rglob("*.safetensors")}
    found = health_of(copy)
    assert found.whole
    assert found.num_files == len(Store(copy).files.sizes())
    assert "made again" not in searched(copy)
    assert {p: p.read_bytes() for p in copy.rglob("*.safetensors")} == before


def test_every_file_of_a_study_is_known_as_its_own(copy):
    """So that damage to any of them is found."""
    assert audit(Store(copy).files).num_files == len(Store(copy).files.sizes())


def test_what_is_made_again_is_told_and_the_damaged_file_is_kept(copy):
    name = first(copy, "teachers/*/checkpoints/epoch*")
    (copy / name).write_bytes(b"noise")
    said = searched(copy)
    assert f"{name} is damaged, missing or not accounted for, and is made again" in said
    assert (copy / ".damaged" / name).read_bytes() == b"noise"
    assert health_of(copy).whole


def test_what_only_verify_makes_is_said_to_be_so(copy):
    (copy / "verdict.json").unlink()
    assert "goodteacher verify, with the same settings, makes its own files" in searched(copy)
    assert health_of(copy).missing == ("verdict.json",)
    goodteacher.verify(copy, **faults.JUDGED)
    assert health_of(copy).whole


GONE = [
    "student",
    "teachers/*",
    "teachers/*/checkpoints",
    "students/search-*",
    "students/confirm-*",
]


@pytest.mark.parametrize("pattern", GONE)
def test_a_folder_that_is_gone_with_its_notes_is_named_and_made_again(copy, pattern):
    before = numbers_of(copy)
    folder = min(copy.glob(pattern))
    name = f"{folder.relative_to(copy).as_posix()}/"
    shutil.rmtree(folder)
    found = health_of(copy)
    assert found.missing == (name,)
    assert "Give the command that made it again" in found.advice
    tasks = () if name == "student/" else (name.split("/")[1],)
    assert found.tasks == tasks
    with pytest.raises(StudyError, match=name.rstrip("/")):
        require_whole(Store(copy))
    assert f"{name} is damaged, missing or not accounted for, and is made again" in searched(copy)
    assert health_of(copy).whole
    assert differences(before, numbers_of(copy)) == []


def test_the_students_of_a_verification_that_are_gone_are_made_again_by_it(copy):
    before = numbers_of(copy)
    folders = sorted(copy.glob("students/verify-*"))
    for folder in folders:
        shutil.rmtree(folder)
    names = tuple(f"students/{folder.name}/" for folder in folders)
    found = health_of(copy)
    assert found.missing == names
    assert found.advice == "goodteacher verify, with the same settings, makes its own files again."
    goodteacher.verify(copy, **faults.JUDGED)
    assert health_of(copy).whole
    assert differences(before, numbers_of(copy)) == []


def test_all_students_that_are_gone_are_named_one_by_one(copy):
    folders = {f"students/{path.name}/" for path in (copy / "students").iterdir() if path.is_dir()}
    shutil.rmtree(copy / "students")
    assert set(health_of(copy).missing) == folders


def test_a_file_of_the_users_own_is_nobodys_business(copy):
    (copy / "thoughts.md").write_text("mine")
    assert health_of(copy).whole
    searched(copy)
    assert (copy / "thoughts.md").read_text() == "mine"


def test_lost_settings_are_written_again_only_if_they_are_the_same(copy):
    (copy / "study.toml").unlink()
    with pytest.raises(StudyError, match=r"study\.toml, the settings of the study, is missing"):
        goodteacher.Study(copy)
    data = str(copy.parent / "data.npz")
    with pytest.raises(StudyError, match="not those that it was made with"):
        goodteacher.search(data, out=copy, **{**faults.SETTINGS, "epochs": 3})
    assert not (copy / "study.toml").exists()
    searched(copy)
    assert health_of(copy).whole


def test_a_report_of_a_study_that_lacks_files_is_refused(copy):
    require_whole(Store(copy))
    name = first(copy, "students/confirm-*/rows.parquet")
    (copy / name).unlink()
    with pytest.raises(StudyError, match=name):
        require_whole(Store(copy))


def doctor(*arguments):
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


def test_the_doctor_says_what_is_damaged_and_what_it_costs(copy):
    assert doctor(copy).exit_code == 0
    name = first(copy, "teachers/*/responses/*")
    (copy / name).write_bytes(b"")
    (copy / "student/config.json").unlink()
    found = doctor(copy)
    assert found.exit_code == 1
    for said in (f"damaged: {name}", "missing: student/config.json", "1 task is done again, which"):
        assert said in found.stdout
    told = json.loads(doctor(copy, "--json").stdout)
    assert (told["damaged"], told["missing"], told["whole"]) == (
        [name],
        ["student/config.json"],
        False,
    )
    assert [name.split("/")[1]] == told["tasks"]
    assert told["seconds"] > 0


def test_the_doctor_says_whether_a_process_is_at_work(copy):
    assert "No process is at work on it." in doctor(copy).stdout
    with Store(copy).lock():
        assert "A process is at work on it." in doctor(copy).stdout
        assert json.loads(doctor(copy, "--json").stdout)["at_work"]


@pytest.mark.parametrize("pattern", ["teachers/*", "teachers/*/trajectory.jsonl"])
def test_what_is_listed_lacks_nothing_in_silence(copy, pattern):
    gone = min(copy.glob(pattern))
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    study = goodteacher.Study(copy)
    for listed in (study.trajectories, study.plot_teachers, study.plot_students):
        with pytest.raises(StudyError, match=gone.name):
            listed()


def test_a_task_whose_checksums_are_gone_is_done_again_and_counted(copy):
    rows = first(copy, "students/search-*/rows.parquet")
    (copy / rows).with_name(NOTES_FILE).unlink()
    found = health_of(copy)
    assert rows in found.unknown
    assert found.tasks == (rows.split("/")[1],)
    assert "made again" in searched(copy)
    assert health_of(copy).whole


def test_the_doctor_accepts_files_that_somebody_knows_to_be_whole(copy):
    (copy / NOTES_FILE).unlink()
    found = doctor(copy)
    assert found.exit_code == 1
    assert "without a checksum: study.toml" in found.stdout
    with pytest.raises(StudyError, match=r"doctor .* --accept"):
        goodteacher.Study(copy).config  # noqa: B018
    assert doctor(copy, "--accept").exit_code == 0
    assert goodteacher.Study(copy).check().whole


def test_the_doctor_accepts_nothing_that_was_changed(copy):
    (copy / "sweet_spot.json").write_text("{}")
    assert doctor(copy, "--accept").exit_code == 1


def test_the_doctor_still_examines_data(bench):
    assert "training" in doctor(bench.folder / "data.npz").stdout
