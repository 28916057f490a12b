"""A pair whose teachers have several seeds is one pair, and its tables say how they differ."""

import json
import shutil

import pytest

import batch_sizes
from assemble import assemble
from claims import CLAIMS, answer_part, answers
from claims_json import as_json
from pairs import PairKey, all_pairs, parts_of
from ruling import Estimate, Ruling, most_agree, over_runs, over_teacher_seeds
from study_page import TABLES
from tests.experiments.planted import Planted, write
from tests.experiments.test_claims import EVERY_PART, smaller_loses_less

NAME = "made/large--narrow--tenth"


def write_seeds(results, *seeds, **changes):
    """A pair and its replicates, of which only the pair is verified."""
    for seed in seeds:
        own = changes | ({} if seed == 0 else {"verdict": None})
        write(results, Planted(teacher_seed=seed, **own))
    return all_pairs(results, variations=True)


def test_replicate_is_the_pair_with_teachers_of_another_seed():
    who = {"data": "made", "teacher_role": "large", "student_role": "wide", "transfer": "tenth"}
    assert not PairKey(**who).is_replicate
    again = PairKey(**who, teacher_seed=2)
    assert (again.is_replicate, again.folder) == (True, "made/large--wide--tenth--seed2")
    assert again.first == PairKey(**who)
    assert not PairKey(**who, variation="steps", teacher_seed=2).is_replicate


def test_replicates_are_no_pairs_of_their_own(tmp_path):
    write_seeds(tmp_path, 0, 1, 2)
    write(tmp_path, Planted(variation="steps", teacher_seed=1))
    assert [pair.name for pair in all_pairs(tmp_path)] == [NAME]
    parts = parts_of(all_pairs(tmp_path, variations=True))
    assert [pair.name for pair in parts.study] == [NAME]
    assert [pair.name for pair in parts.replicates] == [f"{NAME}--seed1", f"{NAME}--seed2"]
    assert [pair.name for pair in parts.variations] == [f"{NAME}--steps--seed1"]


def test_every_table_counts_a_pair_once_whatever_its_teacher_seeds(tmp_path):
    write_seeds(tmp_path, 0, 1, 2)
    found = assemble(tmp_path)
    assert [pair.name for pair in found.study] == [NAME]
    assert all(list(answer.by_pair) == [NAME] for answer in found.answers)
    assert found.regret["left_out"] == [NAME]
    for part in found.scores.values():
        assert [*part["pairs"], *part["left_out"]] == [NAME]
    for name in ("in_short", "pairs_C1", "pairs_C4"):
        lines = [line for line in TABLES[name](found).splitlines() if line.startswith("| `made/")]
        assert len(lines) == 1, name
    assert f"| `{NAME}` (3 teacher seeds) |" in TABLES["runs"](found)


def test_a_part_is_decided_for_each_seed_and_summarised_for_the_pair(tmp_path):
    leads = {0: (0.010, 0.001), 1: (0.012, 0.001), 2: (0.017, 0.001)}
    for seed, lead in leads.items():
        write(tmp_path, Planted(teacher_seed=seed, over_converged=lead))
    found = answer_part(EVERY_PART["over_converged"], all_pairs(tmp_path, variations=True))
    assert {s: r.estimate.interval.mean for s, r in found.by_seed[NAME].items()} == pytest.approx(
        {seed: mean for seed, (mean, _) in leads.items()}
    )
    assert found.rulings[NAME].status == "holds"
    assert found.rulings[NAME].estimate.interval.mean == pytest.approx(0.013)
    assert found.rulings[NAME].estimate.interval.n_seeds == 3
    assert found.counts == {"holds": 1}, "the pair counts once"


def test_seeds_that_contradict_one_another_leave_the_pair_undecided(tmp_path):
    for seed, mean in enumerate((0.01, 0.01, -0.01)):
        write(tmp_path, Planted(teacher_seed=seed, over_converged=(mean, 0.001)))
    found = answer_part(EVERY_PART["over_converged"], all_pairs(tmp_path, variations=True))
    statuses = [ruling.status for ruling in found.by_seed[NAME].values()]
    assert statuses == ["holds", "holds", "does not hold"]
    assert found.rulings[NAME].status == "undecided"


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["holds"], "holds"),
        (["holds", "undecided"], "undecided"),
        (["holds", "holds", "undecided"], "holds"),
        (["does not hold", "does not hold", "undecided"], "does not hold"),
        (["does not hold", "does not hold", "holds"], "undecided"),
        (["undecided", "undecided", "holds"], "undecided"),
    ],
)
def test_more_than_half_decide_where_none_says_the_opposite(statuses, expected):
    assert most_agree(statuses) == expected


def test_seeds_in_which_a_part_was_not_measured_say_nothing():
    measured = Ruling("holds", Estimate(over_runs([0.1, 0.2]), "student seeds"))
    missing = Ruling("not measured", note="the sweet spot was not verified")
    assert over_teacher_seeds({0: measured, 1: missing, 2: missing}) is measured
    assert over_teacher_seeds({0: missing, 1: measured}) is measured
    assert over_teacher_seeds({0: missing, 1: missing}) is missing


