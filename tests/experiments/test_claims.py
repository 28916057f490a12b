"""Where a claim is planted true, false or beyond the data, that is what the analysis says."""

import json
import math

import pytest

from claims import CLAIMS, LEVEL, answer_part, answers
from claims_json import as_json
from goodteacher.maths.statistics import adjusted_level
from pairs import all_pairs
from reading import NotMeasuredError, similarity_at
from tests.experiments.planted import LABELS, Planted, write

EVERY_PART = {part.name: part for claim in CLAIMS for part in claim.parts}


def always(similarity, size, epoch, temperature, alpha):
    """Students that the similarity information leaves cold; the longer taught the better."""
    return LABELS + 0.002 * math.log2(epoch)


def hidden_in_scale(size, epoch, temperature):
    """S that fades at T = 1 and is whole at T = 4."""
    fading = 0.5 * (4 / max(epoch, 4)) * min(epoch, 4) / 4
    return 0.6 if temperature == 4.0 else fading


def write_grid(results, **changes):
    """Large and small teachers of two data sets and two students: eight pairs."""
    names = [
        {"data": data, "teacher_role": teacher, "student_role": student}
        for data in ("one", "two")
        for teacher in ("large", "small")
        for student in ("wide", "narrow")
    ]
    own = changes.pop("small_similarity", None)
    for number, name in enumerate(names):
        plan = {**name, "noise": 0.0002 * (1 + number / 10), **changes}
        if own and name["teacher_role"] == "small":
            plan["similarity"] = own
        write(results, Planted(**plan))
    return all_pairs(results, variations=True)


def smaller_loses_less(size, epoch, temperature):
    from tests.experiments.planted import fading

    return 1.5 * fading(size, epoch, temperature)


def status_of(part, pair, study=None):
    return answer_part(EVERY_PART[part], study or [pair]).rulings[pair.name].status


def by_claim(study):
    return {answer.claim.name: answer.status for answer in answers(study)}


def test_claims_that_are_planted_true_hold(tmp_path):
    study = write_grid(tmp_path, small_similarity=smaller_loses_less)
    assert by_claim(study) == dict.fromkeys(["C1", "C2", "C3", "C4", "C5"], "holds")


def test_claims_that_are_planted_false_do_not_hold(tmp_path):
    study = write_grid(
        tmp_path,
        similarity=hidden_in_scale,
        accuracy=always,
        share_one_hot=lambda size, epoch: 0.05,
        over_converged=(-0.002, 0.0005),
        over_most_accurate=(-0.002, 0.0005),
        spot=(128, 32),
        verdict="inconclusive",
    )
    assert by_claim(study) == dict.fromkeys(["C1", "C2", "C3", "C4", "C5"], "does not hold")


def test_claims_beyond_the_data_are_undecided(tmp_path):
    study = write_grid(
        tmp_path,
        over_converged=(0.003, 0.003),
        over_most_accurate=(0.003, 0.003),
        verdict="inconclusive",
        more_seeds=30,
        knowledge=(0.003, 0.003),
    )
    answered = {answer.claim.name: answer for answer in answers(study)}
    ruling = answered["C5"].parts[0].rulings[study[0].name]
    assert (ruling.status, ruling.needed) == ("undecided", 50)
    over = answered["C4"].parts[0].rulings[study[0].name]
    assert over.status == "undecided"
    assert over.needed > 5
    assert answered["C5"].status == "undecided"


def test_without_any_pair_nothing_is_measured():
    assert set(by_claim([]).values()) == {"not measured"}


@pytest.mark.parametrize("missing", ["students.csv", "exhaustive.json", "verdict.json"])
def test_file_that_is_missing_is_said_to_be_not_measured(tmp_path, missing):
    pair = write(tmp_path, Planted())
    (pair.folder / missing).unlink()
    parts = {part.part.name: part for answer in answers([pair]) for part in answer.parts}
    unknown = {k for k, v in parts.items() if v.rulings[pair.name].status == "not measured"}
    asked = {
        "students.csv": {"same_temperature", "own_temperature", "gain", "temperature"},
        "exhaustive.json": {"over_converged", "over_most_accurate", "within_epochs"},
        "verdict.json": {"taught", "told_apart"},
    }
    assert asked[missing] <= unknown
    assert {"lost", "lost_recoverable", "one_class"}.isdisjoint(unknown)


