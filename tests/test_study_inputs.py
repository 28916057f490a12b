"""Studies of what is neither an image nor a table: token ids, fields, series, mapped files."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from goodteacher import load_student, search
from goodteacher.data import DataNote
from goodteacher.errors import DataError, InputError

CLASSES, N, LENGTH, WORDS = 3, 120, 8, 40
SETTINGS = {
    "batch_sizes": [16],
    "epochs": 2,
    "record_epochs": [1, 2],
    "student_epochs": 3,
    "student_batch_size": 32,
    "temperatures": [2],
    "alphas": [1],
    "smoothings": [0.1],
    "shortlist": 1,
    "search_seeds": 1,
    "seeds": 2,
    "patience": 0,
    "threads": 1,
}


def labels(seed):
    return np.random.default_rng(seed).permutation(np.arange(N) % CLASSES)


def tokens(seed):
    """Texts as ids: words of the class's own third of the vocabulary, padded with 0."""
    draw = np.random.default_rng(seed)
    third = (WORDS - 1) // CLASSES
    words = 1 + third * labels(seed)[:, None] + draw.integers(0, third, (N, LENGTH))
    words[draw.random((N, LENGTH)) < 0.3] = 0
    return words


def arrays(make):
    found = {}
    for seed, split in enumerate(("train", "test")):
        found |= {f"x_{split}": make(seed), f"y_{split}": labels(seed)}
    return found


class Bag(nn.Module):
    """A bag of embedded words; it fails on anything but whole numbers."""

    def __init__(self, num_classes, width=8):
        super().__init__()
        self.words = nn.Embedding(WORDS, width)
        self.last = nn.Linear(width, num_classes)

    def forward(self, ids):
        return self.last(self.words(ids).mean(1))


class Masked(Bag):
    """Takes fields by name, as networks of transformers do, and returns more than logits."""

    def forward(self, input_ids, attention_mask=None, token_type_ids=None):
        weight = attention_mask[..., None].float()
        mean = (self.words(input_ids) * weight).sum(1) / weight.sum(1).clamp_min(1)
        return {"logits": self.last(mean), "hidden": mean}


class OfADictionary(Bag):
    def forward(self, batch):
        return super().forward(batch["input_ids"]) + 0 * batch["attention_mask"].sum()


class Convolved(nn.Module):
    def __init__(self, num_classes, input_shape):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(input_shape[0], 6, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten()
        )
        self.last = nn.Linear(6, num_classes)

    def forward(self, series):
        return self.last(self.layers(series))


def fields(seed):
    ids = tokens(seed)
    return {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}


def series(seed):
    """Waves whose frequency is the class's, in two channels of unlike scale."""
    phase = np.random.default_rng(seed).random((N, 1, 1))
    time = np.arange(16)[None, None]
    wave = np.sin(time * (1 + labels(seed))[:, None, None] / 2 + 6 * phase)
    return np.concatenate([wave, 1000 * wave + 5000], axis=1)


def study_of(data, teacher, student, folder, **changes):
    with pytest.warns(DataNote, match="selection split"):
        return search(data, teacher=teacher, student=student, out=folder, **SETTINGS | changes)


@pytest.mark.filterwarnings("ignore::goodteacher.training.stacking.StackingWarning")
@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
@pytest.mark.parametrize(
    ("make", "network"),
    [(tokens, Bag), (fields, Masked), (fields, OfADictionary), (series, Convolved)],
    ids=["token ids", "fields by name", "fields in a dictionary", "series"],
)
def test_search_delivers_a_student_that_takes_the_same_inputs(make, network, tmp_path):
    data = arrays(make)
    study = search(data, teacher=network, student=network, out=tmp_path / "s", **SETTINGS)
    loaded = load_student(tmp_path / "s" / "student", network=network)
    with torch.inference_mode():
        logits = loaded(data["x_test"])
    assert logits.shape == (N, CLASSES)
    right = float((logits.argmax(1).numpy() == data["y_test"]).mean())
    card = json.loads((tmp_path / "s" / "student" / "config.json").read_text())
    assert card["test_accuracy"] == pytest.approx(right, abs=1e-6)
    assert study.report.exists()
    again = search(data, teacher=network, student=network, out=tmp_path / "s", **SETTINGS)
    assert again.sweet_spot == study.sweet_spot


