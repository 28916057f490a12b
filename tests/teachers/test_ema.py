"""Moving averages of weights as teachers of a study."""

import dataclasses

import numpy as np
import pytest
import torch

from goodteacher import search, verify
from goodteacher.config import Optimization, Run
from goodteacher.data import Dataset
from goodteacher.engines import LocalEngine
from goodteacher.errors import ConfigError
from goodteacher.records.results import Cost
from goodteacher.report.facts import cost_of, cost_table
from goodteacher.report.findings import read_findings
from goodteacher.report.page import render
from goodteacher.studies.progress import Silent
from goodteacher.studies.setting_up import prepare_context
from goodteacher.studies.tasks import DataKey
from goodteacher.sweet_spot.choice import converged, most_accurate
from goodteacher.sweet_spot.search import Search
from goodteacher.teachers.plan import AverageTask, RecordPoint, TrajectoryTask
from goodteacher.teachers.recording import branch_key, checkpoint_file, load_response
from goodteacher.teachers.running import load_teacher, loaded, network_of, training_examples
from goodteacher.training.evaluate import compute_logits
from goodteacher.training.loop import example_order, steps_per_epoch
from tests.made import SETTINGS, arrays, dataset
from tests.test_study import TIMES, Interrupter, without_seconds
from tests.test_study_views import SETTINGS as PICTURE_SETTINGS
from tests.test_study_views import pictures

EMA = {**SETTINGS, "variants": ("ema",), "ema_epochs": 0.5, "student_epochs": 3, "seeds": 2}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("ema") / "made", **EMA)


def plan_of(study, data):
    context = prepare_context(study.config, study.folder, data=data, progress=Silent())
    return Search(study.config, context, LocalEngine(context))


@pytest.fixture
def plan(study):
    return plan_of(study, dataset())


def trajectory_task(**changes):
    fields = {
        "data": DataKey(
            fingerprint="f",
            selection_fraction=0.1,
            transfer_fraction=1.0,
            split_seed=0,
            normalization="auto",
        ),
        "teacher": "mlp:8",
        "teacher_seed": 0,
        "run": Run(name="batch 64"),
        "optimization": Optimization(optimizer="adam", learning_rate=1e-3, batch_size=64),
        "points": (RecordPoint(epoch=1, step=4),),
        "temperatures": (1.0,),
    }
    return TrajectoryTask(**{**fields, **changes})


def test_trajectory_is_named_by_what_differs_from_the_defaults():
    assert trajectory_task(ema_epochs=None).key == trajectory_task().key
    assert trajectory_task(ema_epochs=1.0).key != trajectory_task().key
    assert trajectory_task(ema_epochs=1.0).key != trajectory_task(ema_epochs=2.0).key
    assert trajectory_task(run=Run(name="batch 64 seed 0")).key == trajectory_task().key


def test_setting_of_the_window_does_not_matter_without_the_variant(plan):
    config = plan.config.model_copy(update={"variants": ("raw",), "ema_epochs": 3.0})
    keys = [Search(config, plan.context, plan.engine).teachers.keys]
    keys.append(
        Search(
            config.model_copy(update={"ema_epochs": 1.0}), plan.context, plan.engine
        ).teachers.keys
    )
    assert keys[0] == keys[1] != plan.teachers.keys


def test_each_checkpoint_has_an_average_and_the_trunk_is_untouched(study, tmp_path):
    found = read_findings(study.store)
    assert [r.checkpoint for r in found.records] == [r.source.checkpoint for r in found.branches]
    assert {r.variant for r in found.branches} == {"ema"}
    assert {r.variant for r in found.records} == {"raw"}
    settings = {**EMA, "variants": ("raw",), "student_epochs": 1, "seeds": 1}
    plain = search(dataset(), out=tmp_path / "plain", **settings)
    same = [r.model_dump(exclude=TIMES) for r in plain.trajectories()]
    assert [r.model_dump(exclude=TIMES) for r in study.trajectories()] == same
    assert not list(plain.folder.glob("teachers/*/checkpoints/ema-*"))


def test_average_teacher_is_that_of_a_training_written_out(plan):
    """Against a plain loop with Adam and a float64 average after each step."""
    trunk = next(task for task in plan.teachers.trajectories if task.batch_size == 64)
    examples, labels = training_examples(plan.context, trunk), plan.context.data.training.labels
    network = network_of(plan.context, trunk).module
    optimizer = torch.optim.Adam(network.parameters(), lr=trunk.optimization.learning_rate)
    average = [p.detach().double() for p in network.parameters()]
    step, per_epoch = 0, steps_per_epoch(len(examples), 64)
    for epoch in range(4):
        for batch in example_order(len(examples), trunk.teacher_seed, epoch).split(64):
            optimizer.zero_grad()
            logits = network(examples.inputs(batch))
            torch.nn.functional.cross_entropy(logits, labels[batch]).backward()
            optimizer.step()
            step += 1
            keep = min(np.exp(-1 / (0.5 * per_epoch)), (1 + step) / (10 + step))
            pairs = zip(average, network.parameters(), strict=True)
            average = [keep * a + (1 - keep) * p.detach().double() for a, p in pairs]
    teacher = load_teacher(plan.context, AverageTask(trunk=trunk, epoch=4), 4).module
    for ours, theirs in zip(teacher.parameters(), average, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-5)


