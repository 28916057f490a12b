"""Cooldowns: branches that start at a checkpoint, decay, and leave the trunk as it is."""

import numpy as np
import pytest
import torch

from goodteacher import search, verify
from goodteacher.engines import LocalEngine
from goodteacher.report.findings import read_findings
from goodteacher.report.page import render
from goodteacher.studies.progress import Silent
from goodteacher.studies.setting_up import prepare_context
from goodteacher.sweet_spot.search import Search
from goodteacher.teachers.running import load_teacher
from tests.made import SETTINGS, arrays, dataset
from tests.test_study import TIMES, Interrupter, without_seconds

COOL = {**SETTINGS, "variants": ("cooldown",), "student_epochs": 3, "seeds": 2}


def seconds_apart(study):
    rows, answer, records = without_seconds(study)
    del answer["cost"]["cooldown_seconds"]
    return rows, answer, records


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("cooled") / "made", **COOL)


@pytest.fixture
def plan(study):
    context = prepare_context(study.config, study.folder, data=dataset(), progress=Silent())
    return Search(study.config, context, LocalEngine(context))


def test_each_checkpoint_has_a_cooldown_and_the_trunk_is_untouched(study, tmp_path):
    found = read_findings(study.store)
    assert [r.checkpoint for r in found.records] == [r.source.checkpoint for r in found.branches]
    settings = {**COOL, "variants": ("raw",), "student_epochs": 1, "seeds": 1}
    plain = search(dataset(), out=tmp_path / "plain", **settings)
    same = [r.model_dump(exclude=TIMES) for r in plain.trajectories()]
    assert [r.model_dump(exclude=TIMES) for r in study.trajectories()] == same


def test_cooldown_is_plain_training_from_the_checkpoint_with_a_falling_rate(plan):
    """Against a loop written out: Adam anew, rate x (1 - step / steps), the first order."""
    from goodteacher.training.loop import example_order

    task = next(
        t for t in plan.teachers.branches("cooldown") if t.trunk.batch_size == 64 and t.epoch == 2
    )
    network = load_teacher(plan.context, task.trunk, 2).module.train()
    examples = plan.context.examples(plan.config.teacher, plan.context.data.training)
    optimizer = torch.optim.Adam(network.parameters(), lr=task.trunk.optimization.learning_rate)
    batches = example_order(len(examples), 0, 0).split(64)
    for number, batch in enumerate(batches):
        optimizer.param_groups[0]["lr"] = task.trunk.optimization.learning_rate * (
            1 - number / len(batches)
        )
        optimizer.zero_grad()
        labels = plan.context.data.training.labels[batch]
        torch.nn.functional.cross_entropy(network(examples.inputs(batch)), labels).backward()
        optimizer.step()
    cooled = load_teacher(plan.context, task, 2).module
    for ours, theirs in zip(cooled.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_sweet_spot_is_a_cooldown_and_its_students_learned_from_it(study, plan):
    teacher = study.sweet_spot.teacher
    assert teacher.variant == "cooldown"
    assert study.sweet_spot.student.arm.startswith(f"{teacher.source} | ")
    assert str(teacher.source).endswith(" cooldown")
    test = plan.context.data.test.open("a test")
    (task,) = (
        t
        for t in plan.teachers.branches("cooldown")
        if (t.trunk.run.name, t.epoch) == (teacher.run, teacher.epoch)
    )
    network = load_teacher(plan.context, task, task.epoch).eval()
    with torch.inference_mode():
        hits = network(test.inputs).argmax(1)
    expected = (hits == test.labels).double().mean()
    assert teacher.test_accuracy == pytest.approx(float(expected))


def test_cost_of_cooldowns_is_apart_from_that_of_trajectories(study):
    cost = study.sweet_spot.cost
    assert cost.variants["cooldown"] > cost.cooldown_seconds
    assert cost.variants["raw"] > cost.teacher_seconds
    assert cost.cooldown_epochs_run == 6
    assert cost.cooldown_seconds > 0
    assert cost.teacher_epochs_run == cost.teacher_epochs_full == 8


def test_report_shows_cooldowns_beside_their_students(study):
    page = render(read_findings(study.store))
    assert "Variants of checkpoints" in page
    assert "cooldowns, training time" in page


@pytest.mark.parametrize("after", [10, 13])
def test_study_interrupted_among_cooldowns_ends_with_the_same_numbers(study, tmp_path, after):
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        search(dataset(), out=out, progress=Interrupter(after), **COOL)
    assert seconds_apart(search(dataset(), out=out, **COOL)) == seconds_apart(study)


def test_study_of_a_cooldown_can_be_verified(tmp_path):
    np.savez(tmp_path / "circle.npz", **arrays())
    made = search(tmp_path / "circle.npz", out=tmp_path / "study", **COOL)
    verdict = verify(made.folder, seeds=3, smoothings=[0.1])
    assert verdict.teacher == str(made.sweet_spot.teacher.source)


def test_cooldowns_join_blends_and_probes_in_one_study(tmp_path):
    settings = {**COOL, "variants": ("raw", "cooldown", "average", "blend"), "patience": 1}
    found = search(dataset(), out=tmp_path / "all", **settings).sweet_spot
    assert found.teacher.source
    assert found.cost.cooldown_epochs_run <= 6
