"""A callback for the ``Trainer`` of PyTorch Lightning (the package ``pytorch-lightning``).

::

    recorder = Recorder("recorded/night", "fashion_mnist", prepare=lambda images: images / 255)
    Trainer(callbacks=[RecorderCallback(recorder)]).fit(module, loader)
"""

from __future__ import annotations

from typing import Any

from goodteacher.errors import ConfigError, needed_package
from goodteacher.integrations.processes import Epochs, Weights, checked_weights
from goodteacher.public.recording import Recorder
from goodteacher.studies import logger

_package: Any = needed_package("pytorch_lightning", extra="lightning", what=__name__)
try:
    from pytorch_lightning.callbacks import WeightAveraging
except ImportError:  # before 2.6
    WeightAveraging = None


class RecorderCallback(_package.Callback):
    """Records the module at the end of each training epoch, on the first process alone.

    The module's ``forward`` must return logits.

    Args:
        recorder: Where to.
        stop: End the training once the recorder says that the teacher has passed its sweet spot.
        every: Record each epoch that this divides.
        weights: ``"ema"`` records the average that a callback ``WeightAveraging`` (or
            ``EMAWeightAveraging``) of the trainer keeps, in place of the weights that are trained.
    """

    def __init__(
        self, recorder: Recorder, *, stop: bool = False, every: int = 1, weights: Weights = "raw"
    ) -> None:
        self.recorder, self.stop, self.weights = recorder, stop, checked_weights(weights)
        self._epochs = Epochs(recorder, every)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock, unless the training goes on from a checkpoint."""
        if self.weights == "ema":
            _average_of(trainer)
        self._epochs.begin(from_the_start=not trainer.global_step)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Record the epoch, and ask the trainer to stop where that is wanted."""
        epoch = trainer.current_epoch + 1
        if not self._epochs.wants(epoch):
            return
        model = pl_module if self.weights == "raw" else _average_of(trainer)
        if self.weights == "ema" and not int(model.n_averaged):
            logger.warning("the average has not started yet: epoch %d is not recorded", epoch)
            return
        loss = trainer.callback_metrics.get("train_loss")
        self._epochs.record(
            model,
            epoch,
            first=trainer.is_global_zero,
            steps=trainer.global_step,
            learning_rate=_learning_rate(trainer),
            training_loss=None if loss is None else float(loss),
        )
        if self.stop:
            says = trainer.is_global_zero and self.recorder.should_stop
            trainer.should_stop = trainer.should_stop or trainer.strategy.broadcast(says)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Warn where no epoch was recorded."""
        self._epochs.end(first=trainer.is_global_zero)


def _average_of(trainer: Any) -> Any:
    """Return the average that a callback of the trainer keeps.

    Raises:
        ConfigError: None keeps one.
    """
    for callback in trainer.callbacks if WeightAveraging is not None else ():
        if isinstance(callback, WeightAveraging):
            return callback._average_model
    raise ConfigError(
        "weights='ema' needs a callback of the trainer that keeps an average: add "
        "EMAWeightAveraging() of pytorch_lightning.callbacks, available from version 2.6 on. "
        "(StochasticWeightAveraging has its average only when the training ends: record the "
        "module then.)"
    )


def _learning_rate(trainer: Any) -> float | None:
    return trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else None
