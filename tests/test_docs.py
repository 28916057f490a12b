"""What the documentation says of commands, options, files and defaults is so."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from goodteacher.cli import app
from goodteacher.config import StudyConfig, VerifyConfig

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = get_command(app).commands


def options_of(name):
    return {"--help", *(o for parameter in COMMANDS[name].params for o in parameter.opts)}


def shown_commands(text):
    """Every `goodteacher ...` line of a page: (command, options)."""
    for line in re.findall(r"goodteacher ([a-z-]+ [^`\n#]*)", text):
        name, *words = re.sub(r"'[^']*'", "''", line).split()  # another's command has its own
        yield name, [word.split("=")[0] for word in words if word.startswith("--")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_on_the_page_exist(page):
    for name, options in shown_commands(page.read_text()):
        if name in COMMANDS:
            assert set(options) <= options_of(name), name


def test_a_page_shows_every_command():
    shown = {name for name, _ in shown_commands((ROOT / "docs" / "usage.md").read_text())}
    assert set(COMMANDS) <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_on_the_page_exist(page):
    text = page.read_text()
    named = re.findall(r"`((?:benchmarks|tests|docs)/[\w./]+)`", text)
    named += re.findall(r"\]\(([\w./]+\.md)\)", text)
    missing = [
        name for name in named if not (ROOT / name).exists() and not (page.parent / name).exists()
    ]
    assert not missing


def test_rounds_in_the_method_are_those_of_the_default():
    text = (ROOT / "docs" / "method.md").read_text()
    fields = StudyConfig.model_fields
    assert (fields["halving"].default, fields["rungs"].default) == (3, 2)
    plain = " ".join(text.split())
    assert "of each family one in `halving` trains three times as long" in plain


def test_defaults_of_the_verdict_are_those_of_its_page():
    text = (ROOT / "docs" / "verdict.md").read_text()
    defaults = {name: field.default for name, field in VerifyConfig.model_fields.items()}
    assert f"`--level` ({defaults['level']:g})" in text
    assert f"`--margin` is {100 * defaults['margin']:g} points" in text
    assert f"`--seeds` before ({defaults['seeds']} by default)" in " ".join(text.split())
