"""Figures show what the pairs hold, and are written for any part of the study."""

import re

import pytest

from goodteacher.records.evidence import CurveArm, CurvePoint, Evidence, JointEffect
from goodteacher.records.evidence import TemperatureCurve as Curve
from panels import effective_classes, gain, grid, ladder, of_pairs, similarity, teacher_accuracy
from panels import temperature as over_temperature
from tests.experiments.planted import LABELS, SMOOTHED, Planted, fading, write


@pytest.fixture
def pair(tmp_path):
    return write(tmp_path, Planted(noise=0.0))


def series_of(panel, label):
    (found,) = [one for one in panel.series if one.label == label]
    return found


def test_similarity_is_drawn_once_for_each_teacher(tmp_path):
    roles = [("large", "wide"), ("large", "narrow"), ("small", "wide")]
    study = [write(tmp_path, Planted(teacher_role=t, student_role=s)) for t, s in roles]
    titles = [panel.title for panel in similarity(study)]
    assert titles == ["made, large, tenth", "made, small, tenth"]


def test_similarity_over_epochs_is_that_at_one_temperature_and_the_largest(pair):
    (panel,) = similarity([pair])
    plain = series_of(panel, "batch 32")
    assert list(plain.x) == [1, 2, 4, 8, 16, 32]
    assert plain.y == pytest.approx([fading(32, epoch, 1.0) for epoch in plain.x], rel=1e-6)
    assert series_of(panel, "batch 32, recoverable").look == "dashed"


def test_effective_classes_have_a_line_for_each_batch_size(pair):
    (panel,) = effective_classes([pair])
    assert [one.label for one in panel.series] == [f"batch {k}" for k in (32, 128, 512, 2048)]


def test_grid_holds_gains_and_a_star_at_the_sweet_spot(pair):
    shown = grid(pair).grid
    assert (shown.rows[shown.star[0]], shown.columns[shown.star[1]]) == (128, 4)
    assert shown.values[0][2] == pytest.approx(10 * fading(32, 4, 1.0), rel=1e-5)


def test_grid_leaves_a_gap_where_nothing_was_trained(pair):
    path = pair.folder / "students.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "batch 32 epoch 1 " not in line))
    assert grid(type(pair)(pair.folder)).grid.values[0][0] is None


def test_students_stand_over_their_own_teacher(pair):
    series = series_of(teacher_accuracy(pair), "batch 32")
    record = pair.teachers[0]
    assert series.x[0] == pytest.approx(100 * record.selection_accuracy)
    assert series.y[0] == pytest.approx(100 * LABELS + 10 * fading(32, 1, 1.0), rel=1e-5)
    assert series.last


def test_gain_is_over_cross_entropy_and_of_late_checkpoints(pair):
    series = series_of(gain(pair), "T = 1")
    assert len(series.x) == 16
    assert list(series.y) == pytest.approx([10 * x for x in series.x], rel=1e-4)


def test_temperature_curves_stand_beside_the_references(pair):
    panel = over_temperature(pair)
    assert series_of(panel, "cross-entropy").y == pytest.approx([100 * LABELS])
    assert series_of(panel, "label smoothing").y == pytest.approx([100 * SMOOTHED])
    spot = series_of(panel, "sweet spot")
    assert list(spot.x) == [1.0, 2.0, 4.0]
    expected = [100 * LABELS + 10 * fading(128, 4, t) for t in spot.x]
    assert list(spot.y) == pytest.approx(expected, rel=1e-5)


def test_spread_is_the_range_over_seeds_and_none_of_one(tmp_path):
    several = teacher_accuracy(write(tmp_path / "a", Planted(seeds=3, noise=0.01))).series[0]
    assert all(
        low < y < high for low, y, high in zip(several.low, several.y, several.high, strict=True)
    )
    alone = teacher_accuracy(write(tmp_path / "b", Planted(seeds=1))).series[0]
    assert (alone.low, alone.high) == ((), ())


def test_pair_without_students_has_no_panel(pair):
    (pair.folder / "students.csv").unlink()
    bare = type(pair)(pair.folder)
    for panel in (grid, teacher_accuracy, gain, over_temperature, ladder):
        assert of_pairs(panel)([bare]) == []
    assert len(similarity([bare])) == 1


def test_ladder_over_temperature_has_joint_intervals(pair):
    effect = JointEffect(mean=0.01, interval=(0.005, 0.015), adjusted_interval=(0.0, 0.02))
    arms = [
        CurveArm(name=name, test_accuracy=0.8, gain=effect)
        for name in ("confidence_smoothing", "full_response")
    ]
    points = [CurvePoint(temperature=t, arms=arms, knowledge=effect) for t in (1.0, 4.0)]
    curve = Curve(
        points=points, cross_entropy_test_accuracy=0.8, num_seeds=5, kept_at=(), reading="Flat."
    )
    pair.__dict__["evidence"] = Evidence.model_construct(curve=curve)
    found = series_of(ladder(pair), "rung 4: the full response")
    assert (list(found.x), list(found.y)) == ([1.0, 4.0], [1.0, 1.0])
    assert (list(found.low), list(found.high)) == ([0.0, 0.0], [2.0, 2.0])


@pytest.fixture
def figures():
    pytest.importorskip("matplotlib")
    import figures

    return figures


def test_every_figure_is_written_where_nothing_was_run(figures, tmp_path):
    figures.write_figures([], tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == set(figures.KINDS)
    for path in tmp_path.iterdir():
        assert ">not run<" in path.read_text()


def drawn(figures, name, pair, path):
    kind = figures.KINDS[name]
    figures.draw(kind, kind.panels([pair]), path)
    return path.read_text()


def test_figures_of_the_same_numbers_are_the_same_files(figures, pair, tmp_path):
    texts = [drawn(figures, "temperature", pair, tmp_path / f"{n}.svg") for n in range(2)]
    assert texts[0] == texts[1]


def test_panels_name_their_pair_and_n(figures, pair, tmp_path):
    text = drawn(figures, "grid", pair, tmp_path / "grid.svg")
    assert "made large-narrow" in text
    assert "tenth, n = 3" in text
    assert len(re.findall(r">[+-]\d+\.\d<", text)) == 24


def test_colours_of_batch_sizes_follow_their_size(figures, pair):
    colors = figures._colors(similarity([pair]))
    assert sorted(colors, key=colors.get) == [f"batch {k}" for k in (32, 128, 512, 2048)]
