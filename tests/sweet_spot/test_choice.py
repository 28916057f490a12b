"""Who competes: the shortlist, the references, and what is written of them."""

import pytest

from goodteacher.errors import RunError
from goodteacher.records.arms import CROSS_ENTROPY, Blend, BlendMember, Checkpoint
from goodteacher.records.results import BlendRecord
from goodteacher.sweet_spot.choice import (
    FAMILIES,
    candidates,
    compete,
    converged,
    most_accurate,
    rivals,
    shortlist,
)
from goodteacher.sweet_spot.scores import SCORES, goodness, mean_ranks, ranked
from tests.report.build import diverged, record, settings


def healthy(config):
    return [record(b, e) for b in config.batch_sizes for e in config.recorded_epochs]


def measured(found, **values):
    """A record with other numbers on the selection split, at every temperature."""
    return found.model_copy(
        update={
            "measurements": tuple(
                m.model_copy(update=values) if m.split == "selection" else m
                for m in found.measurements
            )
        }
    )


def mean_of(*members, variant="blend", nll=0.5):
    """A mean of recorded responses that was measured as the record of batch 32, epoch 1."""
    made = Blend(
        variant=variant,
        members=tuple(BlendMember(run=r.run, epoch=r.epoch, weight=1.0) for r in members),
    )
    like = measured(record(32, 1), nll=nll)
    return BlendRecord(source=made, optimal_temperature=1.5, measurements=like.measurements)


def named(records):
    return [str(one.source) for one in records]


# --- the shortlist -------------------------------------------------------------------------------


def test_shortlist_takes_the_lowest_held_out_nll():
    config = settings(shortlist=2)
    found = compete(config, healthy(config))
    both = {Checkpoint(run="batch 128", epoch=2), Checkpoint(run="batch 32", epoch=2)}
    assert {one.source for one in found.candidates} == both


def test_exhaustive_search_shortlists_every_healthy_checkpoint():
    config = settings(exhaustive=True, shortlist=1)
    records = [record(32, 1), record(32, 2)]
    assert diverged(128, 1).status == "diverged", "the search leaves these out before"
    assert {one.epoch for one in compete(config, records).candidates} == {1, 2}


@pytest.mark.parametrize("size", [1, 3, 6, 50])
def test_shortlist_is_the_best_first_and_no_longer_than_asked(size):
    config = settings()
    found = shortlist(healthy(config), size)
    assert len(found) == min(size, 6)
    nlls = [one.best_nll for one in found]
    assert nlls == sorted(nlls)
    assert found == shortlist(healthy(config), 50)[:size]


def test_of_equally_good_teachers_those_recorded_first_are_shortlisted():
    config = settings()
    alike = [measured(one, nll=0.3) for one in healthy(config)]
    assert shortlist(alike, 3) == alike[:3]
    assert shortlist(alike[::-1], 3) == alike[::-1][:3]


@pytest.mark.parametrize("name", sorted(set(SCORES) - {"probe"}))
def test_every_score_ranks_in_the_direction_that_it_says(name):
    config = settings()
    records = [
        one.model_copy(
            update={
                "measurements": tuple(
                    m.model_copy(
                        update={"entropy": m.nll, "wrong_class_variance": m.nll, "cmi": 0.1}
                    )
                    for m in one.measurements
                )
            }
        )
        for one in healthy(config)
    ]
    found = goodness(ranked(records, name), name)
    assert found == sorted(found, reverse=True)
    raw = SCORES[name].values(records, {})
    assert goodness(records, name) == [SCORES[name].sign * value for value in raw]


def test_accurate_teachers_and_low_losses_are_good():
    better = measured(record(32, 1), accuracy=0.99, nll=0.01, brier=0.01, ace=0.001)
    worse = record(32, 1)
    for name in ("accuracy", "nll", "best_nll", "brier", "best_brier", "ace", "best_ace"):
        assert ranked([worse, better], name) == [better, worse]


def test_mean_ranks_share_ties_and_know_no_unit():
    assert mean_ranks([[3, 1, 2], [30, 10, 20]]) == [1.0, 0.0, 0.5]
    assert mean_ranks([[1, 1, 2]]) == [0.25, 0.25, 1.0]
    assert mean_ranks([[1, 2], [2, 1]]) == [0.5, 0.5]


# --- variants ------------------------------------------------------------------------------------


def test_blend_joins_the_shortlist_without_being_ranked():
    """Its NLL was minimised on the examples that rank."""
    config = settings(shortlist=1, variants=["raw", "blend"])
    records = healthy(config)
    blend = mean_of(*records[:2], nll=0.0)
    found = candidates(config, records, [blend])
    assert found == [*shortlist(records, 1), blend]
    exhaustive = settings(exhaustive=True, variants=["raw", "blend"])
    assert candidates(exhaustive, records, [blend]) == [*records, blend]


