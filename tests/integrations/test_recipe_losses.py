"""Each translation is the other tool's loss, as it documents it, up to the factor it states."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goodteacher import distillation_loss, import_recipe
from tests.integrations import peers_losses as peers

WEIGHTS = st.floats(0.01, 20)
SHARES = st.floats(0.01, 0.99)
TEMPERATURES = st.floats(0.5, 20)
SEEDS = st.integers(0, 2**16)

TRIES = settings(max_examples=25)
pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")


def batch(seed, examples=6, classes=5):
    """Logits of student and teacher and labels, in float64."""
    draw = torch.Generator().manual_seed(seed)
    student, teacher = (
        3 * torch.randn(examples, classes, generator=draw, dtype=torch.float64) for _ in range(2)
    )
    return student, teacher, torch.randint(classes, (examples,), generator=draw)


def value_and_gradient(loss, student):
    leaf = student.clone().requires_grad_()
    value = loss(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach().double(), gradient


def assert_same(imported, loss, seed, *, exact=True, constant=False, rtol=2e-6, atol=1e-9, **shape):
    """Their value and gradient are ours times the factor that the translation states."""
    student, teacher, labels = batch(seed, **shape)
    assert imported.exact is exact
    recipe = imported.recipe
    theirs, their_gradient = value_and_gradient(lambda x: loss(x, teacher, labels), student)
    ours, our_gradient = value_and_gradient(
        lambda x: distillation_loss(
            x,
            teacher,
            labels,
            temperature=recipe.temperature,
            alpha=recipe.alpha,
            loss=recipe.loss,
            standardize=recipe.standardize,
        ),
        student,
    )
    scale = imported.loss_scale
    torch.testing.assert_close(their_gradient, scale * our_gradient, rtol=rtol, atol=atol)
    if not constant:
        torch.testing.assert_close(theirs, scale * ours, rtol=rtol, atol=atol)


def criterion(key, **kwargs):
    return {"key": key, "kwargs": kwargs}


def torchdistill(*terms, classes=5, batch_size=6):
    """A configuration with a weighted sum of terms: (weight, criterion)."""
    sub_terms = {
        f"term{n}": {"criterion": one, "weight": weight} for n, (weight, one) in enumerate(terms)
    }
    return {
        "models": {"student_model": {"key": "resnet20", "kwargs": {"num_classes": classes}}},
        "train": {
            "train_data_loader": {"batch_size": batch_size},
            "criterion": criterion("WeightedSumLoss", sub_terms=sub_terms),
        },
    }


@TRIES
@given(TEMPERATURES, SHARES, WEIGHTS, st.sampled_from(["batchmean", "mean", "sum"]), SEEDS)
def test_torchdistill_kd_in_every_reduction(temperature, alpha, weight, reduction, seed):
    own = {"temperature": temperature, "alpha": alpha, "reduction": reduction}
    imported = import_recipe(torchdistill((weight, criterion("KDLoss", **own))))
    assert_same(imported, lambda *x: weight * peers.torchdistill_kd(*x, **own), seed)


@TRIES
@given(TEMPERATURES, WEIGHTS, WEIGHTS, SEEDS)
def test_torchdistill_kd_with_beta_rescales_the_loss(temperature, alpha, beta, seed):
    own = {"temperature": temperature, "alpha": alpha, "beta": beta, "reduction": "batchmean"}
    imported = import_recipe(torchdistill((1.0, criterion("KDLoss", **own))))
    assert imported.loss_scale == pytest.approx(alpha + beta)
    assert_same(imported, lambda *x: peers.torchdistill_kd(*x, **own), seed)


@TRIES
@given(TEMPERATURES, SEEDS)
def test_torchdistill_kd_with_alpha_zero_has_no_temperature_squared(temperature, seed):
    own = {"temperature": temperature, "alpha": 0.0, "reduction": "batchmean"}
    imported = import_recipe(torchdistill((1.0, criterion("KDLoss", **own))))
    assert imported.recipe.alpha == 1
    assert imported.loss_scale == pytest.approx(temperature**-2)
    assert_same(imported, lambda *x: peers.torchdistill_kd(*x, **own), seed)


@TRIES
@given(TEMPERATURES, WEIGHTS, WEIGHTS, SEEDS, st.integers(3, 9))
def test_torchdistill_standardised_logits_shift_the_temperature(t, alpha, beta, seed, classes):
    own = {"temperature": t, "alpha": alpha, "beta": beta}
    config = torchdistill((1.0, criterion("LogitStdKDLoss", **own)), classes=classes)
    imported = import_recipe(config)
    assert imported.recipe.standardize
    loss = lambda *x: peers.torchdistill_standardized(*x, **own)  # noqa: E731
    # They add 1e-7 to the deviation.
    assert_same(imported, loss, seed, rtol=1e-4, atol=1e-5, classes=classes)


@TRIES
@given(TEMPERATURES, WEIGHTS, WEIGHTS, WEIGHTS, SEEDS)
def test_torchdistill_dist_beside_a_cross_entropy(tau, both, ce_weight, dist_weight, seed):
    dist = criterion("DISTLoss", tau=tau, beta=both, gamma=both)
    imported = import_recipe(
        torchdistill((ce_weight, criterion("CrossEntropyLoss")), (dist_weight, dist))
    )
    own = {"tau": tau, "beta": both, "gamma": both}
    own |= {"ce_weight": ce_weight, "dist_weight": dist_weight}
    assert_same(imported, lambda *x: peers.torchdistill_dist(*x, **own), seed)


@TRIES
@given(WEIGHTS, WEIGHTS, st.sampled_from(["mean", "sum"]), SEEDS)
def test_torchdistill_squared_difference_of_logits(ce_weight, weight, reduction, seed):
    wrapper = {
        "key": "SimpleLossWrapper",
        "kwargs": {
            "input": {"is_from_teacher": False, "module_path": ".", "io": "output"},
            "target": {"is_from_teacher": True, "module_path": ".", "io": "output"},
        },
    }
    config = torchdistill((ce_weight, criterion("CrossEntropyLoss")))
    config["train"]["criterion"]["kwargs"]["sub_terms"]["mse"] = {
        "criterion": criterion("MSELoss", reduction=reduction),
        "criterion_wrapper": wrapper,
        "weight": weight,
    }
    mse = torch.nn.MSELoss(reduction=reduction)
    assert_same(
        import_recipe(config),
        lambda s, t, y: ce_weight * torch.nn.functional.cross_entropy(s, y) + weight * mse(s, t),
        seed,
    )


@TRIES
@given(WEIGHTS, WEIGHTS, TEMPERATURES, SEEDS)
def test_repdistiller_kd(gamma, alpha, temperature, seed):
    command = (
        f"python train_student.py --distill kd -r {gamma} -a {alpha} -b 0 --kd_T {temperature}"
    )
    own = {"gamma": gamma, "alpha": alpha, "temperature": temperature}
    assert_same(import_recipe(command), lambda *x: peers.repdistiller_kd(*x, **own), seed)


@TRIES
@given(WEIGHTS, WEIGHTS, TEMPERATURES, SEEDS)
def test_mdistiller_kd(ce_weight, kd_weight, temperature, seed):
    weights = {"CE_WEIGHT": ce_weight, "KD_WEIGHT": kd_weight}
    config = {"DISTILLER": {"TYPE": "KD"}, "KD": {"TEMPERATURE": temperature, "LOSS": weights}}
    own = {"gamma": ce_weight, "alpha": kd_weight, "temperature": temperature}
    assert_same(import_recipe(config), lambda *x: peers.repdistiller_kd(*x, **own), seed)


@TRIES
@given(WEIGHTS, WEIGHTS, TEMPERATURES, SEEDS)
def test_mdistiller_dkd_where_beta_is_eight_times_alpha(ce_weight, alpha, temperature, seed):
    own = {"CE_WEIGHT": ce_weight, "ALPHA": alpha, "BETA": 8 * alpha, "T": temperature}
    config = {"DISTILLER": {"TYPE": "DKD"}, "DKD": {**own, "WARMUP": 1}}
    same = {"ce_weight": ce_weight, "alpha": alpha, "beta": 8 * alpha, "temperature": temperature}
    assert_same(import_recipe(config), lambda *x: peers.mdistiller_dkd(*x, **same), seed)


@TRIES
@given(SHARES, TEMPERATURES, st.booleans(), SEEDS)
def test_keras_example_with_and_without_temperature_squared(alpha, temperature, squared, seed):
    own = {"alpha": alpha, "temperature": temperature}
    imported = import_recipe({**own, "temperature_squared": squared}, tool="keras")
    assert_same(imported, lambda *x: peers.keras_example(*x, **own, squared=squared), seed)


@TRIES
@given(SHARES, WEIGHTS, TEMPERATURES, SEEDS)
def test_keras_distiller_with_a_weight_of_its_distillation_loss(share, weight, temperature, seed):
    call = (
        f"Distiller(teacher, student, distillation_losses=LogitsDistillation(temperature="
        f"{temperature!r}, loss=KLDivergence()), distillation_loss_weights=[{weight!r}], "
        f"student_loss_weight={share!r})"
    )

    def loss(student, teacher, labels):
        soft = peers.torchdistill_kd_soft(student, teacher, temperature, weight)
        return share * torch.nn.functional.cross_entropy(student, labels) + (1 - share) * soft

    assert_same(import_recipe(call), loss, seed)


@TRIES
@given(SHARES, TEMPERATURES, SEEDS)
def test_keras_cross_entropy_of_soft_targets_differs_by_a_constant(alpha, temperature, seed):
    own = {"alpha": alpha, "temperature": temperature}
    imported = import_recipe(
        {**own, "distillation_loss_fn": "CategoricalCrossentropy"}, tool="keras"
    )

    def loss(student, teacher, labels):
        own_log, theirs = (student / temperature).log_softmax(1), (teacher / temperature).softmax(1)
        soft = -(theirs * own_log).sum(1).mean() * temperature**2
        return alpha * torch.nn.functional.cross_entropy(student, labels) + (1 - alpha) * soft

    assert_same(imported, loss, seed, constant=True)


@TRIES
@given(WEIGHTS, st.none() | WEIGHTS, TEMPERATURES, SEEDS)
def test_timm_with_independent_weights(distill, task, temperature, seed):
    options = {"distill_loss_weight": distill, "kd_temperature": temperature, "smoothing": 0}
    options |= {} if task is None else {"task_loss_weight": task}
    own = {"task": 1.0 if task is None else task, "distill": distill, "smoothing": 0}
    loss = lambda *x: peers.timm_logits(*x, **own, temperature=temperature)  # noqa: E731
    assert_same(import_recipe(options), loss, seed)


@TRIES
@given(SHARES, TEMPERATURES, SEEDS)
def test_timm_with_the_weight_of_labels_alone(task, temperature, seed):
    imported = import_recipe(
        f"python train.py /data --kd-model-name resnet50 --task-loss-weight {task} "
        f"--kd-temperature {temperature} --smoothing 0"
    )
    assert imported.loss_scale == pytest.approx(1)
    own = {"task": task, "distill": 1 - task, "smoothing": 0, "temperature": temperature}
    assert_same(imported, lambda *x: peers.timm_logits(*x, **own), seed)


def test_label_smoothing_is_told_because_no_alpha_makes_up_for_it():
    imported = import_recipe({"task_loss_weight": 0.5, "kd_temperature": 4, "smoothing": 0.1})
    own = {"task": 0.5, "distill": 0.5, "smoothing": 0.1, "temperature": 4}
    with pytest.raises(AssertionError, match="not close"):
        assert_same(imported, lambda *x: peers.timm_logits(*x, **own), 0, exact=False)
    assert imported.smoothing == 0.1
    assert any("labels are smoothed by 0.1" in note for note in imported.notes)


@TRIES
@given(SHARES, TEMPERATURES, st.sampled_from(["batchmean", "mean"]), SEEDS)
def test_transformers_alpha_of_the_labels(alpha, temperature, reduction, seed):
    own = {"alpha": alpha, "temperature": temperature, "reduction": reduction}
    imported = import_recipe({**own, "alpha_weights": "labels"}, num_classes=5)
    assert_same(imported, lambda *x: peers.transformers_alpha(*x, **own), seed)


@TRIES
@given(SHARES, TEMPERATURES, SEEDS)
def test_transformers_lambda_of_the_teacher(lambda_param, temperature, seed):
    own = {"lambda_param": lambda_param, "temperature": temperature}
    assert_same(import_recipe(own), lambda *x: peers.transformers_lambda(*x, **own), seed)


@TRIES
@given(TEMPERATURES, SEEDS)
def test_trl_gkd_is_kl_without_labels_and_temperature_squared(temperature, seed):
    imported = import_recipe({"beta": 0.0, "lmbda": 0.0, "temperature": temperature})
    assert imported.recipe.alpha == 1
    assert_same(imported, lambda *x: peers.trl_gkd(*x, temperature=temperature), seed)


@pytest.mark.parametrize(
    "name, rtol", [("SGD", 1e-9), ("Adam", 1e-4), ("AdamW", 1e-4)], ids=["sgd", "adam", "adamw"]
)
def test_adapted_learning_rate_and_weight_decay_take_the_same_steps(name, rtol):
    optimizer = criterion(name, lr=0.05, weight_decay=0.02, momentum=0.9, nesterov=True)
    own = {"temperature": 4.0, "alpha": 3.0, "beta": 6.0, "reduction": "batchmean"}
    config = torchdistill((1.0, criterion("KDLoss", **own)))
    config["train"] |= {"optimizer": optimizer, "num_epochs": 3}
    imported = import_recipe(config)
    assert imported.loss_scale == 9
    student, teacher, labels = batch(1)
    extra = {"momentum": 0.9, "nesterov": True} if name == "SGD" else {}

    def trained(loss, lr, weight_decay):
        weights = student.clone().requires_grad_()
        steps = getattr(torch.optim, name)([weights], lr=lr, weight_decay=weight_decay, **extra)
        for _ in range(20):
            steps.zero_grad()
            loss(weights).backward()
            steps.step()
        return weights.detach()

    theirs = trained(lambda x: peers.torchdistill_kd(x, teacher, labels, **own), 0.05, 0.02)
    ours = trained(
        lambda x: distillation_loss(
            x, teacher, labels, temperature=4.0, alpha=imported.recipe.alpha
        ),
        imported.training["student_learning_rate"],
        imported.training["student_weight_decay"],
    )
    torch.testing.assert_close(theirs, ours, rtol=rtol, atol=1e-6)
