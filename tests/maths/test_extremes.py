"""Numbers at the ends of what is allowed: temperatures, logits, classes, precisions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goodteacher.errors import ResponseError
from goodteacher.maths._checks import check_response
from goodteacher.maths._off_class import off_class
from goodteacher.maths._stacked import divergence
from goodteacher.maths.calibration import (
    best_temperature,
    calibrated_nll,
    calibration,
    negative_log_likelihood,
    optimal_temperature,
)
from goodteacher.maths.losses import TEACHER_TERMS, dkd, kl, standardized, teacher_term
from goodteacher.maths.similarity import (
    conditional_mutual_information,
    mean_entropy,
    similarity_information,
    wrong_class_variance,
)
from goodteacher.maths.targets import FALSIFICATION, LADDER, logits_of
from goodteacher.training.evaluate import most_probable

NAMES = list(TEACHER_TERMS)
TEMPERATURES = [1e-3, 0.1, 1.0, 100.0, 1e4]


def batch(num_classes, *, num_examples=16, scale=1.0, seed=0):
    """Students, teacher and labels in float64, all of them representable in float32."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_examples, num_classes)
    student, teacher = (
        (size * scale * torch.randn(shape, generator=generator)).double() for size in (2, 3)
    )
    return student, teacher, torch.randint(num_classes, (num_examples,), generator=generator)


# --- losses in float32 ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_student_with_a_logit_that_is_not_finite_leaves_the_others_alone(name, value):
    students = torch.stack([batch(5, seed=seed)[0] for seed in range(3)]).float()
    _, teacher, labels = batch(5)
    term = teacher_term(name)
    alone = term(students, teacher.float(), labels, temperature=4.0)
    students[1, 2, 3] = value
    found = term(students, teacher.float(), labels, temperature=4.0)
    assert torch.equal(found[[0, 2]], alone[[0, 2]])
    assert found[1] != alone[1]
    if name != "dist" or value != -math.inf:  # it correlates probabilities, and 0 is one
        assert not torch.isfinite(found[1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_classes", [2, 10, 1000, 20_000])
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_single_precision_keeps_the_value_of_a_loss(name, num_classes, temperature, scale):
    student, teacher, labels = batch(num_classes, num_examples=8, scale=scale)
    term = teacher_term(name)
    exact = term(student, teacher, labels, temperature=temperature)
    single = term(student.float(), teacher.float(), labels, temperature=temperature)
    # T^2 times the divergence of nearly equal distributions is what is hard: at T = 1e4 they differ
    # by parts in ten thousand. Added up one sum after the other, two classes are off by 90 %.
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("name", ["kl", "dkd"])
def test_a_tensor_of_temperatures_gives_the_values_of_numbers_up_to_what_is_said(name):
    student, teacher, labels = batch(10)
    temperatures = torch.tensor([1.0, 15.0, 40.0, 1e3])
    term = teacher_term(name)
    stack = student.float().expand(4, -1, -1)
    together = term(stack, teacher.float(), labels, temperature=temperatures)
    for value, temperature in zip(together.double(), temperatures.tolist(), strict=True):
        exact = term(student, teacher, labels, temperature=temperature)
        allowed = (40e-9 if name == "dkd" else 5e-9) * temperature**2
        torch.testing.assert_close(value, exact, rtol=1e-4, atol=1e-7 + allowed)


@pytest.mark.parametrize("exact", [False, True])
def test_a_divergence_of_what_one_side_excludes_is_that_of_float64(exact):
    """Gaps of hundreds of nats in either direction, and probabilities of 0."""
    teacher = torch.tensor([[0.0, -torch.inf, -200.0], [0.0, 0.0, -300.0], [-1.0, -torch.inf, 0.0]])
    student = torch.tensor([[-300.0, 0.0, 0.0], [0.0, -50.0, 0.0], [0.0, 90.0, 2.0]])
    p, q = teacher.log_softmax(1), student.log_softmax(1)
    found = divergence(p, q, exact=exact)
    torch.testing.assert_close(
        found.double(), divergence(p.double(), q.double()), rtol=1e-6, atol=0
    )


def test_gradients_of_the_exact_divergence_are_those_of_the_quick_one():
    student, teacher, _ = batch(6)
    p, gradients = teacher.log_softmax(1), []
    for exact in (False, True):
        one = student.clone().requires_grad_()
        found = divergence(p, one.log_softmax(1), exact=exact).sum()
        gradients.append(torch.autograd.grad(found, one)[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_classes", [2, 10, 1000])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_single_precision_keeps_the_gradient_of_a_loss(name, num_classes, temperature):
    student, teacher, labels = batch(num_classes)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        one = student.to(dtype).requires_grad_()
        loss = teacher_term(name)(one, teacher.to(dtype), labels, temperature=temperature)
        gradients.append(torch.autograd.grad(loss, one)[0].double())
    single, exact = gradients
    assert (single - exact).norm() <= 0.01 * exact.norm() + 1e-7


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1e3, 1e4, 1e6])
@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e4])
def test_huge_logits_keep_loss_and_gradient_finite(name, scale, temperature):
    student, teacher, labels = batch(7, scale=scale)
    student = student.float().requires_grad_()
    loss = teacher_term(name)(student, teacher.float(), labels, temperature=temperature)
    (gradient,) = torch.autograd.grad(loss, student)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()
    exact = teacher_term(name)(student.detach().double(), teacher, labels, temperature=temperature)
    torch.testing.assert_close(loss.double(), exact, rtol=1e-3, atol=1e-6)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1000),
    num_classes=st.sampled_from([2, 3, 10, 300]),
    exponent=st.floats(-3, 4),
    distance=st.floats(0, 3),
)
def test_kl_in_single_precision_is_not_negative_but_for_rounding(
    seed, num_classes, exponent, distance
):
    temperature = 10**exponent
    _, teacher, labels = batch(num_classes, seed=seed)
    student = teacher + 10**-distance * batch(num_classes, seed=seed + 1)[0]
    loss = kl(student.float(), teacher.float(), labels, temperature=temperature).item()
    assert loss >= -2e-8 * max(1.0, temperature) ** 2


