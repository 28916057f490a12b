"""Several studies side by side, read from planted folders."""

import json
import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import goodteacher
from goodteacher.config import DistillConfig, Recipe, VerifyConfig, parse
from goodteacher.errors import ConfigError, StudyError
from goodteacher.records import Blend, BlendMember, TeacherChoice
from goodteacher.report import Comparison, compare
from goodteacher.report.compared import teacher_in_words
from goodteacher.report.comparison_page import (
    answer_of_all,
    comparison_page,
    gains_panel,
    shown_accuracy,
    shown_cost,
    shown_gain,
    shown_recipe,
    shown_sweet_spot,
    studies_table,
)
from goodteacher.studies import CONFIRMED_FILE, Store
from goodteacher.studies.environment import Environments
from goodteacher.studies.files import ENVIRONMENT_FILE
from tests.records.test_comparisons import study, unfinished
from tests.report.build import (
    data_summary,
    environment,
    finish_study,
    made_by,
    settings,
    sweet_spot,
    write_study,
)
from tests.report.test_ladder import verdict  # noqa: F401
from tests.report.test_page import Page

EVIL = '<img src=x onerror="alert(1)">'


def confirm(store, right, *, seeds=(7, 8, 9), ids=None, family="converged_teacher"):
    """Write who of the delivered students is right: ``right`` is the same for every seed."""
    correct = torch.tensor([right] * len(seeds), dtype=torch.bool)
    ids = torch.arange(correct.shape[1]) if ids is None else torch.tensor(ids)
    found = {family: correct, "seeds": torch.tensor(seeds), "ids": ids}
    store.write_tensors(CONFIRMED_FILE, found)


def made(folder, *, right=None, config=None, data=None, answer=None, **kept):
    store = write_study(folder, config=config, data=data)
    finish_study(store, answer)
    if right is not None:
        confirm(store, right, **kept)
    return store


HALF = [True, False] * 180
MORE = [True, True, True, False] * 90


@pytest.fixture
def pair(tmp_path):
    """Two studies of the same data; the second one's students are right on a half more."""
    made(tmp_path / "one", right=HALF)
    made(tmp_path / "two", right=MORE, config=settings(student="mlp:16", epochs=8))
    return tmp_path / "one", tmp_path / "two"


def test_each_study_is_a_row_with_what_it_found(pair):
    found = compare(*pair)
    one, two = found.studies
    assert (one.name, two.name) == ("one", "two")
    assert (one.student, two.student) == ("mlp:8", "mlp:16")
    assert (one.answer, one.run, one.epoch) == ("undecided", "batch 128", 2)
    assert one.sweet_spot == "batch size 128, epoch 2"
    assert one.recipe == Recipe(temperature=2.0, alpha=0.5)
    assert one.accuracy == pytest.approx(0.92)
    assert one.gain("cross_entropy").difference == pytest.approx(0.03)
    assert one.gain("cross_entropy").interval == pytest.approx((0.02, 0.04))
    assert (one.num_seeds, one.test, one.selection) == (3, 360, 15_000)
    assert (one.teacher_seconds, one.student_seconds, one.num_students) == (20.0, 12.5, 30)
    assert one.finished
    assert one.verdict is None
    assert one.lacking[0].startswith("no verdict yet: run goodteacher verify")
    assert [row["name"] for row in found.rows()] == ["one", "two"]


def test_settings_that_differ_are_found_and_budgets_are_a_note(pair):
    found = compare(*pair)
    assert found.differing["epochs"] == (4, 8)
    assert "student" not in found.differing
    assert "temperatures" not in found.differing
    (note,) = found.notes
    assert "teacher epochs 4 (one) and 8 (two)" in note


def test_settings_of_the_machine_do_not_differ(tmp_path):
    made(tmp_path / "a", config=settings(threads=1))
    made(tmp_path / "b", config=settings(threads=2))
    assert "threads" not in compare(tmp_path / "a", tmp_path / "b").differing


def test_delivered_students_are_paired_on_the_same_examples(pair):
    (difference,) = compare(*pair).differences
    assert (difference.study, difference.minus) == ("two", "one")
    assert difference.difference == pytest.approx(np.mean(MORE) - np.mean(HALF))
    low, high = difference.interval
    assert low < difference.difference < high
    assert difference.joint_interval == pytest.approx(difference.interval)  # it is the only one
    assert (difference.num_seeds, difference.num_test) == (3, 360)


def test_three_studies_are_paired_with_the_first_and_jointly(tmp_path, pair):
    made(tmp_path / "three", right=HALF[::-1])
    found = compare(*pair, tmp_path / "three").differences
    assert [(each.study, each.minus) for each in found] == [("two", "one"), ("three", "one")]
    for each in found:
        assert each.joint_interval[1] - each.joint_interval[0] > each.interval[1] - each.interval[0]


