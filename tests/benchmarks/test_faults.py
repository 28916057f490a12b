"""The table of faults goes on where it stopped, and tries again what was wrong."""

import math

import pytest

from benchmarks import faults


class Told:
    """Stands for the bench: says how each case ends."""

    def __init__(self, **ends):
        self.ends, self.asked = ends, []

    def run(self, case):
        self.asked.append(case.name)
        return faults.Ended(case, self.ends[case.name], "said")


@pytest.fixture
def cases():
    return [faults.Case("kind", name, "deleted", "search") for name in "abc"]


def run(bench, cases, lines, until=math.inf):
    return [each.how for each in faults.run_all(bench, cases, lines, until=until)]


def test_what_has_ended_well_is_not_run_again(cases, tmp_path, capsys):
    lines = tmp_path / "faults.jsonl"
    first = Told(a="same", b="different", c="none")
    assert run(first, cases, lines) == ["same", "different", "none"]
    assert "different" in capsys.readouterr().out
    with lines.open("a") as file:
        file.write('{"case": {"ki')
    again = Told(b="refused")
    assert run(again, cases, lines) == ["same", "refused", "none"]
    assert again.asked == ["b"]


def test_it_stops_in_time_with_what_it_has(cases, tmp_path):
    lines = tmp_path / "faults.jsonl"
    assert run(Told(), cases, lines, until=0.0) == []
    assert run(Told(a="same"), cases[:1], lines) == ["same"]
    assert run(Told(), cases, lines, until=0.0) == ["same"]


def test_faults_that_fit_no_file_are_no_operations(cases):
    ends = ("same", "different", "none")
    ended = [faults.Ended(case, how) for case, how in zip(cases, ends, strict=True)]
    found = faults.summed_up(ended)
    assert (found["operations"], found["ended"]) == (2, {"different": 1, "same": 1})
    assert [each["case"]["name"] for each in found["wrong"]] == ["b"]
    assert found["by_fault"]["deleted"] == {"different": 1, "same": 1}


@pytest.mark.parametrize(
    ("name", "fault", "text", "named"),
    [
        ("student/a.json", "deleted", "study/student/a.json is missing", True),
        ("student/a.json", "deleted", "study/student/ is missing", False),
        ("student/a.json", faults.FOLDER_DELETED, "study/student/ is missing", True),
        ("student/a.json", faults.FOLDER_DELETED, "study/student: no such folder", True),
        ("student/a.json", faults.FOLDER_DELETED, "study/students.parquet is missing", False),
    ],
)
def test_a_message_names_what_is_damaged(name, fault, text, named):
    assert faults.Case("kind", name, fault, "load").is_named(text) is named