@pytest.mark.parametrize("name", ["kl", "mse", "dkd"])
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_student_equal_to_its_teacher_has_exactly_no_loss(name, temperature, dtype):
    _, teacher, labels = batch(100)
    same = teacher.to(dtype)
    assert teacher_term(name)(same, same, labels, temperature=temperature).item() == 0.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_classes", [2, 9])
def test_equal_logits_of_student_and_teacher_cost_nothing_but_correlation(name, num_classes):
    flat = torch.zeros(3, num_classes)
    loss = teacher_term(name)(flat, flat + 5, torch.tensor([0, 1, 1]), temperature=2.0)
    # Constant vectors correlate with nothing: 1 - 0 over classes and over the batch, times T^2.
    expected = {"dist": 8.0, "mse": 25.0}.get(name, 0.0)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_dkd_of_a_teacher_that_knows_one_class_alone_is_its_target_term():
    """The other classes have no probability: there is no distribution over them to match."""
    student, _, labels = batch(5)
    alone = torch.full_like(student, -torch.inf).scatter(1, labels.unsqueeze(1), 3.0)
    cross_entropy = torch.nn.functional.cross_entropy(student, labels)
    torch.testing.assert_close(dkd(student, alone, labels, temperature=1.0), cross_entropy)


def test_dkd_of_one_certain_teacher_among_others_weighs_only_the_others():
    student, teacher, labels = batch(5, num_examples=2)
    certain = teacher.clone()
    certain[0] = torch.full((5,), -torch.inf).index_fill(0, labels[:1], 0.0)
    both = dkd(student, certain, labels, temperature=2.0)
    apart = [
        dkd(student[i : i + 1], certain[i : i + 1], labels[i : i + 1], temperature=2.0)
        for i in (0, 1)
    ]
    torch.testing.assert_close(both, (apart[0] + apart[1]) / 2)


# --- what must not matter ------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_another_order_of_classes_and_examples_gives_the_same_loss(name, dtype):
    student, teacher, labels = batch(6)
    student, teacher = student.to(dtype), teacher.to(dtype)
    generator = torch.Generator().manual_seed(3)
    classes = torch.randperm(6, generator=generator)
    rows = torch.randperm(len(labels), generator=generator)
    term = teacher_term(name)
    moved = term(
        student[rows][:, classes],
        teacher[rows][:, classes],
        classes.argsort()[labels[rows]],
        temperature=3.0,
    )
    torch.testing.assert_close(moved, term(student, teacher, labels, temperature=3.0))


@pytest.mark.parametrize("name", ["kl", "dkd", "dist", "ttm"])
def test_a_constant_added_to_an_examples_logits_changes_nothing(name):
    student, teacher, labels = batch(6)
    shifts = torch.linspace(-1e3, 1e3, len(labels)).double().unsqueeze(1)
    term = teacher_term(name)
    torch.testing.assert_close(
        term(student + shifts, teacher - 2 * shifts, labels, temperature=2.0),
        term(student, teacher, labels, temperature=2.0),
        rtol=1e-8,
        atol=1e-9,
    )