def test_sweet_spot_is_an_average_and_its_students_learned_from_it(study, plan):
    teacher = study.sweet_spot.teacher
    assert teacher.variant == "ema"
    assert str(teacher.source).endswith(" ema")
    assert teacher.described.endswith(", its weights averaged")
    assert study.sweet_spot.student.arm.startswith(f"{teacher.source} | ")
    keys = dict(plan.teachers.keys)
    response = load_response(
        study.store, keys[teacher.run], teacher.source, plan.context.data.transfer
    )
    weights = checkpoint_file(branch_key(keys[teacher.run], "ema", teacher.epoch), teacher.epoch)
    network = loaded(plan.context, plan.config.teacher, plan.context.store, weights).module
    transfer = plan.context.examples(plan.config.teacher, plan.context.data.transfer)
    expected = compute_logits(network, transfer)
    torch.testing.assert_close(response, expected)
    test = plan.context.data.test.open("a test")
    examples = plan.context.examples(plan.config.teacher, test)
    hits = compute_logits(network, examples).argmax(1) == test.labels
    assert teacher.test_accuracy == pytest.approx(float(hits.double().mean()))


def test_references_stay_plain_checkpoints(study):
    found = read_findings(study.store)
    decided = {decision.what: decision.teachers for decision in found.decisions}
    assert decided["converged_teacher"] == (converged(study.trajectories()).checkpoint,)
    assert decided["most_accurate_teacher"] == (most_accurate(study.trajectories()).checkpoint,)
    assert {source.variant for source in decided["shortlist"]} == {"ema"}
    references = study.sweet_spot.references
    for reference in (references.converged_teacher, references.most_accurate_teacher):
        assert "ema" not in reference.arm


@pytest.mark.parametrize("after", [3, 8, 13])
def test_study_interrupted_ends_with_the_same_numbers(study, tmp_path, after):
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        search(dataset(), out=out, progress=Interrupter(after), **EMA)
    resumed = search(dataset(), out=out, **EMA)
    assert without_seconds(resumed) == without_seconds(study)
    ours, theirs = (read_findings(one.store).branches for one in (resumed, study))
    assert [r.model_dump(exclude=TIMES) for r in ours] == [
        r.model_dump(exclude=TIMES) for r in theirs
    ]


def test_batch_norm_statistics_are_those_of_a_pass_over_augmented_examples(tmp_path):
    data = Dataset("pictures", pictures(240, 0), pictures(90, 1), ("a", "b", "c"))
    settings = {**PICTURE_SETTINGS, "variants": ["raw", "ema"], "augment": ["flip", "crop:2"]}
    made = search(data, out=tmp_path / "study", views=2, **settings)
    plan = plan_of(made, data)
    (trunk,) = plan.teachers.trajectories
    teacher = load_teacher(plan.context, AverageTask(trunk=trunk, epoch=2), 2).module
    examples = training_examples(plan.context, trunk)
    positions = torch.arange(len(examples))  # fewer than a batch, so their order does not matter
    raw = load_teacher(plan.context, trunk, 2).module
    mine = load_teacher(plan.context, trunk, 2).module
    mine.load_state_dict(dict(teacher.named_parameters()), strict=False)
    norm = next(m for m in mine.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.reset_running_stats()
    norm.momentum = 1.0
    mine.train()(examples.inputs(positions, view=2))  # of the second epoch
    found, before = (
        next(m for m in one.modules() if isinstance(m, torch.nn.BatchNorm2d))
        for one in (teacher, raw)
    )
    torch.testing.assert_close(found.running_mean, norm.running_mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.running_var, norm.running_var, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found.running_mean, before.running_mean, atol=1e-3)
    responses = list(made.folder.glob("teachers/*/ema-00002/responses/*transfer*"))
    assert len(responses) == 2


def test_cost_of_each_variant_is_reported(study, tmp_path):
    settings = {**EMA, "variants": ("ema", "cooldown", "average", "blend"), "patience": 1}
    cost = search(dataset(), out=tmp_path / "all", **settings).sweet_spot.cost
    assert set(cost.variants) == {"raw", "ema", "cooldown", "average", "blend"}
    assert min(cost.variants.values()) > 0
    assert cost.variants["raw"] > cost.teacher_seconds
    found = read_findings(study.store)
    assert set(study.sweet_spot.cost.variants) == {"raw", "ema"}
    so_far = cost_of(dataclasses.replace(found, sweet_spot=None)).variants
    assert so_far == pytest.approx(study.sweet_spot.cost.variants)
    assert "ema teachers, making and measuring them" in {row[0] for row in cost_table(found).rows}


def test_cost_of_a_study_from_before_is_read():
    names = ("teacher_seconds", "student_seconds", "num_students", "student_epochs_run")
    more = ("student_epochs_exhaustive", "teacher_epochs_run", "teacher_epochs_full")
    assert Cost(**dict.fromkeys((*names, *more), 1)).variants == {}


def test_report_shows_averages_beside_their_students(study):
    page = render(read_findings(study.store))
    assert "Variants of checkpoints" in page
    assert "batch 16 epoch 4 ema" in page


def test_study_of_an_average_can_be_verified(tmp_path):
    np.savez(tmp_path / "circle.npz", **arrays())
    made = search(tmp_path / "circle.npz", out=tmp_path / "study", **EMA)
    verdict = verify(made.folder, seeds=3, smoothings=[0.1])
    assert verdict.teacher == str(made.sweet_spot.teacher.source)
    assert verdict.teacher.endswith(" ema")


@pytest.mark.parametrize(
    ("lender", "complaint"),
    [
        ({"variants": ("raw",)}, "variants is raw there, ema here"),
        ({"ema_epochs": 2.0}, r"ema_epochs is 2\.0 there, 0\.5 here"),
    ],
)
def test_study_without_the_average_wanted_cannot_lend(tmp_path, lender, complaint):
    quick = {**EMA, "epochs": 1, "batch_sizes": (64,), "student_epochs": 1}
    other = search(dataset(), out=tmp_path / "lender", **{**quick, **lender})
    with pytest.raises(ConfigError, match=complaint):
        search(dataset(), out=tmp_path / "refused", teachers_of=str(other.folder), **quick)
