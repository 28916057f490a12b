"""Changes of the code are noticed: the tool that plants them, a few of them, and what was found."""

import json
import warnings
from pathlib import Path

import pytest
from scripts import mutants

LOOKS = mutants.STATISTICS / "sequential.py"


def test_a_mutant_is_one_change_that_is_named_by_its_line():
    found = mutants.mutants_of(LOOKS)
    keys = [each.key for each in found]
    assert f"{LOOKS}: end = first if last {{is => is not}} None else last" in keys
    assert (
        f"{LOOKS}: spent = [check_level(level) {{* => /}} (n / end) ** 2 for n in counts]" in keys
    )
    assert len(set(keys)) == len(keys)
    text = (mutants.ROOT / LOOKS).read_bytes()
    for each in found:
        changed = mutants.mutated(each)
        assert changed != text
        compile(changed, each.key, "exec")


def test_messages_types_and_docstrings_are_left_as_they_are():
    for file in mutants.TESTS:
        lines = (mutants.ROOT / file).read_text().splitlines()
        for each in mutants.mutants_of(file):
            assert not lines[each.line - 1].lstrip().startswith(('"""', "raise ", "import ", "@"))
            assert "{| => &} None" not in each.key


def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *texts: str) -> dict[str, str]:
    """How mutants of the plan of looks end, by what they change."""
    monkeypatch.setitem(mutants.TESTS, LOOKS, ["tests/maths/test_looks.py"])
    found = {each.key: each for each in mutants.mutants_of(LOOKS)}
    chosen = {text: next(key for key in found if text in key) for text in texts}
    out = tmp_path / "mutants.jsonl"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that PyTorch has threads
        mutants.work(LOOKS, [found[key] for key in chosen.values()], out)
    rows = mutants.rows_of(out)
    return {text: rows[key]["end"] for text, key in chosen.items()}


def test_planted_mutants_are_noticed_and_a_change_of_nothing_survives(tmp_path, monkeypatch):
    ends = planted(
        tmp_path,
        monkeypatch,
        "if not {1 => 2} <= first",
        "takewhile(lambda n: n {< => <=} end",
        "{* => /} (n / end) ** 2",
        "(n / end) {** => *} 2",
        "now {- => +} before",
        "strict= {True => False}",
    )
    survived = [text for text, end in ends.items() if end == "survived"]
    assert survived == ["strict= {True => False}"]


def test_a_table_counts_what_today_s_code_has_and_keeps_answers(tmp_path):
    keys = [each.key for each in mutants.mutants_of(LOOKS)]
    rows = {key: {"end": "noticed"} for key in keys[:5]} | {keys[5]: {"end": "survived"}}
    rows["of a line that is gone"] = {"end": "survived"}
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"survivors": {keys[5]: "It is equivalent.", "gone": "Once."}}))
    mutants.write_table(rows, results)
    written = json.loads(results.read_text())
    assert written["files"] == {str(LOOKS): {"mutants": len(keys), "tried": 6, "survived": 1}}
    assert (written["tried"], written["survived"], written["noticed"]) == (6, 1, 0.8333)
    assert written["survivors"] == {keys[5]: "It is equivalent."}


def test_every_survivor_of_the_last_run_is_answered():
    written = json.loads(mutants.RESULTS.read_text())
    assert len(written["survivors"]) == written["survived"]
    unanswered = [key for key, answer in written["survivors"].items() if not answer]
    assert not unanswered
