import dataclasses

import pytest

from goodteacher.records.arms import Checkpoint
from goodteacher.report.quantities import QUANTITIES
from goodteacher.report.rungs import first_rung
from goodteacher.report.students import (
    Pairing,
    draw_pairings,
    draw_temperature_curves,
    leading,
    most_accurate_sentence,
    pairing_panel,
    pairings,
    rank_sentence,
    temperature_curves,
    temperature_panel,
)
from tests.report.build import CHOSEN, WINNER, row


@pytest.fixture
def rung(findings):
    return first_rung(findings.students)


def test_temperature_lines_are_one_for_each_alpha(rung):
    curves = temperature_curves(rung, CHOSEN)
    assert [line.name for line in curves.lines] == ["kl, alpha = 0.5", "kl, alpha = 1"]
    half = curves.lines[0]
    assert half.temperatures == (1.0, 2.0)
    assert half.means == pytest.approx((90.05, 90.15))
    assert half.deviations == pytest.approx((2**0.5, 2**0.5))  # 1 point either side of the mean


def test_levels_are_cross_entropy_and_the_best_smoothing(rung):
    levels = temperature_curves(rung, CHOSEN).levels
    assert [level.name for level in levels] == ["hard labels", "label smoothing 0.1"]
    assert [level.mean for level in levels] == pytest.approx([86.0, 87.0])


def test_error_bars_are_drawn_only_with_several_seeds(rung):
    figure = draw_temperature_curves(temperature_curves(rung, CHOSEN))
    assert figure.series[0].points[0].interval == pytest.approx((90.05 - 2**0.5, 90.05 + 2**0.5))
    single = first_rung([row(WINNER, accuracy=0.9)])
    figure = draw_temperature_curves(temperature_curves(single, CHOSEN))
    assert figure.series[0].points[0].interval is None


def test_pairings_hold_each_tried_teacher_and_its_best_students(findings, rung):
    pairs = pairings(findings, rung, QUANTITIES["accuracy"])
    assert len(pairs) == 5
    assert pairs[0] == Pairing(
        Checkpoint(run="batch 32", epoch=2),
        pytest.approx(92.0),
        pytest.approx(89.15),
        pytest.approx(2**0.5),
    )


def test_points_carry_batch_size_epoch_and_a_star_on_the_sweet_spot(findings, rung):
    quantity = QUANTITIES["accuracy"]
    figure = draw_pairings(pairings(findings, rung, quantity), quantity, findings.axis, CHOSEN)
    assert [series.name for series in figure.series] == ["32", "128"]
    assert [point.label for point in figure.series[1].points] == ["1", "2", "4"]
    assert figure.star == pytest.approx((92.0, 90.15))


def pairing(epoch, teacher, student):
    return Pairing(Checkpoint(run="batch 8", epoch=epoch), teacher, student, None)


def test_ties_among_the_most_accurate_are_all_named():
    pairs = [pairing(1, 90.0, 85.0), pairing(2, 95.0, 83.0), pairing(3, 95.0, 84.0)]
    assert most_accurate_sentence(pairs) == (
        "Most accurate teachers tried (95.00 %): batch 8 epoch 2 and batch 8 epoch 3. Their best "
        "students are right on 84.00 %. Most accurate students (85.00 %): students of batch 8 "
        "epoch 1."
    )


def test_rank_correlation_is_minus_one_where_better_teachers_have_worse_students():
    sentence = rank_sentence([pairing(e, 90.0 + e, 80.0 - e) for e in range(5)])
    assert "-1.00 over n = 5" in sentence


def test_too_few_points_have_no_rank_correlation():
    assert "n = 2" in rank_sentence([pairing(1, 90.0, 80.0), pairing(2, 91.0, 81.0)])


def test_equal_students_have_no_rank_correlation():
    assert "too few or too similar" in rank_sentence([pairing(e, 90.0 + e, 80.0) for e in range(5)])


def test_leading_checkpoint_is_the_sweet_spot_once_it_is_known(findings, rung):
    elsewhere = first_rung([row(WINNER, accuracy=0.1)])
    assert leading(findings, elsewhere) == CHOSEN
    unfinished = dataclasses.replace(findings, sweet_spot=None)
    assert leading(unfinished, rung) == CHOSEN  # planted as the best of the first round
    assert (
        "the best teacher of the first round"
        in temperature_panel(unfinished, rung, CHOSEN).views[0].caption
    )


def test_captions_name_n_split_and_spread(findings, rung):
    for view in (
        temperature_panel(findings, rung, CHOSEN).views[0],
        *pairing_panel(findings, rung).views,
    ):
        assert "selection split (n = 15,000 examples)" in view.caption
        assert "mean of n = 2 seeds, bars: standard deviation" in view.caption


def test_only_the_view_of_accuracy_says_who_is_most_accurate(findings, rung):
    first, *others = pairing_panel(findings, rung).views
    assert first.caption.startswith("Most accurate teachers tried (94.00 %)")
    assert not any(view.caption.startswith("Most accurate") for view in others)


def test_students_table_holds_the_drawn_numbers(findings, rung):
    table = temperature_panel(findings, rung, CHOSEN).views[0].table
    assert ("kl, alpha = 0.5", "2", "90.15", "1.41") in table.rows
    assert ("hard labels", "-", "86.00", "-") in table.rows
