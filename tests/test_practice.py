"""The defaults that the practitioner's page gives reasons for are those of the code."""

import re
from pathlib import Path

import pytest

from goodteacher.config import StudyConfig, parse

PAGE = Path(__file__).parent.parent / "docs" / "practice.md"
ROW = re.compile(r"^\| `(\w+)` \| `([^`]+)` \| (.+) \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text())

MAIN = {
    "batch_sizes",
    "epochs",
    "record_epochs",
    "patience",
    "lead_after",
    "temperatures",
    "extend",
    "alphas",
    "losses",
    "variants",
    "shortlist",
    "shortlist_by",
    "halving",
    "rungs",
    "search_seeds",
    "seeds",
}


def shown(value):
    if isinstance(value, tuple):
        return ",".join(shown(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.fixture(scope="module")
def defaults():
    return parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:4")


def test_every_setting_that_the_search_turns_on_has_a_reason():
    assert {name for name, _, _ in ROWS} == MAIN


@pytest.mark.parametrize(("name", "default"), [row[:2] for row in ROWS if "..." not in row[1]])
def test_default_on_the_page_is_that_of_the_code(defaults, name, default):
    assert default == shown(getattr(defaults, name))


def test_recorded_epochs_are_doublings_as_the_page_says(defaults):
    (text,) = (default for name, default, _ in ROWS if name == "record_epochs")
    assert defaults.record_epochs is None
    assert shown(defaults.recorded_epochs).startswith(text.removesuffix("..."))
