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

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from goodteacher.config import Attribute, DataConfig, parse
from goodteacher.data import Dataset, Split, StudyData, load_for
from goodteacher.data import prepare as divide
from goodteacher.errors import ConfigError, StudyError
from goodteacher.records import TrajectoryRecord, percent
from goodteacher.responses import ResponseLike, as_response
from goodteacher.responses.fitting import fitted_to_part
from goodteacher.studies import DataLike, Progress, Silent, Store, name_of_data, say
from goodteacher.sweet_spot.probing import has_declined
from goodteacher.teachers import (
    Asked,
    Model,
    Prepare,
    RecordedRun,
    RunNotes,
    SplitIds,
    measured_run,
    same_responses,
    stored,
    why_other_data,
    why_other_notes,
    why_other_split,
    write_epoch,
)

_PARTS = {"transfer": "transfer set", "selection": "selection split", "test": "test split"}


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the data, for a trainer of one's own.

    Attributes:
        split: Its examples.
        rows: Where they are in the split of the data set that they come from, int64 [N].
    """

    split: Split
    rows: Tensor

    @property
    def ids(self) -> Tensor:
        """The examples' ids, int64 [N]."""
        return self.split.ids

    @property
    def labels(self) -> Tensor:
        """The examples' classes, int64 [N]; -1 where unknown."""
        return self.split.labels

    def examples(self, positions: Tensor | None = None) -> Tensor | list[str]:
        """Return examples as they are stored: uint8 images, float32 features, or texts.

        Args:
            positions: Which, in 0..N-1; by default all.
        """
        return stored(self.split, torch.arange(len(self)) if positions is None else positions)

    def __len__(self) -> int:
        return len(self.split)


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
        at_once: Examples that the model sees at once; fewer where memory runs out.
        progress: Told what was recorded; the logger ``goodteacher`` is told too.
        **attributes: What tells the run from others: batch_size, learning_rate, seed, whatever.

    Raises:
        InputError: The data cannot be read, or the folder holds a run of other data or attributes.

    Example:
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
        at_once: int = 256,
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
        self.prepare, self.probabilities = prepare, probabilities
        self.record_test, self.patience, self.at_once = record_test, patience, at_once
        self._progress = progress or Silent()
        self._data, parts = divided(config, data)
        train, own = self._data.train, self._data.validation
        self.training = _part(parts.training, train)
        self.transfer = _part(parts.transfer, train)
        self.selection = _part(parts.selection, own or train)
        path = Path(folder).expanduser()
        splits = SplitIds.of(config, parts)
        self._run = _begun(path, run, _checked_attributes(attributes), splits)

    @property
    def folder(self) -> Path:
        """The recorded run's folder."""
        return self._run.store.root

    @property
    def name(self) -> str:
        """The run's name."""
        return self._run.notes.name

    @property
    def is_text(self) -> bool:
        """Whether the examples are texts."""
        return self._data.is_text

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
        ``patience`` recorded epochs as good as before, or where the last epoch diverged.
        """
        records = self.records
        if records and records[-1].status == "diverged":
            return True
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
            raise ConfigError("Give record a model, or logits=, and not both.")
        said = self._asked(model, epoch) if model is not None else self._given(logits or {})
        facts = {
            "learning_rate": _finite(learning_rate),
            "training_loss": _finite(training_loss),
            "steps": steps,
            "seconds": _finite(seconds),
        }
        return self._write(epoch, said, facts, started, overwrite=overwrite)

    # --- what the model says -------------------------------------------------------------------

    @property
    def _wanted(self) -> dict[str, Split]:
        test = {"test": self._data.test} if self.record_test else {}
        return {"transfer": self.transfer.split, "selection": self.selection.split, **test}

    def _asked(self, model: Model, epoch: int) -> dict[str, Tensor]:
        asked = Asked(model, self.num_classes, self.prepare, self.at_once)
        splits = self._wanted
        self._progress.begin(f"recording epoch {epoch}", float(sum(map(len, splits.values()))))
        found = {name: asked(split, self._progress.advance) for name, split in splits.items()}
        return {name: self._as_logits(name, logits) for name, logits in found.items()}

    def _given(self, given: Mapping[str, ResponseLike]) -> dict[str, Tensor]:
        unknown, missing = given.keys() - _PARTS.keys(), {"transfer", "selection"} - given.keys()
        if unknown or missing:
            raise ConfigError(
                f"logits must hold transfer and selection, and may hold test, but it holds "
                f"{', '.join(sorted(map(str, given))) or 'nothing'}."
            )
        return {name: self._as_logits(name, values) for name, values in given.items()}

    def _as_logits(self, name: str, given: ResponseLike) -> Tensor:
        """Return a split's logits [N, C], in its order; they may be those of a diverged teacher."""
        split = self._data.test if name == "test" else self._wanted[name]
        shape = (len(split), self.num_classes)
        if isinstance(given, Tensor) and tuple(given.shape) == shape and _diverged(given):
            return given.float()
        response = as_response(
            given, probabilities=self.probabilities, class_names=self._data.class_names
        )
        return fitted_to_part(response, self._data, split, _PARTS[name])

    # --- what is written -----------------------------------------------------------------------

    def _write(
        self,
        epoch: int,
        said: Mapping[str, Tensor],
        facts: Mapping[str, float | None],
        started: float,
        *,
        overwrite: bool,
    ) -> TrajectoryRecord:
        healthy = not any(map(_diverged, said.values()))
        splits = {"test": self._data.test, **self._wanted}
        known = {name: (logits, splits[name].ids) for name, logits in said.items()}
        earlier = {record.epoch: record for record in self._run.records()}
        if epoch in earlier and not overwrite:
            before = earlier[epoch].status == "ok"
            if before == healthy and (not healthy or same_responses(self._run, epoch, known)):
                return earlier[epoch]
            raise StudyError(
                f"Epoch {epoch} was recorded in {self.folder} before, with other numbers. Pass "
                "overwrite=True to replace it, or record another training in a folder of its own."
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
        _make(self.folder)
        with self._run.store.lock():
            every = [*({**earlier, epoch: record}).values()]
            write_epoch(self._run, every, known if healthy else {}, epoch=epoch)
        say(self._progress, self._line(record))
        return record

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
        if not self.should_stop:
            return f"{told}."
        best = min(self.records, key=lambda each: each.best_nll)
        return (
            f"{told}. The held-out NLL was best after epoch {best.epoch} and no better in the last "
            f"{self.patience} recorded epochs: the teacher has probably passed its sweet spot."
        )


def split(data: DataLike, *, out: str | Path, **settings: object) -> SplitIds:
    """Write the ids of every part of the data: which examples to train one's own teacher on.

    Args:
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands.
        out: The folder, in which ``splits.json`` is written. It may become a recorded run's.
        **settings: Any field of :class:`~goodteacher.config.DataConfig`.

    Returns:
        The ids, which are also in the file. A `Recorder` and a search with the same settings divide
        the data alike.

    Raises:
        InputError: The data cannot be read, or the folder holds another division.

    Example:
        >>> ids = split("digits", out=getfixture("tmp_path") / "ids")
        >>> len(ids.training), len(ids.transfer), len(ids.selection), len(ids.test)
        (1293, 1293, 144, 360)
    """
    config = parse(DataConfig, data=name_of_data(data), **settings)
    _, parts = divided(config, data)
    ids, path = SplitIds.of(config, parts), Path(out).expanduser()
    store = _usable(path)
    _check_split(store, ids)
    _make(path)
    ids.write(store)
    return ids


def divided(config: DataConfig, data: DataLike) -> tuple[Dataset, StudyData]:
    """Return data as they are loaded under some settings, and their parts."""
    loaded = load_for(config, data)
    parts = divide(
        loaded,
        selection_fraction=config.selection_fraction,
        transfer_fraction=config.transfer_fraction,
        seed=config.split_seed,
    )
    return loaded, parts


def _begun(
    path: Path, name: str | None, attributes: dict[str, Attribute], ids: SplitIds
) -> RecordedRun:
    """Return the run of a folder, which may not exist yet.

    Raises:
        StudyError: The folder holds another run, or something else.
    """
    store = _usable(path)
    _check_split(store, ids)
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
            f"{path} holds a run that was begun otherwise: {why}. Give the same name and "
            "attributes to go on with it, or name another folder."
        )
    return RecordedRun(store, notes, ids)


