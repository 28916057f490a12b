"""What a study will have to do, as far as its settings tell."""

import pytest
from tests.contracts.test_engines import context_of

from goodteacher.config import DistillConfig, RuntimeConfig, StudyConfig, VerifyConfig, parse
from goodteacher.engines.expected import expected_stages, steps_by_kind

EXAMPLES = 216
"""Of 240, a tenth is the selection split."""


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    found = context_of(tmp_path_factory.mktemp("expected") / "s")
    assert (len(found.data.training), len(found.data.transfer)) == (EXAMPLES, EXAMPLES)
    return found


def stages_of(context, kind=StudyConfig, **settings):
    own = {"teacher": "mlp:8"} if kind is StudyConfig else {}
    asked = {"data": "made", "student": "mlp:3", **own, **settings}
    return expected_stages(parse(kind, **asked), context)


def roles(stage):
    return {job.kind.role for job in stage}


def total(stages):
    return sum(job.steps * job.networks for stage in stages for job in stage)


def test_teachers_come_first_a_task_for_each_run(context):
    settings = {"batch_sizes": [16, 72], "epochs": 5, "teacher_seeds": [0, 1]}
    first, *others = stages_of(context, student_epochs=3, **settings)
    assert [(job.kind.plan.batch_size, job.steps) for job in first] == [
        (16, 5.0 * 14),
        (72, 5.0 * 3),
        (16, 5.0 * 14),
        (72, 5.0 * 3),
    ]
    assert all(roles(stage) == {"student"} for stage in others)


def test_a_student_is_tuned_beside_the_teachers(context):
    first, *_ = stages_of(context, batch_sizes=[16, 72])
    assert [job.kind.role for job in first] == ["teacher", "teacher", "student", "student"]


def test_under_a_budget_of_steps_all_runs_take_as_many(context):
    first, *_ = stages_of(
        context,
        batch_sizes=[16, 72],
        epochs=5,
        budget="steps",
        reference_batch_size=72,
        student_epochs=3,
    )
    assert [job.steps for job in first] == [15.0, 15.0]


def test_runs_that_differ_by_learning_rate_take_steps_of_one_kind(context):
    stages = stages_of(context, batch_sizes=[16], epochs=5, learning_rates=[0.1, 0.2])
    teachers = {k: n for k, n in steps_by_kind(stages).items() if k.role == "teacher"}
    assert list(teachers.values()) == [2 * 5.0 * 14]


@pytest.mark.parametrize(
    "settings",
    [{"teacher": None, "trajectories": "recorded"}, {"teachers_of": "other"}],
    ids=["recorded", "taken over"],
)
def test_teachers_that_are_there_are_no_work(context, settings):
    assert all(roles(stage) == {"student"} for stage in stages_of(context, **settings))


def test_a_search_has_a_stage_for_each_round_and_the_confirmation(context):
    named = {"student_epochs": 9, "student_batch_size": 24, "rungs": 2, "halving": 3}
    _, first, second, confirmation = stages_of(context, **named, search_seeds=4, seeds=7)
    assert [len(stage) for stage in (first, second, confirmation)] == [4, 4, 7]
    assert [stage[0].steps for stage in (first, second, confirmation)] == [3 * 9, 9 * 9, 9 * 9]
    assert first[0].networks > second[0].networks >= confirmation[0].networks


def test_a_student_that_is_tuned_trains_longer_at_the_end(context):
    named = stages_of(context, student_epochs=6, student_batch_size=24)
    tuned = stages_of(context, student_batch_size=24)
    first = parse(StudyConfig, data="made", student="mlp:3", teacher="mlp:8", student_batch_size=24)
    epochs = first.first_training(EXAMPLES).epochs
    assert named[-1][0].steps == 6 * 9
    assert tuned[-1][0].steps == 3 * epochs * 9


def test_an_exhaustive_search_is_more(context):
    few = {"student_epochs": 9, "epochs": 4, "shortlist": 2}
    assert total(stages_of(context, **few, exhaustive=True)) > 2 * total(stages_of(context, **few))


def test_more_recipes_and_a_longer_shortlist_are_wider_stacks(context):
    def width(**settings):
        return stages_of(context, student_epochs=9, **settings)[1][0].networks

    assert width(temperatures=[1.0, 2.0], alphas=[1.0]) < width(temperatures=[1.0, 2.0])
    assert width(shortlist=2) < width(shortlist=4)


def test_a_distillation_has_a_task_for_each_seed(context):
    (stage,) = stages_of(context, DistillConfig, student_epochs=4, student_batch_size=72, seeds=3)
    assert [(job.steps, job.networks) for job in stage] == [(12.0, 2)] * 3
    assert len(stages_of(context, DistillConfig, seeds=3)) == 3, "tuning, rounds, the students"


def test_a_verification_tries_and_judges(context):
    alone = stages_of(context, VerifyConfig, student_epochs=4, seeds=6)
    assert [len(stage) for stage in alone] == [2, 6]
    tuned = stages_of(context, VerifyConfig, student_epochs=4, seeds=6, tune_arms=True)
    assert total(tuned) > total(alone)


def test_of_other_work_nothing_is_expected(context):
    assert expected_stages(parse(RuntimeConfig), context) == ()
