"""A callback for the ``Trainer`` of Hugging Face transformers.

::

    recorder = Recorder("recorded/bert", "banking77", learning_rate=5e-5)
    callbacks = [RecorderCallback(recorder)]
    trainer = Trainer(model, ..., processing_class=tokenizer, callbacks=callbacks)
    trainer.train()
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from goodteacher.integrations.processes import agreed, is_first, missing
from goodteacher.public.recording import Recorder
from goodteacher.studies import logger

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise missing("transformers", "hf") from error


class RecorderCallback(TrainerCallback):
    """Records the model at the end of each epoch, on the first process alone.

    Texts go through the trainer's ``processing_class`` (its tokenizer: padded, truncated) where the
    recorder has no ``prepare`` of its own.

    Args:
        recorder: Where to.
        stop: End the training once the recorder says that the teacher has passed its sweet spot.
        every: Record each epoch that this divides.
    """

    def __init__(self, recorder: Recorder, *, stop: bool = False, every: int = 1) -> None:
        self.recorder, self.stop, self.every = recorder, stop, every
        self._count, self._aside = 0, 0.0
        self._began: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock, unless the training goes on from a checkpoint."""
        self._began = time.perf_counter() if not state.global_step else None

    def on_epoch_end(
        self,
        args: Any,
        state: Any,
        control: Any,
        *,
        model: Any = None,
        processing_class: Any = None,
        lr_scheduler: Any = None,
        **_: Any,
    ) -> None:
        """Record the epoch, and ask the trainer to stop where that is wanted."""
        epoch = max(1, round(state.epoch))
        if epoch % self.every:
            return
        if is_first():
            started = time.perf_counter()
            if self.recorder.prepare is None and self.recorder.data.is_text and processing_class:
                self.recorder.prepare = partial(_tokenized, processing_class)
            self.recorder.record(
                model,
                epoch,
                steps=state.global_step,
                learning_rate=lr_scheduler.get_last_lr()[0] if lr_scheduler else None,
                training_loss=_last_loss(state.log_history),
                seconds=None if self._began is None else started - self._began - self._aside,
            )
            self._aside += time.perf_counter() - started
        self._count += 1
        if self.stop and agreed(is_first() and self.recorder.should_stop):
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Warn where no epoch was recorded."""
        if not self._count and is_first():
            logger.warning("the training has ended, and no epoch was recorded: had it any?")


def _tokenized(tokenizer: Any, texts: list[str]) -> Any:
    return tokenizer(texts, padding=True, truncation=True, return_tensors="pt")


def _last_loss(history: list[dict[str, float]]) -> float | None:
    return next((entry["loss"] for entry in reversed(history) if "loss" in entry), None)
