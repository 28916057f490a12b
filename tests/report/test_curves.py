import pytest

from goodteacher.report.curves import OVER_EPOCHS, curve_panel, curves_of, curves_table, draw_curves
from goodteacher.report.findings import read_findings
from goodteacher.report.quantities import QUANTITIES
from goodteacher.report.svg import draw
from goodteacher.report.theme import power_ticks
from tests.report.build import diverged, record, settings, write_study


def test_a_line_for_each_batch_size_over_recorded_epochs(findings):
    curves = curves_of(findings, QUANTITIES["effective_classes"])
    assert [line.run.name for line in curves.lines] == ["batch 32", "batch 128"]
    for line in curves.lines:
        assert line.epochs == (1, 2, 4)
        assert line.values == pytest.approx((2.0, 1.5, 1.25))


def test_class_and_instance_part_sum_to_similarity_information(findings):
    total, by_class, by_instance = (
        curves_of(findings, QUANTITIES[name]).lines[0].values
        for name in ("similarity", "class_part", "instance_part")
    )
    sums = [a + b for a, b in zip(by_class, by_instance, strict=True)]
    assert sums == pytest.approx(total)


def test_star_stands_on_the_sweet_spot(findings):
    curves = curves_of(findings, QUANTITIES["accuracy"])
    assert curves.chosen == (2, pytest.approx(92.0))
    assert draw_curves(curves).star == (2, pytest.approx(92.0))


def test_unfinished_study_has_no_star(unfinished):
    curves = curves_of(read_findings(unfinished), QUANTITIES["accuracy"])
    assert curves.chosen is None
    assert draw_curves(curves).star is None
    assert len(draw_curves(curves).series) == 2


def test_diverged_record_ends_its_line(tmp_path):
    records = [record(32, 1), diverged(32, 2), diverged(128, 1)]
    found = read_findings(write_study(tmp_path / "s", records=records))
    (line,) = curves_of(found, QUANTITIES["nll"]).lines
    assert (line.run.name, line.epochs) == ("batch 32", (1,))


def test_epoch_axis_is_logarithmic_with_powers_of_two(findings):
    axis = draw_curves(curves_of(findings, QUANTITIES["nll"])).x
    assert axis.log
    assert axis.ticks == (1, 2, 4)


def test_ticks_of_no_epochs_are_none():
    assert power_ticks([]) == []
    assert power_ticks([3]) == [3]


def test_table_has_a_row_for_each_epoch_and_a_dash_where_nothing_was_measured(tmp_path):
    records = [record(32, 1), record(32, 2), record(128, 1)]
    found = read_findings(write_study(tmp_path / "s", records=records))
    table = curves_table(curves_of(found, QUANTITIES["accuracy"]))
    assert table.head == ("epoch", "batch size 32", "batch size 128")
    assert table.rows == (("1", "91.00", "91.00"), ("2", "92.00", "-"))


@pytest.mark.parametrize("name", OVER_EPOCHS)
def test_every_panel_has_a_caption_with_its_split_and_an_axis_with_its_unit(findings, name):
    (view,) = curve_panel(findings, name).views
    assert "n = " in view.caption
    assert view.figure.y.title == QUANTITIES[name].axis


def test_more_batch_sizes_than_symbols_are_drawn(tmp_path):
    config = settings(batch_sizes=[2**k for k in range(12)])
    found = read_findings(write_study(tmp_path / "s", config=config))
    figure = draw_curves(curves_of(found, QUANTITIES["nll"]))
    assert len(figure.series) == 12
    assert len(draw(figure).legend) == 12
