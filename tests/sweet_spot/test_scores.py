"""Scores of teachers: their values, the shortlist by each, and the table that compares them."""

from typing import get_args

import pytest
import torch

from goodteacher.config import ScoreName, StudyConfig, parse
from goodteacher.errors import ConfigError, StudyError
from goodteacher.maths.similarity import mean_entropy
from goodteacher.records.arms import Arm, Checkpoint
from goodteacher.responses.measurement import measure
from goodteacher.sweet_spot.choice import candidates
from goodteacher.sweet_spot.scores import SCORES, goodness, probe_accuracies, ranked, score_table
from tests.report import build

POINTS = [(b, e) for b in (32, 128) for e in (1, 2, 4)]


def records(**changes):
    """Six teachers; changes are of their measurements, by position of the teacher."""
    found = []
    for number, (size, epoch) in enumerate(POINTS):
        record = build.record(size, epoch)
        values = {"entropy": 0.1 * number, "cmi": 0.1, "wrong_class_variance": 0.2, **changes}
        own = {k: v[number] if isinstance(v, list) else v for k, v in values.items()}
        measured = tuple(m.model_copy(update=own) for m in record.measurements)
        found.append(record.model_copy(update={"measurements": measured}))
    return found


def students(accuracies, *, seeds=((-0.01), 0.01), epochs=18):
    """Students of two recipes; the second is better by a point at every teacher."""
    recipes = build.settings().recipes[:2]
    return [
        build.row(
            Arm(source=Checkpoint(run=f"batch {size}", epoch=epoch), recipe=recipe),
            accuracy=accuracy + shift + bonus,
            seed=seed,
            student_epochs=epochs,
        )
        for (size, epoch), accuracy in zip(POINTS, accuracies, strict=True)
        for recipe, bonus in zip(recipes, (0.0, 0.01), strict=True)
        for seed, shift in enumerate(seeds)
    ]


def test_names_of_the_setting_are_those_of_the_table():
    assert set(get_args(ScoreName)) == set(SCORES)
    assert StudyConfig.model_fields["shortlist_by"].default == "best_nll"


def test_unknown_score_is_refused():
    with pytest.raises(ConfigError, match="shortlist_by = 'luck' is not allowed"):
        build.settings(shortlist_by="luck")


def test_best_scores_are_taken_at_each_teachers_own_best_temperature():
    found = records()
    assert goodness(found, "best_nll") == [-r.at("selection", 1.5).nll for r in found]
    assert goodness(found, "nll") == [-r.at("selection", 1.0).nll for r in found]
    assert goodness(found, "best_similarity") == [r.at("transfer", 1.5).similarity for r in found]
    assert goodness(found, "selection_class_part") == [r.at("selection").class_part for r in found]


def test_half_way_prefers_the_middle_of_each_trajectory():
    assert [r.epoch for r in ranked(records(), "half_way")] == [2, 2, 1, 1, 4, 4]


def test_saturation_gap_is_how_much_worse_unseen_examples_are():
    found = [build.record(32, 2)]
    gaps = {"transfer": 0.1, "selection": 0.7}
    measured = tuple(m.model_copy(update={"nll": gaps[m.split]}) for m in found[0].measurements)
    found = [found[0].model_copy(update={"measurements": measured})]
    assert goodness(found, "saturation_gap") == [pytest.approx(-0.6)]


def test_entropy_of_a_record_is_that_of_its_response():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(20, 5, generator=generator), torch.arange(20) % 5
    found = measure(logits, labels, split="transfer", temperature=2.0)
    probs = (logits.double() / 2).softmax(1)
    expected = float(-(probs * probs.log()).sum(1).mean())
    assert found.entropy == pytest.approx(expected) == mean_entropy(logits, labels, temperature=2.0)
    class_means = torch.stack([probs[labels == c].mean(0) for c in range(5)])[labels]
    divergence = (probs * (probs / class_means).log()).sum(1).mean()
    assert found.cmi == pytest.approx(float(divergence))
    wrong = probs[labels[:, None] != torch.arange(5)].reshape(20, 4)
    assert found.wrong_class_variance == pytest.approx(float(wrong.var(1, correction=0).mean()))


def test_records_of_an_earlier_version_say_what_they_lack():
    with pytest.raises(StudyError, match="entropy was not measured for batch 32 epoch 1"):
        goodness([build.record(32, 1)], "entropy")