def test_few_pairs_leave_a_claim_about_pairs_undecided(tmp_path):
    pair = write(tmp_path, Planted())
    (answer,) = [a for a in answers([pair]) if a.claim.name == "C5"]
    assert answer.by_pair == {pair.name: "holds"}
    assert (answer.status, answer.parts[0].needed) == ("undecided", 4)


def test_what_temperature_gives_back_is_not_lost(tmp_path):
    pair = write(tmp_path, Planted(similarity=hidden_in_scale))
    assert status_of("lost", pair) == "holds"
    assert status_of("lost_recoverable", pair) == "does not hold"


def test_loss_is_the_share_of_the_peak_and_its_slope_that_of_the_fading(tmp_path):
    pair = write(tmp_path, Planted())
    found = answer_part(EVERY_PART["lost"], [pair]).rulings[pair.name].estimate
    assert found.interval.mean == pytest.approx(1 - (4 / 32) ** 2)
    assert set(found.details["peak_epoch"].values()) == {4}
    assert found.details["slope"][32] == pytest.approx(-2.0)


def test_correlation_is_that_of_all_late_checkpoints(tmp_path):
    pair = write(tmp_path, Planted(accuracy=lambda s, size, epoch, t, a: LABELS - 0.1 * s))
    part = answer_part(EVERY_PART["same_temperature"], [pair])
    found = part.rulings[pair.name]
    assert found.status == "does not hold"
    assert math.tanh(found.estimate.interval.mean) < -0.9
    assert found.estimate.details["checkpoints"] == 16


def test_large_teacher_is_compared_with_its_small_sibling_alone(tmp_path):
    large = write(tmp_path, Planted())
    small = write(tmp_path, Planted(teacher_role="small", similarity=smaller_loses_less))
    answer = answer_part(EVERY_PART["large"], [large, small])
    assert answer.rulings[small.name].status == "does not apply"
    assert answer.rulings[large.name].estimate.interval.mean == pytest.approx(math.log2(1.5))
    assert answer.counts == {"holds": 1, "does not apply": 1}
    alone = answer_part(EVERY_PART["large"], [large])
    assert alone.rulings[large.name].status == "not measured"


def test_converged_teacher_that_is_the_sweet_spot_leaves_none(tmp_path):
    pair = write(tmp_path, Planted(same_as_converged=True))
    assert status_of("over_converged", pair) == "does not hold"
    ruling = answer_part(EVERY_PART["over_converged"], [pair]).rulings[pair.name]
    assert ruling.note == "the sweet spot is this very arm"
    assert ruling.estimate.interval is None, "students compared with themselves have no interval"


def test_teacher_whose_students_went_beyond_its_temperatures_is_not_measured_there(tmp_path):
    def best_at_four(similarity, size, epoch, temperature, alpha):
        return LABELS + 0.1 * similarity + 0.05 * (temperature == 4)

    pair = write(tmp_path, Planted(accuracy=best_at_four))
    for record in pair.teachers:
        with pytest.raises(NotMeasuredError, match=r"was not measured at T = 0\.5"):
            similarity_at(0.5)(record)
    path = pair.folder / "students.csv"
    text = path.read_text()
    path.write_text(text.replace(",kl,4,", ",kl,0.5,"))
    beyond = type(pair)(pair.folder)
    assert path.read_text() != text
    ruling = answer_part(EVERY_PART["own_temperature"], [beyond]).rulings[pair.name]
    assert ruling.status == "not measured"
    assert "was not measured at T = 0.5" in ruling.note
    assert status_of("same_temperature", beyond) == "holds", "at T = 1 all were measured"


@pytest.mark.parametrize(
    ("epoch", "expected"), [(1, "undecided"), (4, "holds"), (32, "does not hold")]
)
def test_sweet_spot_lies_within_the_epochs_or_at_an_end(tmp_path, epoch, expected):
    assert status_of("within_epochs", write(tmp_path, Planted(spot=(128, epoch)))) == expected


def test_gain_at_one_temperature_is_that_over_labels_with_the_response_alone(tmp_path):
    plan = Planted(
        noise=0.0, accuracy=lambda s, size, epoch, t, a: LABELS + 0.01 * (a == 1.0) + 0.1 * (t > 1)
    )
    pair = write(tmp_path, plan)
    found = answer_part(EVERY_PART["gain"], [pair]).rulings[pair.name].estimate.interval
    assert found.mean == pytest.approx(0.01)
    back = answer_part(EVERY_PART["temperature"], [pair]).rulings[pair.name].estimate.interval
    assert back.mean == pytest.approx(0.1)