@pytest.mark.parametrize("name", ["kl", "dkd", "dist"])
@pytest.mark.parametrize("factor", [1e-3, 7.0, 1e5])
def test_logits_and_temperature_in_another_unit_scale_the_loss_by_its_square(name, factor):
    student, teacher, labels = batch(6)
    term = teacher_term(name)
    scaled = term(factor * student, factor * teacher, labels, temperature=factor * 2.0)
    plain = term(student, teacher, labels, temperature=2.0)
    torch.testing.assert_close(scaled, factor**2 * plain, rtol=1e-9, atol=0.0)


@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e4), shift=st.floats(-1e3, 1e3, width=32))
def test_standardized_logits_forget_shift_and_scale(seed, scale, shift):
    logits = batch(5, seed=seed)[0]
    torch.testing.assert_close(
        standardized(scale * logits + shift), standardized(logits), rtol=1e-6, atol=1e-6
    )


# --- precision of what comes in ------------------------------------------------------------------


def test_logits_that_overflow_half_precision_are_refused_with_the_likely_cause():
    logits = torch.tensor([[7e4, 0.0], [1.0, 0.0]])
    check_response(logits, torch.tensor([0, 1]))
    with pytest.raises(ResponseError, match=r"1 of 2 rows contain NaN or infinity.*run in float16"):
        check_response(logits.half(), torch.tensor([0, 1]))


@pytest.mark.parametrize("num_classes", [2, 32_768, 40_000, 70_000])
def test_predictions_name_every_class_however_many_there_are(num_classes):
    last = torch.zeros(2, 1, num_classes)
    last[..., -1] = 1.0
    assert most_probable(last).tolist() == [[num_classes - 1]] * 2


def test_the_first_of_equally_probable_classes_is_predicted():
    assert most_probable(torch.tensor([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0]])).tolist() == [1, 0]


# --- a response taken apart ----------------------------------------------------------------------


def wide_parts(logits, labels, temperature):
    """Confidence, mass and q by their definitions, in the widest float there is."""
    scaled = logits.numpy().astype(np.longdouble) / temperature
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    probs = powers / powers.sum(-1, keepdims=True)
    on = np.arange(logits.shape[1]) == labels.numpy()[:, None]
    mass = np.where(on, 0, probs).sum(-1)
    q = np.where(on, 0, probs) / mass[:, None]
    return probs[on], mass, q


@pytest.mark.parametrize("num_classes", [2, 3, 2000])
@pytest.mark.parametrize(
    ("scale", "temperature"), [(1e-3, 1.0), (1.0, 1e4), (1e3, 1e3), (100.0, 1.0), (1e4, 50.0)]
)
def test_parts_of_a_response_equal_their_definitions(num_classes, scale, temperature):
    _, logits, labels = batch(num_classes, scale=scale)
    parts = off_class(logits, labels, temperature=temperature)
    confidence, mass, q = wide_parts(logits, labels, temperature)
    for found, wanted in ((parts.confidence, confidence), (parts.mass, mass), (parts.q, q)):
        np.testing.assert_allclose(found.numpy(), wanted.astype(float), rtol=1e-8, atol=1e-290)
    torch.testing.assert_close(parts.confidence + parts.mass, torch.ones(16, dtype=torch.float64))


@pytest.mark.parametrize("num_classes", [2, 3, 50])
def test_a_class_of_one_example_has_that_examples_similarity(num_classes):
    _, logits, _ = batch(num_classes, num_examples=num_classes)
    labels = torch.arange(num_classes)
    found = similarity_information(logits, labels)
    torch.testing.assert_close(found.matrix, off_class(logits, labels).q)
    assert found.instance_part == pytest.approx(0.0, abs=1e-12)
    assert found.class_part == pytest.approx(found.total, rel=1e-9, abs=1e-15)
    assert conditional_mutual_information(logits, labels) == pytest.approx(0.0, abs=1e-12)


SCORES = {
    "similarity": lambda *given, **t: similarity_information(*given, **t).total,
    "class part": lambda *given, **t: similarity_information(*given, **t).class_part,
    "mutual information": conditional_mutual_information,
    "variance": wrong_class_variance,
    "entropy": mean_entropy,
    "nll": negative_log_likelihood,
    "brier": lambda *given, **t: calibration(*given, **t).brier,
    "ace": lambda *given, **t: calibration(*given, **t).ace,
}


