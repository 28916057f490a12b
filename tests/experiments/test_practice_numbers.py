"""What the practitioner's page says in numbers of its own is what the results say.

What the study's command writes there is held by `test_assemble.py`.
"""

from pathlib import Path

import pytest

import stopping
from goodteacher.records.words import fixed
from outcomes import before
from pairs import all_pairs
from run import RATES

PAGE = Path(__file__).parent.parent.parent / "docs" / "practice.md"
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@pytest.fixture(scope="module")
def page():
    return " ".join(PAGE.read_text().split())


def test_batch_sizes_of_the_sweet_spots_before_students_were_tuned(page):
    spots = [
        outcome.sweet_spot
        for name, outcome in before().pairs.items()
        if name.startswith(("mnist/", "fashion_mnist/"))
    ]
    large = sum(spot.startswith("batch 2048 ") for spot in spots)
    told = f"{WORDS[large]} of the {WORDS[len(spots)]} sweet spots of MNIST and Fashion-MNIST"
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