def test_average_competes_for_its_place_like_any_other():
    config = settings(shortlist=2, variants=["raw", "average"])
    records = healthy(config)
    good = mean_of(records[0], variant="average", nll=0.0)
    poor = mean_of(records[1], variant="average", nll=9.0)
    assert named(candidates(config, records, [poor, good])) == [
        str(good.source),
        *named(shortlist(records, 1)),
    ]
    assert rivals(config, records, [poor]) == [*records, poor]


def test_without_raw_among_the_variants_only_others_compete():
    config = settings(variants=["average"])
    records = healthy(config)
    average = mean_of(records[0], variant="average")
    found = compete(config, records, [average])
    assert found.candidates == (average,)
    # The references stay what common practice takes.
    assert found.converged.variant == found.most_accurate.variant == "raw"


def test_nobody_left_to_compete_is_an_error_that_names_the_way_out():
    config = settings(variants=["average"])
    with pytest.raises(RunError, match=r"variants = average is left.*Add raw to"):
        compete(config, healthy(config))


# --- references ----------------------------------------------------------------------------------


def test_reference_teachers_are_the_most_accurate_ones():
    # Accuracy grows with the epoch only, so ties go to the lower NLL: the larger batch size.
    config = settings()
    found = compete(config, healthy(config))
    best = Checkpoint(run="batch 128", epoch=4)
    assert found.converged.checkpoint == found.most_accurate.checkpoint == best


def test_converged_teacher_is_the_most_accurate_of_the_last_even_where_an_earlier_one_was_better():
    early = measured(record(32, 1), accuracy=0.99)
    records = [record(32, 4), early, measured(record(128, 4), accuracy=0.5), record(128, 2)]
    assert most_accurate(records) == early
    assert converged(records) == records[0]


@pytest.mark.parametrize(("nlls", "chosen"), [((0.3, 0.2), 1), ((0.2, 0.3), 0), ((0.2, 0.2), 0)])
def test_of_equally_accurate_teachers_the_one_of_lower_nll_is_the_reference(nlls, chosen):
    records = [
        measured(record(batch, 4), accuracy=0.9, nll=nll)
        for batch, nll in zip((32, 128), nlls, strict=True)
    ]
    assert most_accurate(records) == records[chosen]


def test_accuracy_comes_before_nll():
    records = [measured(record(32, 4), accuracy=0.9, nll=0.1), record(128, 4)]
    records[1] = measured(records[1], accuracy=0.9001, nll=5.0)
    assert most_accurate(records) == records[1]


def test_stopped_teachers_are_final_only_where_none_was_trained_to_the_end():
    stopped = measured(record(32, 2), accuracy=0.99).model_copy(update={"stopped": True})
    ended = measured(record(128, 4), accuracy=0.5)
    assert converged([stopped, ended]) == ended
    assert converged([record(32, 1), stopped]) == stopped


# --- what is written, and what trains ------------------------------------------------------------


def test_every_choice_is_written_with_its_reason():
    config = settings(shortlist=2)
    found = compete(config, healthy(config))
    shortlisted, last, best = found.decisions(config)
    assert shortlisted.teachers == tuple(one.source for one in found.candidates)
    assert "the best 2 by best_nll" in shortlisted.reason
    assert last.teachers == best.teachers == (found.converged.checkpoint,)
    assert last.reason == "the most accurate of the last ones; the end of its run"
    assert best.reason == "0.9400 on the selection split"
    exhaustive = settings(exhaustive=True)
    assert "the search is exhaustive" in found.decisions(exhaustive)[0].reason


def test_reason_says_that_the_last_teacher_was_stopped():
    config = settings()
    stopped = [one.model_copy(update={"stopped": True}) for one in (record(32, 2), record(128, 2))]
    _, last, _ = compete(config, stopped).decisions(config)
    assert last.reason.endswith("; the last one trained")


def test_every_family_has_its_arms_and_teachers_every_recipe():
    config = settings(shortlist=2)
    found = compete(config, healthy(config))
    families = found.families(config)
    assert tuple(families) == FAMILIES
    assert families["cross_entropy"] == (CROSS_ENTROPY,)
    assert [arm.source.smoothing for arm in families["label_smoothing"]] == [0.1, 0.2]
    assert len(families["sweet_spot"]) == 2 * len(config.recipes) == 8
    for name, teacher in (
        ("converged_teacher", found.converged),
        ("most_accurate_teacher", found.most_accurate),
    ):
        assert {arm.source for arm in families[name]} == {teacher.checkpoint}
        assert [arm.recipe for arm in families[name]] == list(config.recipes)
    spots = {arm.source for arm in families["sweet_spot"]}
    assert spots == {one.source for one in found.candidates}