@pytest.mark.parametrize("name", SCORES)
def test_scores_of_a_response_do_not_depend_on_the_order_of_classes_or_examples(name):
    _, logits, labels = batch(6, num_examples=60)
    generator = torch.Generator().manual_seed(1)
    classes, rows = torch.randperm(6, generator=generator), torch.randperm(60, generator=generator)
    score = SCORES[name]
    moved = score(logits[rows][:, classes], classes.argsort()[labels[rows]], temperature=2.0)
    assert moved == pytest.approx(score(logits, labels, temperature=2.0), rel=1e-9)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("scale", [1e-8, 1e4, 1e8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_of_a_response_are_finite_at_any_scale(name, scale, dtype):
    _, logits, labels = batch(9, scale=scale)
    for temperature in (1e-3, 1e4):
        found = SCORES[name](logits.to(dtype), labels, temperature=temperature)
        assert math.isfinite(found)
        assert found >= -1e-12


@pytest.mark.parametrize("name", LADDER)
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize("num_classes", [2, 5, 1000])
def test_every_rung_is_a_distribution_at_any_scale(name, scale, num_classes):
    _, logits, labels = batch(num_classes, scale=scale)
    target = LADDER[name](logits, labels, temperature=3.0)
    assert (target >= 0).all()
    torch.testing.assert_close(target.sum(-1), torch.ones(16, dtype=torch.float64))
    assert torch.isfinite(logits_of(target)).all()


@pytest.mark.parametrize("name", FALSIFICATION)
@pytest.mark.parametrize("scale", [0.0, 1e6])
def test_every_falsified_target_is_a_distribution_at_any_scale(name, scale):
    _, logits, labels = batch(5, scale=scale)
    target = FALSIFICATION[name](logits, labels, temperature=3.0, seed=0)
    assert (target >= 0).all()
    torch.testing.assert_close(target.sum(-1), torch.ones(16, dtype=torch.float64))


@pytest.mark.parametrize("name", LADDER)
def test_targets_of_permuted_classes_are_the_permuted_targets(name):
    _, logits, labels = batch(6)
    classes = torch.tensor([4, 0, 5, 1, 3, 2])
    moved = LADDER[name](logits[:, classes], classes.argsort()[labels])
    torch.testing.assert_close(moved, LADDER[name](logits, labels)[:, classes])


def test_a_single_response_is_measured_like_any_other():
    logits, labels = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([1])
    found = similarity_information(logits, labels)
    assert found.total == pytest.approx(found.class_part)
    assert 0 < found.off_class_mass < 1
    assert math.isfinite(negative_log_likelihood(logits, labels))


# --- the best temperature ------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1000),
    num_classes=st.integers(2, 12),
    num_examples=st.integers(1, 40),
    exponent=st.integers(-12, 12),
)
def test_no_neighbour_of_the_best_temperature_is_better(seed, num_classes, num_examples, exponent):
    _, logits, labels = batch(
        num_classes, num_examples=num_examples, scale=10.0**exponent, seed=seed
    )
    best = best_temperature(logits, labels)
    assert best.value > 0
    nll = negative_log_likelihood(logits, labels, temperature=best.value)
    for factor in (0.9, 0.99, 1.01, 1.1, 10.0):
        other = negative_log_likelihood(logits, labels, temperature=factor * best.value)
        # A limit lies beyond every temperature, but hardly any lower.
        assert nll <= other + (1e-2 if best.limit else 1e-9)


@settings(max_examples=40)
@given(st.floats(-3, 3), st.floats(-1e4, 1e4))
def test_the_best_temperature_follows_the_scale_and_ignores_a_shift(exponent, shift):
    _, logits, labels = batch(4, num_examples=80, seed=5)
    labels[: len(labels) // 2] = logits[: len(labels) // 2].argmax(-1)
    moved = optimal_temperature(10**exponent * logits + shift, labels)
    assert moved == pytest.approx(10**exponent * optimal_temperature(logits, labels), rel=1e-4)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("num_classes", [2, 10])
def test_calibrated_nll_is_the_nll_at_the_best_temperature(scale, num_classes):
    _, logits, labels = batch(num_classes, num_examples=300)
    labels[:200] = logits[:200].argmax(-1)
    expected = negative_log_likelihood(
        logits, labels, temperature=optimal_temperature(logits, labels)
    )
    stack = torch.stack([scale * logits, 3 * scale * logits + 1]).float()
    assert calibrated_nll(stack, labels).tolist() == pytest.approx([expected] * 2, rel=1e-3)


def test_calibrated_nll_of_a_broken_network_is_nan_and_leaves_the_others_alone():
    _, logits, labels = batch(4, num_examples=50)
    broken = logits.clone()
    broken[0, 0] = torch.nan
    found = calibrated_nll(torch.stack([logits, broken]).float(), labels)
    alone = calibrated_nll(logits[None].float(), labels)
    assert found[0] == alone[0]
    assert torch.isnan(found[1])


def test_calibrated_nll_of_perfect_and_of_empty_responses_is_their_limit():
    labels = torch.arange(5)
    right = torch.eye(5)[None]
    assert calibrated_nll(right, labels).item() < 1e-3
    flat = calibrated_nll(torch.zeros(1, 5, 5), labels).item()
    assert flat == pytest.approx(math.log(5), rel=1e-5)
