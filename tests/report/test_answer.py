"""The answer first: its sentence, what it rests on, and what to do next."""

import dataclasses

import pytest

from goodteacher.report.answer import (
    answer_sentence,
    facts_of,
    outcome,
    summary_without_doubts,
)
from goodteacher.report.findings import Judgement
from tests.report.build import sweet_spot
from tests.report.test_exported import exported
from tests.report.test_ladder import verdict  # noqa: F401


def said(findings, name, **changes):
    found = sweet_spot(**changes)
    facts = dict(facts_of(dataclasses.replace(findings, sweet_spot=found), found))
    return facts[name].replace("\xa0", " ")


@pytest.mark.parametrize("answer", ["yes", "no", "undecided"])
def test_sentence_begins_with_the_answer_and_has_an_interval(answer):
    sentence = answer_sentence(sweet_spot(answer=answer)).replace("\xa0", " ")
    assert sentence.startswith(f"Distill: {answer}. The distilled student is right on 92.00 %")
    assert "+3.00 [+1.00, +5.00] points" in sentence


def test_facts_begin_with_the_teacher_and_end_with_what_to_do(findings):
    names = [name for name, _ in facts_of(findings, findings.sweet_spot)]
    assert names == [
        "Best teacher",
        "Recipe",
        "Student",
        "Gain over hard labels",
        "Gain over label smoothing",
        "Gain over the converged teacher",
        "Gain over the most accurate teacher",
        "Verdict",
        "Size and speed",
        "Cost",
        "Do next",
    ]


def test_each_reference_is_compared_in_a_word_and_a_number(findings):
    assert said(findings, "Gain over hard labels") == (
        "Better: +3.00 [+1.00, +5.00] points (students of hard labels: 89.00 %)."
    )
    assert said(findings, "Gain over label smoothing").startswith(
        "No clear difference: +0.50 [-1.50,"
    )
    assert said(findings, "Gain over the converged teacher").startswith(
        "Worse: -2.00 [-3.00, -1.00]"
    )
    assert said(findings, "Gain over the most accurate teacher") == "These are the same students."


def test_outcome_follows_the_joint_interval():
    references = sweet_spot().references
    assert [outcome(reference) for _, reference in references] == [
        "better",
        "open",
        "worse",
        "same",
    ]


def test_recipe_is_said_in_words(findings):
    recipe = said(findings, "Recipe")
    assert "temperature T = 2" in recipe
    assert "alpha = 0.5 on the teacher; 18 student epochs" in recipe


def test_yes_is_shipped_and_no_ships_what_needs_no_teacher(findings):
    assert "Ship it: goodteacher export study --out shipped." in said(
        findings, "Do next", answer="yes"
    )
    assert "student in the folder baseline" in said(findings, "Do next", answer="no")
    plain = said(findings, "Do next", answer="no", delivered="label_smoothing")
    assert "student in the folder student" in plain


def test_undecided_says_the_first_doubt_or_asks_for_seeds(findings):
    doubts = ("Students were still improving: train them longer.", "Another.")
    told = said(findings, "Do next", doubts=doubts)
    assert told.startswith(doubts[0])
    assert "Another" not in told
    assert "more test examples" in said(findings, "Do next")


def test_verdict_decides_what_a_yes_is_worth(findings, verdict):  # noqa: F811
    found = sweet_spot(answer="yes")
    for name, shipped in (("knowledge", True), ("no_gain", False), ("regularization", False)):
        judged = Judgement(verdict.model_copy(update={"verdict": name}), None)
        read = dataclasses.replace(findings, sweet_spot=found, judgement=judged)
        facts = {key: text.replace("\xa0", " ") for key, text in facts_of(read, found)}
        assert ("Ship it" in facts["Do next"]) is shipped
        assert "goodteacher verify" not in facts["Verdict"]
        assert "+3.50 [+2.50, +5.50] points" in facts["Verdict"]


def test_what_was_not_asked_is_named_with_the_command(findings):
    assert "goodteacher verify study" in said(findings, "Verdict")
    assert "goodteacher export study" in said(findings, "Size and speed")


def test_export_gives_size_and_speed(findings):
    read = dataclasses.replace(findings, export=exported())
    size = dict(facts_of(read, read.sweet_spot))["Size and speed"]
    assert "parameters" in size
    assert " ms" in size


def test_cost_is_said_with_what_it_saves(findings):
    cost = said(findings, "Cost")
    assert "Training took 20 s for teachers and 12 s for students." in cost
    assert "12 % of the epochs that training every candidate" in cost


def test_summary_leaves_out_the_answer_and_the_doubts():
    summary = "Distill: undecided. Train longer. The students reach 92.00 %."
    found = sweet_spot(summary=summary, doubts=("Train longer.",))
    assert summary_without_doubts(found) == "The students reach 92.00 %."
