import numpy as np
import pytest

from goodteacher.maths.statistics import adjusted_level, paired_interval
from goodteacher.verdicts.evidence.classes import (
    MOST_CLASSES,
    compare_classes,
    compare_confusions,
    confusion_matrix,
)

NAMES = ("a", "b", "c", "lone")


def planted(seed=0, num_seeds=4, num_examples=301):
    rng = np.random.default_rng(seed)
    labels = np.append(rng.integers(0, 3, num_examples - 1), 3)
    confident = rng.random((num_seeds, num_examples)) < 0.6
    full = confident | ((labels == 1) & (rng.random((num_seeds, num_examples)) < 0.5))
    return full, confident, labels


def test_classes_weighted_by_their_examples_sum_to_the_whole_difference():
    full, confident, labels = planted()
    found = compare_classes(full, confident, labels, NAMES, level=0.05)
    parts = [(c.full_response - c.confidence_smoothing) * c.num_examples for c in found]
    assert sum(parts) / len(labels) == pytest.approx(full.mean() - confident.mean(), abs=1e-12)


def test_only_the_class_that_gains_is_shown_to_and_intervals_are_joint():
    full, confident, labels = planted()
    found = compare_classes(full, confident, labels, NAMES, level=0.05)
    assert [c.gain is not None and c.gain.adjusted_interval[0] > 0 for c in found] == [
        False,
        True,
        False,
        False,
    ]
    member = labels == 1
    wide = paired_interval(full[:, member], confident[:, member], level=adjusted_level(0.05, 3))
    assert found[1].gain.adjusted_interval == pytest.approx((wide.low, wide.high), abs=1e-12)


def test_class_of_one_test_example_has_no_interval():
    assert compare_classes(*planted(), NAMES, level=0.05)[3].gain is None


def test_confusion_is_the_mean_over_seeds_of_a_slow_count():
    rng = np.random.default_rng(1)
    labels, predicted = rng.integers(0, 4, 60), rng.integers(0, 4, (3, 60)).astype(np.int32)
    slow = np.zeros((4, 4))
    for row in predicted:
        for true, said in zip(labels, row, strict=True):
            slow[true, said] += 1 / (3 * (labels == true).sum())
    found = confusion_matrix(predicted, labels, 4)
    np.testing.assert_allclose(found, slow, atol=1e-12)
    np.testing.assert_allclose(found.sum(1), 1)


def matrices(change):
    """Similarity with neighbours alike, rung 2's confusion after it, and a planted change."""
    place = np.arange(6)
    similarity = 1.0 / (1 + np.abs(place[:, None] - place)) * ~np.eye(6, dtype=bool)
    similarity /= similarity.sum(1, keepdims=True)
    before = 0.2 * similarity + 0.8 * np.eye(6)
    after = (0.2 + change) * similarity + (0.8 - change) * np.eye(6)
    return before, after, similarity


@pytest.mark.parametrize("change", [0.1, -0.1])
def test_sign_of_the_correlation_tells_doubt_taken_over_from_classes_told_apart(change):
    found = compare_confusions(*matrices(change))
    assert found.change_with_similarity.rho == pytest.approx(np.sign(change), abs=1e-6)
    assert found.confused_with_similarity.rho == pytest.approx(1.0, abs=1e-6)
    assert found.change_with_similarity.num_pairs == 30


def test_pairs_are_those_that_change_most_and_never_a_class_with_itself():
    before, after, similarity = matrices(0.0)
    after[4, 1] += 0.05
    after[4, 4] -= 0.05
    found = compare_confusions(before, after, similarity)
    assert [(pair.true, pair.predicted) for pair in found.pairs] == [(4, 1)]
    assert found.pairs[0].change == pytest.approx(0.05)
    assert found.pairs[0].similarity == pytest.approx(similarity[4, 1])


def test_nothing_that_changes_is_no_correlation():
    before, _, similarity = matrices(0.0)
    found = compare_confusions(before, before, similarity)
    assert found.change_with_similarity is None
    assert found.pairs == ()


def test_matrices_of_many_classes_stay_out_of_the_result():
    size = MOST_CLASSES + 1
    rng = np.random.default_rng(0)
    found = compare_confusions(*rng.random((3, size, size)))
    assert found.change == ()
    assert found.similarity == ()
    assert len(found.pairs) == 20
