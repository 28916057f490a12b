import pytest

from goodteacher.errors import StudyError
from goodteacher.records.results import StudentRow
from goodteacher.report.findings import read_findings
from goodteacher.studies.files import DECISIONS_FILE
from goodteacher.studies.store import Store
from tests.report.build import (
    CHOSEN,
    WINNER,
    row,
    settings,
    shortlisted,
    sweet_spot,
    write_study,
)


def test_finished_study_is_read_whole(findings):
    assert findings.name == "study"
    assert [(r.batch_size, r.epoch) for r in findings.records] == [
        (32, 1),
        (32, 2),
        (32, 4),
        (128, 1),
        (128, 2),
        (128, 4),
    ]
    assert findings.sweet_spot == sweet_spot()
    assert findings.chosen == CHOSEN
    assert len(findings.students) == 2 * (5 * 4 + 3) + 4 + 3
    assert [each.versions["torch"] for each in findings.environments] == ["2.9"]


def test_batch_sizes_are_ordered_as_numbers_not_as_names(tmp_path):
    store = write_study(tmp_path / "s", config=settings(batch_sizes=[512, 8]))
    sizes = [r.batch_size for r in read_findings(store).records]
    assert sizes == sorted(sizes)


def test_unfinished_study_has_no_answer(unfinished):
    found = read_findings(unfinished)
    assert found.sweet_spot is None
    assert found.chosen is None
    assert found.students == ()


def test_students_of_finished_tasks_are_shown_before_their_table_exists(unfinished):
    for seed in (0, 1):
        rows = [row(WINNER, accuracy=0.9, seed=seed)]
        unfinished.write_table(f"students/search-0-seed-{seed}/rows.parquet", rows, StudentRow)
    assert [r.seed for r in read_findings(unfinished).students] == [0, 1]


def test_tables_of_finished_tasks_are_read_once(unfinished, monkeypatch):
    def write(seed):
        name = f"students/search-0-seed-{seed}/rows.parquet"
        unfinished.write_table(name, [row(WINNER, accuracy=0.9, seed=seed)], StudentRow)

    read, real = [], Store.read_table
    monkeypatch.setattr(Store, "read_table", lambda s, n, k: read.append(n) or real(s, n, k))
    tables = {}
    for seeds in ((0,), (0, 1)):
        write(seeds[-1])
        assert [r.seed for r in read_findings(unfinished, tables).students] == list(seeds)
    assert len(read) == len(set(read)) == 2


def test_study_without_any_teacher_has_no_shortlist(tmp_path):
    found = read_findings(write_study(tmp_path / "s", records=[]))
    assert found.records == ()
    assert found.shortlisted == frozenset()


def test_shortlist_is_what_the_search_decided_and_none_before(tmp_path):
    store = write_study(tmp_path / "s", config=settings(shortlist=2))
    assert read_findings(store).shortlisted == frozenset()
    store.write_records(DECISIONS_FILE, [shortlisted([CHOSEN])])
    assert read_findings(store).shortlisted == {CHOSEN}, "whatever the rule would say today"


def test_missing_data_file_is_an_error_that_names_it(unfinished):
    unfinished.remove("data.json")
    with pytest.raises(StudyError, match=r"data\.json cannot be read"):
        read_findings(unfinished)


def test_missing_environment_is_no_reason_to_fail(unfinished):
    unfinished.remove("environment.json")
    assert read_findings(unfinished).environments == ()
