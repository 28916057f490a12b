"""``Recorder``: a recorded run, made by anybody's training loop.

::

    recorder = Recorder("recorded/night", "digits", batch_size=128, learning_rate=0.1)
    for epoch in range(1, 33):
        train_an_epoch(model, recorder.training)
        recorder.record(model, epoch)
        if recorder.should_stop:
            break

Then ``goodteacher search digits --trajectories 'recorded/*' --student mlp:16`` says which of the
recorded epochs is the best teacher of a student.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from goodteacher.config import Attribute, DataConfig, parse
from goodteacher.data import Dataset, Split
from goodteacher.errors import ConfigError, StudyError
from goodteacher.networks import NetworkLike, canonical_spec, specification_of
from goodteacher.public.dividing import (
    as_folder,
    check_split,
    divided,
    make_folder,
    part_of,
    usable,
)
from goodteacher.public.probes import keep_probe, probe, probes_of
from goodteacher.records import Predictor, TrajectoryRecord, percent
from goodteacher.responses import (
    LazyRows,
    Logits,
    ResponseLike,
    TopK,
    as_response,
    examine_agreement,
    fitted_to_part,
    keep_top,
    told_of,
)
from goodteacher.studies import DataLike, Place, Progress, Silent, name_of_data, say
from goodteacher.sweet_spot.probing import has_declined
from goodteacher.teachers import (
    Asked,
    Model,
    Prepare,
    RecordedRun,
    RunNotes,
    SplitIds,
    check_kind,
    checked_prepare,
    measured_run,
    same_responses,
    why_other_notes,
    write_epoch,
)

_PARTS = {"transfer": "transfer set", "selection": "selection split", "test": "test split"}


class Recorder:
    """Records what a teacher says, epoch by epoch, whoever trains it.

    Args:
        folder: Where the recorded run is, or will be once something is recorded.
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands.
        run: The run's name; by default the folder's.
        selection_fraction: Share of the training data on which every choice is made.
        transfer_fraction: Share of the rest on which the teacher responds.
        split_seed: Seed of that division.
        prepare: Turns a batch of examples as they are stored (uint8 images, float32 features, a
            list of texts) into what the model wants; by default it gets them as they are.
        probabilities: The model returns probabilities rather than logits.
        record_test: Also write the response to the test split, which nobody is shown.
        patience: Recorded epochs without a better held-out NLL after which `should_stop` is true.
        probe_student: A student, such as ``"mlp:16"``: short trainings of it on each response then
            decide `should_stop` in place of the NLL.
        at_once: Examples that the model sees at once; fewer where memory runs out.
        top_k: Store so many of the most probable classes of each example, and what the others
            share; what that loses is told. By default all classes are stored.
        top_k_temperature: At which the others' share is kept: where students are to learn.
        progress: Told what was recorded; the logger ``goodteacher`` is told too.
        **attributes: What tells the run from others: batch_size, learning_rate, seed, whatever.

    Raises:
        InputError: The data cannot be read, or the folder holds a run of other data or attributes.

    Example:
        >>> import torch
        >>> recorder = Recorder(getfixture("tmp_path") / "night", "digits", learning_rate=0.1)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> record = recorder.record(lambda images: model(images / 255), epoch=1)
        >>> len(recorder.training), record.epoch, recorder.should_stop
        (1293, 1, False)
    """

    def __init__(
        self,
        folder: str | Path,
        data: DataLike,
        *,
        run: str | None = None,
        selection_fraction: float = 0.1,
        transfer_fraction: float = 1.0,
        split_seed: int = 0,
        prepare: Prepare | None = None,
        probabilities: bool = False,
        record_test: bool = False,
        patience: int = 2,
        probe_student: NetworkLike | None = None,
        at_once: int = 256,
        top_k: int | None = None,
        top_k_temperature: float = 1.0,
        progress: Progress | None = None,
        **attributes: Attribute,
    ) -> None:
        config = parse(
            DataConfig,
            data=name_of_data(data),
            selection_fraction=selection_fraction,
            transfer_fraction=transfer_fraction,
            split_seed=split_seed,
        )
        _check_numbers(patience=patience, at_once=at_once)
        self.prepare, self.probabilities = checked_prepare(prepare), probabilities
        self.patience, self.at_once, self._top = patience, at_once, (top_k, top_k_temperature)
        self.predictor: Predictor | None = None  # set where the teacher is asked once
        self._student = canonical_spec(specification_of(probe_student)) if probe_student else None
        self.record_test, self._progress, self._told = record_test, progress or Silent(), set[str]()
        self._data, self._parts = divided(config, data)
        parts, train, own = self._parts, self._data.train, self._data.validation
        self.training = part_of(parts.training, train)
        self.transfer = part_of(parts.transfer, train)
        self.selection = part_of(parts.selection, own or train)
        splits = SplitIds.of(config, parts)
        self._run = _begun(as_folder(folder), run, _checked_attributes(attributes), splits)

    @property
    def folder(self) -> Place:
        """The recorded run's folder."""
        return self._run.store.root

    @property
    def name(self) -> str:
        """The run's name."""
        return self._run.notes.name

    @property
    def data(self) -> Dataset:
        """The data set."""
        return self._data

    @property
    def num_classes(self) -> int:
        """Classes of the data."""
        return self._data.num_classes

    @property
    def records(self) -> tuple[TrajectoryRecord, ...]:
        """What was recorded so far, by epoch."""
        return tuple(self._run.records())

    @property
    def should_stop(self) -> bool:
        """Whether the teacher has passed its sweet spot, by a simple rule.

        It has where the held-out NLL at its best temperature was at no time in the last
        ``patience`` recorded epochs as good as before, or where the last epoch diverged. With a
        ``probe_student``, the accuracy of probe students on the selection split stands in for it.
        """
        records = self.records
        if records and records[-1].status == "diverged":
            return True
        if self._student:
            probed = probes_of(self._run, self._student)
            return has_declined(
                [probed[r.epoch] for r in records if r.epoch in probed], self.patience
            )
        return has_declined([-record.best_nll for record in records], self.patience)

    def record(
        self,
        model: Model | None = None,
        epoch: int | None = None,
        *,
        logits: Mapping[str, ResponseLike] | None = None,
        learning_rate: float | None = None,
        training_loss: float | None = None,
        steps: int | None = None,
        seconds: float | None = None,
        overwrite: bool = False,
    ) -> TrajectoryRecord:
        """Record an epoch: ask the model about the transfer set and the selection split.

        Args:
            model: A module, which is run in evaluation mode without gradients and then is as it
                was; or a function from a batch of examples to logits [B, C].
            epoch: How many epochs lie behind the model, from 1.
            logits: In place of a model, what it said: ``{"transfer": ..., "selection": ...}`` and
                perhaps ``"test"``, each a file, an array [N, C] in the order of that part, or a
                mapping of arrays with ``ids``.
            learning_rate: Of the last step.
            training_loss: Mean since the record before, nats.
            steps: Steps since the beginning.
            seconds: Time of training since the beginning.
            overwrite: Replace what was recorded of this epoch.

        Returns:
            The record, as ``trajectory.jsonl`` holds it.

        Raises:
            ModelError: The model failed, or does not return a row of logits for each example.
            ResponseError: Numbers do not fit the data.
            StudyError: The epoch was recorded before with other numbers; nothing was changed.
        """
        started, epoch = time.perf_counter(), _checked_epoch(epoch)
        if (model is None) == (logits is None):
            raise ConfigError("Give record either a model or logits=, not both.")
        check_kind(self.folder, asked_once=self.predictor is not None)
        said = self._asked(model, epoch) if model is not None else self._given(logits or {})
        facts = {
            "learning_rate": _finite(learning_rate),
            "training_loss": _finite(training_loss),
            "steps": steps,
            "seconds": _finite(seconds),
        }
        record = self._write(epoch, said, facts, started, overwrite=overwrite)
        if record.status == "ok":
            self._examine(said["selection"])
        self._probe(record, again=overwrite)
        return record

    # --- what the model says -------------------------------------------------------------------

    @property
    def _wanted(self) -> dict[str, Split]:
        test = {"test": self._data.test} if self.record_test else {}
        return {"transfer": self.transfer.split, "selection": self.selection.split, **test}

    def _asked(self, model: Model, epoch: int) -> dict[str, Logits]:
        asked = Asked(model, self.num_classes, self.prepare, self.at_once)
        splits = self._wanted
        self._progress.begin(f"recording epoch {epoch}", float(sum(map(len, splits.values()))))
        found = {name: asked(split, self._progress.advance) for name, split in splits.items()}
        return {name: self._as_logits(name, logits) for name, logits in found.items()}

    def _given(self, given: Mapping[str, ResponseLike]) -> dict[str, Logits]:
        unknown, missing = given.keys() - _PARTS.keys(), {"transfer", "selection"} - given.keys()
        if unknown or missing:
            raise ConfigError(
                f"logits must hold transfer and selection, and may hold test, but it holds "
                f"{', '.join(sorted(map(str, given))) or 'nothing'}."
            )
        return {name: self._as_logits(name, values) for name, values in given.items()}

    def _as_logits(self, name: str, given: ResponseLike) -> Logits:
        """Return a split's logits [N, C], in its order; they may be those of a diverged teacher."""
        split = self._data.test if name == "test" else self._wanted[name]
        shape = (len(split), self.num_classes)
        if isinstance(given, Tensor | np.ndarray) and tuple(given.shape) == shape:
            tensor = torch.as_tensor(given)
            if _diverged(tensor):
                return tensor.float()
        response = as_response(
            given, probabilities=self.probabilities, class_names=self._data.class_names
        )
        for note in response.notes:
            self._tell_once(note, note)
        return fitted_to_part(response, self._data, split, _PARTS[name])

    def _tell_once(self, kind: str, text: str, *, level: int = logging.INFO) -> None:
        """Tell the first of a kind of remarks, which would come again with every epoch."""
        if kind not in self._told:
            self._told.add(kind)
            say(self._progress, text, level=level)

    def _examine(self, said: Logits) -> None:
        """Warn where rows or classes seem to be in another order."""
        for found in examine_agreement(said, self.selection.labels, self._data.class_names):
            self._tell_once(found.code, f"{self.name}: {found.message}", level=logging.WARNING)

    # --- what is written -----------------------------------------------------------------------

    def _write(
        self,
        epoch: int,
        said: Mapping[str, Logits],
        facts: Mapping[str, float | None],
        started: float,
        *,
        overwrite: bool,
    ) -> TrajectoryRecord:
        healthy = not any(map(_diverged, said.values()))
        kept = self._kept(said) if healthy else {}
        said = {**said, **{name: each.logits for name, each in kept.items()}}
        known = self._by_id(said)
        earlier = {record.epoch: record for record in self._run.records()}
        if epoch in earlier and not overwrite:
            before = earlier[epoch].status == "ok"
            if before == healthy and (not healthy or same_responses(self._run, epoch, known)):
                return earlier[epoch]
            raise StudyError(
                f"Epoch {epoch} was recorded in {self.folder} before, with other numbers. Pass "
                "overwrite=True to replace it, or use another folder to record another training."
            )
        record = TrajectoryRecord.model_validate(
            {
                "run": self.name,
                "attributes": self._run.notes.attributes,
                "epoch": epoch,
                "status": "ok" if healthy else "diverged",
                **facts,
                **measured_run(said, self._labels, healthy=healthy),
                "recording_seconds": time.perf_counter() - started,
            }
        )
        make_folder(self.folder)
        notes = self._run.notes.model_copy(update={"predictor": self.predictor})
        run, every = replace(self._run, notes=notes), [*({**earlier, epoch: record}).values()]
        with self._run.store.lock():
            write_epoch(run, every, known if healthy else {}, epoch=epoch, kept=kept)
        say(self._progress, self._line(record))
        return record

    def _by_id(self, said: Mapping[str, Logits]) -> dict[str, tuple[Logits, Tensor]]:
        splits = {"test": self._data.test, **self._wanted}
        return {name: (logits, splits[name].ids) for name, logits in said.items()}

    def _kept(self, said: Mapping[str, Logits]) -> dict[str, TopK]:
        """Return what is stored of responses of which the largest classes alone are kept."""
        k, temperature = self._top
        if k is None:
            return {}
        kept = {name: keep_top(each, k, temperature=temperature) for name, each in said.items()}
        say(self._progress, f"{self.name}: {told_of(kept['transfer'].notes, 'the transfer set')}")
        return kept

    def _probe(self, record: TrajectoryRecord, *, again: bool) -> None:
        """Train probe students of an epoch, if they are wanted and there are none yet."""
        student, epoch = self._student, record.epoch
        if student is None or record.status != "ok":
            return
        if again or epoch not in probes_of(self._run, student):
            made = probe(self._run, self._parts, student, epoch)
            keep_probe(self._run, made)
            accuracy = percent(made.accuracy)
            say(self._progress, f"{self.name}, epoch {epoch}: probe students reach {accuracy} %.")

    @property
    def _labels(self) -> dict[str, Tensor]:
        return {"transfer": self.transfer.labels, "selection": self.selection.labels}

    def _line(self, record: TrajectoryRecord) -> str:
        """Say what an epoch is worth as a teacher, as far as its response tells."""
        begin = f"{self.name}, epoch {record.epoch}: "
        if record.optimal_temperature is None:
            return f"{begin}diverged (its logits are not finite); no response was kept."
        at_best = {m.split: m for m in record.measurements}
        for measurement in record.measurements:
            if measurement.temperature == record.optimal_temperature:
                at_best[measurement.split] = measurement
        told = (
            f"{begin}{percent(record.selection_accuracy)} % right on the selection split, held-out "
            f"NLL {record.best_nll:.4f} nats at its best temperature "
            f"{record.optimal_temperature:.3g}"
        )
        if "transfer" in at_best:
            told += f", similarity information {at_best['transfer'].similarity:.4f} nats there"
        if self._student or not self.should_stop:
            return f"{told}."
        best = min(self.records, key=lambda each: each.best_nll)
        return (
            f"{told}. The held-out NLL was best after epoch {best.epoch} and no better in the "
            f"last {self.patience} recorded epochs, so the teacher has probably passed its sweet "
            "spot."
        )