def test_one_seed_decides_no_gain_but_pairs_together_do(tmp_path):
    study = write_grid(tmp_path, seeds=1)
    answer = answer_part(EVERY_PART["gain"], study)
    assert {ruling.status for ruling in answer.rulings.values()} == {"undecided"}
    assert answer.status == "does not hold" or answer.pooled.n_seeds == len(study)


def no_batch_effect(similarity, size, epoch, temperature, alpha):
    return LABELS


def batch_effect(similarity, size, epoch, temperature, alpha):
    return LABELS + 0.01 * (size == 128)


def test_batch_size_effect_is_chosen_and_measured_on_different_students(tmp_path):
    noisy = {"noise": 0.01, "seeds": 8}
    none = write(tmp_path / "a", Planted(accuracy=no_batch_effect, **noisy))
    found = answer_part(EVERY_PART["batch_size"], [none]).rulings[none.name]
    assert found.estimate.interval.low < 0 < found.estimate.interval.high
    some = write(tmp_path / "b", Planted(accuracy=batch_effect, seeds=8))
    found = answer_part(EVERY_PART["batch_size"], [some]).rulings[some.name]
    assert found.status == "holds"
    assert found.estimate.interval.mean == pytest.approx(0.01, abs=0.001)


def test_with_one_seed_the_sibling_chooses_the_batch_sizes(tmp_path):
    narrow = write(tmp_path, Planted(seeds=1, accuracy=batch_effect))
    wide = write(tmp_path, Planted(seeds=1, accuracy=batch_effect, student_role="wide"))
    answer = answer_part(EVERY_PART["batch_size"], [narrow, wide])
    assert answer.rulings[narrow.name].status == "undecided"
    assert answer.pooled.mean == pytest.approx(0.01, abs=0.002)


def test_intervals_are_corrected_for_the_pairs_that_were_measured(tmp_path):
    study = write_grid(tmp_path)
    (study[0].folder / "verdict.json").unlink()
    answer = answer_part(EVERY_PART["taught"], all_pairs(tmp_path))
    assert answer.level == adjusted_level(LEVEL, 7)
    intervals = [r.estimate.interval for r in answer.rulings.values() if r.estimate]
    assert {interval.level for interval in intervals} == {answer.level}


def test_a_quarter_against_it_and_one_more_refutes_a_part(tmp_path):
    against = {"one/large--wide--tenth", "two/small--wide--tenth"}
    study = write_grid(tmp_path)
    for pair in study:
        if pair.name in against:
            write(tmp_path, Planted(**names(pair), spot=(128, 32)))
    assert answer_part(EVERY_PART["within_epochs"], all_pairs(tmp_path)).status == "holds"
    third = next(pair for pair in study if pair.name not in against)
    write(tmp_path, Planted(**names(third), spot=(128, 32)))
    assert answer_part(EVERY_PART["within_epochs"], all_pairs(tmp_path)).status == "does not hold"


def names(pair):
    return pair.pair.model_dump(include={"data", "teacher_role", "student_role", "transfer"})


def test_file_of_claims_is_plain_json_without_unknown_numbers(tmp_path):
    study = write_grid(tmp_path, seeds=1)
    text = json.dumps(as_json(answers(study)), allow_nan=False)
    found = json.loads(text)
    assert [claim["claim"] for claim in found["claims"]] == ["C1", "C2", "C3", "C4", "C5"]
    rho = found["claims"][0]["parts"][0]["pairs"]["one/large--narrow--tenth"]
    assert -1 <= rho["low"] <= rho["mean"] <= rho["high"] <= 1


def test_pair_of_a_real_search_is_answered(results):
    """Two batch sizes and few epochs: what can be measured is, and nothing fails."""
    found = answers(all_pairs(results))
    assert [answer.claim.name for answer in found] == ["C1", "C2", "C3", "C4", "C5"]
    (pair,) = all_pairs(results)
    assert found[1].parts[0].rulings[pair.name].estimate is not None
    assert found[4].by_pair[pair.name] == "not measured"
