"""What students know of a class they never saw: measured on logits, ruled on planted shares."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch

import omitted_classes as experiment
import omitted_figure as figure
import omitted_page as page
import omitted_results as results
import omitted_rules as rules
from goodteacher.data import Split
from goodteacher.errors import StudyError
from omitted_classes import CASES, Case, Piece, Runner, pieces_of
from omitted_results import Grid, Spot
from tests.made import dataset

TINY = Case(
    "made",
    "mlp:12",
    "mlp:4",
    batch_sizes=(16, 64),
    epochs=(1, 4),
    classes=(0, 2),
    probed=1,
    longer=1,
    transfer_fraction=0.5,
)
QUICK = {
    "device": "cpu",
    "threads": 1,
    "student_epochs": 24,
    "student_batch_size": 32,
    "student_learning_rate": 0.02,
}


# What is run, and in which order


def test_what_tells_most_is_run_first_and_every_piece_once():
    pieces = list(pieces_of(CASES["mnist"], 5))
    assert pieces[0] == Piece(None, 0)
    assert [piece.omitted for piece in pieces[:4]] == [None, 0, 1, 2]
    assert [piece.probe for piece in pieces[:9]] == [False] * 4 + [True] * 4 + [False]
    assert len(set(pieces)) == len({piece.file for piece in pieces}) == len(pieces)
    assert len(pieces) == 11 * 5 * 2 + 4 + 2 * 10
    seeds = [p.seed for p in pieces if p.temperatures == experiment.TEMPERATURES]
    assert seeds == sorted(seeds), "further seeds come last"


def test_more_seeds_begin_with_the_pieces_of_fewer():
    few, more = (list(pieces_of(CASES["banking77"], seeds)) for seeds in (1, 3))
    assert more[: len(few)] == few


def test_second_looks_differ_from_the_data_sets_in_one_thing():
    rates, patient = CASES["digits_rates"], CASES["digits_patient"]
    assert len(rates.learning_rates) == 3
    assert dataclasses.replace(patient, longer=CASES["digits"].longer) == CASES["digits"]


# What is measured


def split_of(labels):
    return Split.from_arrays(torch.zeros(len(labels), 1), torch.tensor(labels))


def test_a_class_that_is_never_predicted_is_found_by_the_correction():
    labels = [0, 0, 1, 1, 2, 2]
    # Class 2 always loses, but by far less on its own examples.
    logits = torch.tensor([[9.0, 1, 0], [9, 1, 0], [1, 9, 0], [1, 9, 0], [4, 4, 3], [4, 3, 3]])
    found = experiment.shares((split_of(labels), logits), (split_of(labels), logits), 2)
    assert found["test_trained"] == found["selection_trained"] == 0.0
    assert found["test_corrected"] == found["selection_corrected"] == 1.0
    assert found["test"] == pytest.approx(4 / 6, abs=1e-5)


def test_the_correction_is_chosen_on_the_selection_split_alone():
    labels = [0, 1, 2, 2]
    chosen = torch.tensor([[9.0, 0, 8], [0, 9, 1], [9, 0, 7], [9, 0, 6]])
    test = torch.tensor([[9.0, 0, 0], [0, 9, 0], [9, 0, 8.5], [9, 0, 1]])
    found = experiment.shares((split_of(labels), chosen), (split_of(labels), test), 2)
    # Two of four are to be called 2: margins 1 and 2 on the selection split, offset 2.5.
    assert found["selection_corrected"] == 0.5
    assert found["test_corrected"] == 0.5


def test_an_ordinary_student_has_accuracies_alone():
    logits = torch.eye(3)
    found = experiment.shares((split_of([0, 1, 2]), logits), (split_of([0, 2, 2]), logits), None)
    assert found == {"selection": 1.0, "test": pytest.approx(2 / 3, abs=1e-5)}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A tiny case, run with one seed."""
    folder = tmp_path_factory.mktemp("omitted") / "tiny"
    Runner(TINY, dataset(), folder, **QUICK).run(seeds=1)
    return folder


