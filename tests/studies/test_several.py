"""The folder of several students: names of their studies, and what it was started with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodteacher.config import StudyConfig, parse, read_toml
from goodteacher.errors import StudyError
from goodteacher.studies import (
    Store,
    StudentsRecord,
    begin_several,
    checked_students,
    read_students,
)
from goodteacher.studies.several import folders_of

SPECS = st.lists(st.text(min_size=1, max_size=90), min_size=1, max_size=6, unique=True)


def record(students, **settings):
    given_settings = {"data": "digits", "teacher": "mlp:64", **settings}
    return StudentsRecord.of([parse(StudyConfig, student=s, **given_settings) for s in students])


@given(SPECS)
def test_folders_are_safe_and_unique_whatever_the_specification(specs):
    names = list(folders_of(specs).values())
    assert len({name.lower() for name in names}) == len(specs)
    for name in names:
        assert name.isascii()
        assert 0 < len(name) <= 80
        assert not set(name) & set('/\\:*?"<>|\0 ')
        assert not name.startswith(".")


@given(SPECS, st.text(min_size=1, max_size=90))
def test_a_further_student_renames_no_folder(specs, another):
    longer = folders_of([*specs, *([another] if another not in specs else [])])
    assert {spec: longer[spec] for spec in specs} == folders_of(specs)


@pytest.mark.parametrize(
    ("spec", "folder"),
    [
        ("mlp:8", "mlp-8"),
        ("cnn:8,16@resize:14x10", "cnn-8-16-resize-14x10"),
        ("python:pkg.nets:small", "python-pkg.nets-small"),
        ("given:make_net", "given-make_net"),
    ],
)
def test_folders_are_readable(spec, folder):
    assert folders_of([spec]) == {spec: folder}


def test_names_that_differ_by_case_alone_get_two_folders():
    first, second = folders_of(["given:Net", "given:net"]).values()
    assert first == "given-Net"
    assert second.startswith("given-net-")


def test_record_is_read_back_as_it_was(tmp_path):
    made = record(["mlp:8", "mlp:16"], epochs=4)
    Store(tmp_path).write_text("students.toml", made.to_toml())
    assert read_students(tmp_path) == made
    assert "student" not in read_toml(tmp_path / "students.toml")["settings"]


def test_students_may_be_added_and_come_in_any_order(tmp_path):
    begun = record(["mlp:8", "mlp:16"])
    joined = begun.with_students(tmp_path, record(["mlp:4", "mlp:16", "mlp:8"]))
    assert list(joined.students) == ["mlp:8", "mlp:16", "mlp:4"]


def test_what_moves_only_the_work_may_differ(tmp_path):
    joined = record(["mlp:8"]).with_students(tmp_path, record(["mlp:8"], threads=2))
    assert joined.settings["threads"] == 2


def test_a_student_left_out_and_other_settings_are_refused(tmp_path):
    begun = record(["mlp:8", "mlp:16"])
    with pytest.raises(StudyError, match="a search for 'mlp:8', 'mlp:16', and 'mlp:16' is not"):
        begun.with_students(tmp_path, record(["mlp:8"]))
    with pytest.raises(StudyError, match="teacher was 'mlp:64', now 'mlp:32'"):
        begun.with_students(tmp_path, record(["mlp:8", "mlp:16"], teacher="mlp:32"))


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_lost_record_is_begun_again_only_by_the_same_students(tmp_path, damage):
    configs = checked_students(["mlp:8", "mlp:16"], teacher="mlp:32", data="digits")
    store, path = Store(tmp_path), tmp_path / "students.toml"
    store.write_text("students.toml", StudentsRecord.of(configs).to_toml())
    store.write_text("front.json", "{}")
    if damage == "cut":
        path.write_text(path.read_text()[:40])
    else:
        path.unlink()
    assert begin_several(tmp_path, configs) == StudentsRecord.of(configs)
    with pytest.raises(StudyError):
        begin_several(tmp_path, configs[:1])


def test_a_damaged_record_is_named(tmp_path):
    Store(tmp_path).write_text("students.toml", "students = 3")
    with pytest.raises(StudyError, match=r"students\.toml does not say which students"):
        read_students(tmp_path)
