"""A callback for Keras 3, on PyTorch or JAX.

::

    recorder = Recorder("recorded/night", "fashion_mnist", prepare=channels_last)
    model.fit(x, y, callbacks=[RecorderCallback(recorder)])
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from goodteacher.errors import ConfigError, needed_package
from goodteacher.integrations.processes import (
    Epochs,
    Weights,
    agreed,
    checked_weights,
    is_first,
)
from goodteacher.public.recording import Recorder

keras: Any = needed_package("keras", extra="keras", what=__name__)


class RecorderCallback(keras.callbacks.Callback):
    """Records the model at the end of each epoch, on the first process alone.

    The model gets arrays: examples as they are stored, or what the recorder's ``prepare`` makes of
    them. Where it ends in a softmax, the recorder needs ``probabilities=True``.

    Args:
        recorder: Where to.
        stop: End the training once the recorder says that the teacher has passed its sweet spot.
        every: Record each epoch that this divides.
        weights: ``"ema"`` records the average that an optimizer with ``use_ema=True`` keeps, in
            place of the weights that are trained.
    """

    def __init__(
        self, recorder: Recorder, *, stop: bool = False, every: int = 1, weights: Weights = "raw"
    ) -> None:
        super().__init__()
        self.recorder, self.stop, self.weights = recorder, stop, checked_weights(weights)
        self._epochs = Epochs(recorder, every)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock, where the model can be asked by one process.

        Raises:
            ConfigError: JAX trains in several processes.
        """
        _check_processes()
        if self.weights == "ema":
            _averaging(self.model)
        self._epochs.begin(from_the_start=not (self.params or {}).get("initial_epoch", 0))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch, and ask the model to stop where that is wanted."""
        if not self._epochs.wants(epoch + 1):
            return
        loss = (logs or {}).get("loss")
        with contextlib.nullcontext() if self.weights == "raw" else _averaged(self.model):
            self._epochs.record(
                self._say,
                epoch + 1,
                first=is_first(),
                learning_rate=_learning_rate(self.model),
                training_loss=None if loss is None else float(loss),
            )
        if self.stop and agreed(is_first() and self.recorder.should_stop):
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Warn where no epoch was recorded."""
        self._epochs.end(first=is_first())

    def _say(self, *given: Any, **named: Any) -> Any:
        inputs = named or (given[0] if len(given) == 1 else list(given))
        arrays = keras.tree.map_structure(_array, inputs)
        return keras.ops.convert_to_numpy(self.model(arrays, training=False))


def _check_processes() -> None:
    """Refuse a model whose weights lie on devices of several processes."""
    if keras.backend.backend() != "jax":
        return
    count = importlib.import_module("jax").process_count()
    if count > 1:
        raise ConfigError(
            f"Keras trains on JAX in {count} processes, and one process cannot call a model that "
            "is spread over the devices of all. Train in one process, with "
            "keras.distribution.DataParallel for its devices; or save the weights of each epoch "
            "with keras.callbacks.ModelCheckpoint and record them afterwards in one process: "
            "recorder.record(predict, epoch)."
        )


@contextlib.contextmanager
def _averaged(model: Any) -> Iterator[None]:
    """Give a model the average of its weights for the block."""
    own = [keras.ops.convert_to_numpy(each).copy() for each in model.trainable_variables]
    _averaging(model).finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, own, strict=True):
            variable.assign(value)


def _averaging(model: Any) -> Any:
    """Return the optimizer that keeps an average of a model's weights.

    Raises:
        ConfigError: It keeps none.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if getattr(optimizer, "use_ema", False):
        return optimizer
    raise ConfigError(
        "weights='ema' needs an optimizer that keeps an average, for example "
        "keras.optimizers.Adam(use_ema=True)."
    )


def _array(value: Any) -> Any:
    return np.asarray(value.cpu()) if isinstance(value, Tensor) else value


def _learning_rate(model: Any) -> float | None:
    optimizer = getattr(model, "optimizer", None)
    return None if optimizer is None else float(keras.ops.convert_to_numpy(optimizer.learning_rate))