def test_students_of_labels_never_predict_what_they_never_saw(ran):
    rows = json.loads((ran / Piece(2, 0).file).read_text())
    assert len(rows) == 1 + 4 * len(experiment.TEMPERATURES), "labels, then every teacher at each T"
    labels, *taught = rows
    assert (labels["run"], labels["temperature"], labels["test_trained"]) == (None, None, 0.0)
    assert {(row["run"], row["epoch"]) for row in taught} == {
        (f"batch {size}", epoch) for size in TINY.batch_sizes for epoch in TINY.epochs
    }
    assert max(row["test_corrected"] for row in taught) > 0.2


def test_a_case_says_what_its_teachers_are(ran):
    about = json.loads((ran / "case.json").read_text())
    assert [each["batch_size"] for each in about["teachers"]] == [16, 16, 64, 64]
    assert about["class_examples"] == [30, 30]
    last = about["teachers"][1]
    assert last["best_nll"] <= last["nll"]
    assert set(last["similarity"]) == {"1", "2", "4", "8", "16", "64"}


def test_students_weights_are_dropped_once_they_have_been_asked(ran):
    assert list((ran / "study/students").glob("verify-*/rows.parquet"))
    assert not list((ran / "study/students").glob("*/state.safetensors"))


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    def runner():
        return Runner(TINY, dataset(), tmp_path, **QUICK)

    with monkeypatch.context() as patched:
        patched.setattr(Runner, "measured", stopped)
        with pytest.raises(KeyboardInterrupt):
            runner().run(seeds=1)
    assert not (tmp_path / Piece(None, 0).file).exists()
    trained = set(tmp_path.glob("study/students/verify-*"))
    assert len(trained) == 1
    runner().run(seeds=1, first=1)
    assert (tmp_path / Piece(None, 0).file).exists()
    assert set(tmp_path.glob("study/students/verify-*")) == trained, "nothing is trained again"
    monkeypatch.setattr(Runner, "trained", stopped)
    runner().run(seeds=1, first=1)


# What is kept of it


def test_results_are_small_and_of_today_s_settings():
    for name, found in json.loads(results.FILE.read_text()).items():
        case = CASES[name]
        grid = Grid(found)
        assert {spot.batch_size for spot in grid.members} <= set(case.batch_sizes)
        assert {spot.epoch for spot in grid.members} <= set(case.epochs)
        assert len(json.dumps(found)) < 250_000


@pytest.fixture(scope="module")
def kept(ran):
    return Grid(json.loads(json.dumps(collected(ran))))


def collected(folder, case=TINY):
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(results.CASES, "tiny", case)
        return results.collected("tiny", folder)


def test_lower_rungs_are_kept_apart_from_the_response(ran, kept):
    spot, shares = Spot(16, 0.001, 4), {}
    for rung in experiment.LOWER_RUNGS:
        (rows,) = [
            [
                row["test_corrected"]
                for row in rows
                if row["run"] == "batch 16" and row["epoch"] == 4
            ]
            for rows in [json.loads((ran / Piece(0, 0, rung=rung).file).read_text())]
        ]
        shares[rung] = [kept.lower(spot, t, rung)[0, 0] for t in experiment.TEMPERATURES]
        assert shares[rung] == pytest.approx(rows, abs=5e-4)
    whole = [kept.values(spot, t, "corrected")[0, 0] for t in experiment.TEMPERATURES]
    assert len({tuple(each) for each in (*shares.values(), whole)}) > 1
    assert kept.lower(spot, 2.0, experiment.LOWER_RUNGS[0]) is None