@pytest.mark.filterwarnings("ignore::goodteacher.training.stacking.StackingWarning")
@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
def test_a_file_that_is_mapped_gives_the_numbers_of_memory(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name, array in arrays(series).items():
        np.save(folder / f"{name}.npy", array)
    settings = {"teacher": "mlp:8", "student": "mlp:4", **SETTINGS}
    mapped = search(folder, out=tmp_path / "mapped", **settings)
    memory = search(arrays(series), out=tmp_path / "memory", **settings)
    assert mapped.data.fingerprint == memory.data.fingerprint
    assert mapped.sweet_spot.student == memory.sweet_spot.student
    assert mapped.sweet_spot.references == memory.sweet_spot.references


class Linear(nn.Linear):
    def __init__(self, num_classes):
        super().__init__(LENGTH, num_classes)


class Small(Bag):
    """Its vocabulary is too small for the data."""

    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.words = nn.Embedding(5, 8)


class Narrow(Masked):
    def forward(self, input_ids):
        return self.last(self.words(input_ids).mean(1))


@pytest.mark.parametrize(
    ("make", "student", "message"),
    [
        (tokens, Small, "neither as they are nor as standardised"),
        (fields, "mlp:4", r"takes numbers in one array, but the examples are input_ids \(8 whole"),
        (fields, Narrow, "no argument named attention_mask"),
        (series, Linear, "failed in evaluation mode on a batch of shape"),
        (tokens, "mlp:4@integers", "takes numbers in one array, but the examples are 8 whole"),
        (series, "mlp:4@integers", "needs whole numbers as they are stored, but the examples"),
        (fields, "mlp:4@resize:4", "needs images at another size, but the examples"),
    ],
)
def test_a_network_that_cannot_take_the_inputs_is_refused_at_once(make, student, message, tmp_path):
    with pytest.raises(InputError, match=message):
        search(arrays(make), teacher="mlp:4", student=student, out=tmp_path / "s", **SETTINGS)
    assert not (tmp_path / "s").exists()


class Told:
    """A progress that keeps what it is told."""

    def __init__(self):
        self.notes = []

    def __getattr__(self, name):
        return lambda *arguments, **named: self.notes.append((name, arguments))


@pytest.mark.filterwarnings("ignore::goodteacher.training.stacking.StackingWarning")
@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
@pytest.mark.parametrize(
    ("student", "message"),
    [(Bag, "gets whole numbers as they are stored"), (Linear, "gets them standardised")],
)
def test_how_whole_numbers_are_given_is_told(student, message, tmp_path):
    told = Told()
    found = search(
        arrays(tokens), teacher="mlp:4", student=student, out=tmp_path, progress=told, **SETTINGS
    )
    assert any(message in str(note) for note in told.notes)
    steps = json.loads((found.folder / "student" / "preparation.json").read_text())["steps"]
    assert [s["kind"] for s in steps] == ["integers" if student is Bag else "normalize"]


@pytest.mark.filterwarnings("ignore::goodteacher.training.stacking.StackingWarning")
@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda given: given["input_ids"], "takes a dictionary of input_ids, attention_mask"),
        (lambda given: {"input_ids": given["input_ids"]}, "but attention_mask is missing"),
        (
            lambda given: given | {"attention_mask": given["attention_mask"] * 0.5},
            "In the field 'attention_mask': .* whole numbers, but got torch.float64 with fractions",
        ),
        (
            lambda given: given | {"input_ids": given["input_ids"][:5]},
            "the same number of examples, but have: input_ids 5, attention_mask 120",
        ),
        (
            lambda given: given | {"input_ids": given["input_ids"][:, :5]},
            r"In the field 'input_ids': .* whole numbers \[N, 8\], but got shape",
        ),
    ],
)
def test_a_student_of_fields_refuses_others(change, message, tmp_path, student_of_fields):
    with pytest.raises(DataError, match=message):
        student_of_fields(change(fields(1)))


@pytest.fixture(scope="module")
def student_of_fields(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fields")
    study = search(arrays(fields), teacher=Masked, student=Masked, out=folder, **SETTINGS)
    return study.student()
