"""Similarity information against loops over examples, its chain rule and its limit cases."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goodteacher.errors import ConfigError, ResponseError
from goodteacher.maths import _off_class, _sums, similarity
from goodteacher.maths._sums import class_blocks
from goodteacher.maths.similarity import (
    SimilaritySums,
    conditional_mutual_information,
    mean_entropy,
    similarity_information,
    wrong_class_variance,
)


def response(num_examples=40, num_classes=5, seed=0, scale=3.0):
    """Logits that favour the label, and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(num_classes, (num_examples,), generator=generator)
    logits = torch.randn(num_examples, num_classes, generator=generator, dtype=torch.float64)
    return scale * (logits + torch.nn.functional.one_hot(labels, num_classes)), labels


def probabilities(logits, temperature=1.0):
    powers = np.exp(logits.numpy() / temperature)
    return powers / powers.sum(-1, keepdims=True)


def kl_of(p, q):
    return sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def entropy_of(p):
    return -sum(a * np.log(a) for a in p if a > 0)


def reference_matrix(probs, labels):
    """`qbar`, an example at a time."""
    sums = np.zeros((probs.shape[1], probs.shape[1]))
    for p, y in zip(probs, labels, strict=True):
        sums[y] += np.where(np.arange(len(p)) == y, 0.0, p)
    return np.array([row / row.sum() if row.sum() > 0 else row for row in sums])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 6.0])
def test_similarity_equals_its_definition_example_by_example(temperature):
    logits, labels = response(seed=1)
    found = similarity_information(logits, labels, temperature=temperature)
    probs, others = probabilities(logits, temperature), 4
    qbar = reference_matrix(probs, labels.numpy())
    per_example, class_parts, instance_parts = [], [], []
    for p, y in zip(probs, labels.tolist(), strict=True):
        mass = 1 - p[y]
        smoothing = np.where(np.arange(5) == y, p[y], mass / others)
        q = np.delete(p, y) / mass
        per_example.append(kl_of(p, smoothing))
        class_parts.append(mass * kl_of(np.delete(qbar[y], y), np.full(others, 1 / others)))
        instance_parts.append(mass * kl_of(q, np.delete(qbar[y], y)))
    np.testing.assert_allclose(found.per_example, per_example, rtol=1e-8, atol=1e-14)
    np.testing.assert_allclose(found.matrix, qbar, rtol=1e-10)
    assert found.total == pytest.approx(np.mean(per_example), rel=1e-10)
    assert found.class_part == pytest.approx(np.mean(class_parts), rel=1e-10)
    assert found.instance_part == pytest.approx(np.mean(instance_parts), rel=1e-10)
    assert found.off_class_mass == pytest.approx(1 - probs[np.arange(40), labels].mean(), rel=1e-10)
    classes = np.exp([entropy_of(p) for p in probs])
    assert found.effective_classes == pytest.approx(classes.mean(), rel=1e-10)
    assert found.share_one_hot == np.mean(classes < 1.05)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    num_classes=st.integers(2, 9),
    num_examples=st.integers(1, 30),
    scale=st.floats(0.0, 400),
    temperature=st.floats(0.2, 20),
)
def test_the_chain_rule_is_exact_and_everything_stays_in_range(
    seed, num_classes, num_examples, scale, temperature
):
    logits, labels = response(num_examples, num_classes, seed, scale)
    found = similarity_information(logits, labels, temperature=temperature)
    assert found.class_part + found.instance_part == pytest.approx(found.total, rel=1e-9, abs=1e-14)
    assert min(found.class_part, found.instance_part, found.per_example.min().item()) >= 0
    assert found.total <= np.log(max(num_classes - 1, 1)) + 1e-12
    assert 1 - 1e-12 <= found.effective_classes <= num_classes + 1e-9
    assert 0 <= found.off_class_mass <= 1
    assert not found.matrix.diagonal().any()
    present = torch.zeros(num_classes, dtype=torch.bool)
    present[labels] = True
    sums = found.matrix.sum(-1)
    torch.testing.assert_close(sums, present.double(), rtol=0.0, atol=1e-12)


def test_a_smoothed_one_hot_response_has_no_similarity():
    labels = torch.tensor([0, 1, 2])
    found = similarity_information(2.0 * torch.nn.functional.one_hot(labels, 4).double(), labels)
    assert found.total == pytest.approx(0.0, abs=1e-15)
    assert found.off_class_mass > 0.2


def test_a_response_that_depends_on_the_class_alone_has_no_instance_part():
    rows = response(4, 4, seed=2)[0]
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    found = similarity_information(rows[labels], labels)
    assert found.instance_part == pytest.approx(0.0, abs=1e-14)
    assert found.class_part == pytest.approx(found.total, rel=1e-10)
    assert found.class_part > 0.01