def test_only_shared_seeds_are_paired_and_each_with_its_own(tmp_path):
    store = made(tmp_path / "a")
    correct = torch.zeros(3, 4, dtype=torch.bool)
    correct[0] = True  # of seed 5
    found = {"converged_teacher": correct, "ids": torch.arange(4)}
    store.write_tensors(CONFIRMED_FILE, {**found, "seeds": torch.tensor([5, 6, 7])})
    other = made(tmp_path / "b")
    other.write_tensors(CONFIRMED_FILE, {**found, "seeds": torch.tensor([6, 5, 8])})
    (difference,) = compare(tmp_path / "a", tmp_path / "b").differences
    assert difference.num_seeds == 2
    # b minus a: seed 6 right in b and wrong in a, seed 5 the other way around.
    assert difference.difference == pytest.approx(0.0)


def test_other_test_examples_are_not_paired(tmp_path):
    made(tmp_path / "a", right=HALF)
    made(tmp_path / "b", right=MORE, ids=range(1, 361))
    found = compare(tmp_path / "a", tmp_path / "b")
    assert found.differences == ()
    assert found.notes == ("a and b are not paired: they tested on different examples.",)


def test_students_without_a_common_seed_are_not_paired(tmp_path):
    made(tmp_path / "a", right=HALF)
    made(tmp_path / "b", right=MORE, seeds=(1, 2))
    found = compare(tmp_path / "a", tmp_path / "b")
    assert found.differences == ()
    assert "no seed in common" in found.notes[0]


def test_other_data_are_not_paired_even_where_ids_agree(tmp_path):
    made(tmp_path / "a", right=HALF)
    other = data_summary().model_copy(update={"fingerprint": "e" * 16})
    made(tmp_path / "b", right=MORE, data=other)
    found = compare(tmp_path / "a", tmp_path / "b")
    assert found.differences == ()
    assert found.notes[0].startswith("The data differ: digits with fingerprint ffffffff (a)")


def test_studies_that_did_not_keep_who_is_right_say_so_once(tmp_path):
    made(tmp_path / "a")
    made(tmp_path / "b")
    found = compare(tmp_path / "a", tmp_path / "b")
    assert len(found.notes) == 1
    assert found.notes[0].startswith("Not paired with others: a and b, finished by a version")


def test_unfinished_and_verified_studies_are_shown_with_what_they_lack(tmp_path, pair, verdict):  # noqa: F811
    write_study(tmp_path / "three")
    store = Store(pair[0])
    store.write_json("verdict.json", verdict)
    one, two, three = compare(*pair, tmp_path / "three").studies
    assert one.verdict == verdict.verdict
    assert one.knowledge == verdict.knowledge
    assert one.lacking == ()
    assert two.verdict is None
    assert not three.finished
    assert three.answer is None
    assert three.gains == ()
    assert three.lacking == ("not finished: run the same goodteacher search again to continue",)


def test_versions_are_those_of_the_environments(pair):
    store = Store(pair[0])
    versions = [{"torch": "2.9", "goodteacher": each} for each in ("1.0", "1.1", "1.0")]
    made_of = tuple(environment(versions=each) for each in versions)
    store.write_json(ENVIRONMENT_FILE, Environments(environments=made_of))
    found = compare(*pair)
    assert found.studies[0].versions == ("1.0", "1.1")
    assert any("1.0, 1.1 (one) and unknown (two)" in note for note in found.notes)


def test_folders_of_one_name_are_told_apart_by_the_folder_above(tmp_path):
    for above in ("monday", "tuesday"):
        made(tmp_path / above / "study")
    found = compare(tmp_path / "monday/study", tmp_path / "tuesday/study")
    assert [each.name for each in found.studies] == ["monday/study", "tuesday/study"]


def test_a_study_named_twice_is_refused_even_by_two_paths(pair, monkeypatch):
    monkeypatch.chdir(pair[0].parent)
    with pytest.raises(ConfigError, match=r"one is named twice\. Name each study once\."):
        compare(pair[0], "one")


def test_one_study_is_too_few(pair):
    with pytest.raises(ConfigError, match=r"two studies, but got one: .*/one\. Name more"):
        compare(pair[0])
    with pytest.raises(ConfigError, match=r"at least two studies\. Name more"):
        compare()


