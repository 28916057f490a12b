"""Several students at the command line: options, table, JSON, messages."""

import json
import signal

import numpy as np
import pytest
from typer.testing import CliRunner

from goodteacher.cli import app
from goodteacher.cli.display import print_front, stdout
from goodteacher.records import Front, summarize_front, with_fronts
from tests.made import arrays, as_options, signalled
from tests.records.test_front import row
from tests.test_several import QUICK

STUDENTS = ("--student=mlp:3", "--student", "mlp:2")


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def circle(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "circle.npz"
    np.savez(path, **arrays())
    return path


@pytest.fixture(scope="module")
def searched(circle, tmp_path_factory):
    """A search for two students that was killed, and the same command again."""
    out = tmp_path_factory.mktemp("several") / "all"
    given = ["search", circle, "--out", out, *STUDENTS, *as_options(QUICK), "--threads=1"]
    killed = signalled(given, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    return out, run(*given)


def test_search_prints_a_table_and_the_ways_to_the_studies(searched):
    out, result = searched
    assert result.exit_code == 0, result.stderr
    assert "mlp:2: best students so far: " in result.stderr
    for text in (
        "gain over hard labels",
        "weights, KiB",
        "Best accuracy for their number of parameters",
    ):
        assert text in result.stdout
    assert f"Studies: {out}/mlp-3, {out}/mlp-2\nReport: {out}/report.html\n" in result.stdout
    for report in (out / "report.html", out / "mlp-2" / "report.html"):
        assert "<h1>" in report.read_text()


def test_json_is_the_front_and_nothing_else(searched, circle):
    out, _ = searched
    result = run("search", circle, "--out", out, *STUDENTS, *as_options(QUICK), "--json")
    front = json.loads(result.stdout)
    assert front == json.loads((out / "front.json").read_text())
    assert [row["student"] for row in front["rows"]] == ["mlp:3", "mlp:2"]


def test_students_may_be_a_list_in_a_file(searched, circle, tmp_path):
    out, _ = searched
    made = tmp_path / "mine.toml"
    made.write_text('student = ["mlp:2", "mlp:3"]\n')
    options = [*as_options(QUICK), "--config", made, "--json"]
    result = run("search", circle, "--out", out, *options)
    assert result.exit_code == 0, result.stderr
    assert [row["student"] for row in json.loads(result.stdout)["rows"]] == ["mlp:3", "mlp:2"]
    made.write_text("student = []\n")
    result = run("search", circle, "--out", tmp_path / "o", *options)
    assert result.exit_code == 2
    assert "student is an empty list" in result.stderr


def test_a_list_in_a_file_is_no_complaint_where_something_else_is_wrong(circle, tmp_path):
    made = tmp_path / "mine.toml"
    made.write_text('student = ["mlp:2", "mlp:3"]\n')
    result = run("search", circle, "--out", tmp_path / "o", "--config", made)
    assert result.exit_code == 2
    assert "teacher is missing" in result.stderr
    assert "mlp:2" not in result.stderr


def test_report_of_all_is_written_again(searched):
    out, _ = searched
    (out / "report.html").unlink()
    result = run("report", out, "--json")
    assert json.loads(result.stdout) == {"report": str(out / "report.html")}
    assert "2 students of mlp:12" in (out / "report.html").read_text()


def test_verify_of_all_says_which_studies_there_are(searched):
    out, _ = searched
    result = run("verify", out)
    assert result.exit_code == 2
    told = " ".join(result.stderr.split())
    assert "holds a study for each of 2 students" in told
    assert "Name one of these folders in its place" in told


def test_the_table_fits_eighty_columns(capsys, monkeypatch):
    rows = with_fronts([row("cnn:16,32@resize:14", 0.95, 12_345_678), row("mlp:8", 0.9, 800)])
    front = Front(
        rows=rows,
        level=0.05,
        machine="cpu float32 (a processor, PyTorch 2)",
        teacher_seconds=60.0,
        teacher_seconds_apart=150.0,
        summary=summarize_front(rows, level=0.05),
    )
    monkeypatch.setattr(stdout, "width", 80)
    with stdout.capture() as captured:
        print_front(front, "all")
    text = captured.get()
    assert "…" not in text
    assert "12,345,678*" in text
    assert "95.00 [94.00, 96.00]" in text
