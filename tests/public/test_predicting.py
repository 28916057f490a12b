"""Any teacher that predicts: asked, recorded, and searched over."""

import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.naive_bayes import MultinomialNB

import goodteacher
from goodteacher.data import DataNote, load_dataset
from goodteacher.errors import (
    ConfigError,
    DataError,
    InputError,
    ModelError,
    ResponseError,
    StudyError,
)
from goodteacher.public.predicting import size_of
from goodteacher.records import latency_of
from goodteacher.studies import Store
from goodteacher.teachers import AskedOf, Asking, RecordedRun, as_numpy, frames

DIGITS = load_dataset("digits")
NAMES = DIGITS.class_names
BAYES = MultinomialNB().fit(
    DIGITS.train.inputs.flatten(1)[::2].numpy(), DIGITS.train.labels[::2].numpy()
)


def flat(images):
    return images.reshape(len(images), -1)


def predict(images):
    return BAYES.predict_proba(flat(images))


def respond(function, folder, data=DIGITS, **settings):
    return goodteacher.respond(function, data, out=folder / "run", **settings)


def logits_of(said, part="selection"):
    run = RecordedRun.open(said.folder)
    (path,) = run.store.root.glob(f"responses/*.{part}.*")
    return Store(path.parent).read_tensors(path.name)["logits"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return respond(predict, tmp_path_factory.mktemp("plain"), kind="Bayes")


def test_a_function_becomes_a_recorded_run(plain):
    run = RecordedRun.open(plain.folder)
    assert run.notes.attributes == {"kind": "Bayes"}
    assert [record.epoch for record in run.records()] == [1]
    assert not run.notes.predictor.labels
    assert plain.record.selection_accuracy > 0.8
    assert plain.data is DIGITS


NAMED = [f"{name}" for name in NAMES]


def as_dictionaries(values, names=NAMED):
    return [dict(zip(names, row, strict=True)) for row in values.tolist()]


class Frame:
    def __init__(self, values, columns):
        self.values, self.columns = values, columns

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


REVERSED = [*reversed(NAMED)]


@pytest.mark.parametrize(
    ("function", "settings"),
    [
        (lambda x: np.log(predict(x) + 1e-300), {}),
        (lambda x: torch.tensor(predict(x)), {}),
        (lambda x: as_dictionaries(predict(x)), {}),
        (lambda x: Frame(predict(x)[:, ::-1], REVERSED), {}),
        (lambda x: predict(x)[:, ::-1], {"classes": REVERSED}),
        (lambda x: BAYES.predict_proba(x), {"prepare": flat}),
        (predict, {"at_once": 7}),
    ],
    ids=["logits", "tensor", "names", "frame", "classes", "prepare", "batches"],
)
def test_however_it_says_it_the_same_is_recorded(function, settings, plain, tmp_path):
    found = logits_of(respond(function, tmp_path, **settings)).softmax(1)
    expected = logits_of(plain).softmax(1)
    assert torch.allclose(found, expected, atol=1e-6)


def test_what_more_a_teacher_knows_is_left_out_and_told(plain, tmp_path, caplog):
    def wider(images):
        values = predict(images)
        return as_dictionaries(np.concatenate([0.5 * values, 0.5 * values[:, :2]], 1), names)

    names = [*NAMED, "cat", "dog"]
    with caplog.at_level("INFO"):
        found = logits_of(respond(wider, tmp_path)).softmax(1)
    assert torch.allclose(found, logits_of(plain).softmax(1), atol=1e-5)
    assert "has 2 more classes than the data (cat, dog), with" in caplog.text


def test_the_best_few_classes_are_taken_with_their_tail(tmp_path):
    def best(images):
        values = predict(images) * 0.9 + 0.01
        return [{NAMED[c]: float(row[c]) for c in np.argsort(row)[-3:]} for row in values]

    said = respond(best, tmp_path)
    found = logits_of(said).softmax(1)
    smallest = found.sort(1).values[:, :7]
    assert torch.allclose(smallest, smallest[:, :1].expand_as(smallest), atol=1e-7)
    assert said.record.selection_accuracy > 0.8


@pytest.mark.parametrize(
    ("function", "settings", "error", "message"),
    [
        (lambda x: predict(x)[::-1], {}, ModelError, "did not return their rows in that order"),
        (
            lambda x: np.sort(predict(x), 0),
            {},
            ModelError,
            "did not return their rows in that order",
        ),
        (lambda x: predict(x)[:-1], {}, ResponseError, "drop the last batch"),
        (lambda x: predict(x).T, {}, ResponseError, "a row for each class"),
        (
            lambda x: predict(x).argmax(1),
            {},
            ResponseError,
            "A predicted label contains no information",
        ),
        (
            lambda x: predict(x)[:, :4],
            {},
            InputError,
            "returns 4 columns, but the data have 10 classes",
        ),
        (
            lambda x: as_dictionaries(predict(x), [f"c{n}!" for n in "qwertzuiop"]),
            {},
            ResponseError,
            "The teacher does not have all classes of the data: only the response has 'cq!'",
        ),
        (predict, {"classes": NAMED[:3]}, ConfigError, "classes names 3 classes, but .* 10"),
        (lambda x: predict(x, 1), {}, ModelError, "failed on examples 0 to 7 .TypeError"),
        (BAYES, {}, ConfigError, "Give its predict_proba"),
        (predict, {"teacher_inputs": [1, 2]}, ConfigError, "dictionary with an entry for each"),
        (predict, {"teacher_inputs": {"train": [1]}}, DataError, "1437 examples of train, but"),
    ],
)
def test_a_teacher_that_cannot_be_used_is_refused(function, settings, error, message, tmp_path):
    with pytest.raises(error, match=message):
        respond(function, tmp_path, **settings)


def test_a_teacher_of_other_inputs_gets_those_of_the_same_examples(plain, tmp_path):
    paths = {
        name: [f"{name}-{row}.png" for row in range(len(split))]
        for name, split in DIGITS.splits.items()
    }

    def read(names):
        rows = [int(name.split("-")[1].split(".")[0]) for name in names]
        assert all(name.startswith("train-") for name in names)
        return predict(DIGITS.train.inputs[rows].numpy())

    found = logits_of(respond(read, tmp_path, teacher_inputs=paths))
    assert torch.allclose(found, logits_of(plain), atol=1e-5)


def test_a_function_gets_examples_as_they_are_stored(tmp_path):
    seen = []

    def look(batch):
        seen.append(batch)
        return predict(batch)

    respond(look, tmp_path / "arrays")
    assert {(type(batch), batch.dtype, batch.shape[1:]) for batch in seen} == {
        (np.ndarray, np.dtype("uint8"), (1, 8, 8))
    }


WORDS = [f"{'good fine' if n % 3 else 'bad awful'} thing{n % 7} {n}" for n in range(60)]


@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series])
def test_texts_alone_reach_a_function_as_lists_of_strings(kind, tmp_path):
    seen = []

    def look(batch):
        seen.append(batch)
        return [[0.9, 0.1] if "good" in text else [0.1, 0.9] for text in batch]

    said = respond(look, tmp_path, kind(WORDS), classes=["good", "bad"])
    assert all(type(batch) is list for batch in seen)
    assert all(isinstance(text, str) for batch in seen for text in batch)
    assert said.data.is_text
    found = {said.data.class_names[label] for label in said.data.test.labels}
    assert found == {"good", "bad"}


