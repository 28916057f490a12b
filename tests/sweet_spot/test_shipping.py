"""The answer, what is delivered, and what is said of both."""

import pytest

from goodteacher import search
from goodteacher.config import Recipe
from goodteacher.errors import RunError
from goodteacher.records.answers import answer_of
from goodteacher.records.arms import (
    CROSS_ENTROPY,
    Arm,
    Blend,
    BlendMember,
    Checkpoint,
    smoothing_arm,
)
from goodteacher.records.results import Edge, References, StudentRow
from goodteacher.students.doubts import check_diverged, told_unfinished
from goodteacher.sweet_spot import conclude, shipping
from goodteacher.sweet_spot.shipping import RISING, most_worth_shipping, told_of_teacher
from goodteacher.sweet_spot.shipping import _on_limits as on_limits
from goodteacher.sweet_spot.shipping import _teacher_edges as teacher_edges
from tests.made import SETTINGS, dataset
from tests.report.build import record, reference, settings

OURS = Arm(source=Checkpoint(run="batch 128", epoch=2), recipe=Recipe(temperature=2.0))
LATE = Arm(source=Checkpoint(run="batch 32", epoch=4), recipe=Recipe())
WINNERS = {
    "sweet_spot": OURS,
    "cross_entropy": CROSS_ENTROPY,
    "label_smoothing": smoothing_arm(0.1),
    "converged_teacher": LATE,
    "most_accurate_teacher": LATE,
}


def references(labels, smoothing):
    """References whose joint intervals against hard labels and smoothing are given."""
    plain = reference(LATE, 0.9, 0.01)
    joint = {"cross_entropy": labels, "label_smoothing": smoothing}
    return References(
        **{
            name: plain.model_copy(update={"adjusted_interval": joint.get(name, (-1.0, 1.0))})
            for name in WINNERS
            if name != "sweet_spot"
        }
    )


@pytest.mark.parametrize(
    ("labels", "smoothing", "answer"),
    [
        ((0.001, 0.02), (0.003, 0.02), "yes"),
        ((0.001, 0.02), (-0.001, 0.02), "undecided"),
        ((0.001, 0.02), (-0.004, 0.0015), "no"),
        ((-0.02, -0.01), (0.003, 0.02), "no"),
        ((-0.01, 0.01), (-0.01, 0.01), "undecided"),
        (None, (0.003, 0.02), "no"),
    ],
)
def test_answer_needs_both_references_that_have_no_teacher(labels, smoothing, answer):
    assert answer_of(references(labels, smoothing)) == answer


def test_best_on_the_selection_split_is_shipped_and_the_simplest_of_equals():
    scores = {OURS: 0.9, CROSS_ENTROPY: 0.8, smoothing_arm(0.1): 0.85, LATE: 0.91}
    assert most_worth_shipping(WINNERS, scores) == "converged_teacher"
    assert most_worth_shipping(WINNERS, {**scores, CROSS_ENTROPY: 0.91}) == "cross_entropy"
    same = {**WINNERS, "converged_teacher": OURS}
    assert most_worth_shipping(same, {**scores, OURS: 0.92}) == "sweet_spot"


def row(status):
    return StudentRow.model_construct(status=status, student_learning_rate=0.5)


def test_diverged_students_are_counted_and_half_of_them_end_the_work():
    rows = {"sweet_spot": [row("ok"), row("ok"), row("diverged")], "cross_entropy": [row("ok")]}
    assert check_diverged(rows) == {"sweet_spot": 1}
    rows["cross_entropy"] = [row("ok"), row("diverged")]
    with pytest.raises(RunError, match=r"1 of 2 students of hard labels diverged.*rate of 0\.5"):
        check_diverged(rows)


@pytest.mark.parametrize(
    ("batch_size", "epoch", "said"),
    [
        (128, 4, "the largest batch size (128) and the last epoch (4)"),
        (32, 2, "the smallest batch size (32)"),
        (64, 4, "the last epoch (4)"),
    ],
)
def test_teacher_on_an_edge_is_told_with_the_options_that_go_on(batch_size, epoch, said):
    config = settings(batch_sizes=[32, 64, 128])
    winner = Arm(source=Checkpoint(run=f"batch {batch_size}", epoch=epoch), recipe=Recipe())
    (told,) = teacher_edges(config, winner)
    assert f"The sweet spot is {said} that teachers were trained with" in told
    assert "--teachers-of" in told
    assert ("--epochs 8" in told) == (epoch == 4)
    assert ("--batch-sizes 32,64,128,512" in told) == (batch_size == 128)


