"""Figures show what the pairs hold, and are written for any part of the study."""

import itertools
import re

import pytest

import forest
from goodteacher.records.evidence import CurveArm, CurvePoint, Evidence, JointEffect
from goodteacher.records.evidence import TemperatureCurve as Curve
from left_of_lead import LeftOfLead, PairLeft
from outcomes import Lead
from panels import (
    effective_classes,
    gain,
    grid,
    ladder,
    of_pairs,
    one_of_each,
    similarity,
    teacher_accuracy,
)
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
    assert titles == ["made, large,\na tenth of the data", "made, small,\na tenth of the data"]


def test_similarity_over_epochs_is_that_at_one_temperature_and_the_largest(pair):
    (panel,) = similarity([pair])
    plain = series_of(panel, "batch 32")
    assert list(plain.x) == [1, 2, 4, 8, 16, 32]
    assert plain.y == pytest.approx([fading(32, epoch, 1.0) for epoch in plain.x], rel=1e-6)
    assert series_of(panel, "batch 32, at the T that shows most").look == "dashed"


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
    figures.write_figures([], LeftOfLead([]), tmp_path)
    story = {f"study_{name}" for name in ("worth", "lead", *figures.IN_THE_STORY)}
    drawn = {f"all_{name}" for name in figures.KINDS} | story
    assert {path.stem for path in tmp_path.iterdir()} == drawn
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
    assert len(re.findall(r">-?\d+\.\d<", text)) == 24


def test_each_run_has_a_colour_and_a_mark_of_its_own_and_darker_is_smaller(figures, tmp_path):
    sizes = (32, 64, 128, 256, 512, 1024, 2048)
    looks = figures._looks(similarity([write(tmp_path, Planted(sizes=sizes))]))
    assert list(looks) == [str(size) for size in sizes]
    assert len({look.color for look in looks.values()}) == len(sizes)
    assert len({look.marker for look in looks.values()}) == len(sizes)
    light = [sum(int(look.color[k : k + 2], 16) for k in (1, 3, 5)) for look in looks.values()]
    assert light == sorted(light)


def test_runs_look_the_same_in_every_panel(figures, tmp_path):
    study = [
        write(tmp_path, Planted(sizes=(32, 128))),
        write(tmp_path, Planted(sizes=(128, 2048), teacher_role="small")),
    ]
    looks = figures._looks(similarity(study))
    assert set(looks) == {"32", "128", "2048"}


def test_lines_of_runs_are_named_at_their_ends(figures, pair, tmp_path):
    kind = figures.KINDS["similarity"]
    figures.draw(kind, kind.panels([pair]), tmp_path / "all.svg", figures.TABLES)
    text = drawn(figures, "similarity", pair, tmp_path / "similarity.svg")
    for size in (32, 128, 512, 2048):
        assert f">{size}<" in text, "the name at the end of the line"
        assert f">batch {size}<" not in text, "the story has no room for a legend of runs"
        assert f">batch {size}<" in (tmp_path / "all.svg").read_text(), "the legend"
    assert text.count(">at the T that shows most<") == 1, (
        "dashed lines have one entry, not one for each run"
    )


def test_names_at_the_ends_of_lines_stand_apart_in_the_order_of_the_lines(figures):
    heights = [50.0, 0.0, 1.0, 2.0, 49.0]
    found = figures.apart(heights, 6.0)
    order = sorted(range(5), key=found.__getitem__)
    assert order == sorted(range(5), key=heights.__getitem__)
    placed = sorted(found)
    assert min(b - a for a, b in itertools.pairwise(placed)) >= 6.0 - 1e-9
    assert sum(found) == pytest.approx(sum(heights)), "no group is moved as a whole"
    assert figures.apart([], 6.0) == []


def test_lead_is_drawn_with_untuned_and_tuned_students_of_each_teacher_seed(figures, tmp_path):
    before, now = Lead(mean=0.02, low=0.01, high=0.03), Lead(mean=0.005, low=0.0, high=0.01)
    pairs = [
        PairLeft("mnist/large--wide--full", None, {}),
        PairLeft("mnist/small--narrow--tenth", before, {0: now, 1: Lead(mean=0.0)}),
    ]
    groups = forest.leads(LeftOfLead(pairs))
    first, second = groups["MNIST"]
    assert (first.name, second.name) == ("small to narrow, a tenth", "large to wide, all")
    assert [label for label, _ in first.marks] == [forest.UNTUNED, forest.TUNED, forest.TUNED]
    forest.draw(groups, "lead", tmp_path / "lead.svg", alike=True)
    text = (tmp_path / "lead.svg").read_text()
    for words in ("MNIST", first.name, second.name, "untuned students"):
        assert f">{words}<" in text
    assert text.count(">tuned students<") == 1, "one entry of the legend"


def test_worth_has_both_gains_and_the_verdict_of_each_pair(figures, tmp_path):
    pair = write(tmp_path, Planted(data="banking77"))
    ((line,),) = forest.worth([pair]).values()
    assert [label for label, _ in line.marks] == ["over hard labels", "over label smoothing"]
    assert line.note == "knowledge"
    forest.draw({"Banking77": [line]}, "gain", tmp_path / "worth.svg", alike=False)
    text = (tmp_path / "worth.svg").read_text()
    assert ">knowledge<" in text
    assert ">over label smoothing<" in text


def test_the_story_shows_one_pair_of_each_data_set_and_tuned_ones_first(tmp_path):
    def made(**values):
        return write(tmp_path, Planted(**values))

    study = [
        made(data="other", teacher_role="small", student_role="narrow"),
        made(data="mnist", student_role="narrow", tuned=False),
        made(data="mnist", student_role="wide", tuned=False),
        made(data="other", teacher_role="large", student_role="narrow"),
    ]
    found = [pair.name for pair in one_of_each(study)]
    assert found == ["mnist/large--wide--tenth", "other/large--narrow--tenth"]
    again = made(data="mnist", teacher_role="small", student_role="narrow")
    assert one_of_each([*study, again])[0] == again


def test_panels_say_whose_students_were_not_tuned(tmp_path):
    tuned = teacher_accuracy(write(tmp_path / "a", Planted()))
    untuned = teacher_accuracy(write(tmp_path / "b", Planted(tuned=False)))
    assert "untuned" not in tuned.title
    assert "tenth, untuned, n = 3" in untuned.title
