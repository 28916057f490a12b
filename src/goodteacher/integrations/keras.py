"""A callback for Keras 3, whatever its backend.

::

    recorder = Recorder("recorded/night", "fashion_mnist", prepare=channels_last)
    model.fit(x, y, callbacks=[RecorderCallback(recorder)])
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from torch import Tensor

from goodteacher.integrations.processes import agreed, is_first, missing
from goodteacher.public.recording import Recorder
from goodteacher.studies import logger

try:
    import keras
except ImportError as error:
    raise missing("keras", "keras") from error


class RecorderCallback(keras.callbacks.Callback):
    """Records the model at the end of each epoch, on the first process alone.

    The model gets arrays: examples as they are stored, or what the recorder's ``prepare`` makes of
    them. Where it ends in a softmax, the recorder needs ``probabilities=True``.

    Args:
        recorder: Where to.
        stop: End the training once the recorder says that the teacher has passed its sweet spot.
        every: Record each epoch that this divides.
    """

    def __init__(self, recorder: Recorder, *, stop: bool = False, every: int = 1) -> None:
        super().__init__()
        self.recorder, self.stop, self.every = recorder, stop, every
        self._count, self._began, self._aside = 0, 0.0, 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch, and ask the model to stop where that is wanted."""
        if (epoch + 1) % self.every:
            return
        if is_first():
            started = time.perf_counter()
            loss = (logs or {}).get("loss")
            self.recorder.record(
                self._say,
                epoch + 1,
                learning_rate=_learning_rate(self.model),
                training_loss=None if loss is None else float(loss),
                # A fit that goes on from a later epoch knows nothing of the ones before.
                seconds=started - self._began - self._aside if self._from_the_start else None,
            )
            self._aside += time.perf_counter() - started
        self._count += 1
        if self.stop and agreed(is_first() and self.recorder.should_stop):
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Warn where no epoch was recorded."""
        if not self._count and is_first():
            logger.warning("the training has ended, and no epoch was recorded: had it any?")

    @property
    def _from_the_start(self) -> bool:
        return not (self.params or {}).get("initial_epoch", 0)

    def _say(self, *given: Any, **named: Any) -> Any:
        inputs = named or (given[0] if len(given) == 1 else list(given))
        arrays = keras.tree.map_structure(_array, inputs)
        return keras.ops.convert_to_numpy(self.model(arrays, training=False))


def _array(value: Any) -> Any:
    return np.asarray(value.cpu()) if isinstance(value, Tensor) else value


def _learning_rate(model: Any) -> float | None:
    optimizer = getattr(model, "optimizer", None)
    return None if optimizer is None else float(keras.ops.convert_to_numpy(optimizer.learning_rate))
