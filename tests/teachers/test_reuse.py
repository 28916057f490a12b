"""Teachers taken over from another study are the ones that training again would have given."""

import shutil

import pytest

from goodteacher import search
from goodteacher.config import StudyConfig, parse
from goodteacher.errors import ConfigError, StudyError
from goodteacher.records import TrajectoryRecord
from goodteacher.studies import Silent, Store, prepare_context
from goodteacher.teachers import plan_teachers, reusing
from tests.made import SETTINGS, dataset
from tests.sweet_spot.test_probing import PATIENT, searched
from tests.test_study import Interrupter, without_seconds

SMALL = {**SETTINGS, "student": "mlp:2", "student_epochs": 3, "seeds": 2, "transfer_fraction": 0.5}


@pytest.fixture(scope="module")
def lender(tmp_path_factory):
    settings = {**SETTINGS, "student_epochs": 1, "search_seeds": 1, "seeds": 2}
    return search(dataset(), out=tmp_path_factory.mktemp("lender") / "study", **settings)


def borrower(lender, out, **settings):
    return search(dataset(), out=out, teachers_of=str(lender.folder), **{**SMALL, **settings})


@pytest.mark.parametrize(
    "settings",
    [{}, {"temperatures": (2.0,)}, {"patience": 1}],
    ids=["transfer set", "temperatures", "patience"],
)
def test_every_number_is_that_of_training_again(lender, tmp_path, settings):
    lent = borrower(lender, tmp_path / "lent", **settings)
    own = search(dataset(), out=tmp_path / "own", **{**SMALL, **settings})
    assert without_seconds(lent) == without_seconds(own)
    assert {p.name for p in lent.folder.glob("teachers/*")} == {
        p.name for p in own.folder.glob("teachers/*")
    }


def test_fewer_records_have_the_same_teachers(lender, tmp_path):
    """The training loss alone is the lender's: a mean since an epoch not recorded here."""
    lent = borrower(lender, tmp_path / "lent", record_epochs=(2,))
    own = search(dataset(), out=tmp_path / "own", **{**SMALL, "record_epochs": (2,)})
    (rows, answer, records), (own_rows, own_answer, own_records) = map(without_seconds, (lent, own))
    for record in (*records, *own_records):
        del record["training_loss"]
    assert (rows, answer, records) == (own_rows, own_answer, own_records)


def test_cost_counts_the_seconds_that_the_lender_took_to_teach(lender, tmp_path):
    lent = borrower(lender, tmp_path / "lent")
    assert lent.sweet_spot.cost.teacher_seconds == lender.sweet_spot.cost.teacher_seconds


def test_shorter_run_is_lent_only_where_no_rate_decays(lender, tmp_path):
    study = borrower(lender, tmp_path / "shorter", epochs=2)
    assert study.sweet_spot.cost.teacher_epochs_full == 4
    decaying = search(
        dataset(), out=tmp_path / "decaying", **{**SETTINGS, "schedule": "cosine", "seeds": 2}
    )
    with pytest.raises(ConfigError, match="epochs is 4 there, 2 here"):
        borrower(decaying, tmp_path / "refused", epochs=2, schedule="cosine")


def test_moving_averages_are_lent_by_a_study_that_kept_them(lender, tmp_path):
    settings = {**SETTINGS, "variants": ("raw", "ema"), "student_epochs": 1, "seeds": 2}
    keeper = search(dataset(), out=tmp_path / "keeper", **settings)
    wanted = {**SMALL, "variants": ("ema",)}
    own = search(dataset(), out=tmp_path / "own", **wanted)
    assert without_seconds(borrower(keeper, tmp_path / "lent", **wanted)) == without_seconds(own)
    with pytest.raises(ConfigError, match="has no finished teacher"):
        borrower(lender, tmp_path / "refused", **wanted)


def test_batch_size_that_the_lender_lacks_is_trained(lender, tmp_path):
    lent = borrower(lender, tmp_path / "lent", batch_sizes=(32, 64))
    own = search(dataset(), out=tmp_path / "own", **{**SMALL, "batch_sizes": (32, 64)})
    assert without_seconds(lent) == without_seconds(own)


def test_nothing_to_take_over_names_what_differs(lender, tmp_path):
    with pytest.raises(ConfigError, match=r"learning_rates is 0\.001 there, 0\.01 here"):
        borrower(lender, tmp_path / "other", learning_rates=0.01)


