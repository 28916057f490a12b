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
    r"another story": "another answer",
    r"(?:lay|lays|laid) (?:\S+ )?beside": "compare",
}
"""What is not said, as a pattern between word boundaries, and what is said instead."""
BANNED_IN_ANSWERS = {
    r"theirs": "say whose",
    r"(?:tell|tells|told) (?:\S+ ){0,4}apart": "clear difference, distinguish",
    r"(?:go|goes|going|went) on": "continue",
    r"beside": "compared with, next to, in addition to",
    r"alike": "similar, in the same way",
    r"(?:labels, |plain )?cross-entropy": "hard labels",
    r"students? of (?:the )?labels": "students of hard labels",
    r"labels' students": "students of hard labels",
    r"(?:say|says|said) of": "say about",
    r"by (?:it|them)self": "always, alone, automatically",
    r"minus it(?!s)": "name what is subtracted",
    r"healthy": "can be used",
    r"(?:had )?done as well": "were as good",
    r"(?:take|takes|taken) (?:errors )?over": "learn, copy",
    r"is worth (?!it\b)": "adds",
    r"at last": "finally, last",
    r"surely|surest": "certain",
    r"own confidence,|\(own confidence\)": "confidence smoothing",
    r"off-class structure": "wrong classes",
    r"in all": "total",
    r"which is which": "say what is meant",
}
"""What is not said either where results are told: in reports, tables, sentences of records."""
ANSWERS = ("cli", "records", "report", "sweet_spot", "verdicts")
"""Rooms whose texts are read as an answer."""
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


def complaints(text, banned=BANNED):
    """Return what is wrong with the words of a text."""
    for pattern in ALLOWED.values():
        text = pattern.sub("", text)
    return [
        f"{found[0]!r}: {better}"
        for word, better in banned.items()
        if (found := re.search(rf"\b(?:{word})\b", text, re.IGNORECASE))
    ]


MODULES = sorted(PACKAGE.rglob("*.py"))


def told_of(path, banned):
    """Return what is wrong in a module, a line each."""
    return [
        f"line {line}: {', '.join(said)} in: {text}"
        for line, text in sentences(path)
        if (said := complaints(text, banned))
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_messages_use_current_words(path):
    wrong = told_of(path, BANNED)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", ANSWERS)
def test_answers_use_plain_words(room):
    modules = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] == room]
    assert modules
    wrong = {path.name: found for path in modules if (found := told_of(path, BANNED_IN_ANSWERS))}
    assert not wrong, "\n".join(f"{name}: {line}" for name, all_ in wrong.items() for line in all_)


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


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Beside hard labels", True),
        ("Better: +3.00 points; theirs reach 89 %", True),
        ("Not told apart: +0.50 points", True),
        ("students of labels, cross-entropy", True),
        ("sweet spot minus it, points", True),
        ("Run the same command again to go on", True),
        ("What the teacher says of other classes", True),
        ("No clear difference: +0.50 points. Students of hard labels are right on 89 %.", False),
        ("Run the same command again to continue", False),
        ("besides, in allowed ranges minus its interval", False),
    ],
)
def test_the_list_for_answers_finds_what_it_should(text, wrong):
    assert bool(complaints(text, BANNED_IN_ANSWERS)) == wrong
