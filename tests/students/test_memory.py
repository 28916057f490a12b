"""What happens when memory runs out: the work goes on in smaller pieces, and says so."""

import pytest
import torch

from goodteacher import search
from goodteacher.errors import RunError
from goodteacher.studies import rehearsal
from goodteacher.studies.progress import Silent
from goodteacher.studies.store import Store
from goodteacher.training import loop
from goodteacher.training.memory import free_memory, is_out_of_memory, stack_memory
from goodteacher.training.stacking import Stack
from tests.made import SETTINGS, dataset


class Notes(Silent):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


@pytest.fixture(scope="module")
def ample(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("ample") / "study", **SETTINGS)


def small_memory(monkeypatch, *, students=10**6, examples=10**6):
    """Make a step fail, as a full GPU does, for wide stacks or large batches."""
    plain = loop.Trainer._backward

    def backward(self, inputs, positions, *division):
        wide = isinstance(self.network, Stack) and self.network.num_students > students
        if wide or (not isinstance(self.network, Stack) and len(positions) > examples):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
        return plain(self, inputs, positions, *division)

    monkeypatch.setattr(loop.Trainer, "_backward", backward)


def events(study):
    return Store.open(study.folder).events()


def assert_same(ours, theirs):
    assert [r.arm for r in ours.students()] == [r.arm for r in theirs.students()]
    for mine, other in zip(ours.students(), theirs.students(), strict=True):
        assert mine.training_loss == pytest.approx(other.training_loss, rel=1e-2)


def test_stack_that_does_not_fit_is_halved_until_it_does(ample, tmp_path, monkeypatch):
    small_memory(monkeypatch, students=5)
    notes = Notes()
    study = search(dataset(), out=tmp_path / "s", progress=notes, **SETTINGS)
    assert_same(study, ample)
    assert any("out of memory with" in text for text in notes.texts)
    assert any("students train in stacks of" in text for text in notes.texts)
    widths = [event["width"] for event in events(study) if event["event"] == "stack_width"]
    assert widths
    # Halved to fit and remembered: far fewer failures than there were stacks to train.
    assert len([text for text in notes.texts if "out of memory with" in text]) <= 10


def test_batch_that_does_not_fit_is_trained_in_pieces(ample, tmp_path, monkeypatch):
    small_memory(monkeypatch, examples=20)
    notes = Notes()
    study = search(dataset(), out=tmp_path / "s", progress=notes, **SETTINGS)
    for mine, other in zip(study.trajectories(), ample.trajectories(), strict=True):
        assert mine.training_loss == pytest.approx(other.training_loss, rel=1e-4)
    found = [text for text in notes.texts if "out of memory: the teacher" in text]
    assert [text.split(" (")[0] for text in found] == [
        "out of memory: the teacher with batch size 64 continues in pieces of 32",
        "out of memory: the teacher with batch size 64 continues in pieces of 16",
    ]


def test_single_student_that_does_not_fit_is_an_error_with_the_way_out(tmp_path, monkeypatch):
    small_memory(monkeypatch, students=0)
    with pytest.raises(RunError, match=r"One student mlp:3 at a batch size of 32.*Lower student_b"):
        search(dataset(), out=tmp_path / "s", **SETTINGS)


def test_single_example_that_does_not_fit_is_an_error_with_the_way_out(tmp_path, monkeypatch):
    small_memory(monkeypatch, examples=0)
    with pytest.raises(RunError, match=r"one example of teacher mlp:12.*smaller teacher"):
        search(dataset(), out=tmp_path / "s", **SETTINGS)


def test_other_failures_are_not_taken_for_a_lack_of_memory(tmp_path, monkeypatch):
    plain = loop.Trainer._backward

    def backward(self, inputs, positions, *division):
        if len(inputs) > rehearsal.EXAMPLES:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return plain(self, inputs, positions, *division)

    monkeypatch.setattr(loop.Trainer, "_backward", backward)
    with pytest.raises(RunError, match="mat1 and mat2"):
        search(dataset(), out=tmp_path / "s", **SETTINGS)


def test_lack_of_memory_on_a_cpu_is_recognised():
    with pytest.raises(RuntimeError) as found:
        torch.empty(2**62, dtype=torch.uint8)
    assert is_out_of_memory(found.value)


def test_stack_may_take_half_of_what_is_free_or_what_is_asked_for():
    cpu = torch.device("cpu")
    assert stack_memory(cpu, 1.5) == 1.5 * 2**30
    assert 0.2 * free_memory(cpu) < stack_memory(cpu, None) < 0.8 * free_memory(cpu)


def test_measured_widths_are_kept_for_a_study_that_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("goodteacher.students.plan._WORTH_MEASURING", 1)
    study = search(dataset(), out=tmp_path / "s", **SETTINGS)
    files = sorted((study.folder / "students").glob("width-*.json"))
    assert files

    def measured_again(self, width):
        raise AssertionError("widths are measured once")

    monkeypatch.setattr("goodteacher.students.running._Group._seconds", measured_again)
    for rows in (study.folder / "students").glob("confirm*/rows.parquet"):
        rows.unlink()
    (study.folder / "sweet_spot.json").unlink()
    again = search(dataset(), out=tmp_path / "s", **SETTINGS)
    assert again.sweet_spot.student == study.sweet_spot.student


def test_width_can_be_set(tmp_path, ample):
    study = search(dataset(), out=tmp_path / "s", stack_width=4, **SETTINGS)
    assert {e["width"] for e in events(study) if e["event"] == "stack_width"} == {4}
    assert_same(study, ample)