FLOWERS = pd.DataFrame(
    {"length": np.arange(60) % 5, "width": np.arange(60.0) % 3, "no.": np.arange(60)}
)


def by_column(frame):
    assert frame["length"].dtype == np.int64
    return np.stack([frame["width"] < 1, frame["width"] >= 1], 1) * 0.8 + 0.1


@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
def test_rows_of_a_data_frame_alone_keep_their_columns_and_types(tmp_path):
    said = respond(by_column, tmp_path, FLOWERS, classes=["thin", "wide"])
    thin = said.data.test.inputs[:, 1] < 1
    assert (said.data.test.labels == 0).equal(thin)
    with pytest.raises(ModelError, match=r"IndexError|TypeError"):
        respond(by_column, tmp_path / "x", FLOWERS.to_numpy(), classes=["thin", "wide"])


@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
def test_prepare_gets_a_data_frame_as_the_array_that_is_stored(tmp_path):
    def frame(rows):
        assert type(rows) is np.ndarray
        return pd.DataFrame(rows, columns=FLOWERS.columns).astype({"length": int})

    said = respond(by_column, tmp_path, FLOWERS, prepare=frame, classes=["thin", "wide"])
    assert (said.data.test.labels == 0).equal(said.data.test.inputs[:, 1] < 1)


