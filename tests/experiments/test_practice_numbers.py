"""What the practitioner's page says in numbers is what the results say."""

from pathlib import Path

import pytest

from assemble import assemble
from goodteacher.arms import Checkpoint

PAGE = Path(__file__).parent.parent.parent / "docs" / "practice.md"
WORDS = ("no", "one", "two", "three", "four", "five")


@pytest.fixture(scope="module")
def page():
    return " ".join(PAGE.read_text().split())


@pytest.fixture(scope="module")
def study():
    return assemble().study


def gains(study, *, transfer, many_classes):
    pairs = [pair for pair in study if pair.pair.transfer == transfer and pair.exhaustive]
    return [
        100 * pair.exhaustive.references.cross_entropy.difference
        for pair in pairs
        if (pair.pair.num_classes > 10) == many_classes
    ]


def test_sweet_spots_that_patience_lost(page, study):
    lost = 0
    for pair in study:
        source = pair.exhaustive.teacher.source
        if pair.pair.taught and isinstance(source, Checkpoint):
            lost += pair.pair.taught[source.batch_size] < source.epoch
    assert f"in {WORDS[lost]} pair of the study it stopped the best one too early" in page


def test_gains_over_labels_with_a_tenth_of_the_data(page, study):
    ten = gains(study, transfer="tenth", many_classes=False)
    many = gains(study, transfer="tenth", many_classes=True)
    assert f"by {min(ten):.1f} to {max(ten):.1f} points over labels with ten classes" in page
    assert f"by {min(many):.0f} to {max(many):.0f} with 77" in page


def test_wide_student_with_all_labels_gains_nothing_with_ten_classes(page, study):
    assert "On MNIST and Fashion-MNIST nothing was gained over plain labels" in page
    full = [
        pair.exhaustive.references.cross_entropy
        for pair in study
        if (pair.pair.student_role, pair.pair.transfer) == ("wide", "full")
        and pair.pair.num_classes == 10
    ]
    assert full
    assert all(low <= 0 for low, _ in (each.adjusted_interval for each in full))
