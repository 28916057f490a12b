"""What is said of results: the answer first, and nothing that was not shown."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from goodteacher.config import Recipe
from goodteacher.records import MARGIN, answer_of
from goodteacher.records.answers import as_good
from goodteacher.records.arms import Blend, BlendMember, Checkpoint
from goodteacher.records.evidence import Estimate, JointEffect, OmittedArm, OmittedClass
from goodteacher.records.results import Look, References
from goodteacher.records.words import (
    called,
    fixed,
    listed,
    percent,
    points,
    steady,
    summarize,
    verdict_remarks,
    what_omission_showed,
    which_checkpoint,
)
from goodteacher.verdicts.rule import plan_arms
from tests.report.build import WINNER, sweet_spot
from tests.verdicts.test_rule import BASE, LADDER_GAINS, planted

BETTER, OPEN, EQUAL, WORSE = (0.003, 0.02), (-0.001, 0.02), (-0.004, 0.0015), (-0.02, -0.01)
NAMES = ("cross_entropy", "label_smoothing", "converged_teacher", "most_accurate_teacher")


def references(*joint):
    """References whose joint intervals are given, in order; the last ones are unresolved."""
    found = sweet_spot().references
    changed = {
        name: getattr(found, name).model_copy(update={"adjusted_interval": interval})
        for name, interval in zip(NAMES, [*joint, OPEN, OPEN, OPEN][:4], strict=True)
    }
    return References(**changed)


def said(given_references, **changes):
    return summarize(
        answer_of(given_references),
        changes.pop("student", sweet_spot().student),
        given_references,
        **{"delivered": "sweet_spot", **changes},
    )


# --- the answer and its reason -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "smoothing", "answer", "reason"),
    [
        (BETTER, BETTER, "yes", "a better student than training without a teacher"),
        (BETTER, EQUAL, "no", "beats hard labels, but label smoothing, which needs no teacher"),
        (EQUAL, BETTER, "no", "A student of hard labels, which needs no teacher, does as well"),
        (EQUAL, EQUAL, "no", "A student of hard labels, which needs no teacher, does as well"),
        (WORSE, OPEN, "no", "A student of hard labels, which needs no teacher, does as well"),
        # Hard labels are not decided: it is label smoothing that does as well.
        (OPEN, EQUAL, "no", "A student of label smoothing, which needs no teacher, does as well"),
        # A gain that is sure but too small to matter is no gain over hard labels.
        ((0.0005, 0.0015), OPEN, "no", "A student of hard labels, which needs no teacher"),
        (OPEN, OPEN, "undecided", "No gain over hard labels is shown here"),
        (OPEN, BETTER, "undecided", "No gain over hard labels is shown here"),
        (BETTER, OPEN, "undecided", "its gain may be regularization"),
        (None, BETTER, "no", "A student of hard labels, which needs no teacher, does as well"),
    ],
)
def test_answer_comes_first_and_its_reason_is_what_was_shown(labels, smoothing, answer, reason):
    text = said(references(labels, smoothing))
    assert text.startswith(f"Distill: {answer}. ")
    assert reason in text
    others = ("as well", "No gain over", "may be regularization", "training without")
    assert sum(other in text for other in others) == 1


@pytest.mark.parametrize(
    ("high", "expected"),
    [(MARGIN - 1e-9, ("cross_entropy",)), (MARGIN, ()), (MARGIN + 1e-9, ())],
)
def test_gain_that_may_reach_the_margin_is_not_ruled_out(high, expected):
    found = references((-0.01, high), BETTER)
    assert as_good(found) == expected
    assert answer_of(found) == ("no" if expected else "undecided")


@pytest.mark.parametrize("low", [-1e-9, 0.0, 1e-9])
@pytest.mark.parametrize("name", [0, 1])
def test_yes_needs_both_intervals_above_zero(low, name):
    both = [BETTER, BETTER]
    both[name] = (low, 0.02)
    assert answer_of(references(*both)) == ("yes" if low > 0 else "undecided")


@given(st.lists(st.tuples(st.floats(-0.1, 0.1), st.floats(0, 0.1)), min_size=2, max_size=2))
def test_answer_is_yes_and_no_never_both_and_follows_the_reasons(pairs):
    found = references(*((low, low + width) for low, width in pairs))
    answer, equal = answer_of(found), as_good(found)
    if answer == "yes":
        assert min(low for low, _ in pairs) > 0
    else:
        assert (answer == "no") == bool(equal)
    assert said(found).startswith(f"Distill: {answer}.")


# --- the other sentences -------------------------------------------------------------------------


def test_each_reference_is_told_under_its_outcome():
    text = said(references(BETTER, OPEN, WORSE, None))
    assert "They are better than students of hard labels." in text
    assert "They are worse than students of the converged teacher." in text
    assert "There is no clear difference from students of tuned label smoothing." in text
    assert "They are also the students of the most accurate teacher." in text


def test_doubts_stand_behind_the_answer_and_the_delivered_student_at_the_end():
    text = said(
        references(OPEN, OPEN), doubts=["It rains.", "It snows."], delivered="label_smoothing"
    )
    assert text.startswith("Distill: undecided. It rains. It snows. The sweet spot's students")
    assert text.endswith(
        "The delivered student is that of label smoothing, the best on the selection split."
    )
    assert "  " not in text


@pytest.mark.parametrize(
    ("num_seeds", "words"), [(1, "92.00 % of the test split (one seed)"), (3, "(mean of 3 seeds)")]
)
def test_number_of_seeds_is_told(num_seeds, words):
    student = sweet_spot().student.model_copy(update={"num_seeds": num_seeds})
    assert words in said(references(OPEN, OPEN), student=student)


def test_only_a_converged_teacher_is_called_by_another_name_when_stopped():
    stopped = sweet_spot().references.converged_teacher.model_copy(update={"stopped": True})
    assert called("converged_teacher", stopped) == "last teacher (stopped)"
    assert called("most_accurate_teacher", stopped) == "most accurate teacher"
    assert called("cross_entropy", stopped) == "hard labels"


# --- which checkpoint ----------------------------------------------------------------------------


def best_checkpoint(joint, *, best=WINNER.source, last_epoch=4):
    reference = references(OPEN, OPEN, joint).converged_teacher
    return which_checkpoint(
        best, "batch 32 epoch 4", reference, last_epoch=last_epoch, num_checkpoints=6
    )


@pytest.mark.parametrize(
    ("joint", "words"),
    [
        (BETTER, "Its students beat those of the converged teacher (batch 32 epoch 4) by -2.00"),
        (WORSE, "its students are worse than those of batch 32 epoch 4: -2.00 points [-2.00, -1.0"),
        (
            OPEN,
            "It is not shown that its students are better than those of the converged teacher (",
        ),
        ((0.0, 0.01), "It is not shown"),
        ((-0.01, 0.0), "It is not shown"),
        (None, "It is the converged teacher itself, which common practice uses too."),
    ],
)
def test_best_checkpoint_is_compared_with_the_last_as_far_as_it_was_shown(joint, words):
    assert words in best_checkpoint(joint)


def test_last_checkpoint_of_a_run_is_told_from_an_earlier_one():
    assert "batch 128 epoch 2, not the last of its run, which has 4 epochs." in best_checkpoint(
        OPEN
    )
    assert "epoch 2, the last of its run." in best_checkpoint(OPEN, last_epoch=2)
    assert best_checkpoint(OPEN).startswith("Of 6 recorded checkpoints, the best teacher")


def test_mean_of_checkpoints_is_no_single_one():
    members = tuple(BlendMember(run="batch 32", epoch=e, weight=0.5) for e in (1, 2))
    text = best_checkpoint(OPEN, best=Blend(variant="blend", members=members))
    assert text.endswith("is not a single one: the mean of 2 was chosen.")


# --- remarks on a verdict ------------------------------------------------------------------------


def test_ordinary_verification_has_no_remarks():
    assert list(verdict_remarks(planted(LADDER_GAINS))) == []


def test_looks_recipes_and_missing_labels_are_remarked():
    looks = (
        Look(seeds=20, level=0.0125, verdict="inconclusive"),
        Look(seeds=40, level=0.0375, verdict="knowledge"),
    )
    found = planted(LADDER_GAINS).model_copy(
        update={
            "looks": looks,
            "until_decided": 40,
            "error_level": 0.05,
            "tuned_arms": True,
            "num_unlabelled": 12,
        }
    )
    first, second, third = verdict_remarks(found)
    assert "20 seeds (inconclusive, 0.0125), 40 seeds (knowledge, 0.0375); up to 40" in first
    assert first.endswith("with a level of 0.05 in total.")
    assert second.startswith("Best recipe of each rung: mean smoothing kl T=2 alpha=0.5, ")
    assert "one_hot" not in second
    assert third.startswith("12 transfer examples have no label")


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fraction", "as_points", "as_percent"),
    [
        (0.0, "0.00", "0.00"),
        (1e-9, "0.00", "0.00"),
        (-1e-9, "0.00", "0.00"),
        (0.00005, "+0.01", "0.01"),
        (-0.00006, "-0.01", "-0.01"),
        (0.12345, "+12.35", "12.35"),
        (1.0, "+100.00", "100.00"),
    ],
)
def test_nothing_has_no_sign_and_halves_go_up_as_in_decimals(fraction, as_points, as_percent):
    assert points(fraction) == as_points
    assert percent(fraction) == as_percent


@given(st.floats(-1, 1), st.floats(-4e-16, 4e-16))
@example(5e-05, -8.429917157991042e-17)
@settings(max_examples=2000)
def test_last_bits_of_a_number_change_nothing_that_is_shown(value, noise):
    rounded = round(value, 6)
    assert points(rounded + noise) == points(rounded)
    assert steady(rounded + noise) == steady(rounded)


@given(st.floats(-1e6, 1e6))
def test_shown_numbers_are_as_near_as_their_digits_allow(value):
    assert float(fixed(value)) == pytest.approx(value, abs=0.00501)
    assert not fixed(value).startswith("-0.00")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_that_are_none_are_shown_as_they_are(value):
    assert steady(value) == value or math.isnan(value)
    assert fixed(value) in ("inf", "-inf", "nan")


@pytest.mark.parametrize(
    ("names", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_names_are_listed_as_a_sentence_lists_them(names, text):
    assert listed(names) == text


# --- what names tell apart -----------------------------------------------------------------------


def test_planned_arms_have_names_of_their_own():
    recipes = [Recipe(temperature=t, alpha=a) for t in (1.0, 1.5, 2.0) for a in (0.5, 1.0)]
    sources = [
        Checkpoint(run="batch 32", epoch=1),
        Checkpoint(run="batch 32", epoch=1, variant="ema"),
    ]
    arms = {
        arm
        for recipe in recipes
        for source in (*sources, BASE)
        for arm in plan_arms(source, recipe, (0.1, 0.15)).values()
    }
    assert len({arm.key for arm in arms}) == len(arms)


# --- a class that students never saw -------------------------------------------------------------


def omission(taught, *, least):
    """A class that students of labels never name, and those of the response mostly do."""
    shares = {"one_hot": 0.0, "full_response": taught}
    arms = tuple(
        OmittedArm(
            name=name,
            class_accuracy=Estimate(mean=share, interval=(share / 2, (1 + share) / 2)),
            overall_accuracy=Estimate(mean=0.8, interval=(0.7, 0.9)),
            mean_offset=1.0,
            corrected_class_accuracy=Estimate(mean=share / 2 + 0.25, interval=(0.1, 0.9)),
            corrected_overall_accuracy=Estimate(mean=0.8, interval=(0.7, 0.9)),
            over_cross_entropy=None,
        )
        for name, share in shares.items()
    )
    effect = JointEffect(mean=0.5, interval=(least, 0.9), adjusted_interval=(least, 0.9))
    below = JointEffect(mean=0.0, interval=(-0.1, 0.1), adjusted_interval=(-0.2, 0.2))
    return OmittedClass(
        class_number=1,
        class_name="a <b>",
        num_seeds=4,
        num_transfer=91,
        num_class_examples=37,
        seen_accuracy=Estimate(mean=0.91, interval=(0.8, 1.0)),
        arms=arms,
        knowledge=effect,
        corrected_knowledge=below,
    )


def test_what_students_know_of_a_class_they_never_saw_is_told():
    told = what_omission_showed(omission(0.9, least=0.2))
    assert told.startswith(
        "Class a <b> was left out: these students learned from 91 examples, none of them of class "
        "a <b>. Students of the teacher's full response recognise 90.00 % [45.00, 95.00] of the "
        "37 test examples of class a <b> (70.00 % after a bias correction; n = 4 seeds). Students "
        "of hard labels recognise 0.00 % (25.00 %). Students of hard labels that did see class "
        "a <b> recognise 91.00 %."
    )
    assert told.endswith("which shows how much they resemble it.")


@pytest.mark.parametrize("least", [0.0, -0.3])
def test_what_is_not_resolved_of_an_omitted_class_is_not_claimed(least):
    told = what_omission_showed(omission(0.1, least=least))
    assert told.endswith(
        "It is not shown that the students learned anything about this class from the teacher's "
        "response."
    )
