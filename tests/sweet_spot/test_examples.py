"""The most telling examples: which are chosen, and what a search keeps of them."""

import json
import math

import numpy as np
import pytest
import torch

from goodteacher import search
from goodteacher.data import Dataset, Split
from goodteacher.records import Checkpoint, Examples
from goodteacher.report import write_report
from goodteacher.studies import EXAMPLES_FILE, Store
from goodteacher.sweet_spot.examples import MOST_CLASSES, MOST_EPOCHS, most_telling, thinned
from goodteacher.teachers import RecordedTeachers
from tests.made import SETTINGS, dataset
from tests.report.test_page import Page

EARLY = torch.tensor([[2.0, 1.5, -2.0], [2.0, 0.0, 0.0], [-1.0, 2.0, 1.0], [5.0, 0.0, 0.0]])
LATE = torch.tensor([[9.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 9.0, 0.0], [5.0, 0.0, 0.0]])
NO_LABELS = torch.full((4,), -1)


def test_example_that_loses_most_other_classes_comes_first():
    assert most_telling([EARLY, LATE], NO_LABELS, 4) == ([0, 2], True)


def test_example_on_which_the_last_teacher_is_wrong_is_left_out():
    assert most_telling([EARLY, LATE], torch.tensor([1, 0, 1, 0]), 4) == ([2], True)


def test_each_class_has_its_turn_before_any_has_a_second_one():
    early = torch.tensor([[2.0, 1.8, -3.0], [2.0, 1.6, -3.0], [2.0, 1.4, -3.0], [-3.0, 2.0, 0.5]])
    said = [early, 50 * early]
    assert most_telling(said, NO_LABELS, 4) == ([0, 3, 1, 2], True)
    assert most_telling(said, NO_LABELS, 2) == ([0, 3], True)


def test_where_nothing_fades_what_the_last_teacher_says_counts():
    early = torch.tensor([[4.0, 1.0, 0.0], [0.0, 5.0, 1.0], [9.0, 0.0, 0.0]])
    assert most_telling([3 * early, early], NO_LABELS[:3], 2) == ([0, 1], False)


def test_ignorance_is_not_taken_for_similarity():
    uniform, late = torch.zeros(1, 3), torch.tensor([[9.0, 0.0, 0.0]])
    assert most_telling([uniform, late], torch.tensor([0]), 1)[1] is False


def test_epoch_that_names_another_class_does_not_count():
    early, late = torch.tensor([[1.0, 1.5, -2.0]]), torch.tensor([[9.0, 0.0, 0.0]])
    assert most_telling([early, late], torch.tensor([0]), 1)[1] is False


def test_of_a_teacher_that_was_asked_once_what_it_says_counts():
    said = torch.tensor([[9.0, 0.0, 0.0], [2.0, 1.9, -9.0], [0.0, 9.0, 8.0]])
    assert most_telling([said], torch.tensor([0, 0, 1]), 2) == ([1, 2], False)


def test_probabilities_of_zero_are_no_obstacle():
    early = torch.tensor([[math.log(0.6), math.log(0.4), -math.inf]])
    late = torch.tensor([[0.0, -math.inf, -math.inf]])
    assert most_telling([early, late], torch.tensor([0]), 1) == ([0], True)


def test_many_epochs_are_thinned_and_the_chosen_one_is_kept():
    for chosen in (1, 2, 50, 99, 100):
        found = thinned(range(1, 101), chosen)
        assert (len(found), found[0], found[-1]) == (MOST_EPOCHS, 1, 100)
        assert chosen in found
        assert found == sorted(set(found))
    assert thinned([1, 2, 8], 2) == [1, 2, 8]


QUICK = {
    **SETTINGS,
    **{"seeds": 2, "search_seeds": 1, "student_epochs": 3, "student_learning_rate": 0.01},
    **{"batch_sizes": (16,), "temperatures": (2.0,), "alphas": (1.0,), "smoothings": (0.1,)},
    **{"rungs": 1, "shortlist": 2, "epochs": 8, "learning_rates": (0.02,)},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("kept") / "study", **QUICK)


@pytest.fixture(scope="module")
def kept(study):
    return Store.open(study.store.root).read_json(EXAMPLES_FILE, Examples)


def test_search_keeps_examples_of_the_transfer_set_with_their_classes(kept):
    train = dataset().train
    assert (kept.asked, kept.split, kept.missing) == (12, "transfer", "")
    assert kept.num_examples == 192
    assert 4 <= len(kept.examples) <= 12
    assert len({each.number for each in kept.examples[:4]}) == 4
    for each in kept.examples:
        place = train.ids.tolist().index(each.id)
        assert each.label == each.number == int(train.labels[place])
        assert each.classes[0] == each.number
        assert len(each.classes) <= MOST_CLASSES
        expected = ", ".join(f"{v:.4g}" for v in train.inputs[place].tolist())
        assert each.shown.text == expected