def test_the_class_mean_weighs_examples_by_their_mass():
    logits = torch.tensor([[0.2, 0.8, 0.0], [0.8, 0.0, 0.2]]).clamp_min(1e-30).log()
    matrix = similarity_information(logits, torch.tensor([0, 0])).matrix
    torch.testing.assert_close(
        matrix[0], torch.tensor([0.0, 0.8, 0.2], dtype=torch.float64), rtol=1e-6, atol=1e-12
    )
    assert not matrix[1:].any()  # classes without examples


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_saturated_teacher_has_tiny_numbers_rather_than_none(dtype):
    gap = 30 * np.log(10)  # an off-class mass of about 1e-30
    logits = torch.tensor([[gap, 0.0, -1000.0], [gap, -1000.0, 0.0]], dtype=dtype)
    found = similarity_information(logits, torch.tensor([0, 0]))
    assert found.off_class_mass == pytest.approx(1e-30, rel=1e-4)
    assert found.total == pytest.approx(1e-30 * np.log(2), rel=1e-4)
    assert found.instance_part == pytest.approx(found.total, rel=1e-10)
    assert found.class_part == pytest.approx(0.0, abs=1e-40)
    assert found.effective_classes == 1.0
    assert found.share_one_hot == 1.0
    # Beyond the range of float64 the mass is 0, and still nothing is NaN.
    beyond = similarity_information(100 * logits, torch.tensor([0, 0]))
    assert beyond.total == beyond.class_part == beyond.instance_part == 0.0
    assert beyond.matrix[0].tolist() == pytest.approx([0.0, 0.5, 0.5])


def test_examples_of_very_different_mass_share_a_class_without_nan():
    logits = torch.tensor([[0.0, 0.0, -900.0], [900.0, -900.0, 0.0]], dtype=torch.float64)
    found = similarity_information(logits, torch.tensor([0, 0]))
    assert found.class_part + found.instance_part == pytest.approx(found.total, rel=1e-12)


def test_two_classes_have_no_similarity_by_definition():
    logits, labels = response(20, 2, seed=3)
    found = similarity_information(logits, labels)
    assert found.total == found.class_part == found.instance_part == 0.0
    assert found.off_class_mass > 0
    assert found.matrix.tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_an_unlabelled_example_counts_as_of_the_teachers_class():
    logits, labels = response(seed=4)
    filled = labels.clone()
    filled[:10] = logits[:10].argmax(-1)
    labels[:10] = -1
    found, expected = (similarity_information(logits, some) for some in (labels, filled))
    assert found.total == expected.total
    assert torch.equal(found.matrix, expected.matrix)


def test_shifting_the_logits_changes_nothing():
    logits, labels = response(seed=5)
    shifted = similarity_information(logits + 7.0, labels)
    assert shifted.total == pytest.approx(similarity_information(logits, labels).total, rel=1e-12)


def test_a_confident_error_counts_as_much_similarity_as_there_is():
    logits = torch.tensor([[100.0, 0.0, 0.0, 0.0]])
    found = similarity_information(logits, torch.tensor([1]))
    assert found.total == pytest.approx(np.log(3), rel=1e-12)
    assert found.effective_classes == pytest.approx(1.0)


def test_conditional_mutual_information_equals_its_definition():
    logits, labels = response(seed=7)
    probs = probabilities(logits, 2.0)
    means = {y: probs[labels.numpy() == y].mean(0) for y in set(labels.tolist())}
    expected = np.mean([kl_of(p, means[y]) for p, y in zip(probs, labels.tolist(), strict=True)])
    found = conditional_mutual_information(logits, labels, temperature=2.0)
    assert found == pytest.approx(expected, rel=1e-10)
    extreme = conditional_mutual_information(1e6 * logits, labels)
    assert np.isfinite(extreme)


def test_wrong_class_variance_equals_its_definition():
    logits, labels = response(seed=8)
    rows = zip(probabilities(logits, 2.0), labels.tolist(), strict=True)
    expected = np.mean([np.var(np.delete(p, y)) for p, y in rows])
    found = wrong_class_variance(logits, labels, temperature=2.0)
    assert found == pytest.approx(expected, rel=1e-10)


def test_mean_entropy_equals_its_definition():
    logits, labels = response(seed=9)
    expected = np.mean([entropy_of(p) for p in probabilities(logits, 2.0)])
    assert mean_entropy(logits, labels, temperature=2.0) == pytest.approx(expected, rel=1e-12)


