"""The same command as text and as JSON: one says what the other says, and nothing breaks either."""

import json
import tomllib

import numpy as np
import pytest
from typer.testing import CliRunner

from goodteacher.cli import app
from tests.made import arrays

STRANGE = ("[/bold]", "[red]x", "$HOME", "\N{SNOWMAN}")
"""Names that mean something to terminals, shells and encodings."""


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refuse_constant(value):
    raise AssertionError(f"{value} is no JSON")


def both(*arguments):
    """What a command prints as text, and as JSON."""
    text, as_json = run(*arguments), run(*arguments, "--json")
    assert (text.exit_code, as_json.exit_code) == (0, 0), text.stderr + as_json.stderr
    return text.stdout, json.loads(as_json.stdout, parse_constant=refuse_constant)


@pytest.fixture
def folder(tmp_path):
    """Data, a response and labels in a folder whose name is markup, with names of that kind."""
    place = tmp_path / "[b]data[i]"
    place.mkdir()
    made = arrays(num_train=80, num_test=40)
    np.savez(place / "circle.npz", **made, class_names=np.array(STRANGE))
    response = np.random.default_rng(0).normal(size=(80, 4)) + 2 * np.eye(4)[made["y_train"]]
    np.savez(place / "teacher.npz", logits=response, labels=made["y_train"])
    return place


def test_doctor_lists_in_text_what_it_finds_in_json(folder):
    text, found = both("doctor", folder / "circle.npz", "--responses", folder / "teacher.npz")
    assert (found["train"], found["test"], found["num_classes"]) == (80, 40, 4)
    assert "80" in text
    assert "40" in text
    shown = " ".join(text.split())
    for finding in found["findings"]:
        assert " ".join(finding["message"].split()) in shown


def test_score_shows_the_rounded_numbers_of_its_json(folder):
    teacher = folder / "teacher.npz"
    text, found = both("score", teacher, "--labels", teacher, "--temperatures", "1,2")
    measured = found["measurements"]
    assert [m["temperature"] for m in measured if m["temperature"] in (1.0, 2.0)] == [1.0, 2.0]
    for measurement in measured:
        parts = measurement["class_part"] + measurement["instance_part"]
        assert measurement["similarity"] == pytest.approx(parts)
    assert f"{100 * measured[0]['accuracy']:.2f}" in text


def test_score_at_many_temperatures_is_several_tables_of_80_columns(folder):
    teacher, asked = folder / "teacher.npz", "1,1.25,2,4,8,16,32,64,100,120"
    text, found = both("score", teacher, "--labels", teacher, "--temperatures", asked)
    assert max(map(len, text.splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    for measurement in found["measurements"]:
        assert f"T={measurement['temperature']:.3g}" in text
        assert f"{measurement['similarity']:.4g}" in text


def test_split_counts_the_ids_that_it_writes(folder):
    out = folder / "ids"
    text, sizes = both("split", folder / "circle.npz", "--out", out, "--selection-fraction", 0.25)
    written = json.loads((out / "splits.json").read_text())
    assert sizes.pop("file") == str(out / "splits.json")
    assert sizes == {"training": 60, "transfer": 60, "selection": 20, "test": 40}
    assert {name: len(written[name]) for name in sizes} == sizes
    assert text == f"{out}/splits.json: training 60, transfer 60, selection 20, test 40\n"
    assert not set(written["training"]) & set(written["selection"])


def test_recipe_is_the_same_as_toml_and_as_json():
    given = ("import-recipe", "alpha=0.25", "temperature=3", "--tool", "keras")
    text, found = both(*given)
    assert tomllib.loads(text) == found["settings"]
    assert found["recipe"]["temperature"] == 3.0
    for note in found["notes"]:
        assert f"# {note}" in text


# --- errors --------------------------------------------------------------------------------------

MISSING = "nowhere[/b].npz"
FAULTS = {
    "search": ("search", MISSING, "--teacher=mlp:8", "--student=mlp:4", "--out=o"),
    "distill": ("distill", MISSING, f"--responses={MISSING}", "--student=mlp:4", "--out=o"),
    "verify": ("verify", MISSING, f"--responses={MISSING}", "--student=mlp:4", "--out=o"),
    "score": ("score", MISSING, f"--labels={MISSING}"),
    "doctor": ("doctor", MISSING),
    "split": ("split", MISSING, "--out=o"),
    "respond": ("respond", MISSING, "--model=mlp:4", "--checkpoints=*.pt", "--out=o"),
    "report": ("report", MISSING),
    "watch": ("watch", MISSING),
    "plan": ("plan", MISSING, "--teacher=mlp:8", "--student=mlp:4"),
    "export": ("export", MISSING, "--out=o"),
    "compare": ("compare", MISSING, f"other-{MISSING}", "--out=o/page.html"),
    "import-recipe": ("import-recipe", MISSING),
}


def test_every_command_is_among_those_that_fail_here():
    assert set(FAULTS) == {
        command.name or command.callback.__name__ for command in app.registered_commands
    }


@pytest.mark.parametrize("name", FAULTS)
def test_error_is_one_message_in_text_and_the_same_in_json(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, as_json = run(*FAULTS[name]), run(*FAULTS[name], "--json")
    assert text.exit_code == as_json.exit_code == 2
    assert text.stdout == ""
    assert "Traceback" not in text.stderr
    error = json.loads(as_json.stdout, parse_constant=refuse_constant)["error"]
    assert error["type"].endswith("Error")
    assert MISSING in error["message"]
    assert " ".join(error["message"].split()) in " ".join(text.stderr.split())
    assert not (tmp_path / "o").exists() or not any((tmp_path / "o").iterdir())
