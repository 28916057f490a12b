"""Means of responses: their maths, how a blend is chosen, and a study that delivers one."""

import math

import numpy as np
import pytest
import torch

from goodteacher import Study, search, verify
from goodteacher.errors import ConfigError
from goodteacher.maths.blends import choose_blend, mean_response
from goodteacher.maths.calibration import negative_log_likelihood, optimal_temperature
from goodteacher.records.arms import Arm, Blend, BlendMember, Checkpoint
from goodteacher.report.findings import read_findings
from goodteacher.report.page import render
from goodteacher.sweet_spot.choice import candidates, shortlist
from goodteacher.teachers.mixing import averages
from goodteacher.teachers.port import RecordedTeachers, combined
from goodteacher.teachers.running import load_teacher
from tests.made import SETTINGS, dataset

SECONDS = {"student_seconds"}


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 2


def held_out_nll(logits, labels):
    return negative_log_likelihood(logits, labels, temperature=optimal_temperature(logits, labels))


def noisy_views(count, *, noise, num_examples=400, num_classes=5, seed=0):
    """A posterior, labels drawn from it, and responses that see it through noise of their own."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(num_examples, num_classes, generator=generator) * 1.5
    labels = torch.multinomial(truth.softmax(1), 1, generator=generator)[:, 0]
    shape = (count, *truth.shape)
    return truth + noise * torch.randn(shape, generator=generator), labels


def test_mean_response_is_the_mean_of_probabilities():
    responses, weights = drawn(3, 7, 4), [0.5, 0.2, 0.3]
    exponents = np.exp(responses.numpy().astype(np.float64))
    expected = np.einsum("m,mnc->nc", weights, exponents / exponents.sum(-1, keepdims=True))
    found = mean_response(list(responses), weights).softmax(-1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_mean_of_one_response_says_what_it_says_at_every_temperature():
    logits = drawn(6, 3)
    for temperature in (0.5, 1.0, 8.0):
        torch.testing.assert_close(
            (mean_response([logits], [2.0]) / temperature).softmax(-1),
            (logits / temperature).softmax(-1),
        )


def test_weights_of_a_mean_are_normalised_and_zeros_drop_out():
    responses = list(drawn(3, 5, 4))
    scaled = mean_response(responses, [2.0, 0.0, 6.0])
    torch.testing.assert_close(scaled, mean_response(responses[::2], [0.25, 0.75]))


def test_mean_of_saturated_responses_stays_finite():
    sure = torch.tensor([[1e4, 0.0], [-1e4, 0.0]])
    found = mean_response([sure, -sure], [0.5, 0.5])
    torch.testing.assert_close(found.softmax(-1), torch.full((2, 2), 0.5))
    assert mean_response([sure], [1.0]).isfinite().all()


@pytest.mark.parametrize("weights", [[], [1.0], [1.0, -0.1], [0.0, 0.0]])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(ConfigError, match="one weight of at least 0 for each response"):
        mean_response(list(drawn(2, 3, 4)), weights)


def test_blend_of_noisy_views_beats_each_of_them_on_fresh_examples():
    responses, labels = noisy_views(6, noise=1.5)
    weights = choose_blend(responses[:, :200], labels[:200], bags=4)
    fresh, known = responses[:, 200:], labels[200:]
    blend = held_out_nll(mean_response(list(fresh), weights), known)
    assert blend < min(held_out_nll(one, known) for one in fresh) - 0.05


def test_blend_leaves_out_a_response_that_knows_nothing():
    responses, labels = noisy_views(3, noise=0.5)
    responses[1] = drawn(*responses[1].shape, seed=9) * 3
    weights = choose_blend(responses, labels, bags=4)
    assert weights[1] == 0
    assert sum(weights) == pytest.approx(1, abs=1e-3)


def test_blend_of_copies_is_as_good_as_the_one():
    responses, labels = noisy_views(1, noise=1.0)
    weights = choose_blend(responses.expand(4, -1, -1), labels, bags=2)
    blend = mean_response([responses[0]] * 4, weights)
    assert held_out_nll(blend, labels) == pytest.approx(held_out_nll(responses[0], labels))


def test_blend_does_not_depend_on_the_order_of_examples_within_reason_and_repeats_exactly():
    responses, labels = noisy_views(5, noise=1.0)
    first = choose_blend(responses, labels, bags=3)
    assert first == choose_blend(responses, labels, bags=3)
    assert all(weight == 0 or weight >= 0.02 for weight in first)


def test_two_bags_of_noise_weights_stay_near_those_of_the_whole():
    """Bagging bounds what one run may overfit: no useless member gets much weight."""
    responses, labels = noisy_views(2, noise=0.3)
    useless = drawn(10, *responses[0].shape, seed=3)
    weights = choose_blend(torch.cat([responses, useless]), labels, bags=6)
    assert sum(weights[2:]) < 0.1


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 1, 3)])
def test_too_little_to_choose_from_is_refused(shape):
    with pytest.raises(ConfigError, match="at least one response on at least two examples"):
        choose_blend(torch.zeros(shape), torch.zeros(shape[1], dtype=torch.long))


def test_averages_run_along_each_trajectory_from_its_second_epoch_on():
    points = [Checkpoint(run=f"batch {b}", epoch=e) for b in (16, 64) for e in (1, 2, 4)]
    found = averages(points)
    assert [str(blend) for blend in found] == [
        f"batch {b} average to epoch {e}" for b in (16, 64) for e in (2, 4)
    ]
    assert [m.epoch for m in found[1].members] == [1, 2, 4]
    assert math.fsum(m.weight for m in found[1].members) == pytest.approx(1, abs=1e-3)


def test_heaviest_member_names_a_blend():
    members = [(16, 2, 0.3), (64, 4, 0.5), (16, 8, 0.2)]
    blend = Blend(
        variant="blend",
        members=tuple(BlendMember(run=f"batch {b}", epoch=e, weight=w) for b, e, w in members),
    )
    assert (blend.run, blend.epoch) == ("batch 64", 4)
    assert blend.runs == {"batch 16", "batch 64"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study whose only candidate is the blend."""
    settings = {**SETTINGS, "variants": ("blend",), "views": 1}
    return search(dataset(), out=tmp_path_factory.mktemp("blend") / "made", **settings)