def test_what_is_kept_are_the_shares_of_the_pieces(ran, kept):
    spot = Spot(64, 0.001, 4)
    rows = [json.loads((ran / Piece(c, 0).file).read_text()) for c in TINY.classes]
    expected = [
        row["test_corrected"]
        for each in rows
        for row in each
        if (row["run"], row["epoch"], row["temperature"]) == ("batch 64", 4, 4.0)
    ]
    assert kept.values(spot, 4.0, "corrected")[0] == pytest.approx(expected, abs=5e-4)
    assert kept.result["classes"] == ["a", "c"]
    assert kept.temperatures == [1.0, 2.0, 4.0, 8.0, 16.0, 64.0]
    assert kept.result["probe"]["4"]["classes"] == 1
    assert kept.last(Spot(64, 0.001, 1)) == spot


def test_a_seed_that_misses_a_class_does_not_count(ran, tmp_path):
    for file in ran.glob("*.json"):
        (tmp_path / file.name).write_text(file.read_text())
    second = Piece(0, 1).file
    (tmp_path / second).write_text((ran / Piece(0, 0).file).read_text())
    assert collected(tmp_path)["omitted"]["1"]["seeds"] == 1
    (tmp_path / Piece(2, 1).file).write_text((ran / Piece(2, 0).file).read_text())
    found = collected(tmp_path)
    assert found["omitted"]["1"]["seeds"] == 2
    assert found["ordinary"]["1"]["seeds"] == 1
    assert np.shape(found["omitted"]["1"]["trained"]) == (4, 2, 2)
    assert np.shape(found["omitted"]["64"]["trained"]) == (4, 1, 2)


def test_a_piece_of_other_teachers_is_refused(ran, tmp_path):
    for file in ran.glob("*.json"):
        (tmp_path / file.name).write_text(file.read_text())
    about = json.loads((tmp_path / "case.json").read_text())
    about["teachers"].reverse()
    (tmp_path / "case.json").write_text(json.dumps(about))
    with pytest.raises(StudyError, match="not of the teachers that case"):
        collected(tmp_path)


def test_of_several_teacher_seeds_students_are_averaged(ran):
    several = dataclasses.replace(TINY, teacher_seeds=(0, 1))
    assert np.shape(collected(ran, several)["omitted"]["1"]["trained"]) == (4, 1, 2)


def test_collecting_leaves_other_cases_as_they_are(ran, tmp_path, monkeypatch):
    monkeypatch.setitem(results.CASES, "tiny", TINY)
    file = tmp_path / "kept.json"
    file.write_text(json.dumps({"digits": {"old": 1}}))
    results.collect(ran.parent, file)
    found = json.loads(file.read_text())
    assert found["digits"] == {"old": 1}
    assert set(found) == {"digits", "tiny"}


# What the rules say


def planted(shares, *, rows=3, classes=4, seed=0, accuracies=None, similarity=None, nll=None):
    """A grid whose share at (batch size, epoch) and T is given, alike for both kinds and splits."""
    rng = np.random.default_rng(seed)
    places, temperatures = list(shares), sorted({t for each in shares.values() for t in each})

    def made(t):
        cells = np.array([shares[place][t] for place in places])
        noise = rng.normal(0, 0.004, (len(places), rows, classes))
        test = np.rint(1000 * (cells[:, None, None] + noise)).astype(int).tolist()
        chosen = np.rint(1000 * cells).astype(int).tolist()
        both = {"trained": test, "corrected": test}
        return {"seeds": rows, **both, "selection_trained": chosen, "selection_corrected": chosen}

    reached = accuracies or {place: max(shares[place].values()) for place in places}
    ordinary = [round(10_000 * reached[place]) for place in places]
    teachers = [
        {
            "batch_size": size,
            "learning_rate": 0.001,
            "seed": 0,
            "epoch": epoch,
            "best_nll": (nll or {}).get((size, epoch), 1.0 + epoch),
            "best_similarity": 0.1 * number,
            "similarity": {
                f"{t:g}": (similarity or {}).get((size, epoch), 0.1 * number) for t in temperatures
            },
        }
        for number, (size, epoch) in enumerate(places)
    ]
    everyone = {"seeds": rows, "selection": ordinary, "test": ordinary}
    return Grid(
        {
            "training": "9 epochs of batch 8 at 0.01",
            "transfer": 100,
            "class_examples": [10] * classes,
            "classes": list("abcd")[:classes],
            "floor": {share: [[100] * classes] for share in results.SHARES},
            "teachers": teachers,
            "omitted": {f"{t:g}": made(t) for t in temperatures},
            "ordinary": {f"{t:g}": everyone for t in temperatures},
            "probe": {},
            "rungs": {},
        }
    )


