"""A callback for the ``Trainer`` of PyTorch Lightning (the package ``pytorch-lightning``).

::

    recorder = Recorder("recorded/night", "fashion_mnist", prepare=lambda images: images / 255)
    Trainer(callbacks=[RecorderCallback(recorder)]).fit(module, loader)
"""

from __future__ import annotations

import time
from typing import Any

from goodteacher.integrations.processes import missing
from goodteacher.public.recording import Recorder
from goodteacher.studies import logger

try:
    from pytorch_lightning import Callback
except ImportError as error:
    raise missing("pytorch-lightning", "lightning") from error


class RecorderCallback(Callback):
    """Records the module at the end of each training epoch, on the first process alone.

    The module's ``forward`` must return logits.

    Args:
        recorder: Where to.
        stop: End the training once the recorder says that the teacher has passed its sweet spot.
        every: Record each epoch that this divides.
    """

    def __init__(self, recorder: Recorder, *, stop: bool = False, every: int = 1) -> None:
        self.recorder, self.stop, self.every = recorder, stop, every
        self._count, self._aside = 0, 0.0
        self._began: float | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock, unless the training goes on from a checkpoint."""
        self._began = time.perf_counter() if not trainer.global_step else None

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Record the epoch, and ask the trainer to stop where that is wanted."""
        epoch = trainer.current_epoch + 1
        if epoch % self.every:
            return
        if trainer.is_global_zero:
            started = time.perf_counter()
            loss = trainer.callback_metrics.get("train_loss")
            self.recorder.record(
                pl_module,
                epoch,
                steps=trainer.global_step,
                learning_rate=_learning_rate(trainer),
                training_loss=None if loss is None else float(loss),
                seconds=None if self._began is None else started - self._began - self._aside,
            )
            self._aside += time.perf_counter() - started
        self._count += 1
        if self.stop:
            says = trainer.is_global_zero and self.recorder.should_stop
            trainer.should_stop = trainer.should_stop or trainer.strategy.broadcast(says)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Warn where no epoch was recorded."""
        if not self._count and trainer.is_global_zero:
            logger.warning("the training has ended, and no epoch was recorded: had it any?")


def _learning_rate(trainer: Any) -> float | None:
    return trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else None
