"""What the practitioner's page says in numbers is what the results say."""

import statistics
from pathlib import Path

import pytest

import stopping
from assemble import assemble
from goodteacher.records.arms import Checkpoint
from goodteacher.records.words import fixed
from pairs import all_pairs
from run import RATES

PAGE = Path(__file__).parent.parent.parent / "docs" / "practice.md"
WORDS = ("no", "one", "two", "three", "four", "five")


@pytest.fixture(scope="module")
def page():
    return " ".join(PAGE.read_text().split())


@pytest.fixture(scope="module")
def study():
    return assemble().study


def tenths(study, *data):
    """The references of every pair that saw a tenth of one of these data sets."""
    return [
        pair.exhaustive.references
        for pair in study
        if pair.pair.data in data and pair.pair.transfer == "tenth" and pair.exhaustive
    ]


def gains(references):
    return [100 * each.cross_entropy.difference for each in references]


def test_sweet_spots_that_were_not_taught(page, study):
    ours = [pair for pair in study if pair.of_today and pair.pair.taught]
    lost = 0
    for pair in ours:
        source = pair.exhaustive.teacher.source
        if isinstance(source, Checkpoint):
            lost += pair.pair.taught[pair.sizes[source.run]] < source.epoch
    told = f"stopped a teacher before the sweet spot in {WORDS[lost]} of {len(ours)} pairs"
    assert told in page


def test_shares_of_the_default_search(page):
    costs = [each["cost"] for each in assemble().regret["pairs"].values()]
    teachers = statistics.fmean(each["teacher_time"] for each in costs)
    students = statistics.fmean(each["student_time"] for each in costs)
    assert round(1 / teachers) == 4
    assert round(1 / students) == 4
    told = "about a quarter of the exhaustive search's student time and of its teacher time"
    assert told in page


def test_cost_of_the_lead_under_other_rates(page):
    variations = [pair for pair in all_pairs(variations=True) if pair.pair.variation in RATES]
    rise = {"banking77": [], "fashion_mnist": []}
    for pair in variations:
        probes, truth = stopping.stand_ins(pair)
        if not truth:
            continue
        with_lead, without = (
            stopping.replay(pair, rule, probes, truth, ()).loss
            for rule in (stopping.DEFAULT, stopping.Rule(stopping.DEFAULT.patience))
        )
        rise[pair.pair.data].append(100 * (with_lead - without))
    many, ten = (sum(values) / len(values) for values in rise.values())
    worst = max(rise["banking77"])
    cost = f"{fixed(many, '.1f')} points on Banking77 ({fixed(worst, '.1f')} at most)"
    told = f"the lead cost {cost}, none on Fashion"
    assert told in page
    assert abs(ten) < 0.05


def test_gains_over_labels_with_a_tenth_of_the_data(page, study):
    ten, many = gains(tenths(study, "mnist", "fashion_mnist")), gains(tenths(study, "banking77"))
    few, most = fixed(min(ten), ".1f"), fixed(max(ten), ".1f")
    assert f"by {few} to {most} points over labels on MNIST and Fashion" in page
    assert f"by {fixed(min(many), '.0f')} to {fixed(max(many), '.0f')} with the 77 classes" in page


def test_cifar_gives_no_more_than_label_smoothing(page, study):
    assert "it gave no more than tuned label smoothing" in page
    found = tenths(study, "cifar10")
    assert found
    assert all(each.label_smoothing.adjusted_interval[0] <= 0 for each in found)


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