def test_sweet_spot_of_blends_names_its_members(study):
    teacher = study.sweet_spot.teacher
    assert teacher.variant == "blend"
    recorded = {(r.run, r.epoch) for r in study.trajectories()}
    assert {(m.run, m.epoch) for m in teacher.members} <= recorded
    heaviest = max(teacher.members, key=lambda m: m.weight)
    assert (teacher.run, teacher.epoch) == (heaviest.run, heaviest.epoch)
    assert (
        study.sweet_spot.student.arm
        == Arm(source=teacher.source, recipe=study.sweet_spot.recipe).key
    )


def test_blend_is_measured_like_any_response(study):
    (record,) = read_findings(study.store).blends
    assert record.source == study.sweet_spot.teacher.source
    assert record.selection_accuracy == study.sweet_spot.teacher.selection_accuracy
    singles = [r.best_nll for r in study.trajectories()]
    assert record.best_nll < min(singles) + 0.02
    assert record.at("transfer", 4.0).similarity > 0


def test_rows_of_a_blends_students_say_so(study):
    rows = [row for row in study.students() if row.source == "blend"]
    assert rows
    assert {row.variant for row in rows} == {"blend"}


def test_test_accuracy_of_a_blend_is_that_of_its_members_mean(study):
    from goodteacher.engines import LocalEngine
    from goodteacher.studies.progress import Silent
    from goodteacher.studies.setting_up import prepare_context
    from goodteacher.sweet_spot.search import Search
    from goodteacher.training.evaluate import compute_logits

    context = prepare_context(study.config, study.folder, data=dataset(), progress=Silent())
    plan = Search(study.config, context, LocalEngine(context))
    test = context.data.test.open("a test")
    tasks = {task.run.name: task for task in plan.teachers.trajectories}
    mean = 0
    for m in study.sweet_spot.teacher.members:
        network = load_teacher(context, tasks[m.run], m.epoch).module
        examples = context.examples(study.config.teacher, test)
        mean = mean + m.weight * compute_logits(network, examples).softmax(-1)
    hits = (mean.argmax(1) == test.labels).double().mean()
    assert study.sweet_spot.teacher.test_accuracy == pytest.approx(float(hits))


def test_stored_response_of_a_blend_is_aligned_by_id(study):
    from goodteacher.studies.progress import Silent
    from goodteacher.studies.setting_up import prepare_context

    context = prepare_context(study.config, study.folder, data=dataset(), progress=Silent())
    keys = {
        f"batch {int(path.name.split('-')[1])}": path.name
        for path in study.folder.glob("teachers/batch-*")
    }
    source, transfer = study.sweet_spot.teacher.source, context.data.transfer
    order = torch.arange(len(transfer)).flip(0)
    teachers = RecordedTeachers(study.store, keys)
    forward = teachers.response(source, transfer)
    backward = teachers.response(source, transfer.subset(order))
    torch.testing.assert_close(backward, forward[order])
    single = source.checkpoint
    assert combined(single, lambda checkpoint: checkpoint) == single


def test_report_of_a_blend_shows_its_members_and_no_star(study):
    page = render(read_findings(study.store))
    assert "Variants of checkpoints" in page
    assert str(study.sweet_spot.teacher.source) in page
    assert "The sweet spot is a variant" in page


def test_study_of_a_blend_again_changes_nothing(study):
    settings = {**SETTINGS, "variants": ("blend",), "views": 1}
    before = study.sweet_spot
    assert search(dataset(), out=study.folder, **settings).sweet_spot == before


def test_blend_of_a_study_can_be_verified(tmp_path):
    from tests.made import arrays

    np.savez(tmp_path / "circle.npz", **arrays())
    settings = {**SETTINGS, "variants": ("average", "blend"), "student_epochs": 3, "seeds": 2}
    made = search(tmp_path / "circle.npz", out=tmp_path / "study", **settings)
    chosen = made.sweet_spot.teacher
    assert chosen.variant != "raw"
    verdict = verify(made.folder, seeds=3, smoothings=[0.1])
    assert verdict.teacher == str(chosen.source)
    assert len(verdict.ladder) == 5
    again = Study(made.folder)
    assert again.student()(dataset().test.inputs).shape == (120, 4)


def test_averages_compete_for_the_shortlist_and_a_blend_always_joins(tmp_path):
    settings = {**SETTINGS, "variants": ("raw", "average", "blend"), "student_epochs": 2}
    made = search(dataset(), out=tmp_path / "all", **settings)
    found = read_findings(made.store)
    listed = candidates(made.config, found.healthy, found.blends)
    kinds = [record.source for record in found.blends]
    assert [k.variant for k in kinds] == ["average"] * 4 + ["blend"]
    assert len(listed) == made.config.shortlist + 1
    assert listed[-1].source.variant == "blend"
    assert listed[:-1] == shortlist([*found.healthy, *found.blends[:-1]], made.config.shortlist)
    competed = {r.arm for r in made.students() if r.stage == "search" and r.rung == 0}
    for record in listed:
        arms = {Arm(source=record.source, recipe=recipe).key for recipe in made.config.recipes}
        assert arms <= competed
