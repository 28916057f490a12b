"""Translations beside the other tools themselves, each where it is installed."""

import importlib
import importlib.util
import os
import sys
import types

import pytest
import torch

from goodteacher import import_recipe
from tests.integrations.test_recipe_losses import assert_same, criterion, torchdistill

SEEDS = pytest.mark.parametrize("seed", range(3))


@pytest.fixture(scope="module")
def keras():
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    found = importlib.import_module("keras")
    if found.backend.backend() != "torch":
        pytest.skip(f"Keras runs on {found.backend.backend()} here, and gradients are torch's")
    before = found.config.floatx()
    found.config.set_floatx("float64")
    yield found
    found.config.set_floatx(before)


@SEEDS
@pytest.mark.parametrize("alpha, temperature", [(0.1, 3.0), (0.7, 10.0)])
def test_keras_example_with_the_losses_of_keras(keras, alpha, temperature, seed):
    hard = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    divergence = keras.losses.KLDivergence()

    def loss(student, teacher, labels):
        soft = divergence(
            keras.ops.softmax(teacher / temperature, axis=1),
            keras.ops.softmax(student / temperature, axis=1),
        )
        return alpha * hard(labels, student) + (1 - alpha) * soft * temperature**2

    imported = import_recipe(f"alpha={alpha} temperature={temperature}", tool="keras")
    assert_same(imported, loss, seed, rtol=1e-4, atol=1e-5)


def keras_distiller(keras, weight, factor, **own):
    """Keras' Distiller of networks that say what they see, as a loss."""

    def network():
        inputs = keras.Input((5,), dtype="float64")
        return keras.Model(inputs, keras.layers.Identity(dtype="float64")(inputs))

    distiller = keras.distillation.Distiller(
        teacher=network(),
        student=network(),
        distillation_losses=[keras.distillation.LogitsDistillation(**own)],
        distillation_loss_weights=[factor],
        student_loss_weight=weight,
    )
    distiller.compile(
        optimizer="sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return lambda student, teacher, labels: distiller.compute_loss(teacher, labels, student)


@SEEDS
@pytest.mark.parametrize("weight, factor, temperature", [(0.5, 1.0, 3.0), (0.2, 2.5, 6.0)])
def test_keras_distiller_itself(keras, weight, factor, temperature, seed):
    divergence = keras.losses.KLDivergence()
    loss = keras_distiller(keras, weight, factor, temperature=temperature, loss=divergence)
    imported = import_recipe(
        f"Distiller(distillation_losses=[LogitsDistillation(temperature={temperature}, "
        f"loss=keras.losses.KLDivergence())], distillation_loss_weights=[{factor}], "
        f"student_loss_weight={weight})"
    )
    assert_same(imported, loss, seed, rtol=1e-4, atol=1e-5)


def test_keras_distiller_with_the_name_of_kl_is_not_what_keras_documents(keras):
    if not keras.__version__.startswith("3.15."):
        pytest.skip(f"what the translation says is of Keras 3.15, and this is {keras.__version__}")
    imported = import_recipe(
        "Distiller(distillation_losses=[LogitsDistillation(temperature=3.0)], "
        "student_loss_weight=0.5)"
    )
    loss = keras_distiller(keras, 0.5, 1.0, temperature=3.0)
    with pytest.raises(AssertionError, match="not close"):
        assert_same(imported, loss, 0, exact=False, rtol=1e-2)
    assert any("without softmax and T^2" in note for note in imported.notes)


@pytest.fixture(scope="module")
def timm_task():
    """timm's own task of distillation; its package is gone around where torchvision is missing."""
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    if importlib.util.find_spec("torchvision") is not None:
        yield importlib.import_module("timm.task").LogitDistillationTask
        return
    folder = importlib.util.find_spec("timm").submodule_search_locations[0]
    if not os.path.exists(os.path.join(folder, "task", "distillation.py")):  # noqa: PTH110, PTH118
        pytest.skip("this timm has no timm.task")
    stand_ins = _stand_ins(folder)
    sys.modules.update(stand_ins)
    try:
        yield importlib.import_module("timm.task.distillation").LogitDistillationTask
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
            del sys.modules[name]


def _stand_ins(folder):
    """Modules in place of those that load torchvision; none of them is part of the loss."""

    def module(name, path=None, **content):
        made = types.ModuleType(name)
        if path is not None:
            made.__path__ = [path]
        vars(made).update(content)
        return made

    same = lambda network: network  # noqa: E731
    return {
        "timm": module("timm", folder),
        "timm.task": module("timm.task", f"{folder}/task"),
        "timm.models": module("timm.models", create_model=None, group_parameters=None),
        "timm.utils": module("timm.utils", "", unwrap_model=same),
        "timm.utils.model": module("timm.utils.model", get_state_dict=None, unwrap_model=same),
        "timm.utils.model_ema": module("timm.utils.model_ema", ModelEmaV3=None),
    }


class Says(torch.nn.Module):
    """A network whose logits are given."""

    pretrained_cfg = {"mean": (0.5,), "std": (0.5,)}  # noqa: RUF012
    num_classes, in_chans = 5, 1

    def forward(self, _):
        return self.logits


@SEEDS
@pytest.mark.parametrize(
    "weights", [{}, {"task": 0.3}, {"distill": 2.0}, {"task": 0.2, "distill": 3.0}]
)
def test_timm_itself(timm_task, weights, seed):
    own = {f"{name}_loss_weight": value for name, value in weights.items()}
    student, teacher = Says(), Says()
    task = timm_task(
        student_model=student,
        teacher_model=teacher,
        criterion=torch.nn.CrossEntropyLoss(),
        temperature=4.0,
        verbose=False,
        **own,
    )

    def loss(student_logits, teacher_logits, labels):
        student.logits, teacher.logits = student_logits, teacher_logits
        return task(torch.zeros(len(labels), 1, 2, 2), labels)["loss"]

    imported = import_recipe({"kd_model_name": "resnet50", "smoothing": 0.0, **own})
    assert_same(imported, loss, seed)


@pytest.fixture(scope="module")
def losses():
    if importlib.util.find_spec("torchdistill") is None:
        pytest.skip("torchdistill is not installed")
    return importlib.import_module("torchdistill.losses.mid_level")


@SEEDS
@pytest.mark.parametrize(
    "key, own",
    [
        ("KDLoss", {"temperature": 4.0, "alpha": 0.9, "reduction": "batchmean"}),
        ("KDLoss", {"temperature": 4.0, "alpha": 0.9, "reduction": "sum"}),
        ("KDLoss", {"temperature": 4.0, "alpha": 0.0, "beta": 3.0}),
        ("KDLoss", {"temperature": 2.0, "alpha": 0.5, "beta": 3.0}),
        ("LogitStdKDLoss", {"temperature": 2.0, "alpha": 0.5, "beta": 9.0}),
        ("DISTLoss", {"beta": 2.0, "gamma": 2.0, "tau": 3.0}),
    ],
)
def test_torchdistill_itself(losses, key, own, seed):
    ends = {"student_module_path": ".", "student_module_io": "output"}
    ends |= {"teacher_module_path": ".", "teacher_module_io": "output"}
    term = getattr(losses, key)(**ends, **own)

    def loss(student, teacher, labels):
        said = ({".": {"output": logits}} for logits in (student, teacher))
        return term(*said, labels)

    imported = import_recipe(torchdistill((1.0, criterion(key, **ends, **own))))
    assert_same(imported, loss, seed, rtol=1e-5, atol=1e-7)