def over_epochs(*shares, size=32, at=1.0):
    return {(size, 2**k): {at: share} for k, share in enumerate(shares)}


def test_a_best_epoch_before_the_last_is_a_sweet_spot():
    found = rules.sweet_spot(planted(over_epochs(0.5, 0.8, 0.6)), "corrected")
    assert found.spot == Spot(32, 0.001, 2)
    assert found.epochs
    assert found.over_last.mean == pytest.approx(0.2, abs=0.02)
    assert not found.batch_size


def test_a_last_epoch_that_is_best_is_none():
    found = rules.sweet_spot(planted(over_epochs(0.5, 0.6, 0.8)), "trained")
    assert found.over_last is None
    assert not found.epochs


def test_a_best_epoch_within_the_noise_of_the_last_is_none():
    found = rules.sweet_spot(planted(over_epochs(0.5, 0.801, 0.8)), "corrected")
    assert found.spot.epoch == 2
    assert not found.epochs


@pytest.mark.parametrize(
    "tops, expected",
    [((0.6, 0.8, 0.7), True), ((0.6, 0.8, 0.8005), False), ((0.8, 0.7, 0.6), False)],
)
def test_a_sweet_spot_of_batch_size_lies_inside_and_above_both_ends(tops, expected):
    shares = {}
    for size, top in zip((16, 64, 256), tops, strict=True):
        shares |= over_epochs(0.4, top, 0.5, size=size)
    assert rules.sweet_spot(planted(shares), "corrected").batch_size is expected


def test_a_teacher_needs_the_smallest_temperature_that_is_nearly_as_good():
    grid = planted(
        {(32, 1): {1.0: 0.5, 4.0: 0.79, 16.0: 0.8}, (32, 2): {1.0: 0.5, 4.0: 0.7, 16.0: 0.8}}
    )
    assert [rules.needed(grid, spot) for spot in grid.members] == [4.0, 16.0]


@pytest.mark.parametrize("end, fate", [(0.7, "lost"), (0.799, "given back")])
def test_what_no_temperature_gives_back_is_lost(end, fate):
    grid = planted({(32, 1): {1.0: 0.8, 16.0: 0.7}, (32, 2): {1.0: 0.1, 16.0: end}})
    (loss,) = rules.losses(grid)
    assert loss.best == (Spot(32, 0.001, 1), 1.0)
    assert (loss.spot.epoch, loss.at) == (2, 16.0)
    assert loss.fate == fate
    assert loss.lost.mean == pytest.approx(0.8 - end, abs=0.01)


def test_a_wide_interval_is_open_and_the_best_end_lost_nothing():
    wide = rules.crossed_interval([[0.3, -0.2, 0.1]])
    spot = Spot(32, 0.001, 4)
    assert rules.Loss(spot, 1.0, (spot, 1.0), wide).fate == "open"
    assert rules.Loss(spot, 1.0, (spot, 1.0), None).fate == "given back"


def test_temperatures_with_fewer_seeds_are_compared_by_the_first_ones():
    grid = planted({(32, 1): {1.0: 0.8, 16.0: 0.7}, (32, 2): {1.0: 0.1, 16.0: 0.6}})
    few = grid.result["omitted"]["16"]
    few["corrected"] = [each[:1] for each in few["corrected"]]
    (loss,) = rules.losses(grid)
    assert loss.lost.n_seeds == 1


