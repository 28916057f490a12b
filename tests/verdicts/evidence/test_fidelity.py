import numpy as np
import pytest
import torch

from goodteacher.data import Split
from goodteacher.records.arms import Checkpoint
from goodteacher.responses import Response
from goodteacher.verdicts.evidence.fidelity import (
    compare_agreements,
    given_teachers,
    independent_checkpoint,
)
from tests.report.build import diverged, record


def agreements(predicted, teacher):
    return {name: classes == teacher for name, classes in predicted.items()}


def planted(num_seeds=4, num_examples=600, seed=0):
    """Two teachers that err apart; students copy one, and plain students know neither."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, num_examples)

    def erring(share, shape):
        wrong = rng.random(shape) < share
        return np.where(wrong, rng.integers(0, 5, shape), labels)

    own, other = erring(0.2, num_examples), erring(0.2, num_examples)
    noise = rng.random((num_seeds, num_examples)) < 0.1
    predicted = {
        "one_hot": erring(0.2, (num_seeds, num_examples)),
        "full_response": np.where(noise, labels, own),
    }
    return labels, own, other, predicted


def test_copying_the_own_teacher_is_excess_and_being_right_is_not():
    labels, own, other, predicted = planted()
    plain, full = compare_agreements(
        agreements(predicted, labels),
        agreements(predicted, own),
        agreements(predicted, other),
        level=0.05,
    )
    assert full.excess.interval[0] > 0.1
    assert abs(plain.excess.mean) < 0.05
    expected = (predicted["full_response"] == own).mean() - (
        predicted["full_response"] == other
    ).mean()
    assert full.excess.mean == pytest.approx(expected, abs=1e-12)


def test_excess_over_cross_entropy_is_the_difference_of_the_two():
    labels, own, other, predicted = planted(seed=1)
    plain, full = compare_agreements(
        agreements(predicted, labels),
        agreements(predicted, own),
        agreements(predicted, other),
        level=0.05,
    )
    net = full.excess_over_cross_entropy
    assert net.mean == pytest.approx(full.excess.mean - plain.excess.mean, abs=1e-12)
    assert net.interval[0] > 0
    assert full.over_cross_entropy.mean == pytest.approx(full.own.mean - plain.own.mean, abs=1e-12)
    assert plain.over_cross_entropy is None


def test_teacher_is_never_in_excess_of_itself():
    labels, own, _, predicted = planted()
    hits = agreements(predicted, own)
    for arm in compare_agreements(agreements(predicted, labels), hits, hits, level=0.05):
        assert arm.excess.mean == 0


def test_without_an_independent_teacher_agreement_is_still_reported():
    labels, own, _, predicted = planted()
    hits = agreements(predicted, own)
    _, full = compare_agreements(agreements(predicted, labels), hits, None, level=0.05)
    assert full.independent is None
    assert full.excess is None
    assert full.over_cross_entropy.mean > 0


def test_independent_teacher_is_of_another_batch_size_and_as_accurate():
    records = [record(32, 1), record(32, 4), record(128, 1), record(128, 2), diverged(512, 2)]
    # Accuracy follows the epoch in these records.
    assert independent_checkpoint(records, Checkpoint(run="batch 128", epoch=2)) in {
        Checkpoint(run="batch 32", epoch=1)
    }
    only = [r for r in records if r.batch_size == 128]
    assert independent_checkpoint(only, Checkpoint(run="batch 128", epoch=2)) is None


def test_independent_teacher_is_of_another_seed_where_there_is_one():
    def seeded(size, seed, epoch):
        who = {"run": f"batch {size} seed {seed}", "attributes": {"batch_size": size, "seed": seed}}
        return record(size, epoch).model_copy(update=who)

    records = [seeded(32, 0, 2), seeded(128, 0, 2), seeded(32, 1, 4), seeded(128, 1, 1)]
    found = independent_checkpoint(records, Checkpoint(run="batch 32 seed 0", epoch=2))
    # The nearest of all is of the same seed, and of the others the first epoch is nearer.
    assert str(found) == "batch 128 seed 1 epoch 1"


def selection():
    return Split.from_arrays(torch.zeros(3, 2), [0, 1, 2], ids=[5, 9, 7])


def test_given_responses_are_aligned_by_id():
    own = Response(torch.eye(3)[[2, 0, 1]], torch.tensor([7, 5, 9]))
    found = given_teachers(own, None, selection())
    assert found.own.tolist() == [0, 1, 2]
    assert found.missing == "No independent response was given (--independent-responses)."
    both = given_teachers(own, own, selection())
    assert both.independent.tolist() == [0, 1, 2]
    assert both.missing is None


def test_response_of_other_examples_is_named_as_missing():
    own = Response(torch.eye(3), torch.tensor([5, 9, 7]))
    short = Response(torch.eye(3)[:2], torch.tensor([5, 9]))
    assert given_teachers(short, own, selection()).own is None
    assert "The response does not cover" in given_teachers(short, own, selection()).missing
    found = given_teachers(own, short, selection())
    assert found.independent is None
    assert "The independent response does not cover" in found.missing