def _usable(path: Path) -> Store:
    if path.exists() and not path.is_dir():
        raise StudyError(f"{path} is a file, but a recorded run is a folder. Name another.")
    store = Store(path)
    ours = store.exists("splits.json") or store.exists("run.json")
    if path.exists() and any(path.iterdir()) and not ours:
        raise StudyError(
            f"{path} is not empty and holds no recorded run (no run.json and no splits.json). Name "
            "a new folder."
        )
    return store


def _check_split(store: Store, ids: SplitIds) -> None:
    if not store.exists("splits.json"):
        return
    known = store.read_json("splits.json", SplitIds)
    why = why_other_data(known, ids) or why_other_split(known, ids)
    if why:
        raise StudyError(
            f"{store.root} was begun on something else: {why}. Give the same data and split to go "
            "on with it, or name another folder."
        )


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(
            f"{path} cannot be made: {error.strerror}. Name a folder that you may write to."
        ) from None


def _part(split: Split, whole: Split) -> Part:
    """Return a split with its places in the one it is a part of."""
    ordered, rows = whole.ids.sort()
    return Part(split, rows[torch.searchsorted(ordered, split.ids)])


def _diverged(logits: Tensor) -> bool:
    # Of a row without a softmax, that of NaN or infinities, the softmax is NaN; -inf alone is 0.
    return logits.is_floating_point() and bool(logits.float().softmax(-1).isnan().any())


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _checked_epoch(epoch: int | None) -> int:
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 1:
        raise ConfigError(
            f"epoch must be a whole number from 1, but is {epoch!r}: it says how many epochs lie "
            "behind the model. In a loop that counts from 0, pass epoch + 1."
        )
    return epoch


def _checked_attributes(attributes: Mapping[str, object]) -> dict[str, Attribute]:
    known: dict[str, Attribute] = {}
    for name, value in attributes.items():
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ConfigError(
                f"{name} = {value!r} is no attribute of a run: give a number or a word, such as "
                "learning_rate=0.1."
            )
        known[name] = value
    return known


def _check_numbers(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, but is {value}.")