def test_a_share_that_follows_the_students_governs_them_and_s_does_not():
    grid = planted(
        over_epochs(0.5, 0.6, 0.7, 0.8, 0.9),
        similarity={(32, 2**k): 5.0 - k for k in range(5)},
        nll={(32, 2**k): (k - 3) ** 2 for k in range(5)},
    )
    for teacher in grid.teachers:
        teacher["best_similarity"] = -teacher["epoch"]
    found = rules.ranks(grid)
    assert found[rules.OMITTED] == rules.Ranked(pytest.approx(1.0), 0.0)
    assert found[rules.SIMILARITY].rho == pytest.approx(-1.0)
    assert found[rules.SIMILARITY].lost == pytest.approx(0.2)
    assert rules.governs({"made": found}) == ["made"]
    assert rules.ranks_better({"made": found}, rules.OMITTED) == ["made"]
    assert rules.ranks_better({"made": found}, rules.SIMILARITY) == []
    assert rules.ranks_better({"made": found}, rules.PROBES) == [], "there were none"
    assert rules.alike(grid, 1.0) == pytest.approx(-1.0)


def test_a_share_that_s_follows_as_well_does_not_govern_alone():
    rising = {(32, 2**k): k + 1.0 for k in range(5)}
    grid = planted(over_epochs(0.5, 0.6, 0.8, 0.7, 0.9), similarity=rising)
    found = {"made": rules.ranks(grid)}
    assert found["made"][rules.OMITTED].rho == pytest.approx(1.0)
    assert rules.governs(found) == ["made"]
    grid.result["ordinary"]["1"]["test"] = [5000, 6000, 7000, 8000, 9000]
    assert rules.governs({"made": rules.ranks(grid)}) == []


def test_the_ends_of_runs_fall_short_less_with_a_temperature_of_their_own():
    grid = planted({(32, 1): {1.0: 0.8, 16.0: 0.7}, (32, 2): {1.0: 0.1, 16.0: 0.75}})
    assert rules.shortfall(grid, t=1.0).mean == pytest.approx(0.7, abs=0.01)
    assert rules.shortfall(grid).mean == pytest.approx(0.05, abs=0.01)


def test_the_response_is_set_against_lower_rungs_of_the_best_teacher():
    grid = planted(over_epochs(0.8, 0.9, 0.7, 0.6, 0.5, 0.4))
    assert rules.rungs_of(grid) == []
    confidence, _ = experiment.LOWER_RUNGS
    grid.result["rungs"][confidence] = {"1": [[[each] * 4] for each in (500, 600, 1, 1, 1, 1)]}
    (found,) = rules.rungs_of(grid)
    assert found.spot == Spot(32, 0.001, 2)
    assert found.over[confidence].mean == pytest.approx(0.3, abs=0.01)
    assert list(found.shares) == [confidence, experiment.FULL]
    assert "Is it similarity?" not in page.answers({"made": grid})
    grid.result["rungs"][experiment.LOWER_RUNGS[1]] = {
        "1": [[[each] * 4] for each in (500, 700, 1, 1, 1, 1)]
    }
    said = page.answers({"made": grid})
    assert re.search(r"confidence alone, by \+(29|30)\.\d\d .* of each class, by \+(19|20)\.", said)
    row = page.rungs({"made": grid}).splitlines()[-1]
    assert row.startswith(
        "| made | 1 | batch 32, epoch 2 | 60.0 [60.0, 60.0] | 70.0 [70.0, 70.0] | "
    )


def test_teachers_of_the_first_epochs_can_be_left_out():
    grid = planted(over_epochs(0.2, 0.1, 0.7, 0.6, 0.9, 0.8))
    assert rules.ranks(grid)[rules.OMITTED].rho == pytest.approx(1.0)
    few = rules.ranks(grid, since=4)[rules.LIKELIHOOD]
    assert few.rho == pytest.approx(-0.6)