def test_table_against_references_worked_out_by_hand():
    """The score orders six teachers 1..6; students agree but for a swap of the two best."""
    rows = students([0.1, 0.2, 0.3, 0.4, 0.6, 0.5])
    table = {row.score: row for row in score_table(records(accuracy=[1, 2, 3, 4, 5, 6]), rows)}
    found = table["accuracy"]
    # 1 - 6 sum d^2 / (n (n^2 - 1)) with d = 1 twice
    assert found.rho == pytest.approx(1 - 6 * 2 / (6 * 35))
    assert found.regret[1] == pytest.approx(0.1)
    assert found.regret[3] == found.regret[5] == pytest.approx(0)
    assert found.num_teachers == 6


def test_reversed_score_has_the_reversed_correlation_and_its_regret():
    rows = students([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    table = {row.score: row for row in score_table(records(ace=[1, 2, 3, 4, 5, 6]), rows)}
    found = table["ace"]
    assert found.rho == pytest.approx(-1)
    assert [found.regret[k] for k in (1, 3, 5)] == pytest.approx([0.5, 0.3, 0.1])


def test_constant_score_has_no_correlation():
    table = {row.score: row for row in score_table(records(), students([0.1, 0.2, 0.3] * 2))}
    assert table["cmi"].rho is None


def test_search_that_left_teachers_out_is_refused():
    rows = [row for row in students([0.5] * 6) if row.epoch != 4]
    with pytest.raises(StudyError, match=r"2 of 6 teachers had no students.*--exhaustive"):
        score_table(records(), rows)


def in_round(number, rows):
    return [row.model_copy(update={"rung": number}) for row in rows]


def test_students_that_were_dropped_on_the_way_are_refused():
    first = students([0.5] * 6, epochs=2)
    rows = [*first, *in_round(1, students([0.5] * 6))[:4]]
    with pytest.raises(StudyError, match=r"trained for 2 or 18 epochs.*--exhaustive"):
        score_table(records(), rows)


def test_teachers_are_compared_by_the_last_students_that_all_of_them_had():
    """A shorter training before and a few students tried beyond an edge after it do not count."""
    early = students([0.6, 0.5, 0.4, 0.3, 0.2, 0.1], epochs=2)
    whole = in_round(1, students([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    beyond = in_round(2, students([0.9] * 6, epochs=54))[:3]
    expected = score_table(records(), whole)
    assert score_table(records(), [*early, *whole, *beyond]) == expected
    assert score_table(records(), early) != expected


@pytest.mark.parametrize("name", sorted(SCORES))
def test_shortlist_takes_the_score_that_the_settings_name(name):
    found = records()
    config = build.settings(shortlist_by=name, shortlist=3)
    probes = probe_accuracies(probe_rows([0.2, 0.6, 0.1, 0.5, 0.4, 0.3]))
    assert candidates(config, found, probes=probes) == ranked(found, name, probes)[:3]


def probe_rows(accuracies, *, rung=3):
    """Probe students of two recipes of each teacher; the second is worse by a point."""
    recipes = build.settings().recipes[:2]
    return [
        build.row(
            Arm(source=Checkpoint(run=f"batch {size}", epoch=epoch), recipe=recipe),
            accuracy=accuracy - loss,
            stage="probe",
            rung=rung,
            student_epochs=1,
        )
        for (size, epoch), accuracy in zip(POINTS, accuracies, strict=True)
        for recipe, loss in zip(recipes, (0.0, 0.01), strict=True)
    ]


def test_probe_is_the_best_recipe_of_the_last_time_that_a_teacher_was_probed():
    earlier = probe_rows([0.9] * 6, rung=0)[:4]
    later = probe_rows([0.2, 0.6, 0.1, 0.5, 0.4, 0.3])
    found = records()
    for rows in ([*earlier, *later], [*later, *earlier]):
        assert goodness(found, "probe", probe_accuracies(rows)) == [0.2, 0.6, 0.1, 0.5, 0.4, 0.3]


def test_probe_without_probe_students_says_how_to_get_them():
    rows = probe_rows([0.5] * 6)[:8]
    with pytest.raises(StudyError, match=r"2 of 6 teachers have no probe.*batch 128 epoch 2.*prob"):
        goodness(records(), "probe", probe_accuracies(rows))


def test_table_compares_probes_where_every_teacher_was_probed():
    rows = students([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    probes = probe_rows([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    table = {row.score: row for row in score_table(records(), [*rows, *probes])}
    assert table["probe"].rho == pytest.approx(1)
    assert "probe" not in {row.score for row in score_table(records(), [*rows, *probes[:-2]])}


def test_settings_keep_the_score():
    config = parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:4", shortlist_by="cmi")
    assert config.shortlist_by == "cmi"