@pytest.mark.parametrize(
    ("rate", "said", "option"),
    [
        (0.03, "the highest learning rate (0.03)", "--learning-rates 0.003,0.01,0.03,0.09"),
        (0.003, "the lowest learning rate (0.003)", "--learning-rates 0.001,0.003,0.01,0.03"),
    ],
)
def test_learning_rate_on_an_edge_is_told_with_the_option_that_goes_on(rate, said, option):
    config = settings(batch_sizes=[64], learning_rates=[0.01, 0.003, 0.03], teacher_seeds=[0, 1])
    run = f"batch 64 lr {rate} seed 1"
    (told,) = teacher_edges(config, Arm(source=Checkpoint(run=run, epoch=2), recipe=Recipe()))
    assert f"The sweet spot is {said} that teachers were trained with" in told
    assert f"with {option}, --teachers-of" in told
    middle = Checkpoint(run="batch 64 lr 0.01 seed 1", epoch=2)
    assert teacher_edges(config, Arm(source=middle, recipe=Recipe())) == []


def test_teacher_inside_the_grid_has_nothing_told():
    winner = Arm(source=Checkpoint(run="batch 64", epoch=2), recipe=Recipe())
    assert teacher_edges(settings(batch_sizes=[32, 64, 128]), winner) == []


def test_students_that_still_improve_are_told_with_what_to_type():
    assert "--until-converged" in told_unfinished(["sweet_spot"], [30], tuned=True)
    assert "--student-epochs 90" in told_unfinished(["sweet_spot"], [30, 10], tuned=False)
    at_limit = told_unfinished(["cross_entropy"], [30], tuned=True, until_converged=True)
    assert "hard labels" in at_limit
    assert "--until-converged" not in at_limit


def run_of(*accuracies, **last):
    """A teacher's run whose accuracy on the selection split is given at each recorded epoch."""
    records = []
    for number, accuracy in enumerate(accuracies):
        made = record(64, 2**number)
        measured = [
            m.model_copy(update={"accuracy": accuracy}) if m.split == "selection" else m
            for m in made.measurements
        ]
        records.append(made.model_copy(update={"measurements": tuple(measured)}))
    return [*records[:-1], records[-1].model_copy(update=last)]


def test_converged_teacher_that_still_improves_is_told():
    (told,) = told_of_teacher(run_of(0.8, 0.87, 0.91))
    assert "87.00 % after epoch 2, 91.00 % after 4" in told
    assert "--epochs 8" in told
    assert told_of_teacher(run_of(0.8, 0.89, 0.91)) == []
    assert told_of_teacher(run_of(0.8, 0.87, 0.91, stopped=True)) == []
    assert told_of_teacher(run_of(0.8)) == []


# --- ties, limits and the ends of what may be tried ----------------------------------------------


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        (["cross_entropy", "label_smoothing", "sweet_spot"], "cross_entropy"),
        (["label_smoothing", "sweet_spot"], "label_smoothing"),
        (["sweet_spot", "converged_teacher"], "sweet_spot"),
        (["converged_teacher"], "converged_teacher"),
    ],
)
def test_of_equally_good_students_the_one_that_took_least_is_delivered(best, expected):
    scores = dict.fromkeys(WINNERS.values(), 0.5) | {WINNERS[name]: 0.9 for name in best}
    assert most_worth_shipping(WINNERS, scores) == expected


def test_last_bits_of_a_mean_decide_nothing():
    scores = dict.fromkeys(WINNERS.values(), 0.5) | {CROSS_ENTROPY: 0.9, OURS: 0.9 + 1e-12}
    assert most_worth_shipping(WINNERS, scores) == "cross_entropy"
    assert most_worth_shipping(WINNERS, {**scores, OURS: 0.9 + 1e-8}) == "sweet_spot"