@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
@pytest.mark.parametrize("kind", ["bytes", "paths", "frame"])
def test_a_function_may_get_something_else_of_the_same_examples(kind, tmp_path):
    for number, word in enumerate(WORDS):
        (tmp_path / f"{number}.txt").write_text(word)
    given = {
        "bytes": [word.encode() for word in WORDS],
        "paths": [tmp_path / f"{number}.txt" for number in range(len(WORDS))],
        "frame": pd.DataFrame({"note": WORDS, "more": 1}),
    }
    read = {
        "bytes": lambda batch: batch,
        "paths": lambda batch: [path.read_bytes() for path in batch],
        "frame": lambda batch: [note.encode() for note in batch["note"]],
    }

    def look(batch):
        return [[0.9, 0.1] if b"good" in known else [0.1, 0.9] for known in read[kind](batch)]

    settings = {"teacher_inputs": given[kind], "classes": ["good", "bad"]}
    said = respond(look, tmp_path, WORDS, **settings)
    names = [said.data.class_names[label] for label in said.data.train.labels]
    assert names == ["good" if "good" in text else "bad" for text in said.data.train.texts]


@pytest.mark.parametrize(
    ("examples", "told"),
    [
        (
            [b"ab", b"cd"],
            "The examples are bytes, which a teacher may accept but a student does not",
        ),
        ([Path("a"), Path("b")], "The examples are paths.*Pass them as teacher_inputs="),
        ((word for word in WORDS), r"are a generator. Convert them with list\(...\)"),
        ([*WORDS, None], "Texts must be strings, but 1 of 61 are"),
    ],
)
def test_examples_that_no_student_reads_are_refused_with_what_to_do(examples, told, tmp_path):
    with pytest.raises(DataError, match=told):
        respond(predict, tmp_path, examples, classes=NAMED)
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
def test_rows_in_a_list_are_examples(tmp_path):
    rows = [*flat(DIGITS.train.inputs[:200].numpy().astype(np.int64))]
    said = respond(BAYES.predict_proba, tmp_path, rows, classes=NAMED)
    assert said.data.train.inputs.shape == (144, 64)


class Flaky:
    """Fails at some calls, as an API may."""

    def __init__(self, fails, function=predict):
        self.fails, self.calls, self.function = set(fails), 0, function

    def __call__(self, batch):
        self.calls += 1
        if self.calls in self.fails:
            raise ConnectionError("too many requests")
        return self.function(batch)


def test_what_fails_at_times_is_asked_again_after_ever_longer_waits(tmp_path):
    waits = []
    teacher = Flaky({1, 2, 3})
    asking = Asking(teacher, at_once=500, retries=3, pause=2.0, sleep=waits.append)
    said = asking(AskedOf(DIGITS.test, form=lambda x: x.numpy()), Store(tmp_path))
    assert said.values.shape == (360, 10)
    assert [2 <= waits[0] < 3, 4 <= waits[1] < 5.1, 8 <= waits[2] < 10.1] == [True] * 3


@pytest.mark.parametrize(("name", "value"), [("at_once", 0), ("retries", -1), ("pause", -0.5)])
def test_numbers_too_small_to_ask_with_are_refused(name, value, tmp_path):
    with pytest.raises(ConfigError, match=f"{name} must be at least"):
        respond(predict, tmp_path, **{name: value})
    assert not (tmp_path / "run").exists()


