"""``respond``: what any teacher says that predicts, as a recorded run.

::

    forest = HistGradientBoostingClassifier().fit(x, y)
    said = goodteacher.respond(forest.predict_proba, data, out="recorded/forest")
    goodteacher.search(data, trajectories=[said.folder], student="mlp:32", out="study")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from torch import nn

from goodteacher.config import Attribute
from goodteacher.data import UNLABELLED, Dataset, InputSpec, Split, shorten
from goodteacher.errors import ConfigError, DataError, ResponseError
from goodteacher.networks import weight_bytes
from goodteacher.public.dividing import as_folder, make_folder
from goodteacher.public.examples_alone import (
    dataset_or_examples,
    divided_at_random,
    unlabelled,
)
from goodteacher.public.recording import Recorder
from goodteacher.records import Predictor, TrajectoryRecord, latency_of
from goodteacher.responses import (
    Scored,
    columns_of,
    default_numbers,
    difference,
    joined,
    look_like_probabilities,
)
from goodteacher.studies import DataLike, Place, Progress, Silent, Store, say
from goodteacher.teachers import (
    ASKED,
    HUGGING_FACE,
    AskedOf,
    Asking,
    HuggingFaceTeacher,
    Predict,
    Values,
    as_numpy,
    check_instead,
    check_kind,
    checked_prepare,
    framed,
    onnx_teacher,
    places_of,
    rows_of,
)


@dataclass(frozen=True)
class Responded:
    """What a teacher said, recorded.

    Attributes:
        folder: The recorded run: give it to a search as ``trajectories=[folder]``.
        data: The data set, for that search. Where no training example had a label, its labels are
            the teacher's answers.
        record: What its response says.
    """

    folder: Place
    data: Dataset
    record: TrajectoryRecord


def respond(
    predict: Predict | str | Path,
    data: DataLike | Sequence[str] | npt.NDArray[Any] | torch.Tensor,
    *,
    out: str | Path,
    target: str | None = None,
    classes: Sequence[str] = (),
    teacher_inputs: Any = None,
    prepare: Callable[[Any], Any] | None = None,
    probabilities: bool | None = None,
    at_once: int = 64,
    retries: int = 0,
    pause: float = 1.0,
    record_test: bool = False,
    test_fraction: float = 0.2,
    selection_fraction: float = 0.1,
    transfer_fraction: float = 1.0,
    split_seed: int = 0,
    epoch: int | None = None,
    teacher_file: str | Path | None = None,
    progress: Progress | None = None,
    **attributes: Attribute,
) -> Responded:
    """Ask a teacher that predicts about the transfer set and the selection split; record it.

    What was answered is kept in the folder ``asked`` as it comes, so the same call goes on where it
    was stopped, and asks about nothing twice once it is finished.

    Args:
        predict: A function from a batch of examples to a score of each class for each example (see
            :mod:`goodteacher.responses.scored`), such as ``model.predict_proba``, a pipeline of
            transformers or a function that calls an API; or the path of an ONNX file; or
            ``hf:FOLDER``, a model of transformers that was trained to classify texts.
        data: A data set, or what :func:`~goodteacher.data.load_dataset` understands (a data frame
            with ``target``); or examples alone, texts (tuples of texts) or arrays [N, ...], of
            which nobody knows the class.
        out: The recorded run's folder.
        target: The column of labels in a table; None finds it by its name in a file, and takes a
            data frame as examples alone.
        classes: The class of each column that ``predict`` returns, where it does not say, or says
            ``LABEL_0`` and so on. Columns are matched to the data's classes by name, in whatever
            order; needed for examples alone, unless ``predict`` names its classes.
        teacher_inputs: What the teacher gets in place of the stored examples: paths, bytes, rows of
            a data frame, one for each example; for a data set a dictionary by split
            (``{"train": ..., "validation": ..., "test": ...}``).
        prepare: Turns a batch of examples as they are stored (arrays, a list of texts, of table
            rows with words or gaps a data frame of pandas) into what ``predict`` takes.
        probabilities: Whether scores are probabilities rather than logits; None tells it from them.
        at_once: Examples in a batch.
        retries: How often a batch is asked again after an error, as of an API.
        pause: Seconds before the first of these; each further one waits twice as long.
        record_test: Also ask about the test split of a data set; nobody is shown the answer before
            a study opens it.
        test_fraction: Share of examples alone that become the test split.
        selection_fraction: Share of the training data on which every choice is made.
        transfer_fraction: Share of the rest on which the teacher responds.
        split_seed: Seed of that division.
        epoch: Where the teacher is one of a training's epochs, which of them: each can be recorded
            in the same folder. By default it is a teacher without epochs that is asked once.
        teacher_file: The file or folder that holds the teacher, where ``predict`` is a function:
            its size is told beside the student's.
        progress: Told how far it is.
        **attributes: What tells this teacher from others.

    Raises:
        InputError: What is given cannot work, or ``predict`` returns no score of each class.

    Example:
        >>> from sklearn.ensemble import ExtraTreesClassifier
        >>> from goodteacher.data import load_dataset
        >>> digits = load_dataset("digits")
        >>> x, y = digits.train.inputs.flatten(1).numpy(), digits.train.labels.numpy()
        >>> forest = ExtraTreesClassifier(20, random_state=0).fit(x[::2], y[::2])
        >>> said = respond(forest.predict_proba, digits, out=getfixture("tmp_path") / "forest",
        ...                prepare=lambda images: images.reshape(len(images), -1))
        >>> said.record.epoch, said.record.selection_accuracy > 0.9
        (1, True)
    """
    asking = Asking(_teacher(predict, classes), at_once=at_once, retries=retries, pause=pause)
    path, (dataset, alone) = as_folder(out), dataset_or_examples(data, target)
    given = (checked_prepare(prepare), teacher_inputs, tuple(classes), probabilities)
    asked = _Asked(asking, *given, _answers(path, epoch), progress, takes_frames=callable(predict))
    check_kind(path, asked_once=epoch is None)
    size = size_of(predict, teacher_file)
    settings: dict[str, Any] = {
        "selection_fraction": selection_fraction,
        "transfer_fraction": transfer_fraction,
        "split_seed": split_seed,
        "record_test": record_test and alone is None,
        "progress": progress,
    }
    recorder, values = asked.recorded_by(dataset, alone, path, settings | attributes, test_fraction)
    asked.describe_to(recorder, size, asked_once=epoch is None)
    record = recorder.record(logits=values, epoch=epoch or 1)
    return Responded(recorder.folder, recorder.data, record)


def _answers(path: Place, epoch: int | None) -> Store:
    """Return where the answers of a teacher, or of one of its epochs, are kept."""
    return Store(path / ASKED / ("once" if epoch is None else f"epoch-{epoch}"))


_FEWEST = 5
"""Examples that a teacher must give a class, where the classes are the teacher's."""


