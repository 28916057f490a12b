import pytest
from markupsafe import Markup

from goodteacher.report.findings import read_findings
from goodteacher.report.maps import (
    draw_grid,
    epoch_title,
    grid_table,
    student_grid,
    student_panel,
    teacher_grid,
    teacher_panel,
)
from goodteacher.report.quantities import QUANTITIES
from goodteacher.report.rungs import first_rung
from goodteacher.report.svg import draw
from tests.report.build import (
    CHOSEN,
    WINNER,
    diverged,
    finish_study,
    record,
    row,
    settings,
    write_study,
)


@pytest.fixture
def rung(findings):
    return first_rung(findings.students)


def at(grid, batch_size, epoch):
    labels = [grid.axis.label(run) for run in grid.axis.runs]
    return grid.cells[labels.index(str(batch_size))][grid.epochs.index(epoch)]


def test_student_map_shows_the_best_recipes_mean_of_the_first_rung(findings, rung):
    grid = student_grid(findings, rung)
    # 0.9 + T / 1000 - alpha / 1000 at T = 2 and alpha = 0.5; the later rungs' 0.95 is not shown.
    assert at(grid, 128, 2).value == pytest.approx(90.15)
    assert at(grid, 128, 1).value == pytest.approx(89.15)
    assert at(grid, 32, 4).value == pytest.approx(87.15)


def test_student_map_of_one_recipe_leaves_the_others_out(findings, rung):
    recipe = WINNER.recipe.model_copy(update={"temperature": 1.0, "alpha": 1.0})
    assert at(student_grid(findings, rung, recipe), 128, 2).value == pytest.approx(90.0)


def test_of_many_recipes_those_with_the_best_students_have_a_map_of_their_own(tmp_path):
    config = settings(temperatures=[float(t) for t in range(1, 21)], alphas=[0.5])
    store = write_study(tmp_path / "s", config=config)
    finish_study(store)
    found = read_findings(store)
    panel = student_panel(found, first_rung(found.students))
    # Planted accuracy rises with the temperature.
    labels = [view.label for view in panel.views[1:]]
    assert labels == [str(recipe) for recipe in config.recipes[-12:]]


def test_checkpoint_that_no_student_tried_has_no_number(findings, rung):
    cell = at(student_grid(findings, rung), 32, 1)
    assert cell.value is None
    assert cell.text == "not tried"
    assert "no students trained" in cell.note


def test_sweet_spot_is_marked_and_survivors_are_noted(findings, rung):
    grid = student_grid(findings, rung)
    assert "longest training of its students: 18 epochs" in at(grid, 128, 2).note
    assert "longest training of its students: 2 epochs" in at(grid, 128, 1).note
    assert at(grid, 128, 2).text == "90.15\n★"
    assert at(grid, 128, 1).text == "89.15"


def test_teacher_tried_only_as_a_reference_says_so(findings, rung):
    cell = at(student_grid(findings, rung), 32, 4)
    assert cell.text == "87.15"
    assert "not shortlisted" in cell.note


def test_teacher_map_is_on_the_same_axes_and_reads_the_quantity(findings, rung):
    grid = teacher_grid(findings, QUANTITIES["similarity"])
    students = student_grid(findings, rung)
    assert (grid.axis, grid.epochs) == (students.axis, students.epochs)
    assert at(grid, 32, 4).value == pytest.approx(0.225)
    assert at(grid, 128, 2).text == "0.116\n★"


def test_diverged_and_missing_teachers_are_told_apart(tmp_path):
    records = [record(32, 1), diverged(32, 2), record(128, 1)]
    findings = read_findings(write_study(tmp_path / "s", records=records))
    grid = teacher_grid(findings, QUANTITIES["similarity"])
    assert [at(grid, 32, epoch).text for epoch in (2, 4)] == ["diverged"] * 2
    assert [at(grid, 128, epoch).text for epoch in (2, 4)] == ["not yet"] * 2


def test_rows_are_batch_sizes_ascending_whatever_the_settings_say(tmp_path):
    store = write_study(tmp_path / "s", config=settings(batch_sizes=[128, 32]))
    grid = teacher_grid(read_findings(store), QUANTITIES["accuracy"])
    assert [run.name for run in grid.axis.runs] == ["batch 32", "batch 128"]


def test_drawing_outlines_the_sweet_spots_cell(findings, rung):
    assert draw_grid(student_grid(findings, rung)).outlined == (1, 1)


def test_drawing_has_a_cell_for_each_run_and_epoch(findings, rung):
    figure = draw_grid(student_grid(findings, rung))
    assert (figure.rows, figure.columns) == (("32", "128"), ("1", "2", "4"))
    assert [len(row) for row in figure.cells] == [3, 3]
    assert figure.cells[0][0].value is None


def test_many_columns_leave_the_numbers_to_hovering_and_the_table(tmp_path):
    config = settings(epochs=20, record_epochs=range(1, 21))
    grid = teacher_grid(read_findings(write_study(tmp_path / "s", config=config)), _accuracy())
    assert grid.cells[0][0].text not in Markup(draw(draw_grid(grid)).svg).striptags().split()
    assert len(grid_table(grid).head) == 21


def test_table_behind_a_map_holds_its_numbers(findings, rung):
    table = grid_table(student_grid(findings, rung))
    assert table.head == ("batch size", "epoch 1", "epoch 2", "epoch 4")
    assert table.rows[1][2] == "90.15 ★"


def test_student_map_offers_every_recipe(findings, rung):
    labels = [view.label for view in student_panel(findings, rung).views]
    assert labels[0] == "each checkpoint's best recipe"
    assert labels[1:] == [str(recipe) for recipe in findings.config.recipes]


def test_student_caption_names_n_split_epochs_and_spread(findings, rung):
    caption = student_panel(findings, rung).views[0].caption
    for part in (
        "selection split (n = 15,000 examples)",
        "2 seeds after 2 student epochs",
        "Standard deviation over seeds: 1.41 points",
    ):
        assert part in caption


def test_single_seed_claims_no_spread(findings):
    rows = [row(WINNER, accuracy=0.9)]
    caption = student_panel(findings, first_rung(rows)).views[0].caption
    assert "One seed, so no spread." in caption


def test_teacher_map_starts_with_similarity_information(findings):
    first = teacher_panel(findings).views[0]
    assert first.label == "Similarity information S at T = 1, nats"
    assert "n = 1,000" in first.caption


def test_exhaustive_search_marks_no_survivors(tmp_path):
    store = write_study(tmp_path / "s", config=settings(exhaustive=True))
    finish_study(store)
    findings = read_findings(store)
    rows = [row(WINNER, accuracy=0.9, student_epochs=18)]
    cell = at(student_grid(findings, first_rung(rows)), 128, CHOSEN.epoch)
    assert "(" not in cell.text


def test_budget_of_steps_is_named_on_the_axis():
    assert epoch_title(settings()) == "teacher epoch"
    title = epoch_title(settings(budget="steps", reference_batch_size=64))
    assert title == "teacher epoch (in steps of batch size 64)"


def _accuracy():
    return QUANTITIES["accuracy"]