def test_the_same_call_goes_on_where_it_was_stopped(plain, tmp_path):
    teacher = Flaky({6})
    with pytest.raises(ModelError, match=r"on examples 192 to 255 .ConnectionError: too many"):
        respond(teacher, tmp_path)
    answered = teacher.calls - 3  # two to try it out, one failed
    teacher.fails = set()
    before = teacher.calls
    said = respond(teacher, tmp_path)
    batches = -(-len(RecordedRun.open(said.folder).splits.transfer) // 64) + 3
    assert teacher.calls - before == batches - answered + 3  # the first one again, beside the two
    assert torch.equal(logits_of(said), logits_of(plain))


class Counts:
    """A teacher that counts the examples it is asked about."""

    def __init__(self, answer=predict):
        self.answer, self.asked = answer, 0

    def __call__(self, images):
        self.asked += len(images)
        return self.answer(images)


def test_a_finished_call_given_again_asks_about_next_to_nothing(tmp_path):
    images, teacher = DIGITS.train.inputs[:400].numpy(), Counts()
    first = respond_to(images, teacher, tmp_path / "run")
    assert teacher.asked >= 400
    teacher.asked = 0
    again = respond_to(images, teacher, tmp_path / "run")
    assert teacher.asked < 100
    assert again.data.fingerprint == first.data.fingerprint
    assert torch.equal(logits_of(again), logits_of(first))


def respond_to(images, teacher, folder, **settings):
    return goodteacher.respond(teacher, images, out=folder, classes=NAMED, **settings)


def test_the_answers_of_another_teacher_are_never_taken_for_this_ones(tmp_path):
    images = DIGITS.train.inputs[:400].numpy()
    respond_to(images, predict, tmp_path / "run")
    other = Counts(lambda some: predict(some)[:, ::-1])
    with pytest.raises(
        StudyError, match=r"contains the answers of another teacher.*Choose another"
    ):
        respond_to(images, other, tmp_path / "run")
    assert other.asked < 100
    respond_to(images, other, tmp_path / "other")


def test_each_epoch_of_a_teacher_has_answers_of_its_own(tmp_path):
    def softer(images):
        return 0.5 * predict(images) + 0.05

    for epoch, teacher in ((1, softer), (2, predict)):
        said = goodteacher.respond(
            teacher, DIGITS, out=tmp_path / "run", epoch=epoch, probabilities=True
        )
    store = Store(said.folder / "responses")
    first, second = (
        store.read_tensors(f"epoch-0000{n}.selection.view-0.safetensors")["logits"] for n in (1, 2)
    )
    assert [record.epoch for record in RecordedRun.open(said.folder).records()] == [1, 2]
    assert not torch.equal(first, second)


@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
def test_examples_that_nobody_labelled_get_their_classes_from_the_teacher(tmp_path, caplog):
    images = DIGITS.train.inputs[:400].numpy()
    with caplog.at_level("INFO"):
        said = goodteacher.respond(predict, images, out=tmp_path / "run", classes=NAMED)
    assert "the teacher's predictions are used as labels" in caplog.text
    assert (len(said.data.test), len(said.data.validation)) == (80, 32)
    assert "classes are predicted for fewer than" not in caplog.text
    assert said.data.class_names == NAMES
    assert said.record.selection_accuracy > 0.8
    for split in said.data.splits.values():
        assert split.labels.tolist() == BAYES.predict(flat(images[split.ids])).tolist()
    with pytest.raises(ConfigError, match="The names of the classes are unknown"):
        goodteacher.respond(predict, images, out=tmp_path / "other")
    with pytest.raises(DataError, match="of its 10 classes to at least 5 of the 3 examples"):
        goodteacher.respond(predict, images[:3], out=tmp_path / "few", classes=NAMED)


def test_training_examples_without_any_label_get_the_teachers_answers(tmp_path):
    x, xt = DIGITS.train.inputs.numpy(), DIGITS.test.inputs.numpy()
    yt = DIGITS.test.labels.numpy()
    arrays = {"x_train": x[:300], "x_val": xt[:180], "y_val": yt[:180]}
    arrays |= {"x_test": xt[180:], "y_test": yt[180:]}
    with pytest.warns(DataNote):
        said = respond(predict, tmp_path, arrays)
    assert said.data.train.labels.tolist() == BAYES.predict(flat(x[:300])).tolist()
    assert said.data.validation.labels.tolist() == yt[:180].tolist()
    assert 0.8 < said.record.selection_accuracy < 1


@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
def test_answers_about_other_examples_are_never_taken_for_these(tmp_path):
    x, xt = DIGITS.train.inputs.numpy(), DIGITS.test.inputs.numpy()
    yt = DIGITS.test.labels.numpy()
    arrays = {"x_train": x[:300], "x_val": xt[:180], "y_val": yt[:180]}
    arrays |= {"x_test": xt[180:], "y_test": yt[180:]}
    # All of train is asked about for labels, then the half of it that is the transfer set.
    said = respond(predict, tmp_path / "half", arrays, transfer_fraction=0.5)
    run = RecordedRun.open(said.folder)
    rows = list(run.splits.transfer)
    assert rows != list(range(len(rows)))
    found = logits_of(said, "transfer").softmax(1).numpy()
    assert np.allclose(found, predict(x[rows]), atol=1e-6)
    # A call that was stopped goes on with other data in the same folder.
    with pytest.raises(ModelError):
        respond(Flaky({6}), tmp_path / "other", x[:400], classes=NAMED)
    again = respond(predict, tmp_path / "other", x[400:800], classes=NAMED)
    kept = RecordedRun.open(again.folder).splits.transfer
    found = logits_of(again, "transfer").softmax(1).numpy()
    assert np.allclose(found, predict(x[400:800][list(kept)]), atol=1e-6)


TEXTS = [f"{'good fine' if n % 3 else 'bad awful'} thing{n % 7} {n}" for n in range(200)]
QUICK = {"student_epochs": 4, "temperatures": [2], "alphas": [1], "smoothings": [0.1]}
QUICK |= {"student": "linear", "search_seeds": 1, "seeds": 2}


def judge(batch):
    sure = {"good": 0.9, "bad": 0.1}, {"good": 0.2, "bad": 0.8}
    return [sure["good" not in text] for text in batch]


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """What a judge of texts said, and the study of it."""
    folder = tmp_path_factory.mktemp("judged")
    (folder / "model.bin").write_bytes(bytes(50_000))
    file = folder / "model.bin"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        said = goodteacher.respond(
            judge, TEXTS, out=folder / "judge", teacher_file=file, at_once=16
        )
    runs = [said.folder]
    study = goodteacher.search(said.data, trajectories=runs, out=folder / "study", **QUICK)
    return said, study


def test_a_search_over_it_ends_in_a_student(judged):
    _, study = judged
    assert study.sweet_spot.student.test_accuracy > 0.95
    assert "recorded checkpoints" not in study.sweet_spot.summary  # there is one
    assert study.student().predict(["a good one"]) == ["good"]
    card = json.loads((study.folder / "student" / "config.json").read_text())
    assert card["architecture"] == "linear"


def test_a_teacher_that_was_asked_once_has_no_epochs_to_be_in_doubt_about(judged):
    said, study = judged
    assert RecordedRun.open(said.folder).notes.predictor.labels  # nobody else labelled the texts
    assert "without a teacher" not in study.sweet_spot.summary
    assert "needs no teacher" not in study.sweet_spot.summary
    assert study.sweet_spot.teacher.asked_once
    assert study.sweet_spot.teacher.described == "the teacher judge"
    told = (study.folder / "sweet_spot.json").read_text() + study.report.read_text()
    assert "The teacher judge" in told
    assert "last recorded epoch" not in told
    assert "Train that teacher longer" not in told


def test_texts_are_shown_with_what_the_teacher_that_was_asked_once_says(judged):
    _, study = judged
    kept = json.loads((study.folder / "examples.json").read_text())
    assert kept["run"] == "judge"
    assert len(kept["examples"]) == 12
    assert all(len(each["epochs"]) == 1 for each in kept["examples"])
    page = study.report.read_text()
    assert "What the teacher judge says about single examples" in page
    assert f'<blockquote dir="auto">{kept["examples"][0]["shown"]["text"]}</blockquote>' in page
    assert "★" not in page[page.index('<section id="examples">') : page.index('<section id="map">')]


def test_the_student_is_told_beside_the_teacher_in_size_and_time(judged):
    said, study = judged
    predictor, savings = RecordedRun.open(said.folder).notes.predictor, study.sweet_spot.savings
    batches = len(said.data.train.ids) + len(said.data.test.ids) + len(said.data.validation.ids)
    assert predictor.num_bytes == savings.teacher_bytes == 50_000
    assert (predictor.latency.batch_size, predictor.latency.repetitions) == (16, batches // 16)
    assert savings.teacher_latency == predictor.latency
    assert savings.student_latency.batch_size == 16
    files = [path for path in (study.folder / "student").rglob("*") if path.is_file()]
    assert savings.student_bytes == sum(path.stat().st_size for path in files)
    assert savings.student_parameters == sum(w.numel() for w in study.student().parameters())
    assert study.sweet_spot.summary.endswith(savings.summary)
    assert "its teacher (judge, 50 kB)" in savings.summary
    assert "For a batch of 16 the student takes" in savings.summary
    assert savings.summary in study.report.read_text()


def test_a_trained_teacher_is_not_compared_in_size_and_time(judged, tmp_path):
    said, _ = judged
    known = goodteacher.respond(judge, said.data, out=tmp_path / "recorded", epoch=3)
    assert RecordedRun.open(known.folder).notes.predictor is None
    study = goodteacher.search(
        said.data, trajectories=[known.folder], out=tmp_path / "study", **QUICK
    )
    assert study.sweet_spot.savings is None
    assert "is the last recorded epoch (3) of run recorded" in study.sweet_spot.summary
    assert not study.sweet_spot.teacher.asked_once


def test_two_teachers_that_were_asked_are_compared_without_epochs(judged, tmp_path):
    said, _ = judged

    def unsure(batch):
        return [
            {"good": 0.5 + 0.1 * ("fine" in t), "bad": 0.5 - 0.1 * ("fine" in t)} for t in batch
        ]

    other = goodteacher.respond(unsure, said.data, out=tmp_path / "unsure")
    runs = [said.folder, other.folder]
    study = goodteacher.search(said.data, trajectories=runs, out=tmp_path / "study", **QUICK)
    best = study.sweet_spot.teacher.run
    assert (
        f"on the selection split is {best}, a model that was asked once. "
        in study.sweet_spot.summary
    )
    assert "of its run" not in study.sweet_spot.summary


def test_epochs_and_a_teacher_that_was_asked_once_do_not_mix_in_a_folder(plain, tmp_path):
    recorder = goodteacher.Recorder(plain.folder, DIGITS, kind="Bayes")
    with pytest.raises(StudyError, match="contains a teacher without epochs"):
        recorder.record(lambda images: torch.zeros(len(images), 10), 2)
    with pytest.raises(StudyError, match="contains a teacher without epochs"):
        goodteacher.respond(predict, DIGITS, out=plain.folder, kind="Bayes", epoch=2)
    for epoch in (1, 2):
        said = respond(lambda x, e=epoch: 0.5 + predict(x) * e, tmp_path, epoch=epoch)
    assert [record.epoch for record in RecordedRun.open(said.folder).records()] == [1, 2]
    calls = Flaky(())
    with pytest.raises(StudyError, match=r"contains epochs of a training.*pass epoch="):
        respond(calls, tmp_path)
    assert calls.calls == 0


def test_times_of_what_was_answered_before_a_stop_are_kept(tmp_path):
    waits = iter([0.05, 0.05, 0.05])

    def slow_at_first(batch):
        time.sleep(next(waits, 0))
        return predict(batch)

    store, examples = Store(tmp_path), AskedOf(DIGITS.test, form=as_numpy)
    asked = Asking(Flaky({4}, slow_at_first), at_once=50, sleep=lambda _: None)
    with pytest.raises(ModelError):
        asked(examples, store)
    times = []
    asked(examples, store, timed=lambda count, seconds: times.append((count, seconds)))
    assert [count for count, _ in times] == [50] * 7 + [10]
    assert all(seconds > 0.05 for _, seconds in times[:3])
    assert latency_of(times).repetitions == 7  # the last batch is smaller


def test_waiting_for_another_try_is_no_time_of_the_teacher(tmp_path):
    asking = Asking(Flaky({1}), at_once=360, retries=1, pause=0.2)
    times = []
    asking(AskedOf(DIGITS.test, form=as_numpy), Store(tmp_path), timed=lambda n, s: times.append(s))
    assert times[0] < 0.2


def test_the_size_of_a_teacher_is_that_of_its_files_or_of_its_weights(tmp_path):
    file, folder = tmp_path / "model.onnx", tmp_path / "folder" / "more"
    folder.mkdir(parents=True)
    for path, count in ((file, 10), (tmp_path / "model.onnx.data", 300), (folder / "x", 7)):
        path.write_bytes(bytes(count))
    module = torch.nn.Linear(4, 3)
    assert size_of(file, None) == 310
    assert size_of(predict, file) == 310
    assert size_of(predict, tmp_path / "folder") == 7
    assert size_of(module, None) == size_of(module.forward, None) == 60
    assert size_of(predict, None) is None
    with pytest.raises(ConfigError, match=r"teacher_file = .*gone: there is no such file"):
        respond(predict, tmp_path, teacher_file=tmp_path / "gone")


def labelled_table(count=240):
    """A table with words, gaps and a class; a row's id is its place."""
    drawn = np.random.default_rng(0)
    codes = np.arange(count) % 3
    table = pd.DataFrame({"size": codes + drawn.normal(0, 0.3, count)})
    table["colour"] = np.array([" red", "blue", "green"])[codes]
    table.loc[::7, "size"], table.loc[::5, "colour"] = None, None
    return table.assign(species=np.array(list("uvw"))[codes])


class ByColour:
    """Says what it was given, and the class of a row by its columns' names."""

    def __init__(self):
        self.given = []

    def __call__(self, frame):
        self.given.append(frame)
        sure = {"red": "u", "blue": "v", "green": "w"}
        return [
            {k: 0.9 if k == best else 0.05 if best else 1 / 3 for k in "uvw"}
            for best in map(sure.get, frame["colour"])
        ]


@pytest.mark.parametrize("kind", ["frame", "file", "arrow"])
def test_a_table_is_answered_by_the_names_of_its_columns(tmp_path, kind):
    table, teacher = labelled_table(), ByColour()
    table.to_csv(tmp_path / "table.csv", index=False)
    data = {"frame": table, "file": tmp_path / "table.csv", "arrow": pa.Table.from_pandas(table)}
    said = respond(teacher, tmp_path, data[kind], target="species")
    assert said.data.fingerprint == load_dataset(table, target="species").fingerprint
    assert said.data.class_names == ("u", "v", "w")
    seen = pd.concat(teacher.given)
    assert seen.columns.tolist() == ["size", "colour"]
    assert set(seen["colour"].dropna()) == {"red", "blue", "green"}
    assert seen["colour"].isna().any()
    assert seen["size"].isna().any()
    assert said.record.selection_accuracy > 0.7


def test_prepare_gets_the_frame_of_a_tables_rows(tmp_path):
    table, seen = labelled_table(), []

    def prepare(frame):
        seen.append(frame.columns.tolist())
        return frame["size"].fillna(1.0).to_numpy()

    def by_size(sizes):
        return np.exp(-((sizes[:, None] - np.arange(3)) ** 2) * 9) + 1e-9

    said = respond(
        lambda sizes: by_size(sizes) / by_size(sizes).sum(1, keepdims=True),
        tmp_path,
        table,
        target="species",
        prepare=prepare,
        classes=["u", "v", "w"],
    )
    assert set(map(tuple, seen)) == {("size", "colour")}
    assert said.record.selection_accuracy > 0.7


def test_a_word_that_training_lacks_is_told_to_the_function_as_such(tmp_path):
    table, teacher = labelled_table(), ByColour()
    table["split"] = ["train"] * 180 + ["test"] * 60
    table.loc[200:, "colour"] = "violet"
    respond(teacher, tmp_path, table, target="species", record_test=True)
    assert "(never seen in training)" in set(pd.concat(teacher.given)["colour"])


def test_a_table_of_numbers_with_a_target_goes_as_an_array(tmp_path):
    table, shapes = labelled_table().drop(columns="colour"), []
    table["size"] = np.where(np.arange(240) % 10, np.arange(240) % 3, 0)
    table["weight"] = np.arange(240) % 7

    def function(rows):
        shapes.append((type(rows), rows.shape[1]))
        return np.eye(3)[rows[:, 0].astype(int)] * 0.9 + 0.1 / 3

    said = respond(function, tmp_path, table, target="species")
    assert set(shapes) == {(np.ndarray, 2)}
    assert said.record.selection_accuracy > 0.8


@pytest.mark.parametrize(
    ("data", "target", "message"),
    [
        (lambda: labelled_table(), "specie", "Did you mean 'species'"),
        (lambda: ["a", "b"], "species", "a list has no columns with names"),
        (lambda: np.zeros((4, 2)), "species", "a ndarray has no columns with names"),
    ],
)
def test_a_target_that_is_not_there_is_refused(tmp_path, data, target, message):
    with pytest.raises(ConfigError, match=message):
        respond(ByColour(), tmp_path, data(), target=target)
    assert not (tmp_path / "run").exists()


def test_without_pandas_rows_of_a_table_are_refused_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(frames, "frame_of", lambda *_: None)
    with pytest.raises(ModelError, match="pip install pandas"):
        respond(ByColour(), tmp_path, labelled_table(), target="species")
