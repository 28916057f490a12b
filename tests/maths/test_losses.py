"""The losses against slow float64 references, their limit cases and their stacks."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from torch.nn import functional as F

from goodteacher.errors import ConfigError, ResponseError
from goodteacher.maths._checks import UNLABELLED
from goodteacher.maths.losses import (
    TEACHER_TERMS,
    cross_entropy,
    distillation_loss,
    dkd,
    mixture,
    standardized,
    teacher_term,
)

NAMES = list(TEACHER_TERMS)


def batch(num_examples=7, num_classes=5, students=(), seed=0, dtype=torch.float64):
    """Students, teacher and labels drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_examples, num_classes)
    student = 2 * torch.randn(*students, *shape, generator=generator, dtype=torch.float64)
    teacher = 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)
    labels = torch.randint(num_classes, (num_examples,), generator=generator)
    return student.to(dtype), teacher.to(dtype), labels


# --- references: loops over examples, NumPy, float64 ---------------------------------------------


def kl_of(p, q):
    return sum(a * (np.log(a) - np.log(b)) for a, b in zip(p, q, strict=True) if a > 0)


def softened(logits, temperature):
    return np.exp(log_softmax(logits / temperature, axis=-1))


def reference_kl(student, teacher, labels, temperature):
    rows = zip(softened(teacher, temperature), softened(student, temperature), strict=True)
    return temperature**2 * np.mean([kl_of(p, q) for p, q in rows])


def reference_mse(student, teacher, labels, temperature):
    return np.mean((student - teacher) ** 2)


def reference_ttm(student, teacher, labels, temperature):
    rows = zip(softened(teacher, temperature), softened(student, 1.0), strict=True)
    return np.mean([kl_of(p, q) for p, q in rows])


def reference_dkd(student, teacher, labels, temperature):
    terms = []
    for p, q, y in zip(
        softened(teacher, temperature), softened(student, temperature), labels, strict=True
    ):
        target = kl_of([p[y], 1 - p[y]], [q[y], 1 - q[y]])
        other = kl_of(np.delete(p, y) / (1 - p[y]), np.delete(q, y) / (1 - q[y]))
        terms.append(target + 8 * other)
    return temperature**2 * np.mean(terms)


def reference_dist(student, teacher, labels, temperature):
    p, q = softened(teacher, temperature), softened(student, temperature)
    over_classes = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(p, q, strict=True)])
    over_batch = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(p.T, q.T, strict=True)])
    return temperature**2 * (2 - over_classes - over_batch)