class _Asked:
    """A teacher, asked about whole splits; what it said, in the order of the classes.

    Attributes:
        are_probabilities: Whether what it said are probabilities, once it has said something.
        times: Examples and seconds of each batch that it was asked about.
    """

    def __init__(
        self,
        asking: Asking,
        prepare: Callable[[Any], Any] | None,
        instead: Any,
        classes: tuple[str, ...],
        probabilities: bool | None,
        answers: Store,
        progress: Progress | None,
        *,
        takes_frames: bool,
    ) -> None:
        if isinstance(asking.predict, HuggingFaceTeacher):
            probabilities = False
        self.asking, self.answers = asking, answers
        self.form = as_numpy if prepare is None else lambda batch: prepare(as_numpy(batch))
        self._prepare, self._takes_frames = prepare, takes_frames
        self._told_otherwise = prepare is not None or instead is not None
        self.instead, self.classes = instead, classes
        self.are_probabilities = bool(probabilities)
        self.times: list[tuple[int, float]] = []
        self._gave_labels = False
        self._told, self._tried = probabilities is not None, False
        self._watcher = progress or Silent()

    def recorded_by(
        self,
        data: Dataset | None,
        alone: Any,
        path: Place,
        settings: dict[str, Any],
        test_fraction: float,
    ) -> tuple[Recorder, dict[str, Values]]:
        """Ask about a data set, or examples alone; return who records it, and what was said."""
        if data is not None:
            dataset, known = self.labelled(data)
            recorder = Recorder(path, dataset, **settings)
            parts = _parts(recorder, settings["record_test"])
            if known is None:
                return recorder, self.about(parts, dataset)
            part, whole, _ = parts.pop("transfer")
            answered = {"transfer": known[places_of(part, whole)]}
            return recorder, answered | self.about(parts, dataset)
        fractions = (test_fraction, settings["selection_fraction"])
        dataset, said = self.about_alone(alone, path, fractions, seed=settings["split_seed"])
        recorder = Recorder(path, dataset, **settings)
        ids = {"transfer": recorder.transfer.ids, "selection": recorder.selection.ids}
        return recorder, {name: said[rows.numpy()] for name, rows in ids.items()}

    def about(
        self, parts: Mapping[str, tuple[Split, Split, str]], data: Dataset
    ) -> dict[str, Values]:
        """Ask about parts of a data set, by name: each with the split it is of."""
        check_instead(self.instead, data)
        examples = {}
        for name, (part, whole, source) in parts.items():
            instead = None if self.instead is None else self.instead[source]
            own = None if instead is None else rows_of(instead, places_of(part, whole))
            examples[name] = AskedOf(part, own, self.form_of(data.spec))
        return self._aligned(self._said(examples), data.class_names)

    def form_of(self, spec: InputSpec) -> Callable[[Any], Any]:
        """Return what makes of stored examples what the teacher takes: of table rows a frame."""
        frames = spec.kind == "rows" and self._takes_frames
        return framed(spec, self._prepare) if frames else self.form

    def labelled(self, data: Dataset) -> tuple[Dataset, Values | None]:
        """Label training examples by the teacher's answers where nobody else has labelled any.

        Returns the answers too, in the order of the examples; None where there were labels.
        """
        if bool((data.train.labels != UNLABELLED).any()):
            return data, None
        parts = {"transfer": (data.train, data.train, "train")}
        values = self.about(parts, data)["transfer"]
        labels, self._gave_labels = torch.from_numpy(values.argmax(1)), True
        say(
            self._watcher,
            "No training example has a label, so the teacher's predictions are used as hard "
            "labels.",
        )
        return replace(data, train=Split(data.train.stored, labels, data.train.ids)), values

    def about_alone(
        self, examples: Any, path: Place, fractions: tuple[float, float], *, seed: int
    ) -> tuple[Dataset, Values]:
        """Ask about examples that nobody has labelled; return them divided, and all answers."""
        split = unlabelled(examples)
        instead = self.instead
        if instead is None and self.form is as_numpy and hasattr(examples, "columns"):
            instead = examples  # a data frame: whose function may want the names of its columns
        said = self._said({"all": AskedOf(split, instead, self.form)})["all"]
        names = self.classes or said.names
        if not names:
            raise ConfigError(
                "The names of the classes are unknown. Give them, in the order of the columns "
                "that the function returns: classes=[...]."
            )
        kept = self._occurring(said, names)
        values = self._aligned({"all": said}, kept)["all"]
        labelled = Split(split.stored, torch.from_numpy(values.argmax(1)), split.ids)
        self._gave_labels = True
        data = divided_at_random(labelled, kept, path.name, fractions, seed)
        say(
            self._watcher,
            "These examples have no labels, so the teacher's predictions are used as labels. "
            "Accuracy then means how often a student agrees with the teacher.",
        )
        return data, values

    def _occurring(self, said: Scored, names: Sequence[str]) -> tuple[str, ...]:
        """Return the classes that the teacher gives to enough examples to be learned and tested."""
        counts = np.bincount(said.values.argmax(1), minlength=said.values.shape[1])
        if len(names) != len(counts):
            return tuple(names)  # which is refused where they are put in order
        kept = tuple(n for n, count in zip(names, counts, strict=True) if count >= _FEWEST)
        if len(kept) < 2:
            raise DataError(
                f"The teacher gives {len(kept)} of its {len(names)} classes to at least {_FEWEST} "
                f"of the {len(said.values)} examples, but at least two classes are needed. Give "
                "more examples, or more varied ones."
            )
        if len(kept) < len(names):
            say(
                self._watcher,
                f"{len(names) - len(kept)} of the teacher's {len(names)} classes are predicted "
                f"for fewer than {_FEWEST} examples and are left out.",
            )
        return kept

    def _said(self, examples: Mapping[str, AskedOf]) -> dict[str, Scored]:
        if not self._tried:
            for note in self.asking.try_out(next(iter(examples.values())), self.answers):
                say(self._watcher, note)
            for name, each in examples.items():
                self._tell_of_cuts(each, name)
        self._tried = True
        make_folder(self.answers.root)
        self._watcher.begin("asking the teacher", float(sum(map(len, examples.values()))))
        return {
            name: self.asking(each, self.answers, self._watcher.advance, self._timed)
            for name, each in examples.items()
        }

    def _tell_of_cuts(self, examples: AskedOf, name: str) -> None:
        """Say how many texts a model of transformers reads in part only."""
        teacher = self.asking.predict
        if isinstance(teacher, HuggingFaceTeacher) and not self._told_otherwise:
            note = teacher.note_of(examples.split.texts or (), name)
            if note:
                say(self._watcher, note)

    def describe_to(self, recorder: Recorder, size: int | None, *, asked_once: bool) -> None:
        """Tell a recorder what kind of scores these are, and of which teacher."""
        recorder.probabilities = self.are_probabilities
        if asked_once:
            recorder.predictor = Predictor(
                latency=latency_of(self.times), num_bytes=size, labels=self._gave_labels
            )

    def _timed(self, count: int, seconds: float) -> None:
        self.times.append((count, seconds))

    def _aligned(self, said: Mapping[str, Scored], class_names: Sequence[str]) -> dict[str, Values]:
        """Return scores in the order of the classes, of no other classes."""
        whole = joined([*said.values()])
        names = whole.names or self.classes
        numbers = default_numbers(whole.names)
        if numbers is not None and not set(class_names) <= set(names):
            whole, names = self._by_position(whole, numbers, class_names), self.classes
        if not self._told:
            self.are_probabilities = _are_probabilities(whole.values)
            kind = "probabilities" if self.are_probabilities else "logits"
            say(self._watcher, f"The teacher's scores are taken as {kind}.")
            self._told = True
        if not names and whole.values.shape[1] != len(class_names):
            raise ConfigError(
                f"The function returns {whole.values.shape[1]} columns, but the data have "
                f"{len(class_names)} classes ({shorten(class_names)}). If it has more classes "
                "than the data, give the names of all of them in the order of the columns: "
                "classes=[...]."
            )
        values = self._in_order(whole.values, names, class_names) if names else whole.values
        ends = np.cumsum([len(part.values) for part in said.values()])
        return dict(zip(said, np.split(values, ends[:-1]), strict=True))

    def _by_position(
        self, said: Scored, numbers: Sequence[int], class_names: Sequence[str]
    ) -> Scored:
        """Return scores whose columns nobody has named, in the order of their numbers."""
        if not self.classes and len(numbers) == len(class_names):
            say(
                self._watcher,
                f"The teacher calls its classes LABEL_0 to LABEL_{max(numbers)}, which are not "
                "real names. They are taken in the order of the data's classes "
                f"({shorten(class_names)}). If it was trained with another order, this is wrong: "
                "give the names with classes=[...].",
            )
        return Scored(said.values[:, np.argsort(numbers)])

    def _in_order(self, values: Values, names: Sequence[str], class_names: Sequence[str]) -> Values:
        if len(names) != values.shape[1]:
            raise ConfigError(
                f"classes names {len(names)} classes, but the function returns {values.shape[1]} "
                "columns. Give the class of each column, in order."
            )
        few = self.are_probabilities and bool((values == 0).any())
        absent = [name for name in class_names if name not in names]
        if few and set(names) < set(class_names):  # these were among the best few of no example
            names = (*names, *absent)
            values = np.concatenate([values, np.zeros((len(values), len(absent)))], axis=1)
        try:
            columns = columns_of(class_names, names)
        except ResponseError as error:
            raise ResponseError(
                "The teacher does not have all classes of the data: "
                f"{difference(names, class_names)}. If it uses other names for them, give the "
                "data's names in the order of its columns: classes=[...]. If it was not trained "
                "on these classes, it cannot be a teacher for these data."
            ) from error
        kept = values[:, columns]
        if len(class_names) < len(names):
            shares = values if self.are_probabilities else softmax(values, axis=1)
            lost = float((shares.sum(1) - shares[:, columns].sum(1)).mean())
            others = [name for name in names if name not in class_names]
            say(
                self._watcher,
                f"The teacher has {len(others)} more classes than the data ({shorten(others)}), "
                f"with {100 * lost:.2g} % of the probability on average. They are left out, and "
                "the other probabilities are divided by their sum.",
            )
        if len(class_names) < len(names) and self.are_probabilities:
            kept = kept / np.maximum(kept.sum(1, keepdims=True), np.finfo(np.float64).tiny)
        return kept


