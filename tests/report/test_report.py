"""The report says what the result files say, and needs nothing but itself."""

import re

import pytest

from goodteacher.config import Recipe
from goodteacher.report import write_report
from goodteacher.report.findings import read_findings
from goodteacher.report.page import answer, notes, render
from goodteacher.report.rungs import first_rung, last_rungs, rung_lengths
from goodteacher.results import Checkpoint
from tests.report.build import (
    CHOSEN,
    accuracy_of,
    close,
    data_summary,
    diverged,
    finish_study,
    record,
    settings,
    sweet_spot,
    write_study,
)


def text_of(html):
    """The page without scripts and styles."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.S)


def test_page_loads_nothing_from_anywhere(store):
    html = write_report(store).read_text()
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", text_of(html))
    assert "<script src" not in html
    assert "<link" not in html


def test_page_says_what_the_answer_says(store):
    html = text_of(write_report(store).read_text())
    assert "batch size 128 after epoch 2" in html
    assert "92.00 % on the test split" in html
    for number in ("92.00", "89.00", "+3.00", "91.50"):
        assert number in html


def test_unfinished_study_says_so_and_shows_what_there_is(unfinished):
    findings = read_findings(unfinished)
    assert "has not finished" in answer(findings)
    html = text_of(write_report(unfinished).read_text())
    assert "has not finished" in html
    assert "No student has been trained yet" in html
    assert "Teachers over epochs" in html


def test_first_rung_compares_students_trained_alike(findings):
    rung = first_rung(findings.students)
    assert (rung.student_epochs, rung.num_seeds) == (2, 2)
    best = rung.best_by_checkpoint()
    recipe = Recipe(temperature=2.0, alpha=0.5)
    assert close(best[CHOSEN].mean, accuracy_of(CHOSEN, recipe))
    assert best[CHOSEN].recipe == recipe
    assert close(best[CHOSEN].deviation, 0.01 * 2**0.5)
    assert Checkpoint(batch_size=32, epoch=1) not in best


def test_survivors_are_those_of_later_rungs(findings):
    survivors = last_rungs(findings.students)
    assert survivors[CHOSEN] == 2
    assert survivors[Checkpoint(batch_size=32, epoch=4)] == 0
    assert rung_lengths(findings.students) == (2, 6, 18)


def test_best_arm_of_a_kind_is_the_one_of_highest_mean(findings):
    rung = first_rung(findings.students)
    assert rung.best_of("smoothing").smoothing == 0.1
    assert rung.best_of("file") is None


def test_diverged_teacher_is_named(tmp_path):
    records = [record(32, 1), diverged(32, 2), *(record(128, e) for e in (1, 2, 4))]
    store = write_study(tmp_path / "s", records=records)
    assert "batch size 32 diverged before epoch 2" in notes(read_findings(store))[0]
    assert "diverged" in text_of(write_report(store).read_text())


def test_study_without_any_healthy_teacher_has_a_report(tmp_path):
    records = [diverged(b, 1) for b in (32, 128)]
    store = write_study(tmp_path / "s", records=records)
    assert "No healthy teacher" in text_of(write_report(store).read_text())


def test_one_batch_size_is_enough(tmp_path):
    store = write_study(tmp_path / "s", config=settings(batch_sizes=[128]))
    finish_study(store)
    assert "batch size 128 after epoch 2" in write_report(store).read_text()


def test_names_of_the_users_are_escaped(tmp_path):
    names = ("<script>alert(1)</script>", "a & b", '"c"')
    store = write_study(tmp_path / "s", data=data_summary(names))
    finish_study(store)
    html = write_report(store).read_text()
    assert "<script>alert(1)" not in html
    assert "a &amp; b" in text_of(html)


def test_two_classes_are_told_that_there_is_nothing_to_measure(tmp_path):
    store = write_study(tmp_path / "s", data=data_summary(("yes", "no")))
    finish_study(store)
    assert "S is 0 by definition" in text_of(write_report(store).read_text())


def test_one_seed_is_called_one_seed(tmp_path):
    store = write_study(tmp_path / "s")
    answered = sweet_spot()
    student = answered.student.model_copy(update={"num_seeds": 1})
    finish_study(store, answered.model_copy(update={"student": student}))
    assert any("one seed" in note for note in notes(read_findings(store)))


def test_same_files_give_the_same_page(store):
    assert render(read_findings(store)) == render(read_findings(store))


@pytest.mark.parametrize("text", ["our", "Vats", "only the abstract was available"])
def test_page_says_what_is_ours_and_what_is_the_sources(store, text):
    assert text in write_report(store).read_text()