def test_a_folder_that_is_no_study_is_one_clear_line(pair, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match=r"empty is not a study: it has no study\.toml\."):
        compare(pair[0], tmp_path / "empty")
    with pytest.raises(StudyError, match="nowhere is not a study"):
        compare(pair[0], tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (parse(VerifyConfig, data="digits", student="mlp:8"), "a verification of a given response"),
        (parse(DistillConfig, data="digits", student="mlp:8"), "a distillation"),
    ],
)
def test_another_kind_of_folder_is_named_for_what_it_is(pair, tmp_path, config, words):
    Store.create(tmp_path / "other", config)
    with pytest.raises(StudyError, match=f"other holds {words}, not a study of a teacher"):
        compare(pair[0], tmp_path / "other")


def test_a_damaged_file_is_named(pair):
    Store(pair[1]).write_text("sweet_spot.json", "{}")
    with pytest.raises(StudyError, match=r"sweet_spot\.json"):
        compare(*pair)


@pytest.mark.parametrize("name", ["students.parquet", "data.json"])
def test_what_a_study_lacks_is_named(pair, name):
    (pair[1] / name).unlink()
    with pytest.raises(StudyError, match=rf"two/{name} is damaged, missing"):
        compare(*pair)


def test_a_file_that_grew_is_named_though_it_is_not_read(pair):
    Store(pair[0]).write_text("examples.json", "{}")
    compare(*pair)
    (pair[0] / "examples.json").write_text("{ }")
    with pytest.raises(StudyError, match=r"one/examples\.json is damaged"):
        compare(*pair)


def test_the_result_is_frozen_and_read_back_from_its_json(pair):
    found = compare(*pair)
    with pytest.raises(ValidationError, match="frozen"):
        found.notes = ()
    again = Comparison.model_validate(json.loads(found.model_dump_json()))
    assert again.studies == found.studies
    assert again.model_dump(mode="json") == found.model_dump(mode="json")


def test_the_python_function_is_public():
    assert goodteacher.compare is compare
    assert goodteacher.Comparison is Comparison


# The page


def texts_of(found):
    return Page(found.html()).text


def test_the_page_has_the_answer_the_notes_and_every_study(pair, tmp_path):
    write_study(tmp_path / "three")
    text = texts_of(compare(*pair, tmp_path / "three"))
    assert "Distill: undecided in 2 of 3 (one and two); 1 of 3 not finished (three)." in text
    assert "teacher epochs 4 (one and three) and 8 (two)" in text
    assert "three is not finished: run the same goodteacher search again" in text
    assert "+3.00 [+2.00,\N{NO-BREAK SPACE}+4.00]".replace("\N{NO-BREAK SPACE}", " ") in text
    assert "two minus one" in text


def test_the_page_needs_nothing_else(pair):
    page = Page(compare(*pair).html())
    assert not [tag for tag, attrs in page.tags if "href" in attrs and attrs["href"][0] != "#"]
    assert not page.attributes("src")
    assert "http-equiv" in {name for _, attrs in page.tags for name in attrs}


def test_what_comes_from_studies_is_escaped(tmp_path):
    names = (EVIL, "b", "c")
    for name in ("<b>one</b>", "<i>two"):
        config = settings(data=EVIL, teacher="mlp:8", batch_sizes=[32, 128])
        made(tmp_path / name.replace("/", "_"), config=config, data=data_summary(names), right=HALF)
    found = compare(*sorted(tmp_path.iterdir()))
    text = found.html()
    assert EVIL not in text
    assert "&lt;img src=x" in text
    assert "<i>two" not in text
    assert "<b>one" not in text
    for plot in (found.plot_gains(), found.plot_gains().view("over label smoothing")):
        assert "<i>two" not in plot.svg()
        assert "&lt;i&gt;two" in plot.svg()


def test_sections_without_anything_to_say_are_left_out(tmp_path):
    made(tmp_path / "a")
    made(tmp_path / "b")
    found = compare(tmp_path / "a", tmp_path / "b")
    page = comparison_page(found.studies, found.notes, found.differences, found.differing)
    assert [section.key for section in page.sections] == ["answer", "data"]


def test_nothing_finished_makes_a_page_without_figures(tmp_path):
    for name in ("a", "b"):
        write_study(tmp_path / name)
    found = compare(tmp_path / "a", tmp_path / "b")
    assert "None of these 2 studies has finished." in texts_of(found)
    assert '<svg class="chart"' not in found.html()
    with pytest.raises(StudyError, match="no gain to draw"):
        found.plot_gains()
    assert found._repr_html_() == "<p>None of these 2 studies has finished.</p>"


def test_a_notebook_shows_the_gains(pair):
    found = compare(*pair)
    assert found._repr_html_() == found.plot_gains().html()