# What is shown


def grids():
    shares = {}
    for size, top in zip((16, 64, 256), (0.6, 0.9, 0.7), strict=True):
        rows = over_epochs(0.4, top, 0.5, 0.3, size=size)
        shares |= {place: {**each, 4.0: 0.8, 16.0: 0.85} for place, each in rows.items()}
    return {"mnist": planted(shares)}


def test_the_page_says_what_the_rules_say():
    text = page.answers(grids())
    assert "a sweet spot of epochs on 1 of 1 data sets" in text
    assert "a sweet spot of batch size on 1 of 1 data sets" in text
    assert re.search(r"same run by \+(59|60|61)\.\d+ \[.*\] points on MNIST, after", text)
    (lost,) = re.findall(r"Of these 3 runs (\d) lost something", text)
    (grid,) = grids().values()
    assert int(lost) == sum(loss.fate == "lost" for loss in rules.losses(grid))
    row = page.sweet_spots(grids()).splitlines()[-1]
    assert row.startswith("| MNIST | corrected | 10.0 | batch 64, epoch 2 | 90.")
    assert row.endswith("| epochs, batch size |")
    (first, *_) = page.temperatures(grids()).splitlines()[2:]
    assert "| batch 16, epoch 8 |" in first
    assert "T = 1 |" in first


def test_a_case_of_which_one_class_was_omitted_is_not_shown_yet():
    one, two = (planted(over_epochs(0.5, 0.6), classes=count).result for count in (1, 2))
    assert set(page.grids_of({"mnist": one, "digits": two})) == {"digits"}


def test_the_page_says_what_is_missing():
    said = page.missing(grids())
    assert "- data sets: digits, Fashion-MNIST, Banking77 and CIFAR-10." in said
    assert "- second looks: `digits_rates`" in said
    assert "- classes: MNIST." in said
    assert "- all 5 seeds of students: MNIST." in said
    assert "seeds" not in page.missing(grids(), wanted=3)
    none = page.missing({})
    assert all(page._data(name) in none for name in CASES)


def test_data_sets_are_named_where_they_are_some():
    every = {"a": 1, "b": 2}
    assert page._of(["a", "b"], every) == "2 of 2 data sets"
    assert page._of([], every) == "0 of 2 data sets"
    assert page._of(["b"], every) == "1 of 2 data sets (b)"


def test_maps_show_means_and_one_colour_scale_for_shares():
    (grid,) = grids().values()
    shown = {each.title: each for each in figure.MAPS}
    at_one = shown["omitted, T = 1, corrected, %"]
    assert at_one.value(grid, Spot(64, 0.001, 2)) == pytest.approx(90, abs=1)
    assert {each.ends for title, each in shown.items() if title.startswith("omitted")} == {(0, 100)}
    assert shown["T that the teacher needs"].value(grid, Spot(64, 0.001, 8)) == 16.0
    assert shown["held-out log-likelihood, nats"].value(grid, Spot(64, 0.001, 8)) == -9.0
    s = shown["S, T = 1, 0.001 nats"]
    assert s.value(grid, Spot(16, 0.001, 2)) == pytest.approx(100)
    assert s.colour(1000.0) > s.colour(10.0)


def test_colours_are_not_spent_on_teachers_that_have_hardly_begun():
    assert figure.lowest([10.0, 94.0, 95.0, 96.0, 97.0]) == pytest.approx(91.0)
    assert figure.lowest([94.0, 95.0, 96.0]) == pytest.approx(94.0)


def test_the_map_is_drawn_alike_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    figure.draw(grids(), first)
    figure.draw(grids(), second)
    text = first.read_text()
    assert text == second.read_text()
    assert "MNIST" in text
    assert ">S, T = 1, 0.001 nats<" in text, "numbers in words are not rounded"
    assert "omitted, T = 16, corrected, %" in text
