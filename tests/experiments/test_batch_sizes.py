"""Whether the batch-size effect survives is said by teacher runs that did not choose the sizes."""

import pytest

from batch_sizes import rendered, size_rows
from pairs import all_pairs
from tests.experiments.planted import Planted, write

NAME = "made/large--narrow--tenth"


def gap(points):
    """Batch size 128 is so many points better than the others, 512 a point worse."""

    def accuracy(similarity, size, epoch, temperature, alpha):
        return 0.8 + points / 100 * (size == 128) - 0.01 * (size == 512)

    return accuracy


def study(results, *plans):
    for plan in plans:
        write(results, plan)
    return all_pairs(results, variations=True)


def steps(points, seed):
    return Planted(accuracy=gap(points), variation="steps", budget="steps", teacher_seed=seed)


def test_effect_is_that_of_the_runs_whose_seed_did_not_choose(tmp_path):
    pairs = study(tmp_path, Planted(accuracy=gap(2)), steps(9, 0), steps(1, 1), steps(3, 2))
    chose, varied = size_rows(pairs)
    assert (chose.above, chose.below, chose.effects) == (128, 512, ())
    assert varied.seeds == (1, 2)
    assert varied.effects == pytest.approx((0.02, 0.04), abs=0.001)
    assert varied.interval.mean == pytest.approx(0.03, abs=0.001)
    assert varied.best[128] == pytest.approx(0.82, abs=0.001)


def test_single_run_has_no_interval_and_says_so(tmp_path):
    pairs = study(tmp_path, Planted(accuracy=gap(2)), steps(1, 0))
    _, varied = size_rows(pairs)
    assert (varied.seeds, varied.interval) == ((0,), None)
    text = rendered(pairs)
    assert f"| `{NAME}` | tuned | epochs, constant | 0 |" in text
    assert "chosen: batch 128 over 512" in text
    assert f"| `{NAME}--steps` | tuned | steps, constant | 0 |" in text
    assert "(n = 1)" in text


def test_sizes_that_the_pair_chose_may_do_worse_elsewhere(tmp_path):
    pairs = study(tmp_path, Planted(accuracy=gap(2)), steps(-3, 1), steps(-3, 2))
    _, varied = size_rows(pairs)
    assert varied.interval.high < 0


def test_same_rates_with_the_same_teachers_are_no_variation_of_them(tmp_path):
    same = Planted(accuracy=gap(2), variation="variants")
    assert size_rows(study(tmp_path, Planted(accuracy=gap(2)), same)) == []
    again = Planted(accuracy=gap(2), variation="constant", teacher_seed=1)
    assert [row.name for row in size_rows(study(tmp_path, again))] == [NAME, f"{NAME}--constant"]


def test_recipes_that_only_the_pair_tried_are_left_out(tmp_path):
    def hot(similarity, size, epoch, temperature, alpha):
        return 0.8 + 0.05 * (temperature == 4.0) * (size == 32) + 0.01 * (size == 128)

    base = write(tmp_path, Planted(accuracy=hot))
    varied = write(tmp_path, steps(1, 1))
    lines = (varied.folder / "students.csv").read_text().splitlines()
    kept = [line for line in lines if "T=4" not in line]
    (varied.folder / "students.csv").write_text("\n".join(kept) + "\n")
    chose = size_rows(all_pairs(tmp_path, variations=True))[0]
    assert chose.name == base.name
    assert chose.above == 128
    assert chose.best[32] == pytest.approx(0.80, abs=0.001)


def test_pair_alone_has_no_table(tmp_path):
    assert rendered(study(tmp_path, Planted())) == "*Not run.*"


def test_lines_say_whose_students_were_tuned(tmp_path):
    old = Planted(accuracy=gap(1), variation="steps", budget="steps", teacher_seed=1, tuned=False)
    chose, varied = size_rows(study(tmp_path, Planted(accuracy=gap(2)), old))
    assert (chose.students, varied.students) == ("tuned", "untuned")