def test_probabilities_are_those_of_the_recorded_responses(study, kept):
    store = Store.open(study.store.root)
    (folder,) = [
        name.split("/")[1]
        for name in store.matching("teachers/*/trajectory.jsonl")
        if kept.run in store.read_text(name)
    ]
    asked = RecordedTeachers(store, {kept.run: folder})
    split = dataset().train
    each = kept.examples[0]
    place = split.ids.tolist().index(each.id)
    for epoch in each.epochs:
        teacher = Checkpoint(run=kept.run, epoch=epoch.epoch)
        logits = asked.response(teacher, split.subset([place]))[:][0].double()
        classes = list(each.classes)
        assert logits.softmax(0)[classes].tolist() == pytest.approx(epoch.plain, abs=1e-6)
        softened = (logits / kept.temperature).softmax(0)[classes].tolist()
        assert softened == pytest.approx(epoch.softened, abs=1e-6)
    assert [epoch.epoch for epoch in each.epochs] == [1, 2, 4, 8]


def test_examples_are_written_after_the_test_split_was_opened_for_the_students_alone(study):
    events = [json.loads(line) for line in study.store.read_text("events.jsonl").splitlines()]
    reasons = {e["reason"] for e in events if e["event"] == "test_split_opened"}
    assert reasons
    assert not any("example" in reason for reason in reasons)


def test_same_search_again_neither_trains_nor_chooses_anew(study):
    path = study.store.path(EXAMPLES_FILE)
    before, text = path.stat().st_mtime_ns, path.read_text()
    search(dataset(), out=study.store.root, **QUICK)
    assert (path.stat().st_mtime_ns, path.read_text()) == (before, text)


def test_file_that_is_gone_is_written_again_without_training(study):
    path = study.store.path(EXAMPLES_FILE)
    text = path.read_text()
    path.unlink()
    rows = {p: p.stat().st_mtime_ns for p in study.store.path("students").rglob("rows.parquet")}
    page = Page(write_report(study.store).read_text(encoding="utf-8"))
    assert "This study has no file examples.json" in page.text
    search(dataset(), out=study.store.root, **QUICK)
    assert path.read_text() == text
    assert {p: p.stat().st_mtime_ns for p in rows} == rows


def test_none_are_kept_where_none_are_wanted(tmp_path):
    found = search(dataset(), out=tmp_path / "s", keep_examples=0, **QUICK)
    kept = found.store.read_json(EXAMPLES_FILE, Examples)
    assert (kept.asked, kept.examples) == (0, ())
    assert "this study keeps no example" in Page(found.report.read_text(encoding="utf-8")).text
    search(dataset(), out=tmp_path / "s", keep_examples=2, **QUICK)
    assert len(found.store.read_json(EXAMPLES_FILE, Examples).examples) == 2
    search(dataset(), out=tmp_path / "s", keep_examples=0, **QUICK)
    assert found.store.read_json(EXAMPLES_FILE, Examples).examples == ()


@pytest.mark.parametrize("count", [-1, 101])
def test_number_of_examples_has_its_limits(tmp_path, count):
    with pytest.raises(Exception, match=f"keep_examples = {count} is not allowed"):
        search(dataset(), out=tmp_path / "s", keep_examples=count, **QUICK)
    assert not (tmp_path / "s").exists()


def images():
    """Bright spots in four places, with noise; the same classes as those of the circle."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 4
    pixels = rng.integers(0, 90, (240, 1, 6, 6))
    for number, label in enumerate(labels):
        pixels[number, 0, 3 * (label // 2) + 1, 3 * (label % 2) + 1] += 100
    pixels = torch.from_numpy(pixels.astype(np.uint8))
    split = Split(pixels, torch.from_numpy(labels), torch.arange(240))
    return Dataset("spots", split, split, ("a", "b", "c", "<i>d</i>"))


def test_images_are_kept_as_pictures_and_the_folder_can_be_moved(tmp_path):
    found = search(images(), out=tmp_path / "s", **QUICK)
    moved = found.store.root.rename(tmp_path / "elsewhere")
    page = Page(write_report(Store.open(moved)).read_text(encoding="utf-8"))
    kept = Store.open(moved).read_json(EXAMPLES_FILE, Examples)
    shown = page.attributes("src")
    assert shown == [f"data:image/png;base64,{each.shown.picture}" for each in kept.examples]
    assert all(
        alt.startswith(("a. Epoch 1: ", "b. ", "c. ", "<i>d</i>. "))
        for alt in page.attributes("alt")
    )