def _begun(
    path: Place, name: str | None, attributes: dict[str, Attribute], ids: SplitIds
) -> RecordedRun:
    """Return the run of a folder, which may not exist yet.

    Raises:
        StudyError: The folder holds another run, or something else.
    """
    store = usable(path)
    check_split(store, ids)
    known = RecordedRun.open(path) if store.exists("run.json") else None
    notes = RunNotes(
        name=name or (known.notes.name if known else path.resolve().name),
        attributes=attributes,
        class_names=ids.class_names,
        fingerprint=ids.fingerprint,
    )
    why = why_other_notes(known.notes, notes) if known else None
    if why:
        raise StudyError(
            f"{path} contains a run with other settings: {why}. Give the same name and attributes "
            "to continue it, or choose another folder."
        )
    return RecordedRun(store, notes, ids)


def _diverged(logits: Logits) -> bool:
    if isinstance(logits, LazyRows):
        return False  # it was looked through when it was read
    # Of a row without a softmax, that of NaN or infinities, the softmax is NaN; -inf alone is 0.
    return logits.is_floating_point() and bool(logits.float().softmax(-1).isnan().any())


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _checked_epoch(epoch: int | None) -> int:
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 1:
        raise ConfigError(
            f"epoch must be a whole number from 1, but is {epoch!r}: it is the number of epochs "
            "that the model was trained for. In a loop that counts from 0, pass epoch + 1."
        )
    return epoch


def _checked_attributes(attributes: Mapping[str, object]) -> dict[str, Attribute]:
    known: dict[str, Attribute] = {}
    for name, value in attributes.items():
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ConfigError(
                f"{name} = {value!r} cannot be an attribute of a run. Give a number or a word, "
                "for example learning_rate=0.1."
            )
        known[name] = value
    return known


def _check_numbers(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, but is {value}.")