def test_other_data_have_no_teachers_to_lend(lender, tmp_path):
    settings = {**SMALL, "teachers_of": str(lender.folder)}
    with pytest.raises(ConfigError, match="it has other data"):
        search(dataset(seed=1), out=tmp_path / "other", **settings)


def test_folder_that_is_no_study_is_refused(tmp_path):
    with pytest.raises(StudyError, match="is not a study"):
        search(dataset(), out=tmp_path / "new", teachers_of=str(tmp_path / "none"), **SMALL)
    assert not (tmp_path / "new").exists()


def test_teachers_that_patience_stopped_are_not_lent(tmp_path):
    lender = searched("study", tmp_path / "stopped", PATIENT)
    assert any(record.stopped for record in lender.trajectories()), "this tests nothing"
    unfinished = [r.batch_size for r in lender.trajectories() if r.stopped]
    wanted = {**PATIENT, "batch_sizes": tuple(unfinished), "patience": 0}
    with pytest.raises(ConfigError, match="its patience is 1; with 0, every teacher is"):
        borrower(lender, tmp_path / "new", **wanted)


@pytest.mark.parametrize("probes", ["study", "raced"], ids=["as far as it goes", "further"])
def test_a_stopped_run_serves_a_student_that_is_patient_too(tmp_path, probes):
    """Its state is gone, so where more of it is asked for the run starts over."""
    lender = searched("study", tmp_path / "stopped", PATIENT)
    wanted = {**PATIENT, "student": "mlp:2"}
    own = searched(probes, tmp_path / "own", wanted)
    lent = searched(probes, tmp_path / "lent", {**wanted, "teachers_of": str(lender.folder)})
    assert without_seconds(lent) == without_seconds(own)
    ends = [{r.run: r.epoch for r in each.trajectories() if r.stopped} for each in (lender, lent)]
    assert (ends[0] == ends[1]) == (probes == "study")


def test_a_diverged_end_is_not_taken_for_other_responses(lender, tmp_path):
    """It has no weights: what comes before it serves, and the rest is trained."""
    copy = tmp_path / "copy"
    shutil.copytree(lender.folder, copy)
    store = Store(copy)
    for name in store.matching("teachers/*/trajectory.jsonl"):
        *records, last = store.read_records(name, TrajectoryRecord)
        store.write_records(name, [*records, last.model_copy(update={"status": "diverged"})])
        key = name.split("/")[1]
        store.remove(f"teachers/{key}/checkpoints/epoch-00004.safetensors")
    wanted = {**SMALL, "patience": 9}
    lent = search(dataset(), out=tmp_path / "lent", teachers_of=str(copy), **wanted)
    own = search(dataset(), out=tmp_path / "own", **wanted)
    assert without_seconds(lent) == without_seconds(own)


def test_the_study_that_has_most_of_a_run_lends_it(lender, tmp_path):
    longer = search(dataset(), out=tmp_path / "longer", **{**SMALL, "epochs": 8, "seeds": 2})
    context = prepare_context(
        parse(StudyConfig, data="circle", **{**SMALL, "epochs": 8}),
        tmp_path / "new",
        data=dataset(),
        progress=Silent(),
    )
    config = context.store.config(StudyConfig)
    _, tasks = plan_teachers(config, context)
    found = reusing(config, context, tasks, [lender.folder, longer.folder, lender.folder])
    assert {task.reused.folder for task in found} == {str(longer.folder)}


def test_interrupted_loan_goes_on_by_training_where_the_lender_is_named_no_more(lender, tmp_path):
    out = tmp_path / "lent"
    with pytest.raises(KeyboardInterrupt):
        search(
            dataset(),
            out=out,
            progress=Interrupter(2),
            **{**SMALL, "teachers_of": str(lender.folder)},
        )
    assert list(out.glob("teachers/*/trajectory.jsonl")), "interrupted before a loan"
    study = search(dataset(), out=out, **SMALL)
    own = search(dataset(), out=tmp_path / "own", **SMALL)
    assert without_seconds(study) == without_seconds(own)


def test_finished_study_needs_its_lender_no_more(lender, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(lender.folder, copy)
    settings = {**SMALL, "teachers_of": str(copy)}
    first = without_seconds(search(dataset(), out=tmp_path / "lent", **settings))
    shutil.rmtree(copy)
    assert without_seconds(search(dataset(), out=tmp_path / "lent", **settings)) == first
