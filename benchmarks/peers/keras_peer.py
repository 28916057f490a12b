"""Keras 3: `keras.distillation.Distiller` with its PyTorch backend.

Teacher and student are rebuilt from the PyTorch networks, layer by layer, and get their weights;
that both give the same logits is checked before any training. Images are handed to `fit` as one
normalised float32 array, the way Keras is used with data in memory.

Two things differ from the other tools. Keras applies weight decay beside the gradient, not through
it. And its loss is named here by class: by its default, the name "kl_divergence", Keras 3.15 calls
the function of that name on the logits themselves, without softmax and T^2.
"""

from __future__ import annotations

import contextlib
import os

os.environ["KERAS_BACKEND"] = "torch"

from collections.abc import Callable, Iterator

import keras
import numpy as np
import torch
from keras import layers, ops
from torch import nn

from peers.job import Arrays, Job
from peers.networks import load_teacher, make_student

Weights = list[tuple[layers.Layer, list[torch.Tensor]]]

_TOLERANCE = 1e-3
_CHECKED = 64


class KerasSession:
    """A student that trains under a Distiller."""

    precision = "float32"
    teacher_seconds = 0.0

    def __init__(self, job: Job, data: Arrays) -> None:
        keras.utils.set_random_seed(job.seed)
        keras.config.set_image_data_format("channels_first")  # PyTorch's own
        keras.config.disable_interactive_logging()
        self.job, self.data = job, data
        shape = data.images.shape[1:]
        images = data.normalised(data.images[:_CHECKED])
        self.teacher = rebuilt(load_teacher(job, data), shape, images)
        self.student = rebuilt(make_student(job, data), shape, images)
        self.inputs = data.normalised(data.images)
        self.distiller = keras.distillation.Distiller(
            teacher=self.teacher,
            student=self.student,
            distillation_losses=keras.distillation.LogitsDistillation(
                temperature=job.temperature, loss=keras.losses.KLDivergence()
            ),
            student_loss_weight=1 - job.alpha,
        )
        self.distiller.compile(
            optimizer=_optimizer(job, steps=job.epochs * -(-len(self.inputs) // job.batch_size)),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def train(self) -> None:
        """Train all epochs."""
        self.distiller.fit(
            self.inputs,
            self.data.labels,
            batch_size=self.job.batch_size,
            epochs=self.job.epochs,
            shuffle=True,
            verbose=0,
        )

    def accuracy(self) -> float:
        """Return the student's accuracy on the test examples."""
        logits = self.student.predict(
            self.data.normalised(self.data.test_images), batch_size=500, verbose=0
        )
        return float((logits.argmax(1) == self.data.test_labels).mean())

    def parameters(self) -> tuple[int, int]:
        """Return the parameters of teacher and student, moving statistics not counted."""
        return _parameter_count(self.teacher), _parameter_count(self.student)


def _optimizer(job: Job, *, steps: int) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(
        learning_rate=keras.optimizers.schedules.CosineDecay(job.learning_rate, steps),
        momentum=job.momentum,
        nesterov=True,
        weight_decay=job.weight_decay,
    )


def _parameter_count(model: keras.Model) -> int:
    moving = ("moving_mean", "moving_variance")
    return sum(int(np.prod(w.shape)) for w in model.weights if w.name not in moving)


def rebuilt(network: nn.Module, shape: tuple[int, ...], images: np.ndarray) -> keras.Model:
    """Return a Keras model of the same layers and weights as a PyTorch network.

    Args:
        network: A network of the layers in `LAYERS`.
        shape: Shape of an image.
        images: Normalised images on which both must give the same logits.

    Raises:
        ValueError: They do not agree, to 1e-3 of the largest logit or of 1.
    """
    weights: Weights = []
    inputs = keras.Input(shape)
    model = keras.Model(inputs, _apply(network, inputs, weights))
    for layer, tensors in weights:
        layer.set_weights([tensor.detach().cpu().numpy() for tensor in tensors])
    # As in training and as in evaluation: batch statistics must agree as well.
    for training in (False, True):
        _check_agreement(model, network, images, training=training)
    for layer, tensors in weights:
        layer.set_weights([tensor.detach().cpu().numpy() for tensor in tensors])
    return model


def _check_agreement(
    model: keras.Model, network: nn.Module, images: np.ndarray, *, training: bool
) -> None:
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad(), _exact_convolutions():
        expected = network.train(training)(torch.from_numpy(images)).numpy()
        found = ops.convert_to_numpy(model(images, training=training))
    network.load_state_dict(state)
    # A teacher of few steps can have logits in the hundreds: its moving statistics lag behind.
    scale = max(1.0, float(np.abs(expected).max()))
    worst = float(np.abs(expected - found).max()) / scale
    if not worst < _TOLERANCE:
        raise ValueError(
            f"Keras and PyTorch must give the same logits to {_TOLERANCE} of the largest "
            f"({scale:.3g}), but with training = {training} they differ by {worst:.2g} of it. "
            "Is a layer rebuilt wrongly?"
        )


@contextlib.contextmanager
def _exact_convolutions() -> Iterator[None]:
    """Keep a GPU from rounding to TensorFloat-32, which alone can exceed the tolerance."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _apply(module: nn.Module, x, weights: Weights):
    return LAYERS[type(module).__name__](module, x, weights)


def _sequential(module: nn.Sequential, x, weights: Weights):
    for child in module:
        x = _apply(child, x, weights)
    return x


def _convolution(module: nn.Conv2d, x, weights: Weights):
    padding = module.padding[0]
    if padding:  # "same" pads one side only where the stride is 2
        x = layers.ZeroPadding2D(padding)(x)
    layer = layers.Conv2D(
        module.out_channels, module.kernel_size, strides=module.stride, use_bias=False
    )
    x = layer(x)
    weights.append((layer, [module.weight.permute(2, 3, 1, 0)]))
    return x


def _batch_norm(module: nn.BatchNorm2d, x, weights: Weights):
    layer = layers.BatchNormalization(axis=1, momentum=1 - module.momentum, epsilon=module.eps)
    x = layer(x)
    # Copies: the network's own statistics move when agreement in training is checked.
    moving = [module.running_mean.clone(), module.running_var.clone()]
    weights.append((layer, [module.weight, module.bias, *moving]))
    return x


def _linear(module: nn.Linear, x, weights: Weights):
    layer = layers.Dense(module.out_features)
    x = layer(x)
    weights.append((layer, [module.weight.T, module.bias]))
    return x


def _basic_block(module: nn.Module, x, weights: Weights):
    hidden = layers.ReLU()(_batch_norm(module.bn1, _convolution(module.conv1, x, weights), weights))
    hidden = _batch_norm(module.bn2, _convolution(module.conv2, hidden, weights), weights)
    return layers.ReLU()(layers.Add()([hidden, _apply(module.shortcut, x, weights)]))


LAYERS: dict[str, Callable] = {
    "Sequential": _sequential,
    "Conv2d": _convolution,
    "BatchNorm2d": _batch_norm,
    "Linear": _linear,
    "BasicBlock": _basic_block,
    "ReLU": lambda module, x, weights: layers.ReLU()(x),
    "MaxPool2d": lambda module, x, weights: layers.MaxPooling2D(module.kernel_size)(x),
    "AdaptiveAvgPool2d": lambda module, x, weights: layers.GlobalAveragePooling2D()(x),
    "Flatten": lambda module, x, weights: x,  # after global pooling there is nothing to flatten
    "Identity": lambda module, x, weights: x,
}
"""How each kind of layer is rebuilt: (PyTorch's layer, Keras tensor, weights to copy) -> tensor."""