def test_it_is_written_whole_where_it_is_named(pair, tmp_path):
    path = compare(*pair).write(tmp_path / "pages" / "all.html")
    assert path == tmp_path / "pages" / "all.html"
    assert path.read_text().startswith("<!doctype html>")
    assert [each.name for each in path.parent.iterdir()] == ["all.html"]
    with pytest.raises(ConfigError, match=r"all\.csv is not the name of a page: end it in \.html"):
        compare(*pair).write(tmp_path / "all.csv")


def test_long_tables_can_be_sorted_and_filtered():
    few = studies_table([study(str(number)) for number in range(3)])
    many = studies_table([study(str(number)) for number in range(8)])
    assert (few.sortable, many.sortable) == (False, True)
    assert all(len(row) == len(many.head) for row in many.rows)


def test_the_plot_has_a_view_for_each_reference_and_leaves_out_what_is_missing():
    panel = gains_panel([study("a"), unfinished("b"), study("c")])
    over = ["over hard labels", "over label smoothing", "over the converged teacher"]
    assert [view.label for view in panel.views] == over
    first, _, last = (view.figure.rows for view in panel.views)
    assert [row.name for row in first] == ["a", "c"]
    assert first[0].mean == pytest.approx(2.0)
    assert first[0].inner == pytest.approx((1.0, 3.0))
    assert first[0].outer == pytest.approx((0.5, 3.5))
    assert last[0].inner is None
    assert last[0].shown == "the same students"
    assert panel.views[0].table.rows[0][-2:] == ("3", "360")


def test_a_long_name_keeps_its_end_beside_an_interval_and_is_whole_in_the_table():
    name = "a-very-long-folder-of-studies/fashion-mnist"
    view = gains_panel([study(name)]).views[0]
    assert view.figure.rows[0].name.endswith("/fashion-mnist")
    assert len(view.figure.rows[0].name) <= 24
    assert view.table.rows[0][0] == name


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (("yes", "yes"), "Distill: yes in 2 of 2 (s0 and s1)."),
        (("yes", "no", "undecided"), "yes in 1 of 3 (s0); no in 1 of 3 (s1); undecided in 1 of 3"),
        (("no",) * 5, "Distill: no in 5 of 5."),
    ],
)
def test_the_answer_counts_and_names_a_few(answers, said):
    found = [study(f"s{n}", answer=answer) for n, answer in enumerate(answers)]
    assert said in answer_of_all(found)


def test_cells_say_n_interval_and_what_is_missing():
    fixed = "\N{NO-BREAK SPACE}"
    assert shown_accuracy(study("a")) == f"90.00 [88.00,{fixed}92.00], n{fixed}={fixed}3"
    assert shown_accuracy(unfinished("a")) == "-"
    assert shown_gain(None) == "-"
    assert shown_sweet_spot(unfinished("a")) == ""
    assert shown_sweet_spot(study("a")).replace(fixed, " ") == (
        "batch size 16, epoch 4; kl, T = 2, alpha = 0.5"
    )
    untimed = shown_cost(study("a", teacher_seconds=None))
    assert shown_cost(study("a")).replace(fixed, " ") == "teachers 2 s, students 10 s"
    assert untimed.replace(fixed, " ") == "teachers not timed, students 10 s"
    assert shown_cost(unfinished("a")) == "-"
    standardized = Recipe(loss="kl", temperature=4, standardize=True)
    assert shown_recipe(standardized) == "kl of standardized logits, T = 4, alpha = 1"


def test_a_teacher_is_described_in_few_words():
    values = {**made_by(128), "epoch": 2, "selection_accuracy": 0.9}
    assert teacher_in_words(TeacherChoice(**values, variant="ema")).endswith("epoch 2 (ema)")
    asked = TeacherChoice(run="my api", epoch=1, variant="raw", selection_accuracy=1, asked_once=1)
    assert teacher_in_words(asked) == "my api"
    members = tuple(BlendMember(run="batch 128", epoch=n, weight=0.5) for n in (1, 2))
    blend = TeacherChoice(**values, variant="blend", members=members)
    assert isinstance(blend.source, Blend)
    assert teacher_in_words(blend) == "mean of 2 responses"


def test_a_teacher_that_was_asked_once_has_no_epoch(tmp_path):
    asked = TeacherChoice(
        run="my api", epoch=1, variant="raw", selection_accuracy=1, asked_once=True
    )
    made(tmp_path / "a", answer=sweet_spot(teacher=asked))
    made(tmp_path / "b")
    one, two = compare(tmp_path / "a", tmp_path / "b").studies
    assert (one.epoch, one.sweet_spot) == (None, "my api")
    assert (two.epoch, math.isclose(two.accuracy, 0.92)) == (2, True)
