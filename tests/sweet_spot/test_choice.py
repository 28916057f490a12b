"""Who competes: the shortlist, the references, and what is written of them."""

from goodteacher.records.arms import Checkpoint
from goodteacher.sweet_spot.choice import compete
from tests.report.build import diverged, record, settings


def healthy(config):
    return [record(b, e) for b in config.batch_sizes for e in config.recorded_epochs]


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


def test_reference_teachers_are_the_most_accurate_ones():
    # Accuracy grows with the epoch only, so ties go to the lower NLL: the larger batch size.
    config = settings()
    found = compete(config, healthy(config))
    best = Checkpoint(run="batch 128", epoch=4)
    assert found.converged.checkpoint == found.most_accurate.checkpoint == best


def test_every_choice_is_written_with_its_reason():
    config = settings(shortlist=2)
    found = compete(config, healthy(config))
    shortlist, converged, most_accurate = found.decisions(config)
    assert shortlist.teachers == tuple(one.source for one in found.candidates)
    assert "the best 2 by best_nll" in shortlist.reason
    assert converged.teachers == most_accurate.teachers == (found.converged.checkpoint,)
    assert "on the selection split" in most_accurate.reason
