"""The ladder, its falsification arms and label smoothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from goodteacher.errors import ConfigError, ResponseError
from goodteacher.maths import _off_class
from goodteacher.maths.losses import cross_entropy, distillation_loss
from goodteacher.maths.similarity import similarity_information
from goodteacher.maths.targets import (
    FALSIFICATION,
    LADDER,
    class_map_targets,
    ladder_targets,
    logits_of,
    permuted_targets,
    shuffled_within_class,
    smoothing_targets,
)

EVERY = {
    **LADDER,
    **{
        name: lambda logits, labels, temperature=1.0, make=make: make(
            logits, labels, temperature=temperature, seed=0
        )
        for name, make in FALSIFICATION.items()
    },
}


def response(num_examples=40, num_classes=5, seed=0, scale=2.0, dtype=torch.float64):
    """Logits that favour the label, and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(num_classes, (num_examples,), generator=generator)
    logits = torch.randn(num_examples, num_classes, generator=generator, dtype=torch.float64)
    return (scale * (logits + F.one_hot(labels, num_classes))).to(dtype), labels


def confidence_of(probs, labels):
    return probs[torch.arange(len(labels)), labels]


def reference_ladder(logits, labels, temperature):
    """The five rungs, an example at a time, in NumPy."""
    powers = np.exp(logits.numpy() / temperature)
    probs = powers / powers.sum(-1, keepdims=True)
    examples, classes = probs.shape
    confidence = probs[np.arange(examples), labels.numpy()]
    spread = np.zeros((classes, classes))
    for p, y in zip(probs, labels.tolist(), strict=True):
        spread[y] += p
    np.fill_diagonal(spread, 0.0)

    def rows(on_label, elsewhere):
        made = np.array([elsewhere(i, y) for i, y in enumerate(labels.tolist())])
        made[np.arange(examples), labels.numpy()] = on_label
        return made

    uniform = np.ones(classes) / (classes - 1)
    return {
        "one_hot": rows(1.0, lambda i, y: np.zeros(classes)),
        "mean_smoothing": rows(confidence.mean(), lambda i, y: (1 - confidence.mean()) * uniform),
        "confidence_smoothing": rows(confidence, lambda i, y: (1 - confidence[i]) * uniform),
        "class_similarity": rows(
            confidence, lambda i, y: (1 - confidence[i]) * spread[y] / spread[y].sum()
        ),
        "full_response": probs,
    }


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_ladder_equals_its_definition_example_by_example(temperature):
    logits, labels = response(seed=1)
    found = ladder_targets(logits, labels, temperature=temperature)
    expected = reference_ladder(logits, labels, temperature)
    assert list(found) == list(expected) == list(LADDER)
    for name, target in found.items():
        np.testing.assert_allclose(target, expected[name], rtol=1e-10, atol=1e-14, err_msg=name)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    num_classes=st.integers(2, 9),
    num_examples=st.integers(1, 20),
    scale=st.floats(0.0, 400),
    temperature=st.floats(0.2, 20),
)
def test_every_target_is_a_row_of_probabilities(
    seed, num_classes, num_examples, scale, temperature
):
    logits, labels = response(num_examples, num_classes, seed, scale)
    labels[0] = -1
    for name, make in EVERY.items():
        target = make(logits, labels, temperature=temperature)
        assert target.shape == logits.shape, name
        assert (target >= 0).all(), name
        torch.testing.assert_close(
            target.sum(-1), torch.ones(num_examples).double(), rtol=0.0, atol=1e-12
        )


def test_each_rung_keeps_what_the_rung_below_has():
    logits, labels = response(seed=2)
    ladder = ladder_targets(logits, labels, temperature=2.0)
    full = confidence_of(ladder["full_response"], labels)
    for name in ("confidence_smoothing", "class_similarity"):
        torch.testing.assert_close(confidence_of(ladder[name], labels), full)
    mean = confidence_of(ladder["mean_smoothing"], labels)
    torch.testing.assert_close(mean, full.mean().expand(40))


def test_the_rungs_are_as_far_apart_as_similarity_information_says():
    logits, labels = response(seed=3)
    found = similarity_information(logits, labels)
    ladder = ladder_targets(logits, labels)
    full, by_class, smoothed = (
        ladder[name].numpy()
        for name in ("full_response", "class_similarity", "confidence_smoothing")
    )
    total = np.mean((full * np.log(full / smoothed)).sum(-1))
    instance = np.mean((full * np.log(full / by_class)).sum(-1))
    assert total == pytest.approx(found.total, rel=1e-10)
    assert instance == pytest.approx(found.instance_part, rel=1e-10)
    in_class = similarity_information(ladder["class_similarity"].log(), labels)
    assert in_class.total == pytest.approx(found.class_part, rel=1e-9)


@pytest.mark.parametrize("name", EVERY)
def test_an_unlabelled_example_counts_as_of_the_teachers_class(name):
    logits, labels = response(seed=4)
    filled = labels.clone()
    filled[:10] = logits[:10].argmax(-1)
    labels[:10] = -1
    assert torch.equal(EVERY[name](logits, labels), EVERY[name](logits, filled))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    ("given_dtype", "made"), [(torch.float16, torch.float32), (torch.float64, torch.float64)]
)
def test_targets_have_the_responses_precision_but_at_least_float32(name, given_dtype, made):
    logits, labels = response(dtype=given_dtype)
    assert EVERY[name](logits, labels).dtype == made


