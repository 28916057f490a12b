"""Every sentence that a user can see, from the code itself: current words, one for each thing.

Which words, and which not, stands in the design; here is the list that the code is held to.
"""

import ast
import re
from pathlib import Path

import pytest
from typer.main import get_command

from goodteacher.cli import app
from goodteacher.config import DataConfig, DistillConfig, RespondConfig, StudyConfig, VerifyConfig

PACKAGE = Path(__file__).parents[1] / "src" / "goodteacher"

BANNED = {
    r"dear": "expensive",
    r"(?:un)?taught|teach(?:es|ing)?": "a teacher is trained, students learn from it",
    r"loans?|lenders?|lend|borrowed": "reuse the teachers of",
    r"rungs? of the shortlist": "round: a rung is a rung of the ladder",
    r"foretells?|foretold": "predict",
    r"lest": "so that ... not",
    r"for want of|want of": "because ... ran out, without",
    r"mend(?:s|ed)?": "fix",
    r"nobody|whoever|anybody": "say who or what it is",
    r"anew": "again",
    r"begun": "started",
    r"shall|ought": "should, will",
    r"hence|thus|thereby|whence|upon|wherein|thereof": "say it in plain words",
    r"outdone|outdoes": "better than",
    r"lies? above|lies? below": "is above, is below",
    r"goes on from": "continues from",
    r"serves? (?:as|best|for)": "is used as, works best",
    r"knows? nothing": "does not know",
    r"what there is": "say what it is",
    r"such as watch": "say who it is",
    r"(?<!neither )(?<!learning )(?<!learning-)nor(?! as\b)": "and not, or not",
    r"its looks": "looking several times",
    r"takes? no": "does not accept, has no",
    r"is none (?:of|that)": "is not one of, cannot",
    r"(?<!there )is no (?!longer|more|better|worse)": "is not a",
    r"no known": "neither a ... nor a known ...",
    r"(?:understood|known|left out) are": "the subject first: goodteacher reads",
    r"cannot be told": "several ... could be meant",
    r"means? nothing": "does not apply to, is meaningless",
    r"as those of|whatever the": "as in, for every",
    r"(?:stands?|comes?) (?:there )?more than once": "appears more than once",
    r"stands? there|these would do|correct it there": "say what is meant",
    r"(?:it|that) wants|wants? (?:images|texts|inputs|numbers|whole)": "needs",
    r"knows? a teacher by": "uses only the teacher's response",
    r"(?:numbered|written|translated) otherwise": "differently",
}
"""What is not said, as a pattern between word boundaries, and what is said instead."""
ALLOWED = {
    "neither ... nor": re.compile(r"\bneither\b[^.;:]*\bnor\b"),
    "learning rate": re.compile(r"learning[ _-]rate"),
}


def sentences(path):
    """Return every text of at least three words in a module that is no docstring."""
    tree = ast.parse(path.read_text())
    silent, inside = set(), set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for each in body if isinstance(body, list) else ():
            if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
                silent.add(id(each.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if id(node) in silent or id(node) in inside:
            continue
        text = text_of(node)
        if text is not None and len(text.split()) >= 3:
            yield node.lineno, text


def text_of(node):
    """Return a literal's text, with a mark where a value is filled in; None of what is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
    return None


def complaints(text):
    """Return what is wrong with the words of a text."""
    for pattern in ALLOWED.values():
        text = pattern.sub("", text)
    return [
        f"{found[0]!r}: {better}"
        for word, better in BANNED.items()
        if (found := re.search(rf"\b(?:{word})\b", text, re.IGNORECASE))
    ]


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_messages_use_current_words(path):
    wrong = [
        f"line {line}: {', '.join(said)} in: {text}"
        for line, text in sentences(path)
        if (said := complaints(text))
    ]
    assert not wrong, "\n".join(wrong)


def helps():
    """Return every text of ``--help``: (command and option, text)."""
    for name, command in get_command(app).commands.items():
        yield name, command.help or ""
        for parameter in command.params:
            yield f"{name} {parameter.opts[0]}", getattr(parameter, "help", None) or ""


def test_help_uses_current_words_and_says_something_of_every_option():
    listed = dict(helps())
    assert len(listed) > 150
    assert not [name for name, text in listed.items() if len(text.split()) < 2]
    wrong = {name: said for name, text in listed.items() if (said := complaints(text))}
    assert not wrong


@pytest.mark.parametrize(
    "kind", [StudyConfig, DistillConfig, VerifyConfig, RespondConfig, DataConfig]
)
def test_every_setting_has_a_description_of_one_sentence_part(kind):
    for name, field in kind.model_fields.items():
        text = field.description or ""
        assert len(text.split()) >= 2, name
        assert not text.endswith("."), f"{name}: help texts end without a full stop"
        assert text[0].islower() or text.split()[0].isupper() or text[:3] == "CPU", name


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("adds seeds while the verdict is inconclusive, its looks corrected for", True),
        ("a dear teacher must lead", True),
        ("0 never asks, nor does patience 0", True),
        ("it lies above nothing at all", True),
        ("0 teaches to the end", True),
        ("perhaps for want of memory", True),
        ("flip takes no size", True),
        ("'x' is no known name or path. Understood are: digits", True),
        ("Name it: which column holds the labels cannot be told", True),
        ("its column 'a' stands there more than once", True),
        ("the network wants images at another size", True),
        ("it is no longer finite, and there is no folder", False),
        ("the response is no better than a uniform one", False),
        ("takes neither images nor texts", False),
        ("lower the learning rate of teachers", False),
        ("the teacher was trained here", False),
        ("a northern normalisation", False),
    ],
)
def test_the_list_finds_what_it_should(text, wrong):
    assert bool(complaints(text)) == wrong