def _teacher(predict: Predict | str | Path, classes: Sequence[str]) -> Predict:
    if isinstance(predict, str) and predict.startswith(HUGGING_FACE):
        return HuggingFaceTeacher(predict, classes)
    if isinstance(predict, str | Path):
        return onnx_teacher(predict)
    if hasattr(predict, "tokenizer") and hasattr(predict, "task"):
        # a pipeline names the best class only, unless it is told otherwise
        return partial(cast("Callable[..., Any]", predict), top_k=None)
    teacher: object = predict
    if callable(teacher):
        return teacher
    hint = "its predict_proba" if hasattr(predict, "predict_proba") else "a function"
    raise ConfigError(
        "A teacher must be a function of a batch, an ONNX file or 'hf:FOLDER', but its type is "
        f"{type(predict).__name__}. Give {hint}."
    )


def size_of(predict: Any, file: str | Path | None) -> int | None:
    """Return the size of a teacher in bytes: of its file, or of its weights; None if unknown.

    Args:
        predict: What is asked: a function, the path of an ONNX file, a module or its method.
        file: The file or folder that holds it, where that is known.

    Raises:
        ConfigError: There is no such file.
    """
    named = predict if file is None and isinstance(predict, str | Path) else file
    if named is not None:
        path = Path(str(named).removeprefix(HUGGING_FACE)).expanduser()
        if file is not None and not path.exists():
            raise ConfigError(f"teacher_file = {file}: there is no such file or folder.")
        # An ONNX file of many weights has them in a second file, under one of two usual names.
        parts = [path, *(path.with_name(path.name + end) for end in (".data", "_data"))]
        found = path.rglob("*") if path.is_dir() else parts
        return sum(part.stat().st_size for part in found if part.is_file()) or None
    owner = getattr(predict, "__self__", predict)
    for module in (owner, getattr(owner, "model", None)):
        if isinstance(module, nn.Module):
            return weight_bytes(module)
    return None


def _parts(recorder: Recorder, record_test: bool) -> dict[str, tuple[Split, Split, str]]:
    """Return what is asked about: each part, the split that it is of, and that split's name."""
    data = recorder.data
    whole, name = (
        (data.train, "train") if data.validation is None else (data.validation, "validation")
    )
    parts = {
        "transfer": (recorder.transfer.split, data.train, "train"),
        "selection": (recorder.selection.split, whole, name),
    }
    return {**parts, "test": (data.test, data.test, "test")} if record_test else parts


def _are_probabilities(values: Values) -> bool:
    """Say whether rows are probabilities, perhaps of the best few classes only."""
    if not bool((values >= 0).all()):
        return False
    largest = float(values.sum(1).max())
    return look_like_probabilities(values) or bool((values == 0).any() and largest <= 1 + 1e-3)