@pytest.mark.parametrize(
    ("edges", "told"),
    [
        ([], []),
        (
            [Edge(family="label_smoothing", axis="smoothing", value=0.8)],
            [
                "Some best values are at the end of the allowed range: smoothing 0.8 of label "
                "smoothing. Better ones may lie",
            ],
        ),
        (
            [
                Edge(family="sweet_spot", axis="learning_rate", value=0.064),
                Edge(family="cross_entropy", axis="learning_rate", value=0.00025),
            ],
            ["learning rate 0.064 of the sweet spot and learning rate 0.00025 of hard labels."],
        ),
    ],
)
def test_limits_that_winners_lie_on_are_told_in_one_sentence(edges, told):
    found = on_limits(edges)
    assert len(found) == len(told)
    assert all(part in sentence for part, sentence in zip(told, found, strict=True))


def edges_of(batch_size, epoch, *, batch_sizes, **changes):
    config = settings(batch_sizes=batch_sizes, **changes)
    source = Checkpoint(run=f"batch {batch_size}", epoch=epoch)
    return teacher_edges(config, Arm(source=source, recipe=Recipe()))


@pytest.mark.parametrize(
    ("batch_sizes", "own", "option"),
    [
        ([1, 8], 8, "--batch-sizes 1,8,32"),
        ([2, 8], 2, "--batch-sizes 1,2,8"),
        ([3, 8], 3, "--batch-sizes 1,3,8"),
        ([8, 32], 8, "--batch-sizes 2,8,32"),
        ([32, 8], 8, "--batch-sizes 2,8,32"),
    ],
)
def test_batch_sizes_go_on_by_a_factor_of_four(batch_sizes, own, option):
    (told,) = edges_of(own, 2, batch_sizes=batch_sizes)
    assert f"with {option}, --teachers-of" in told


def test_no_batch_is_smaller_than_one_example_and_one_size_has_no_edge():
    assert edges_of(1, 2, batch_sizes=[1, 8]) == []
    assert edges_of(8, 2, batch_sizes=[8]) == []


def test_teacher_that_the_study_did_not_train_lies_on_no_edge_of_its_grid():
    assert edges_of(999, 4, batch_sizes=[32, 64]) == []
    members = (BlendMember(run="batch 128", epoch=4, weight=1.0),)
    blend = Arm(source=Blend(variant="blend", members=members), recipe=Recipe())
    assert teacher_edges(settings(), blend) == []
    assert teacher_edges(settings(), CROSS_ENTROPY) == []


@pytest.mark.parametrize(
    ("gain", "told"), [(RISING - 1e-6, False), (RISING + 1e-6, True), (-0.1, False)]
)
def test_teacher_is_unfinished_where_it_gained_more_than_noise(gain, told):
    assert bool(told_of_teacher(run_of(0.1, 0.5, 0.5 + gain))) == told


def test_run_that_was_recorded_elsewhere_is_to_be_recorded_longer():
    (told,) = told_of_teacher(run_of(0.8, 0.87, 0.91), recorded_elsewhere=True)
    assert told.endswith("Train it longer, and record it.")
    assert "--epochs" not in told
    assert told_of_teacher(run_of(0.8, 0.91, status="diverged")) == []


@pytest.mark.parametrize(
    ("failed", "doubted"),
    [("label_smoothing", True), ("cross_entropy", True), ("sweet_spot", False)],
)
def test_a_reference_that_did_not_learn_leaves_the_answer_undecided(
    tmp_path, monkeypatch, failed, doubted
):
    asked = []

    def without_learning(rows, labels):
        asked.append((set(rows), len(labels)))
        return {failed: 0.01}

    monkeypatch.setattr(shipping, "without_learning", without_learning)
    monkeypatch.setattr(conclude, "answer_of", lambda references: "yes")
    quick = {"epochs": 1, "student_epochs": 1, "search_seeds": 1, "rungs": 1, "seeds": 2}
    monkeypatch.setattr(shipping, "unfinished", lambda *given: ())
    found = search(dataset(), out=tmp_path / "s", **{**SETTINGS, **quick}).sweet_spot
    assert asked == [(set(WINNERS), 48)]
    assert found.answer == ("undecided" if doubted else "yes")
    assert "did not learn: they are right on 1.00 %" in found.doubts[0]
    assert found.doubts[0] in found.summary
