"""What is kept of a pair is what its studies held, and nothing that names a folder."""

import shutil

import pytest

from collect import as_csv, as_students_csv, collect, without_pictures
from goodteacher import Study, search
from goodteacher.records.evidence import Evidence, Flip, Flips, OmittedClass
from goodteacher.sweet_spot.scores import score_table
from pairs import (
    DEFAULT_STUDENTS_FILE,
    PAIR_FILE,
    PROBES_FILE,
    Pair,
    PairKey,
    all_pairs,
    read_students,
)
from probe import probe
from tests.made import SETTINGS
from tests.report import build


@pytest.fixture
def pair(results):
    (found,) = all_pairs(results)
    return found


@pytest.fixture
def studies(results):
    return Study(results.parent / "all"), Study(results.parent / "default")


def rounded(value):
    return float(f"{value:.7g}")


def test_pair_says_who_it_is(pair):
    assert pair.name == "made/small--narrow--full"
    assert (pair.pair.teacher, pair.pair.student, pair.pair.num_classes) == ("mlp:12", "mlp:3", 4)
    assert pair.pair.settings["exhaustive"] is True
    assert pair.pair.settings["student_epochs"] == 4
    assert pair.pair.minutes == {"exhaustive": 1.5}


def test_pair_is_of_today_unless_a_setting_is_newer(pair, tmp_path):
    assert pair.of_today
    settings = {k: v for k, v in pair.pair.settings.items() if k != "lead_after"}
    old = pair.pair.model_copy(update={"settings": settings})
    (tmp_path / PAIR_FILE).write_text(old.model_dump_json())
    assert not Pair(tmp_path).of_today


def test_teachers_are_those_of_the_exhaustive_study(pair, studies):
    expected = [r for r in studies[0].trajectories() if r.status == "ok"]
    assert [t.checkpoint for t in pair.teachers] == [r.checkpoint for r in expected]
    for kept, record in zip(pair.teachers, expected, strict=True):
        assert kept.seconds == rounded(record.seconds)
        assert len(kept.measurements) == len(record.measurements)
        assert kept.best_nll == rounded(record.best_nll)
        transfer = kept.at("transfer").similarity, record.at("transfer").similarity
        assert transfer[0] == rounded(transfer[1])


def test_students_are_those_of_their_search(pair, studies):
    for kept, study in zip((pair.students, pair.default_students), studies, strict=True):
        rows = study.students()
        assert [(r.arm, r.seed, r.stage, r.rung) for r in kept] == [
            (r.arm, r.seed, r.stage, r.rung) for r in rows
        ]
        assert [r.selection_accuracy for r in kept] == [rounded(r.selection_accuracy) for r in rows]
        assert [r.test_accuracy is None for r in kept] == [r.test_accuracy is None for r in rows]


def test_answers_are_kept_whole(pair, studies):
    assert pair.exhaustive == studies[0].sweet_spot
    assert pair.search == studies[1].sweet_spot
    assert pair.verdict is None
    assert pair.evidence is None


def test_scores_of_what_was_kept_are_those_of_the_study(pair, studies):
    records = [r for r in studies[0].trajectories() if r.status == "ok"]
    expected = score_table(records, studies[0].students())
    found = score_table(pair.teachers, pair.students)
    for kept, whole in zip(found, expected, strict=True):
        assert kept.rho == pytest.approx(whole.rho)
        assert dict(kept.regret) == pytest.approx(dict(whole.regret), abs=1e-6)


def test_nothing_kept_names_a_folder_of_this_machine(results):
    files = [path for path in results.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert str(results.parent) not in path.read_text()


def test_collecting_again_changes_nothing(results, pair):
    before = {path.name: path.read_text() for path in pair.folder.iterdir()}
    key = PairKey(**pair.pair.model_dump(include=set(PairKey.model_fields)))
    collect(
        key,
        exhaustive=results.parent / "all",
        search=results.parent / "default",
        into=pair.folder,
        minutes=pair.pair.minutes,
    )
    assert {path.name: path.read_text() for path in pair.folder.iterdir()} == before


def test_study_that_has_not_finished_leaves_its_students_out(tmp_path):
    build.write_study(tmp_path / "study")
    key = PairKey(
        data="made",
        teacher_role="large",
        student_role="wide",
        transfer="tenth",
        variation="steps-sqrt",
    )
    into = tmp_path / "results" / key.folder
    collect(key, exhaustive=tmp_path / "study", search=None, into=into)
    assert all_pairs(tmp_path / "results") == []
    (pair,) = all_pairs(tmp_path / "results", variations=True)
    assert pair.name == "made/large--wide--tenth--steps-sqrt"
    assert len(pair.teachers) == 6
    assert (pair.students, pair.default_students) == ((), ())
    assert (pair.exhaustive, pair.search) == (None, None)


def test_numbers_keep_seven_digits():
    row = build.record(32, 1).measurements[0].model_copy(update={"nll": 1 / 3})
    assert as_csv([row], ["split", "nll", "cmi"]) == "split,nll,cmi\ntransfer,0.3333333,\n"


def test_pictures_of_flips_are_not_kept():
    flip = Flip(
        id=7,
        label=1,
        confidence_smoothing_right=0,
        full_response_right=3,
        confidence_smoothing_says=2,
        full_response_says=1,
        picture="iVBORw0KGgo=",
    )
    flips = Flips.model_construct(most_gained=(flip,), most_lost=(flip, flip))
    omitted = OmittedClass.model_construct(class_name="3", examples="pictures")
    bare = without_pictures(Evidence.model_construct(flips=flips, omitted=omitted))
    assert (bare.omitted.class_name, bare.omitted.examples) == ("3", None)
    found = bare.flips
    assert [len(found.most_gained), len(found.most_lost)] == [1, 2]
    for kept in (*found.most_gained, *found.most_lost):
        assert kept == flip.model_copy(update={"picture": None})


def test_probes_trained_afterwards_are_those_of_a_search_that_ranks_by_them(results, tmp_path):
    probe(results.parent / "all", tmp_path / "kept")
    kept = read_students(tmp_path / "kept" / PROBES_FILE)
    settings = {**SETTINGS, "search_seeds": 1, "student_epochs": 4, "seeds": 2}
    data = results.parent / "made.npz"
    ranked = search(data, out=tmp_path / "ranked", shortlist_by="probe", **settings)
    rows = [row for row in ranked.students() if row.stage == "probe"]
    assert [row.arm for row in kept] == [row.arm for row in rows]
    expected = [rounded(row.selection_accuracy) for row in rows]
    assert [row.selection_accuracy for row in kept] == expected


def test_probes_of_a_pair_are_the_kept_ones_or_those_of_its_default_search(pair, tmp_path):
    assert pair.probes == ()
    teachers = [row for row in pair.students if row.source == "checkpoint"][:2]
    early, late = (
        [row.model_copy(update={"stage": "probe", "rung": rung}) for row in teachers]
        for rung in (0, 3)
    )
    shutil.copy(pair.folder / PAIR_FILE, tmp_path)
    (tmp_path / DEFAULT_STUDENTS_FILE).write_text(as_students_csv([*early, *late]))
    assert [row.rung for row in Pair(tmp_path).probes] == [3, 3]
    (tmp_path / PROBES_FILE).write_text(as_students_csv(early))
    assert [row.rung for row in Pair(tmp_path).probes] == [0, 0]
