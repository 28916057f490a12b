from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goodteacher.config import VerifyConfig, parse
from goodteacher.data import prepare
from goodteacher.errors import ConfigError
from goodteacher.verdicts.evidence import omitted
from goodteacher.verdicts.evidence.omitted import (
    check_omission,
    class_number,
    corrected_predictions,
    frequency_offset,
    omitted_class,
)
from goodteacher.verdicts.rule import RUNGS
from tests.made import dataset


def logits(seed, num_examples=50, num_classes=4):
    return torch.randn(num_examples, num_classes, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 200), count=st.integers(1, 49), number=st.integers(0, 3))
def test_class_is_predicted_as_often_as_asked(seed, count, number):
    found = logits(seed)
    predicted = corrected_predictions(found, number, frequency_offset(found, number, count))
    assert int((predicted == number).sum()) == count


def test_examples_that_look_most_like_the_class_are_the_ones_given_to_it():
    found = logits(0)
    predicted = corrected_predictions(found, 2, frequency_offset(found, 2, 10)) == 2
    others = found.clone()
    others[:, 2] = -torch.inf
    lead = found[:, 2] - others.max(1).values
    assert lead[predicted].min() > lead[~predicted].max()


def test_correction_moves_no_prediction_between_the_other_classes():
    found = logits(1)
    found[:, 3] -= 20  # never predicted before
    predicted = corrected_predictions(found, 3, frequency_offset(found, 3, 12))
    elsewhere = predicted != 3
    assert torch.equal(predicted[elsewhere], found.argmax(1)[elsewhere])


def test_students_that_diverged_are_no_crash():
    assert frequency_offset(torch.full((6, 3), torch.nan), 1, 2) == 0.0
    assert corrected_predictions(torch.full((6, 3), torch.nan), 1, 0.5).tolist() == [1] * 6


def test_name_comes_before_number():
    assert class_number("1", ["3", "1", "2"]) == 1
    assert class_number("0", ["3", "1", "2"]) == 0


@pytest.mark.parametrize("text", ["10", "-1", "caat", ""])
def test_unknown_class_is_refused_with_a_near_one(text):
    with pytest.raises(
        ConfigError, match=r"is not a class of these data\. Give a name, such as 'cat'"
    ):
        class_number(text, ["cat", "dog"])


def config(**changes):
    return parse(VerifyConfig, data="circle", student="mlp:3", **changes)


def test_without_a_class_enough_examples_must_remain():
    data = prepare(dataset())  # 240 examples of four classes, 54 of each in the transfer set
    with pytest.raises(ConfigError, match="Without class 'b' 162 labelled examples remain"):
        check_omission(config(omit_class="b", student_batch_size=163), data, of_study=True)
    check_omission(config(omit_class="b", student_batch_size=162), data, of_study=True)


def test_two_classes_cannot_lose_one():
    data = prepare(dataset(num_classes=2))
    with pytest.raises(ConfigError, match="needs at least three classes"):
        check_omission(config(omit_class=0, student_batch_size=8), data, of_study=False)


def test_students_that_were_tuned_apart_are_put_together_by_their_seed(monkeypatch):
    """Arms of another training are another task: each seed has two here, and labels come first."""
    data = prepare(dataset())
    labels = data.test.open("a test").labels.numpy()
    of_class = labels == 1

    def examined(case, task, number):
        """Only the whole response knows the class, and one more of its examples with each seed."""
        right = np.zeros(len(labels), dtype=bool)
        right[np.flatnonzero(of_class)[: 3 + task.seed]] = True
        nothing = np.zeros_like(right)
        found = {a: right if a == RUNGS[-1] else nothing for a in task.arms}
        says = {a: np.where(hits, labels, 0).astype(np.int32) for a, hits in found.items()}
        return {a: omitted.WithoutClass(says[a], h, h, (0.0,)) for a, h in found.items()}

    monkeypatch.setattr(omitted, "_examine", examined)
    parts = (RUNGS[:2], RUNGS[2:])
    tasks = [SimpleNamespace(seed=s, arms=part) for part in parts for s in range(4)]
    case = SimpleNamespace(
        config=config(omit_class="b", keep_examples=0),
        context=SimpleNamespace(data=data),
        arms={name: name for name in RUNGS},
        labels=labels,
        correct=lambda name: np.ones((4, len(labels)), dtype=bool),
        train=lambda arms, stage, omit_class, num_seeds: tasks,
    )
    found = omitted_class(case)
    assert (found.num_seeds, [arm.name for arm in found.arms]) == (4, list(RUNGS))
    mean = np.mean([3, 4, 5, 6]) / of_class.sum()
    assert found.arms[-1].class_accuracy.mean == pytest.approx(mean)
    assert found.knowledge.mean == pytest.approx(mean)
    assert (found.examples, found.map) == (None, None)


def test_map_needs_the_recorded_teachers_of_a_study():
    data = prepare(dataset())
    asked = config(omit_class="b", omit_map=3, student_batch_size=8)
    with pytest.raises(ConfigError, match="omit_map needs a study"):
        check_omission(asked, data, of_study=False)
    check_omission(asked, data, of_study=True)


def test_map_without_a_class_is_refused():
    with pytest.raises(ConfigError, match="omit_map = 3 needs omit_class"):
        config(omit_map=3)
