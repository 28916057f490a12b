"""Mixtures of responses: what is in each kind, and what their students are compared with."""

import shutil

import pandas as pd
import pytest

from goodteacher import Study
from goodteacher.config import Recipe
from goodteacher.records.arms import Arm, Checkpoint
from mixture_table import ladder_steps, mixtures_of, rendered, verdicts
from mixtures import Mixer, named
from pairs import Pair, all_pairs
from tests.experiments.planted import Planted, write
from tests.report import build


@pytest.fixture(scope="module")
def pair(results, tmp_path_factory):
    (found,) = all_pairs(results)
    folder = tmp_path_factory.mktemp("mixed") / "results" / found.name
    shutil.copytree(found.folder, folder)
    Mixer(results.parent / "all").run(folder)
    return Pair(folder)


def test_each_kind_holds_what_its_name_says(pair):
    order = [str(r.checkpoint) for r in sorted(pair.teachers, key=lambda r: r.best_nll)]
    kinds = {kind: mixture.members for kind, mixture in pair.mixtures.items()}
    assert kinds["best single"] == {order[0]: 1.0}
    assert kinds["2 best"] == dict.fromkeys(order[:2], 0.5)
    assert kinds["all"].keys() == set(order)
    assert {name.split(" epoch")[0] for name in kinds["one trajectory"]} == {
        order[0].split(" epoch")[0]
    }
    sizes = [name.split(" epoch")[0] for name in kinds["one of each size"]]
    assert len(sizes) == len(set(sizes))
    for members in kinds.values():
        assert sum(members.values()) == pytest.approx(1, abs=0.01)


def test_best_single_is_as_good_as_the_study_says(pair):
    best = min(record.best_nll for record in pair.teachers)
    assert pair.mixtures["best single"].best_nll == pytest.approx(best, rel=1e-5)


def test_students_are_paired_by_the_fresh_seeds_of_the_study(pair):
    for row in mixtures_of(pair):
        assert len(row.over_labels) == len(row.over_sweet_spot) == 2
    fresh = {row.seed for row in pair.mixture_students if row.stage == "confirm"}
    assert fresh == {row.seed for row in pair.students if row.stage == "confirm"}


def test_best_single_has_the_very_students_of_the_search(pair):
    (name,) = pair.mixtures["best single"].members
    ours = {
        (row.arm.partition(" | ")[2], row.seed): row.selection_accuracy
        for row in pair.mixture_students
        if row.stage == "distill" and row.arm.startswith("best single | ")
    }
    theirs = {
        (row.arm.partition(" | ")[2], row.seed): row.selection_accuracy
        for row in pair.students
        if row.stage == "search" and row.arm.startswith(f"{name} | ")
    }
    assert ours
    assert ours == pytest.approx({key: theirs[key] for key in ours})


def test_weights_alike_count_their_members(pair):
    rows = {row.kind: row for row in mixtures_of(pair)}
    assert (rows["best single"].members, rows["best single"].effective) == (1, 1)
    assert rows["4 best"].effective == pytest.approx(4)
    assert rows["2 best"].nll == pytest.approx(
        pair.mixtures["2 best"].best_nll - pair.mixtures["best single"].best_nll
    )


def test_recipe_is_the_one_that_the_search_seeds_find_best(pair):
    searched = [row for row in pair.mixture_students if row.stage == "distill"]
    for row in mixtures_of(pair):
        kind = pair.mixtures[row.kind].same_as
        ours = [other for other in searched if other.arm.startswith(f"{kind} | ")]
        assert len(ours) > 1
        best = max(ours, key=lambda other: other.selection_accuracy)
        assert best.selection_accuracy == pytest.approx(
            next(o.selection_accuracy for o in ours if o.arm.endswith(f"| {row.recipe}"))
        )


def test_table_has_each_kind_and_the_blend_of_each_pair(pair):
    text = rendered([pair])
    assert all(f"| {kind} |" in text for kind in pair.mixtures)
    assert f"| `{pair.name}` |" in text
    assert rendered([]) == "*Not run.*"


def test_steps_of_the_ladder_add_up_to_what_the_blend_adds(pair):
    steps = ladder_steps(pair)
    for *parts, whole in zip(*steps.values(), strict=True):
        assert sum(parts) == pytest.approx(whole)
    own = {row.arm: row for row in pair.mixture_students if row.stage == "confirm"}
    recipe = next(row.recipe for row in mixtures_of(pair) if row.kind == "blend")
    kind = pair.mixtures["blend"].same_as
    assert own[f"blend: full_response | {recipe}"].test_accuracy == pytest.approx(
        own[f"{kind} | {recipe}"].test_accuracy
    )


def test_verdict_on_a_blend_stands_below_that_on_the_sweet_spot(tmp_path):
    write(tmp_path, Planted())
    write(tmp_path, Planted(variation="blend"))
    write(tmp_path, Planted(student_role="wide", variation="blend", verdict=None))
    first, second = verdicts(all_pairs(tmp_path, variations=True)).splitlines()[2:]
    assert first.startswith("| `made/large--narrow--tenth` | tuned | sweet spot |")
    assert second.startswith("| `made/large--narrow--tenth--blend` | tuned | blend |")
    assert first.split("|")[4:] == second.split("|")[4:]
    assert verdicts([]) == "*Not run.*"


def test_mixtures_whose_students_trained_otherwise_are_left_out_and_named(pair, tmp_path):
    folder = tmp_path / "results" / pair.name
    shutil.copytree(pair.folder, folder)
    table = pd.read_csv(folder / "mixtures.csv")
    table["student_epochs"] += 1
    table.to_csv(folder / "mixtures.csv", index=False)
    other = Pair(folder)
    assert mixtures_of(pair)
    assert mixtures_of(other) == []
    assert rendered([other]) == "*Not run.*"
    text = rendered([pair, other])
    assert text.startswith("n = 1 pairs;")
    assert f"students of mixtures were trained in another way: `{pair.name}`." in text


def test_mixtures_of_tuned_students_train_like_the_sweet_spot(results):
    mixer = Mixer(results.parent / "all")
    arm = Arm(source=Checkpoint(run="batch 16", epoch=1), recipe=Recipe())
    assert mixer.trained(arm) == arm, "nobody tuned these"
    plan = mixer.search.plan
    mixer.search.__dict__["plan"] = plan.model_copy(update={"tuned": True})
    spot = Study(results.parent / "all").sweet_spot.student
    assert mixer.trained(arm).training == spot.training
    row = build.row(arm, accuracy=0.9)
    (kept,) = named([row], {mixer.trained(arm): "best single"})
    assert kept.arm == "best single", "rows name an arm without its training"
