"""Names of what students learn from, and the time that teachers took."""

import pytest

from goodteacher.records import Arm
from goodteacher.records.arms import CROSS_ENTROPY, Blend, BlendMember, Checkpoint, smoothing_arm
from goodteacher.records.cost import known_seconds, variant_seconds
from goodteacher.records.results import BlendRecord, TeacherChoice
from tests.report.build import TRAINING, WINNER, diverged, record


def member(epoch, weight, run="batch 32"):
    return BlendMember(run=run, epoch=epoch, weight=weight)


def blend(*members, variant="blend"):
    return Blend(variant=variant, members=members)


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (Checkpoint(run="batch 32", epoch=4), "batch 32 epoch 4"),
        (Checkpoint(run="batch 32", epoch=4, variant="ema"), "batch 32 epoch 4 ema"),
        (blend(member(1, 0.25), member(4, 0.75)), "blend of 0.25 x batch 32 epoch 1 + 0.75 x"),
        (blend(member(1, 0.5), member(2, 0.5), variant="average"), "batch 32 average to epoch 2"),
    ],
)
def test_teachers_are_named_by_what_they_are(source, name):
    assert str(source).startswith(name)


@pytest.mark.parametrize(("weights", "epoch"), [((0.2, 0.8), 2), ((0.8, 0.2), 1), ((0.5, 0.5), 2)])
def test_blend_stands_at_its_heaviest_member_the_later_of_equals(weights, epoch):
    made = blend(*(member(number, weight) for number, weight in enumerate(weights, start=1)))
    assert (made.run, made.epoch) == ("batch 32", epoch)
    assert made.checkpoint == Checkpoint(run="batch 32", epoch=epoch)


def test_blend_of_two_runs_has_a_part_in_both():
    made = blend(member(1, 0.5), member(1, 0.5, run="batch 128"))
    assert made.runs == {"batch 32", "batch 128"}
    assert Checkpoint(run="batch 32", epoch=1).runs == {"batch 32"}


def test_arm_with_another_training_has_another_name_and_without_it_the_old_one():
    trained = WINNER.trained(TRAINING)
    assert trained.key == f"{WINNER.key} | 18 epochs of batch 32 at 0.002"
    assert trained != WINNER
    assert trained.trained(None) == WINNER
    assert {WINNER: 1}[Arm(source=WINNER.source, recipe=WINNER.recipe)] == 1


def test_arms_without_a_teacher_are_named_too():
    assert CROSS_ENTROPY.key == "labels | kl T=1 alpha=0"
    assert smoothing_arm(0.15).key == "smoothing=0.15 | kl T=1 alpha=1"


@pytest.mark.parametrize("smoothing", [0.0, 1.0, -0.1])
def test_label_smoothing_of_nothing_or_everything_is_no_arm(smoothing):
    with pytest.raises(ValueError, match="smoothing"):
        smoothing_arm(smoothing)


def test_blend_without_members_or_of_no_weight_is_refused():
    with pytest.raises(ValueError, match="at least 1 item"):
        blend()
    with pytest.raises(ValueError, match="greater than 0"):
        member(1, 0.0)


@pytest.mark.parametrize(
    ("variant", "members", "words"),
    [
        ("raw", (), "the teacher of batch size 32 after epoch 4"),
        ("ema", (), "after epoch 4, its weights averaged"),
        ("cooldown", (), "after epoch 4, cooled down"),
        ("blend", (member(4, 1.0),), "the mean of 1 recorded response (blend of 1 x batch 32"),
        ("average", (member(2, 0.5), member(4, 0.5)), "the mean of 2 recorded responses (batch 32"),
    ],
)
def test_chosen_teacher_is_described_and_leads_back_to_what_students_learn_from(
    variant, members, words
):
    chosen = TeacherChoice(
        run="batch 32", epoch=4, variant=variant, members=members, selection_accuracy=0.9
    )
    assert words in chosen.described
    expected = (
        Blend(variant=variant, members=members)
        if members
        else Checkpoint(run="batch 32", epoch=4, variant=variant)
    )
    assert chosen.source == expected


# --- records of teachers -------------------------------------------------------------------------


def test_record_knows_its_measurements_by_split_and_temperature():
    found = record(32, 2)
    assert found.at("selection", 2.0).temperature == 2.0
    assert found.at("transfer").split == "transfer"
    assert found.best_nll == found.at("selection", 1.5).nll
    assert found.selection_accuracy == found.at("selection").accuracy
    with pytest.raises(KeyError, match=r"no measurement on selection at temperature 3\.0"):
        found.at("selection", 3.0)


def test_teacher_that_diverged_is_the_worst_by_every_measure():
    lost = diverged(32, 2)
    assert (lost.best_nll, lost.selection_accuracy) == (float("inf"), 0.0)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [({"batch_size": 32}, 32), ({}, None), ({"batch_size": "big"}, None)],
)
def test_batch_size_of_a_run_is_known_only_where_it_is_a_number(attributes, expected):
    assert record(32, 1).model_copy(update={"attributes": attributes}).batch_size == expected


# --- what teachers took --------------------------------------------------------------------------


def timed(seconds, epoch=1, variant="raw", recording=0.0):
    return record(32, epoch).model_copy(
        update={"seconds": seconds, "variant": variant, "recording_seconds": recording}
    )


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], 0),
        ([[timed(1.0), timed(3.0, 2)]], 3.0),
        ([[timed(1.0), timed(3.0, 2)], [timed(2.0)]], 5.0),
        ([[timed(None)], [timed(2.0)]], 2.0),
        ([[timed(None)]], None),
        ([[timed(0.0)]], 0.0),
    ],
)
def test_training_time_is_that_of_the_last_records_of_timed_runs(runs, expected):
    assert known_seconds(runs) == expected


def test_seconds_of_each_kind_of_teacher_hold_responses_and_measurement():
    mean = BlendRecord(
        source=blend(member(1, 1.0)), optimal_temperature=None, recording_seconds=0.5
    )
    average = mean.model_copy(
        update={"source": blend(member(1, 1.0), variant="average"), "recording_seconds": 0.25}
    )
    found = variant_seconds(
        [[timed(1.0, recording=0.1), timed(3.0, 2, recording=0.2)], [timed(None, recording=0.4)]],
        [timed(0.5, variant="ema", recording=0.1), timed(None, variant="cooldown", recording=2.0)],
        [mean, mean, average],
    )
    assert found == pytest.approx(
        {"raw": 3.7, "ema": 0.6, "cooldown": 2.0, "blend": 1.0, "average": 0.25}
    )
    assert (mean.run, mean.epoch) == ("batch 32", 1)
