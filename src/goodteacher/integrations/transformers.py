"""A callback for the ``Trainer`` of Hugging Face transformers.

::

    recorder = Recorder("recorded/bert", "banking77", learning_rate=5e-5)
    callbacks = [RecorderCallback(recorder)]
    trainer = Trainer(model, ..., processing_class=tokenizer, callbacks=callbacks)
    trainer.train()
"""

from __future__ import annotations

from functools import partial
from typing import Any

from goodteacher.errors import needed_package
from goodteacher.integrations.processes import Epochs, agreed, is_first
from goodteacher.networks import encoded_by, separator_of
from goodteacher.public.recording import Recorder

_package: Any = needed_package("transformers", extra="hf", what=__name__)


class RecorderCallback(_package.TrainerCallback):
    """Records the model at the end of each epoch, on the first process alone.

    Texts go through the trainer's ``processing_class`` (its tokenizer: padded, truncated) where the
    recorder has no ``prepare`` of its own; several texts of an example as its pairs.

    Args:
        recorder: Where to.
        stop: End the training once the recorder says that the teacher has passed its sweet spot.
        every: Record each epoch that this divides.
    """

    def __init__(self, recorder: Recorder, *, stop: bool = False, every: int = 1) -> None:
        self.recorder, self.stop = recorder, stop
        self._epochs = Epochs(recorder, every)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock, unless the training goes on from a checkpoint."""
        self._epochs.begin(from_the_start=not state.global_step)

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
        if not self._epochs.wants(epoch):
            return
        if self.recorder.prepare is None and self.recorder.data.is_text and processing_class:
            self.recorder.prepare = partial(
                encoded_by,
                processing_class,
                separator=separator_of(
                    processing_class, self.recorder.data.spec.columns, name="the trainer"
                ),
                padding=True,
                truncation=True,
                return_tensors="pt",
            )
        self._epochs.record(
            model,
            epoch,
            first=is_first(),
            steps=state.global_step,
            learning_rate=lr_scheduler.get_last_lr()[0] if lr_scheduler else None,
            training_loss=_last_loss(state.log_history),
        )
        if self.stop and agreed(is_first() and self.recorder.should_stop):
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Warn where no epoch was recorded."""
        self._epochs.end(first=is_first())


def _last_loss(history: list[dict[str, float]]) -> float | None:
    return next((entry["loss"] for entry in reversed(history) if "loss" in entry), None)
