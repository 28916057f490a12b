"""Several learning rates and seeds, and runs of others' trainers, on the report's axes."""

import pytest

from goodteacher.config import Recipe, Run
from goodteacher.records.arms import Arm, Checkpoint
from goodteacher.records.results import TeacherChoice
from goodteacher.report.curves import curves_of, curves_table, draw_curves
from goodteacher.report.facts import cost_of, cost_table
from goodteacher.report.findings import read_findings
from goodteacher.report.headline import comparison_table
from goodteacher.report.maps import draw_grid, grid_table, teacher_grid
from goodteacher.report.page import render
from goodteacher.report.quantities import QUANTITIES
from goodteacher.report.rungs import first_rung
from goodteacher.report.runs import axis_of
from goodteacher.report.students import pairing_panel
from tests.report.build import (
    CHOSEN,
    finish_study,
    record,
    row,
    settings,
    sweet_spot,
    write_study,
)

SEVERAL = {"learning_rates": [0.001, 0.01], "teacher_seeds": [0, 1]}
BARE = dict.fromkeys(("steps", "passes", "seconds", "learning_rate", "training_loss"), None)


def records_of(config):
    return [
        record(planned.batch_size, epoch).model_copy(
            update={"run": planned.name, "attributes": planned.run.attributes}
        )
        for planned in config.runs
        for epoch in config.recorded_epochs
    ]


@pytest.fixture
def several(tmp_path):
    config = settings(**SEVERAL)
    store = write_study(tmp_path / "s", config=config, records=records_of(config))
    return read_findings(store)


@pytest.fixture
def foreign(tmp_path):
    """A study beside whose runs lie two epochs of a run that somebody else recorded."""
    theirs = [
        record(64, epoch).model_copy(update={"run": "night", "attributes": {}, **BARE})
        for epoch in (3, 4)
    ]
    ours = [record(size, epoch) for size in (32, 128) for epoch in (1, 2, 4)]
    return write_study(tmp_path / "s", records=[*ours, *theirs])


def test_map_has_a_row_for_each_run_grouped_and_a_line_between_groups(several):
    grid = teacher_grid(several, QUANTITIES["accuracy"])
    assert len(grid.cells) == 8
    assert [run.name for run in grid.axis.runs][:3] == [
        "batch 32 lr 0.001 seed 0",
        "batch 128 lr 0.001 seed 0",
        "batch 32 lr 0.001 seed 1",
    ]
    assert draw_grid(grid).breaks == (2, 4, 6)
    assert draw_grid(grid).down == "teacher run"


def test_table_has_a_column_for_each_attribute_that_varies(several):
    table = grid_table(teacher_grid(several, QUANTITIES["accuracy"]))
    assert table.head[:3] == ("batch size", "learning rate", "seed")
    assert table.rows[2][:4] == ("32", "0.001", "1", "91.00")


def test_axis_is_named_by_the_one_attribute_that_varies():
    sizes = axis_of(record(size, 1).made_by for size in (128, 32))
    assert (sizes.title, sizes.label(sizes.runs[0])) == ("batch size", "32")
    two = axis_of(
        Run(name=f"batch 32 lr {rate}", attributes={"batch_size": 32, "learning_rate": rate})
        for rate in (0.01, 0.001)
    )
    assert (two.title, [two.label(run) for run in two.runs]) == ("learning rate", ["0.001", "0.01"])
    assert two.breaks == ()


def test_curves_have_a_line_for_each_run(several):
    curves = curves_of(several, QUANTITIES["nll"])
    assert len(curves.lines) == 8
    assert draw_curves(curves).legend == "run"
    assert curves_table(curves).head[1] == "batch 32 lr 0.001 seed 0"


def test_run_recorded_elsewhere_stands_beside_the_studys_own(foreign):
    found = read_findings(foreign)
    table = grid_table(teacher_grid(found, QUANTITIES["accuracy"]))
    assert table.head == ("run", "batch size", *_epochs(1, 2, 3, 4))
    assert table.rows[0] == ("night", "-", "", "", "93.00", "94.00")
    assert table.rows[1] == ("batch 32", "32", "91.00", "92.00", "", "94.00")


def test_cost_counts_what_was_timed_and_says_what_was_not(foreign):
    found = read_findings(foreign)
    assert cost_of(found).teacher_seconds == pytest.approx(2 * 2.5 * 4)
    (first, *_) = cost_table(found).rows
    assert first[2] == "all trajectories except 1 that was not timed"


def test_report_of_records_without_what_only_a_trainer_knows(foreign):
    finish_study(foreign)
    page = render(read_findings(foreign))
    assert "night epoch 4" in page
    assert "batch 32 epoch 2" in page


def test_sweet_spot_without_a_response_to_the_test_split_has_no_accuracy_there(foreign):
    theirs = TeacherChoice(run="night", epoch=4, variant="raw", selection_accuracy=0.9)
    found = sweet_spot(teacher=theirs)
    assert found.teacher.described == "the teacher of night after epoch 4"
    finish_study(foreign, found)
    assert comparison_table(read_findings(foreign), found).rows[0][2] == "-"


def test_table_of_students_and_teachers_has_the_attributes_too(several):
    names = [planned.name for planned in several.config.runs]
    arms = [Arm(source=Checkpoint(run=name, epoch=2), recipe=Recipe()) for name in names]
    rung = first_rung([row(arm, accuracy=0.9) for arm in arms])
    table = pairing_panel(several, rung).views[0].table
    assert table.head[:4] == ("teacher", "batch size", "learning rate", "seed")
    assert table.rows[-1][:4] == ("batch 128 lr 0.01 seed 1 epoch 2", "128", "0.01", "1")


def test_star_finds_its_row_among_several_runs(several):
    chosen = CHOSEN.model_copy(update={"run": "batch 128 lr 0.01 seed 1"})
    grid = teacher_grid(several, QUANTITIES["accuracy"])
    outlined = draw_grid(grid.__class__(**{**vars(grid), "chosen": chosen})).outlined
    assert outlined == (7, 1)


def _epochs(*numbers):
    return tuple(f"epoch {number}" for number in numbers)