# --- falsification arms --------------------------------------------------------------------------


def sorted_others(probs, labels):
    others = [np.delete(p, y) for p, y in zip(probs.numpy(), labels.tolist(), strict=True)]
    return np.sort(others, -1)


@pytest.mark.parametrize("make", [permuted_targets, class_map_targets])
def test_permuted_arms_keep_the_confidence_and_the_multiset_of_others(make):
    logits, labels = response(seed=5)
    full = LADDER["full_response"](logits, labels, temperature=2.0)
    target = make(logits, labels, temperature=2.0, seed=3)
    assert torch.equal(confidence_of(target, labels), confidence_of(full, labels))
    np.testing.assert_array_equal(sorted_others(target, labels), sorted_others(full, labels))
    assert not torch.allclose(target, full)


@pytest.mark.parametrize("name", FALSIFICATION)
def test_a_seed_decides_the_falsification_arms(name):
    logits, labels = response(seed=6)
    first, same, other = (FALSIFICATION[name](logits, labels, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    generator = torch.Generator().manual_seed(1)
    assert torch.equal(FALSIFICATION[name](logits, labels, seed=generator), first)
    assert not torch.equal(FALSIFICATION[name](logits, labels, seed=generator), first)


def test_permutation_per_example_is_uniform_and_destroys_class_similarity():
    row = torch.tensor([[0.5, 0.3, 0.15, 0.05]], dtype=torch.float64).log()
    logits, labels = row.repeat(6000, 1), torch.zeros(6000, dtype=torch.int64)
    target = permuted_targets(logits, labels, seed=0)
    orders, counts = np.unique(target.numpy().round(6), axis=0, return_counts=True)
    assert len(orders) == 6
    assert np.abs(counts - 1000).max() < 150  # 5 standard deviations
    found = similarity_information(logits_of(target), labels)
    assert found.class_part < 0.01 * found.total


def test_the_class_map_is_one_derangement_for_each_class():
    probs = torch.arange(1.0, 7.0, dtype=torch.float64).repeat(60, 1)
    labels = torch.arange(6).repeat(10)
    logits = probs.log()
    target = class_map_targets(logits, labels, seed=7)
    full = LADDER["full_response"](logits, labels)
    elsewhere = torch.arange(6) != labels.unsqueeze(-1)
    assert (target != full)[elsewhere].all()
    for y in range(6):
        assert (target[labels == y] == target[y]).all()
    one_map = [tuple(target[y].tolist()) for y in range(6)]
    assert len(set(one_map)) > 1


def test_the_class_map_keeps_the_amount_of_similarity_and_makes_it_wrong():
    logits, labels = response(seed=8)
    mapped = logits_of(class_map_targets(logits, labels, seed=1))
    found, wrong = similarity_information(logits, labels), similarity_information(mapped, labels)
    assert wrong.total == pytest.approx(found.total, rel=1e-10)
    assert wrong.class_part == pytest.approx(found.class_part, rel=1e-10)
    assert not torch.allclose(wrong.matrix, found.matrix, atol=0.05)


def test_shuffling_within_class_gives_every_example_the_response_of_another_of_its_class():
    logits, labels = response(seed=9)
    labels[0] = 4
    labels[1:][labels[1:] == 4] = 3  # class 4 has a single example
    full = LADDER["full_response"](logits, labels)
    target = shuffled_within_class(logits, labels, seed=5)
    source = [int((full == row).all(-1).nonzero()) for row in target]
    assert sorted(source) == list(range(40))
    assert torch.equal(labels[torch.tensor(source)], labels)
    assert [i for i, origin in enumerate(source) if i == origin] == [0]


def test_two_classes_leave_nothing_to_permute():
    logits, labels = response(10, 2, seed=10)
    full = LADDER["full_response"](logits, labels)
    for make in (permuted_targets, class_map_targets):
        torch.testing.assert_close(make(logits, labels, seed=0), full)


# --- label smoothing and targets as responses ----------------------------------------------------


def test_label_smoothing_is_that_of_cross_entropy():
    student, labels = response(seed=11)
    target = smoothing_targets(labels, 5, smoothing=0.3, dtype=torch.float64)
    torch.testing.assert_close(
        F.cross_entropy(student, target), F.cross_entropy(student, labels, label_smoothing=0.3)
    )


def test_no_smoothing_is_one_hot_and_full_smoothing_is_uniform():
    labels = torch.tensor([0, 2])
    one_hot = F.one_hot(labels, 3).float()
    assert torch.equal(smoothing_targets(labels, 3, smoothing=0.0), one_hot)
    torch.testing.assert_close(
        smoothing_targets(labels, 3, smoothing=1.0), torch.full((2, 3), 1 / 3)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 8.0])
def test_logits_of_a_target_soften_back_to_it(dtype, temperature):
    logits, labels = response(seed=12, scale=10.0, dtype=dtype)
    for name, target in ladder_targets(logits, labels).items():
        made = logits_of(target, temperature=temperature)
        assert torch.isfinite(made).all(), name
        back = torch.softmax(made / temperature, -1)
        torch.testing.assert_close(back, target, rtol=2e-5, atol=1e-37)


def test_one_hot_as_a_response_is_plain_cross_entropy():
    student, labels = response(seed=13, dtype=torch.float32)
    certain = logits_of(LADDER["one_hot"](student, labels))
    loss = distillation_loss(student, certain, labels, temperature=1.0, alpha=1.0)
    torch.testing.assert_close(loss, cross_entropy(student, labels))


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_every_target_refuses_a_response_that_cannot_be_used(name):
    logits, labels = response()
    with pytest.raises(ResponseError, match="must be finite, but 1 of 40 rows"):
        EVERY[name](logits.index_fill(0, torch.tensor([3]), torch.inf), labels)
    with pytest.raises(ResponseError, match=r"must be in 0\.\.4 .*but got 5"):
        EVERY[name](logits, labels.index_fill(0, torch.tensor([3]), 5))
    with pytest.raises(ConfigError, match="temperature must be positive"):
        EVERY[name](logits, labels, temperature=-1.0)


def test_smoothed_labels_of_an_unlabelled_example_add_nothing_to_a_cross_entropy():
    labels, logits = torch.tensor([2, -1, 0]), torch.randn(3, 4)
    target = smoothing_targets(labels, 4, smoothing=0.3)
    by_example = -(target * logits.log_softmax(1)).sum(1)
    plain = F.cross_entropy(logits[[0, 2]], labels[[0, 2]], label_smoothing=0.3, reduction="none")
    torch.testing.assert_close(by_example, torch.stack([plain[0], torch.tensor(0.0), plain[1]]))


def test_smoothing_needs_labels_and_a_strength_in_range():
    labels = torch.tensor([0, -2])
    with pytest.raises(ResponseError, match=r"\(or be -1, unlabelled\), but got -2"):
        smoothing_targets(labels, 3, smoothing=0.1)
    with pytest.raises(ResponseError, match="labels are empty"):
        smoothing_targets(labels[:0], 3, smoothing=0.1)
    with pytest.raises(ConfigError, match=r"smoothing must be in 0\.\.1, but got 1\.5"):
        smoothing_targets(labels, 3, smoothing=1.5)
    with pytest.raises(ConfigError, match="num_classes must be at least 2, but got 1"):
        smoothing_targets(labels, 1, smoothing=0.1)


@pytest.mark.parametrize("rows", [[[0.5, 0.6]], [[1.5, -0.5]], [[float("nan"), 1.0]]])
def test_what_is_not_a_probability_has_no_logits(rows):
    with pytest.raises(ResponseError, match=r"at least 0 and sum to 1.*If these are logits"):
        logits_of(torch.tensor(rows))


@pytest.mark.parametrize("cells", [1, 30, 10**6])
def test_class_similarity_is_the_same_whatever_is_averaged_at_once(monkeypatch, cells):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(40, 12, generator=generator)
    labels = torch.randint(0, 9, (40,), generator=generator)  # three classes have no example
    whole = LADDER["class_similarity"](logits, labels, temperature=2.0)
    monkeypatch.setattr(_off_class, "CELLS", cells)
    torch.testing.assert_close(LADDER["class_similarity"](logits, labels, temperature=2.0), whole)


def test_class_similarity_of_very_many_classes_takes_no_cell_for_each_pair():
    """30,000 classes have 7 GiB of pairs; the five that have examples have a megabyte."""
    labels = torch.arange(10) % 5
    logits = torch.zeros(10, 30_000)
    logits[torch.arange(10), labels + 100] = 5.0
    target = LADDER["class_similarity"](logits, labels, temperature=1.0)
    assert target.shape == (10, 30_000)
    torch.testing.assert_close(target.sum(1), torch.ones(10))
    assert target[3].argmax() == 103


def test_a_class_without_any_mass_off_the_label_keeps_its_label():
    logits = torch.tensor([[0.0, -torch.inf, -torch.inf], [1.0, 0.0, -1.0]])
    target = LADDER["class_similarity"](logits, torch.tensor([0, 1]))
    assert target[0].tolist() == [1.0, 0.0, 0.0]
    assert torch.isfinite(target).all()


def test_classes_are_averaged_as_many_at_once_as_fit(monkeypatch):
    logits, labels = response(30, 5)
    counts, plain = [], _off_class._log_average

    def spied(log_off, own, count):
        counts.append(count)
        assert set(own.tolist()) <= set(range(count))
        return plain(log_off, own, count)

    monkeypatch.setattr(_off_class, "_log_average", spied)
    for cells, expected in ((25, [5]), (14, [2, 2, 1]), (5, [1] * 5), (1, [1] * 5)):
        counts.clear()
        monkeypatch.setattr(_off_class, "CELLS", cells)
        LADDER["class_similarity"](logits, labels)
        assert counts == expected