REFERENCES = {
    "kl": reference_kl,
    "mse": reference_mse,
    "dkd": reference_dkd,
    "dist": reference_dist,
    "ttm": reference_ttm,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("temperature", [0.7, 1.0, 4.0])
def test_each_loss_equals_its_slow_reference(name, temperature):
    student, teacher, labels = batch(seed=1)
    reference = REFERENCES[name](student.numpy(), teacher.numpy(), labels.numpy(), temperature)
    labels_loss = -np.mean(log_softmax(student.numpy(), -1)[np.arange(7), labels.numpy()])
    loss = distillation_loss(
        student, teacher, labels, temperature=temperature, alpha=0.3, loss=name
    )
    assert loss.item() == pytest.approx(0.7 * labels_loss + 0.3 * reference, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_float32_agrees_with_float64(name):
    student, teacher, labels = batch(students=(3,), seed=2)
    settings = {"temperature": 3.0, "alpha": 0.6, "loss": name}
    exact = distillation_loss(student, teacher, labels, **settings)
    single = distillation_loss(student.float(), teacher.float(), labels, **settings)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    student, teacher, labels = batch(students=(2,), seed=3, dtype=dtype)
    half = distillation_loss(student, teacher, labels, temperature=2.0, alpha=0.5)
    single = distillation_loss(student.float(), teacher.float(), labels, temperature=2.0, alpha=0.5)
    assert torch.equal(half, single)


def test_a_float64_temperature_keeps_a_float32_loss_in_float32():
    student, teacher, labels = batch(students=(2,), dtype=torch.float32)
    per_student = torch.tensor([1.0, 2.0], dtype=torch.float64)
    loss = mixture(
        student,
        teacher,
        labels,
        temperature=per_student,
        alpha=per_student / 2,
        term=TEACHER_TERMS["kl"],
    )
    assert loss.dtype == torch.float32


# --- limit cases ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 20.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_examples", [1, 7, 128])
def test_alpha_zero_is_plain_cross_entropy_to_the_last_bit(name, temperature, dtype, num_examples):
    student, teacher, labels = batch(num_examples, 10, seed=4, dtype=dtype)
    student.requires_grad_()
    settings = {"temperature": temperature, "alpha": 0.0, "loss": name}
    loss = distillation_loss(student, teacher, labels, **settings)
    plain = F.cross_entropy(student, labels)
    assert torch.equal(loss, plain)
    (gradient,) = torch.autograd.grad(loss, student)
    (plain_gradient,) = torch.autograd.grad(plain, student)
    assert torch.equal(gradient, plain_gradient)


@pytest.mark.parametrize("name", NAMES)
def test_a_zero_in_a_tensor_of_alphas_is_plain_cross_entropy_to_the_last_bit(name):
    student, teacher, labels = batch(128, 10, students=(3,), seed=5, dtype=torch.float32)
    student.requires_grad_()
    alpha, temperature = torch.tensor([0.0, 0.5, 0.0]), torch.tensor([1.0, 4.0, 8.0])
    loss = distillation_loss(
        student, 50 * teacher, labels, temperature=temperature, alpha=alpha, loss=name
    )
    plain = cross_entropy(student, labels)
    assert torch.equal(loss[alpha == 0], plain[alpha == 0])
    assert loss[1] != plain[1]
    (gradient,) = torch.autograd.grad(loss.sum(), student)
    (expected,) = torch.autograd.grad(plain.sum(), student)
    for index in (0, 2):
        assert torch.equal(gradient[index], expected[index])
        # PyTorch's own, of one student: other shapes may be added up in another order.
        one = student[index].detach().requires_grad_()
        (alone,) = torch.autograd.grad(F.cross_entropy(one, labels), one)
        torch.testing.assert_close(gradient[index], alone, rtol=1e-5, atol=1e-8)


def test_a_one_hot_teacher_is_the_labels():
    student, _, labels = batch(seed=6)
    certain = 1e3 * F.one_hot(labels, 5).double()
    loss = distillation_loss(student, certain, labels, temperature=1.0, alpha=1.0)
    torch.testing.assert_close(loss, F.cross_entropy(student, labels), rtol=1e-12, atol=0.0)


def test_infinite_temperature_is_logit_matching():
    student, teacher, labels = batch(seed=7)
    student, teacher = student - student.mean(-1, True), teacher - teacher.mean(-1, True)
    hot = TEACHER_TERMS["kl"](student, teacher, labels, temperature=1e4)
    matching = TEACHER_TERMS["mse"](student, teacher, labels, temperature=1.0)
    torch.testing.assert_close(hot, matching / 2, rtol=1e-3, atol=0.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_student_equal_to_its_teacher_has_no_teacher_loss(name):
    _, teacher, labels = batch(seed=8)
    loss = distillation_loss(teacher, teacher, labels, temperature=1.0, alpha=1.0, loss=name)
    assert loss.item() == pytest.approx(0.0, abs=1e-12)


def test_ttm_is_kl_at_temperature_one_and_has_no_squared_temperature():
    student, teacher, labels = batch(seed=9)
    kl, ttm = TEACHER_TERMS["kl"], TEACHER_TERMS["ttm"]
    both = [term(student, teacher, labels, temperature=1.0) for term in (kl, ttm)]
    torch.testing.assert_close(*both, rtol=1e-14, atol=0.0)
    softened_by_hand = kl(student, teacher / 4, labels, temperature=1.0)
    torch.testing.assert_close(
        ttm(student, teacher, labels, temperature=4.0), softened_by_hand, rtol=1e-14, atol=0.0
    )


def test_dkd_with_the_teachers_mass_as_weight_is_kl():
    student, teacher, labels = batch(num_examples=1, seed=10)
    mass = 1 - torch.softmax(teacher / 2, -1)[0, labels[0]].item()
    term = functools.partial(dkd, other_weight=mass)
    expected = TEACHER_TERMS["kl"](student, teacher, labels, temperature=2.0)
    torch.testing.assert_close(term(student, teacher, labels, temperature=2.0), expected)


def test_dkd_stays_finite_for_a_saturated_teacher():
    student, _, labels = batch(seed=11, dtype=torch.float32)
    student.requires_grad_()
    certain = 500.0 * F.one_hot(labels, 5)
    loss = dkd(student, certain, labels, temperature=1.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()


def test_dist_ignores_shift_and_scale_of_the_students_probabilities():
    _, teacher, labels = batch(seed=12)
    probs = torch.softmax(teacher, -1)
    shrunk = (0.5 * probs + 0.5 / 5).log()
    loss = TEACHER_TERMS["dist"](shrunk, teacher, labels, temperature=1.0)
    assert loss.item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("standardize", [False, True])
def test_constant_logits_have_finite_loss_and_gradient(name, standardize):
    student = torch.zeros(4, 3, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 0])
    for teacher in (torch.zeros(4, 3), torch.randn(4, 3)):
        loss = distillation_loss(
            student, teacher, labels, temperature=2.0, alpha=1.0, loss=name, standardize=standardize
        )
        (gradient,) = torch.autograd.grad(loss, student)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


# --- standardisation -----------------------------------------------------------------------------


def test_standardized_logits_are_z_scores():
    logits = batch(students=(2,), seed=13)[0]
    numpy = logits.numpy()
    expected = (numpy - numpy.mean(-1, keepdims=True)) / numpy.std(-1, keepdims=True)
    np.testing.assert_allclose(standardized(logits).numpy(), expected, rtol=1e-10)


def test_constant_half_precision_logits_are_standardized_to_zero():
    assert not standardized(torch.ones(2, 3, dtype=torch.float16)).any()


@pytest.mark.parametrize("name", NAMES)
def test_standardize_touches_the_teacher_term_only(name):
    student, teacher, labels = batch(seed=14)
    settings = {"temperature": 2.0, "loss": name}
    loss = distillation_loss(student, teacher, labels, alpha=0.4, standardize=True, **settings)
    term = TEACHER_TERMS[name](
        standardized(student), standardized(teacher), labels, temperature=2.0
    )
    expected = 0.6 * F.cross_entropy(student, labels) + 0.4 * term
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0.0)
    scaled = distillation_loss(
        student, 5 * teacher + 3, labels, alpha=0.4, standardize=True, **settings
    )
    torch.testing.assert_close(scaled, loss, rtol=1e-10, atol=0.0)


# --- stacks of students --------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("standardize", [False, True])
def test_a_stack_of_students_equals_one_at_a_time(name, standardize):
    student, teacher, labels = batch(students=(2, 3), seed=15)
    labels[2] = UNLABELLED
    temperature = torch.tensor([[1.0, 2.0, 4.0], [8.0, 0.5, 3.0]], dtype=torch.float64)
    alpha = torch.tensor([[0.0, 0.5, 1.0], [0.9, 0.1, 0.3]], dtype=torch.float64)
    options = {"loss": name, "standardize": standardize}
    stacked = distillation_loss(
        student, teacher, labels, temperature=temperature, alpha=alpha, **options
    )
    for index in np.ndindex(2, 3):
        alone = distillation_loss(
            student[index],
            teacher,
            labels,
            temperature=temperature[index].item(),
            alpha=alpha[index].item(),
            **options,
        )
        torch.testing.assert_close(stacked[index], alone, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_students_of_a_stack_do_not_influence_each_other(name):
    student, teacher, labels = batch(students=(3,), seed=16)
    student.requires_grad_()
    settings = {"temperature": torch.tensor([1.0, 2.0, 4.0]), "alpha": 0.5, "loss": name}
    loss = distillation_loss(student, teacher, labels, **settings)
    (gradient,) = torch.autograd.grad(loss[1], student)
    assert gradient[1].abs().sum() > 0
    assert not gradient[[0, 2]].any()
    disturbed = student.detach().clone()
    disturbed[0] = 1e3
    assert torch.equal(distillation_loss(disturbed, teacher, labels, **settings)[1:], loss[1:])


@pytest.mark.parametrize("name", NAMES)
def test_each_student_may_have_its_own_teacher(name):
    student, _, labels = batch(students=(3,), seed=17)
    teachers = batch(students=(3,), seed=18)[0]
    own = distillation_loss(student, teachers, labels, temperature=2.0, alpha=0.5, loss=name)
    alone = [
        distillation_loss(s, t, labels, temperature=2.0, alpha=0.5, loss=name)
        for s, t in zip(student, teachers, strict=True)
    ]
    torch.testing.assert_close(own, torch.stack(alone), rtol=1e-12, atol=0.0)


# --- unlabelled examples -------------------------------------------------------------------------


@pytest.mark.parametrize("students", [(), (2,)])
def test_labels_term_is_the_mean_over_the_labelled_and_teacher_term_over_all(students):
    student, teacher, labels = batch(num_examples=4, students=students, seed=19)
    partly = torch.where(torch.arange(4) < 2, labels, UNLABELLED)
    log_probs = torch.log_softmax(student, -1)
    expected = -(log_probs[..., 0, labels[0]] + log_probs[..., 1, labels[1]]) / 2
    torch.testing.assert_close(cross_entropy(student, partly), expected, rtol=1e-12, atol=0.0)
    full = distillation_loss(student, teacher, partly, temperature=2.0, alpha=1.0)
    labelled = distillation_loss(student, teacher, labels, temperature=2.0, alpha=1.0)
    assert torch.equal(full, labelled)


@pytest.mark.parametrize("students", [(), (2,)])
def test_batch_without_a_label_has_no_labels_term_and_a_finite_gradient(students):
    student, teacher, labels = batch(students=students, seed=19)
    student.requires_grad_()
    none = torch.full_like(labels, UNLABELLED)
    loss = distillation_loss(student, teacher, none, temperature=1.0, alpha=0.0)
    loss.sum().backward()
    assert not loss.any()
    assert not student.grad.any()


def test_dkd_takes_the_teachers_class_for_an_unlabelled_example():
    student, teacher, labels = batch(seed=20)
    predicted = teacher.argmax(-1)
    assert not torch.equal(predicted, labels)
    unlabelled = torch.full_like(labels, UNLABELLED)
    of_predicted = dkd(student, teacher, predicted, temperature=2.0)
    assert torch.equal(dkd(student, teacher, unlabelled, temperature=2.0), of_predicted)
    assert dkd(student, teacher, labels, temperature=2.0) != of_predicted


# --- gradients and compilation -------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("standardize", [False, True])
def test_gradients_agree_with_finite_differences(name, standardize):
    student, teacher, labels = batch(4, 3, students=(2,), seed=21)
    labels[0] = UNLABELLED
    temperature = torch.tensor([1.5, 4.0], dtype=torch.float64)

    def loss(logits):
        return distillation_loss(
            logits,
            teacher,
            labels,
            temperature=temperature,
            alpha=0.7,
            loss=name,
            standardize=standardize,
        )

    assert torch.autograd.gradcheck(loss, student.requires_grad_())


def test_the_gradient_of_kl_is_the_difference_of_probabilities():
    student, teacher, labels = batch(seed=22)
    student.requires_grad_()
    distillation_loss(student, teacher, labels, temperature=3.0, alpha=0.25).backward()
    with torch.no_grad():
        labels_part = torch.softmax(student, -1) - F.one_hot(labels, 5)
        teacher_part = 3 * (torch.softmax(student / 3, -1) - torch.softmax(teacher / 3, -1))
        expected = (0.75 * labels_part + 0.25 * teacher_part) / 7
    torch.testing.assert_close(student.grad, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_the_teacher_gets_no_gradient(name):
    student, teacher, labels = batch(seed=23)
    student.requires_grad_()
    teacher.requires_grad_()
    distillation_loss(student, teacher, labels, temperature=2.0, alpha=0.5, loss=name).backward()
    assert student.grad is not None
    assert teacher.grad is None


@pytest.mark.parametrize("name", NAMES)
def test_a_compiled_loss_is_one_graph_with_the_same_result(name):
    student, teacher, labels = batch(students=(3,), seed=24, dtype=torch.float32)
    options = {"temperature": torch.tensor([1.0, 2.0, 4.0]), "alpha": torch.tensor([0.0, 0.5, 1.0])}
    eager = functools.partial(distillation_loss, **options, loss=name)
    torch._dynamo.reset()  # what other tests compiled makes it guess at shapes
    compiled = torch.compile(eager, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(
        compiled(student, teacher, labels), eager(student, teacher, labels), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("standardize", [False, True])
def test_no_loss_looks_at_a_value(name, standardize):
    # Tensors on the meta device have no values: whatever reads one, and so would wait for a GPU,
    # raises.
    student, teacher, labels = (part.to("meta") for part in batch(students=(3,), seed=25))
    setting = torch.ones(3, device="meta")
    loss = distillation_loss(
        student,
        teacher,
        labels,
        temperature=setting,
        alpha=setting,
        loss=name,
        standardize=standardize,
    )
    assert loss.shape == (3,)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    num_classes=st.integers(2, 12),
    temperature=st.floats(0.1, 50),
    scale=st.floats(0.0, 300),
)
def test_kl_is_finite_and_not_negative(seed, num_classes, temperature, scale):
    student, teacher, labels = batch(3, num_classes, seed=seed)
    loss = distillation_loss(
        scale * student, scale * teacher, labels, temperature=temperature, alpha=1.0
    ).item()
    assert np.isfinite(loss)
    assert loss >= -1e-9 * max(1.0, temperature**2)


# --- bad input -----------------------------------------------------------------------------------


def call(student=(4, 3), teacher=(4, 3), labels=None, **settings):
    labels = torch.zeros(4, dtype=torch.int64) if labels is None else labels
    arguments = {"temperature": 1.0, "alpha": 0.5, **settings}
    return distillation_loss(torch.zeros(student), torch.zeros(teacher), labels, **arguments)


@pytest.mark.parametrize(
    ("student", "teacher", "message"),
    [
        ((4, 3), (4, 100), r"equal shape, but got \[4, 3\] and \[4, 100\].*another label set\?"),
        ((4, 3), (5, 3), r"equal shape.*same batch\?"),
        ((4, 3), (2, 4, 3), r"equal shape.*leading axes"),
        ((2, 4, 3), (3, 4, 3), r"equal shape.*leading axes"),
        ((4, 1), (4, 1), r"C >= 2, but got \[4, 1\]"),
        ((0, 3), (0, 3), r"N >= 1 .*\[0, 3\].*batch empty"),
        ((3,), (3,), r"shape \[\.\.\., N, C\]"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(student, teacher, message):
    with pytest.raises(ResponseError, match=message):
        call(student, teacher)


@pytest.mark.parametrize(
    "labels",
    [torch.zeros(3, dtype=torch.int64), torch.zeros(4), torch.zeros(4, dtype=torch.int32)],
)
def test_labels_of_another_shape_or_type_are_refused(labels):
    with pytest.raises(ResponseError, match=r"labels must be int64 of shape \[4\], but got"):
        call(labels=labels)


def test_integer_logits_are_refused():
    labels = torch.zeros(4, dtype=torch.int64)
    whole = torch.zeros(4, 3, dtype=torch.int64)
    with pytest.raises(ResponseError, match=r"must be floating point, but got torch\.int64"):
        distillation_loss(whole, whole, labels, temperature=1.0, alpha=0.5)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_not_positive_and_finite_is_refused(temperature):
    with pytest.raises(ConfigError, match="temperature must be positive and finite, but got"):
        call(temperature=temperature)


@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan")])
def test_an_alpha_outside_the_unit_interval_is_refused(alpha):
    with pytest.raises(ConfigError, match=r"alpha must be in 0\.\.1, but got"):
        call(alpha=alpha)


@pytest.mark.parametrize("name", ["temperature", "alpha"])
def test_settings_for_another_number_of_students_are_refused(name):
    with pytest.raises(ConfigError, match=rf"{name} must be .* shape \[2\].* but got shape \[3\]"):
        call(student=(2, 4, 3), **{name: torch.ones(3)})
    with pytest.raises(ConfigError, match=rf"{name} must be .* shape \[\].* but got shape \[4\]"):
        call(**{name: torch.ones(4)})


def test_an_unknown_loss_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="one of kl, mse, dkd, dist, ttm, but got 'crd'"):
        teacher_term("crd")
    with pytest.raises(ConfigError, match="one of kl, mse, dkd, dist, ttm"):
        call(loss="crd")


def test_the_table_of_losses_cannot_be_changed_by_accident():
    with pytest.raises(TypeError, match="does not support item assignment"):
        TEACHER_TERMS["kl"] = dkd


# --- classes of probability 0 --------------------------------------------------------------------


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_minus_infinity_in_the_teacher_keeps_loss_and_gradient_finite(name, standardize):
    student, teacher, labels = batch(seed=4)
    teacher[:, 1] = -torch.inf
    teacher[0] = torch.full((5,), -torch.inf).index_fill(0, labels[:1], 2.0)
    teacher[1, labels[1]] = -torch.inf
    student.requires_grad_()
    loss = distillation_loss(
        student, teacher, labels, temperature=3.0, alpha=1.0, loss=name, standardize=standardize
    )
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize("name", ["kl", "ttm", "dist"])
def test_minus_infinity_is_the_limit_of_ever_lower_logits(name):
    student, teacher, labels = batch(seed=5)
    teacher[:, 2] = -torch.inf
    settings_of = {"temperature": 4.0, "alpha": 1.0, "loss": name}
    found = distillation_loss(student, teacher, labels, **settings_of)
    deep = distillation_loss(student, teacher.clamp_min(-1e4), labels, **settings_of)
    torch.testing.assert_close(found, deep)


def test_mse_and_standardized_logits_leave_classes_without_a_logit_out():
    student, teacher, labels = batch(seed=6)
    known = [0, 1, 3, 4]
    struck = teacher.clone()
    struck[:, 2] = -torch.inf
    found = distillation_loss(student, struck, labels, temperature=1.0, alpha=1.0, loss="mse")
    rest = (student - teacher)[:, known].square().mean()
    torch.testing.assert_close(found, rest)
    torch.testing.assert_close(standardized(struck)[:, known], standardized(teacher[:, known]))