def test_replicate_is_compared_with_the_sibling_of_its_own_seed(tmp_path):
    def much_less(size, epoch, temperature):
        return 3 * smaller_loses_less(size, epoch, temperature)

    for seed, own in ((0, smaller_loses_less), (1, much_less)):
        write(tmp_path, Planted(teacher_seed=seed))
        write(tmp_path, Planted(teacher_seed=seed, teacher_role="small", similarity=own))
    found = answer_part(EVERY_PART["large"], all_pairs(tmp_path, variations=True))
    means = [ruling.estimate.interval.mean for ruling in found.by_seed[NAME].values()]
    assert means[1] > means[0] + 1


def test_replicate_alone_answers_where_the_first_seed_is_not_there(tmp_path):
    write_seeds(tmp_path, 0, 1)
    shutil.rmtree(tmp_path / NAME)
    (pair,) = all_pairs(tmp_path, variations=True)
    found = answer_part(EVERY_PART["over_converged"], [pair])
    assert list(found.rulings) == [NAME]
    assert found.rulings[NAME].status == "holds"
    assert assemble(tmp_path).study == [], "it is no pair of the study by itself"


def test_sweet_spot_that_is_the_converged_teacher_counts_as_no_lead(tmp_path):
    write(tmp_path, Planted(teacher_seed=0, over_converged=(0.03, 0.001)))
    write(tmp_path, Planted(teacher_seed=1, same_as_converged=True))
    write(tmp_path, Planted(data="other", same_as_converged=True))
    found = answer_part(EVERY_PART["over_converged"], all_pairs(tmp_path, variations=True))
    assert found.rulings[NAME].estimate.interval.mean == pytest.approx(0.015)
    assert found.pooled.mean == pytest.approx(0.0075), "the other pair counts with 0"


def test_cells_show_each_seed_and_their_spread(tmp_path):
    for seed, mean in enumerate((0.010, 0.012, 0.017)):
        plan = Planted(teacher_seed=seed, over_converged=(mean, 0.001), spot=(128, 4 * (1 + seed)))
        write(tmp_path, plan)
    found = assemble(tmp_path)
    (row,) = [line for line in TABLES["pairs_C4"](found).splitlines() if f"`{NAME}`" in line]
    assert "SD 0.36 over 3 teacher seeds" in row
    assert "seed 2: +1.70, holds)" in row
    assert "seed 1: batch 128 (inside), epoch 8 of 32, holds" in row
    (short,) = [line for line in TABLES["in_short"](found).splitlines() if f"`{NAME}`" in line]
    assert "; other teacher seeds: +1.20, +1.70 |" in short


def test_tuned_replicate_of_an_untuned_pair_waits_for_it(tmp_path):
    write(tmp_path, Planted(tuned=False))
    write(tmp_path, Planted(teacher_seed=1, over_converged=(0.05, 0.001)))
    found = assemble(tmp_path)
    assert list(found.part("over_converged").by_seed[NAME]) == [0]
    assert "teacher seeds" not in TABLES["in_short"](found)


def test_one_seed_is_shown_as_ever(tmp_path):
    write(tmp_path, Planted())
    text = TABLES["pairs_C4"](assemble(tmp_path))
    assert "seed 0" not in text
    assert "teacher seeds" not in text


def test_file_of_claims_has_each_seed_where_there_are_several(tmp_path):
    write_seeds(tmp_path, 0, 1)
    write(tmp_path, Planted(data="other"))
    text = json.dumps(as_json(answers(all_pairs(tmp_path, variations=True))), allow_nan=False)
    parts = {part["part"]: part for claim in json.loads(text)["claims"] for part in claim["parts"]}
    pairs = parts["over_converged"]["pairs"]
    assert list(pairs[NAME]["teacher_seeds"]) == ["0", "1"]
    assert pairs[NAME]["n_counts"] == "teacher seeds"
    assert "teacher_seeds" not in pairs["other/large--narrow--tenth"]
    verified = parts["told_apart"]["pairs"][NAME]["teacher_seeds"]
    assert [one["answer"] for one in verified.values()] == ["holds", "not measured"]


def test_level_is_that_of_the_number_of_pairs_not_of_replicates(tmp_path):
    small = {"sizes": (32, 128), "epochs": (1, 4, 32)}
    write_seeds(tmp_path / "several", 0, 1, 2, **small)
    write_seeds(tmp_path / "one", 0, **small)
    for claim in CLAIMS:
        for part in claim.parts:
            levels = [
                answer_part(part, all_pairs(tmp_path / name, variations=True)).level
                for name in ("several", "one")
            ]
            assert levels[0] == levels[1], part.name


def test_replicates_tell_what_the_choice_of_batch_size_is_worth(tmp_path):
    def better(size_points):
        return lambda similarity, size, epoch, temperature, alpha: (
            0.8 + size_points / 100 * (size == 128)
        )

    for seed, gain in ((0, 2), (1, 1), (2, 3)):
        write(tmp_path, Planted(teacher_seed=seed, accuracy=better(gain)))
    chose, again = batch_sizes.size_rows(all_pairs(tmp_path, variations=True))
    assert (chose.seeds, again.seeds) == ((0,), (1, 2))
    assert again.effects == pytest.approx((0.01, 0.03), abs=0.001)