SCORES = [
    similarity_information,
    conditional_mutual_information,
    wrong_class_variance,
    mean_entropy,
]


@pytest.mark.parametrize("score", SCORES)
def test_every_score_refuses_a_response_that_cannot_be_measured(score):
    logits, labels = response()
    with pytest.raises(ResponseError, match="must be finite, but 1 of 40 rows"):
        score(logits.index_fill(0, torch.tensor([3]), torch.nan), labels)
    with pytest.raises(ResponseError, match=r"labels must have shape \[40\]"):
        score(logits, labels[1:])
    with pytest.raises(ConfigError, match="temperature must be positive"):
        score(logits, labels, temperature=0.0)


def test_minus_infinity_is_probability_zero_at_every_temperature():
    logits, labels = response(seed=5)
    logits[:, 1] = -torch.inf
    logits[0] = torch.full((5,), -torch.inf).index_fill(0, labels[:1], 2.0)
    logits[1, labels[1]] = -torch.inf
    deep = logits.clamp_min(-1e6)
    for temperature in (1.0, 16.0):
        found = similarity_information(logits, labels, temperature=temperature)
        limit = similarity_information(deep, labels, temperature=temperature)
        assert found.total == pytest.approx(limit.total, rel=1e-9)
        assert found.class_part + found.instance_part == pytest.approx(found.total, rel=1e-9)
        assert found.effective_classes == pytest.approx(limit.effective_classes, rel=1e-9)
        for score in (conditional_mutual_information, mean_entropy, wrong_class_variance):
            value = score(logits, labels, temperature=temperature)
            assert value == pytest.approx(score(deep, labels, temperature=temperature), rel=1e-9)


def test_certain_rows_of_exact_zeros_have_no_similarity():
    logits = torch.full((4, 3), -torch.inf).fill_diagonal_(0.0)
    logits[3, 0] = 0.0
    found = similarity_information(logits, torch.tensor([0, 1, 2, 0]))
    assert (found.total, found.class_part, found.instance_part) == (0.0, 0.0, 0.0)


# --- what is kept, and how much at once ----------------------------------------------------------


@pytest.mark.parametrize("score", SCORES[1:])
def test_a_score_is_taken_at_temperature_one_unless_another_is_named(score):
    logits, labels = response()
    assert score(logits, labels) == score(logits, labels, temperature=1.0)
    assert similarity_information(logits, labels).total == pytest.approx(
        similarity_information(2 * logits, labels, temperature=2.0).total
    )


def test_an_example_with_less_than_a_twentieth_of_a_second_class_is_one_hot():
    """With a second class of 1 and of 5 percent there are 1.058 and 1.22 classes; of 0.5, 1.03."""
    probs = torch.tensor([[0.995, 0.005], [0.99, 0.01], [0.95, 0.05], [0.5, 0.5]])
    found = similarity_information(probs.log(), torch.zeros(4, dtype=torch.int64))
    assert found.share_one_hot == 1 / 4


def test_the_matrix_is_kept_up_to_a_gibibyte_and_where_it_is_asked_for(monkeypatch):
    assert similarity.MOST_CELLS * 8 == 2**30
    monkeypatch.setattr(similarity, "MOST_CELLS", 9)
    for num_classes, keep in ((3, False), (4, True)):
        found = SimilaritySums(1, num_classes, keep_matrix=keep).found()
        with pytest.raises(ResponseError, match="was not kept"):
            _ = found.matrix
    with pytest.raises(ResponseError, match="was not kept"):
        _ = SimilaritySums(1, 3).found().matrix
    kept = SimilaritySums(1, 3, keep_matrix=True).found()
    assert kept.matrix.shape == (3, 3)
    assert "matrix" not in repr(kept)


def test_examples_are_divided_by_as_many_classes_as_fit(monkeypatch):
    labels = torch.tensor([2, 0, 1, 2, 0])
    for cells, expected in (
        (9, [([0, 1, 2], None)]),
        (8, [([0, 1], [1, 2, 4]), ([2], [0, 3])]),
        (3, [([0], [1, 4]), ([1], [2]), ([2], [0, 3])]),
        (1, [([0], [1, 4]), ([1], [2]), ([2], [0, 3])]),
    ):
        monkeypatch.setattr(_sums, "CELLS", cells)
        found = [
            (each.classes.tolist(), None if each.rows is None else each.rows.tolist())
            for each in class_blocks(labels, 3)
        ]
        assert found == expected


def test_sums_take_no_more_memory_at_once_than_is_said():
    assert _sums.CELLS * 8 == _off_class.CELLS * 8 == 128 * 2**20
