"""Differences class by class: the same as comparing each class alone, and joint over all."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodteacher.maths.statistics import (
    differences_by_class,
    paired_interval,
    rows_by_class,
    simultaneous,
)


def planted(num_seeds=3, num_examples=400, num_classes=4, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, num_classes, num_examples)
    ours, theirs = (random.random((num_seeds, num_examples)) < share for share in (0.8, 0.7))
    return ours, theirs, labels


def test_every_class_is_compared_as_if_it_were_alone():
    ours, theirs, labels = planted()
    for found in differences_by_class(ours, theirs, labels, num_classes=4, level=0.1):
        own = labels == found.number
        assert found.single == paired_interval(ours[:, own], theirs[:, own], level=0.1)


def test_joint_intervals_are_those_of_all_measured_classes():
    ours, theirs, labels = planted()
    found = differences_by_class(ours, theirs, labels, num_classes=4)
    assert [each.joint for each in found] == simultaneous([each.single for each in found])
    for each in found:
        assert each.joint.low < each.single.low < each.single.high < each.joint.high
        assert each.joint.mean == each.single.mean


def test_joint_intervals_hold_for_all_classes_as_often_as_they_say():
    held = []
    for seed in range(200):
        found = differences_by_class(*planted(1, 800, 4, seed), num_classes=4)
        held.append(all(each.joint.low <= 0.1 <= each.joint.high for each in found))
    assert np.mean(held) >= 0.9


@pytest.mark.parametrize("rare", [0, 1])
def test_classes_of_fewer_than_two_examples_are_left_out(rare):
    labels = np.array([0] * 20 + [1] * rare + [2] * 20)
    right = np.ones((1, len(labels)), dtype=bool)
    found = differences_by_class(right, right, labels, num_classes=3)
    assert [each.number for each in found] == [0, 2]


def test_nothing_is_compared_where_no_class_has_two_examples():
    right = np.ones((1, 2), dtype=bool)
    assert differences_by_class(right, right, np.array([0, 1]), num_classes=2) == ()


@given(labels=st.lists(st.integers(-1, 12), max_size=40), num_classes=st.integers(1, 10))
def test_rows_by_class_are_those_of_each_label(labels, num_classes):
    found = rows_by_class(np.array(labels, np.int64), num_classes)
    wanted = {n: [i for i, label in enumerate(labels) if label == n] for n in range(num_classes)}
    assert {n: rows.tolist() for n, rows in found.items()} == {n: r for n, r in wanted.items() if r}


def test_very_many_classes_are_compared_without_a_row_of_examples_for_each():
    labels = np.concatenate([np.repeat(np.arange(100), 2), np.arange(100, 50_000)])
    right = np.ones((2, len(labels)), dtype=bool)
    before = time.process_time()
    found = differences_by_class(right, ~right, labels, num_classes=10**6)
    assert time.process_time() - before < 10
    assert len(found) == 100
    assert all(each.single.mean == 1.0 for each in found)
