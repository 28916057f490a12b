"""What each variant of a teacher gives is measured by seeds that did not choose it."""

import dataclasses

import pytest

from goodteacher import search
from goodteacher.records.results import StudentRow
from pairs import all_pairs
from tests.made import SETTINGS, dataset
from variants import held_out, rendered, variants_of


def student(variant, seed, accuracy, *, source="checkpoint", temperature=1.0):
    return StudentRow(
        task="",
        stage="search",
        rung=0,
        seed=seed,
        arm=f"{variant} {temperature}",
        source=source,
        variant=variant,
        loss="kl",
        temperature=temperature,
        alpha=0.5,
        standardize=False,
        student_epochs=9,
        student_batch_size=32,
        student_learning_rate=2e-3,
        curve=(),
        status="ok",
        training_loss=None,
        selection_accuracy=accuracy,
        student_seconds=1.0,
    )


@dataclasses.dataclass
class Made:
    students: list
    exhaustive: object = None
    name: str = "made/large--wide--full--variants"
    settings: dict = dataclasses.field(default_factory=dict)

    @property
    def pair(self):
        return self


def rows(blend=(0.9, 0.9)):
    plain = [student(None, seed, 0.5, source="one_hot") for seed in (0, 1)]
    raw = [student("raw", seed, 0.6 + 0.1 * (seed == t), temperature=float(t))
           for seed in (0, 1) for t in (0, 1)]  # fmt: skip
    return [*plain, *raw, *(student("blend", seed, value) for seed, value in enumerate(blend))]


def test_luck_of_the_choosing_seed_counts_for_nothing():
    """Each raw arm is lucky with one seed: chosen by it, and worth 0.6 on the other."""
    found = {row.kind: row for row in variants_of(Made(rows()))}
    assert found["raw"].accuracy == pytest.approx(0.6)
    assert found["raw"].gains == pytest.approx((0.1, 0.1))
    assert found["blend"].gains == pytest.approx((0.4, 0.4))
    assert (found["raw"].arms, found["blend"].arms) == (2, 1)


def test_single_seed_or_single_variant_has_no_table():
    assert variants_of(Made([row for row in rows() if row.seed == 0])) == []
    assert variants_of(Made([row for row in rows() if row.variant != "blend"])) == []
    assert rendered([Made([])]) == "*Not run.*"


def test_checkpoints_that_did_not_compete_have_no_table():
    assert variants_of(Made(rows(), settings={"variants": ["raw", "blend"]}))
    assert variants_of(Made(rows(), settings={"variants": ["blend"]})) == []


def test_choice_by_the_others_is_that_of_a_plain_search():
    arms = [{0: 0.1, 1: 0.9, 2: 0.8}, {0: 0.7, 1: 0.2, 2: 0.9}]
    assert held_out(arms, [0, 1, 2]) == [0.1, 0.2, 0.8]


def test_table_names_pair_and_gain_of_each_seed():
    text = rendered([Made(rows((0.9, 0.7)))])
    assert (
        "| `made/large--wide--full--variants` | blend | 1 | 80.00 | +30.00 (+40.00, +20.00) |"
        in text
    )


def test_collected_pair_without_variants_has_no_table(results):
    assert rendered(all_pairs(results)) == "*Not run.*"


def test_searched_variants_are_found_under_their_own_names(tmp_path):
    """The names are those that a search writes, not some made up here."""
    settings = {
        **SETTINGS,
        "exhaustive": True,
        "variants": ("raw", "average", "blend"),
        "student_epochs": 2,
        "seeds": 2,
    }
    study = search(dataset(), out=tmp_path / "study", **settings)
    made = Made(study.students(), exhaustive=study.sweet_spot)
    found = {row.kind for row in variants_of(made)}
    assert found == {"raw", "average", "blend", "smoothing", "one_hot"}
    assert "| labels alone | 1 |" in rendered([made])
