"""One example, many classes, fading to one: the cards, from planted examples."""

import pytest

from goodteacher.records import EpochSaid, Examples, Shown, TellingExample
from goodteacher.report import write_report
from goodteacher.report.chart import Strips
from goodteacher.report.examples import (
    draw_example,
    example_panel,
    example_sections,
    example_table,
    said_of,
)
from goodteacher.report.strips import part_styles
from goodteacher.report.svg import draw
from goodteacher.studies import EXAMPLES_FILE
from tests.report.build import data_summary, finish_study, write_study
from tests.report.test_page import Page

NAMES = ("zero", "<b>one</b>", "two", "three")
HOSTILE = '<img src=x onerror="document.title=1"></blockquote><script>alert(1)</script>'
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def telling(number=1, *, label=1, shown=None, epochs=(1, 2, 8)):
    """An example whose own class grows from 50 % to 98 %."""
    own = (0.5, 0.75, 0.98)
    said = tuple(
        EpochSaid(epoch=e, plain=(p, 0.8 * (1 - p)), softened=(0.9 * p, 0.8 * (1 - 0.9 * p)))
        for e, p in zip(epochs, own, strict=False)
    )
    return TellingExample(
        id=100 + number,
        label=label,
        number=number,
        classes=(number, 0 if number else 2),
        epochs=said,
        shown=shown or Shown(picture=DOT),
    )


def examples(*found, **changes):
    values = {"asked": 12, "num_examples": 192, "run": "batch 128", "chosen_epoch": 2}
    return Examples(**{**values, "temperature": 4.0, "fading": True, "examples": found, **changes})


def page_with(tmp_path, found):
    store = write_study(tmp_path / "study", data=data_summary(NAMES))
    finish_study(store)
    store.write_json(EXAMPLES_FILE, found)
    return write_report(store).read_text(encoding="utf-8")


def test_strip_divides_the_whole_an_epoch_a_row_and_a_temperature_a_column():
    figure = draw_example(telling(), examples(), NAMES)
    assert figure.rows == ("1", "2", "8")
    assert figure.columns == ("T = 1", "T = 4")
    assert figure.names == ("<b>one</b>", "zero", "others")
    assert figure.shares[0][0] == pytest.approx((0.5, 0.4, 0.1))
    assert figure.shares[2][1] == pytest.approx((0.882, 0.0944, 0.0236))
    assert all(sum(bar) == pytest.approx(1) for row in figure.shares for bar in row)
    assert (figure.marked, figure.rest) == (1, True)


def test_at_the_temperature_one_there_is_one_column():
    found = examples(temperature=1.0)
    assert draw_example(telling(), found, NAMES).columns == ("T = 1",)
    assert example_table(telling(), found, NAMES).head == (
        "epoch",
        "<b>one</b>, T = 1",
        "zero, T = 1",
    )


def test_where_every_class_is_shown_there_are_no_others():
    figure = draw_example(telling(), examples(), ("zero", "one"))
    assert figure.names == ("one", "zero")
    assert not figure.rest


def test_epoch_of_the_sweet_spot_that_was_not_kept_marks_no_row():
    assert draw_example(telling(), examples(chosen_epoch=5), NAMES).marked is None


def test_table_has_every_number_of_the_strips():
    table = example_table(telling(), examples(), NAMES)
    assert table.rows[0] == ("1", "50.00", "40.00", "45.00", "44.00")
    assert {len(row) for row in table.rows} == {len(table.head)}


def test_alternative_text_says_the_class_and_what_the_teachers_say():
    alt = example_panel(telling(), examples(), NAMES).exhibit.alt
    assert alt == (
        "<b>one</b>. Epoch 1: <b>one</b> at 50 %, zero at 40 %. Epoch 8: <b>one</b> at 98 %."
    )


def test_example_without_a_label_says_so():
    panel = example_panel(telling(label=None), examples(), NAMES)
    assert panel.title == "No label; last prediction <b>one</b>"
    assert "no label" in panel.views[0].caption


def test_nothing_above_five_per_cent_is_said_in_words():
    assert said_of((0.01, 0.02), (0, 1), NAMES) == "no class above 5 %"


def test_page_embeds_pictures_and_writes_what_comes_from_data(tmp_path):
    text = page_with(tmp_path, examples(telling(1), telling(2, label=2)))
    page = Page(text)
    assert page.attributes("src") == [f"data:image/png;base64,{DOT}"] * 2
    assert "<b>" not in text
    assert "One example, many classes, fading to one" in page.text
    assert "the 2 of 192 transfer examples whose other classes lose most" in page.text
    assert "Star: the sweet spot, epoch 2." in page.text
    assert "example-101" in page.attributes("id")


@pytest.mark.parametrize(
    "shown",
    [
        Shown(text=HOSTILE),
        Shown(cells=((HOSTILE, "1"), ("size", HOSTILE))),
        Shown(text="1, 2", remark=HOSTILE),
    ],
    ids=["text", "row", "remark"],
)
def test_hostile_text_is_text(tmp_path, shown):
    text = page_with(tmp_path, examples(telling(shown=shown)))
    assert "onerror=" not in text.replace("onerror=&#34;", "")
    assert "<script>alert" not in text
    assert HOSTILE in Page(text).text


def test_texts_and_rows_stand_without_a_picture(tmp_path):
    cells = (("size", "1.5"), ("colour", "red"))
    found = examples(
        telling(1, shown=Shown(text="Where is my card?")),
        telling(2, label=2, shown=Shown(cells=cells, remark="and 3 more columns")),
    )
    page = Page(page_with(tmp_path, found))
    assert page.attributes("src") == []
    for said in ("Where is my card?", "colour red", "and 3 more columns"):
        assert said in page.text


def test_teacher_that_was_asked_once_has_no_epochs_to_speak_of(tmp_path):
    found = examples(telling(epochs=(1,)), run="forest", chosen_epoch=1, fading=False)
    (section,) = example_sections(found, NAMES)
    assert section.lead[0].startswith("What the teacher forest says about single examples")
    assert "Star" not in section.lead[0]
    assert section.panels[0].exhibit.alt.startswith("<b>one</b>. The teacher: ")


def test_study_without_the_file_says_what_it_lacks(tmp_path):
    store = write_study(tmp_path / "study")
    finish_study(store)
    page = Page(write_report(store).read_text(encoding="utf-8"))
    assert "This study has no file examples.json" in page.text
    assert "Run the same goodteacher search again" in page.text


def test_study_that_keeps_none_says_why(tmp_path):
    text = page_with(tmp_path, examples(asked=0, missing="keep_examples = 0: none kept."))
    assert "keep_examples = 0: none kept." in Page(text).text


def test_unfinished_study_has_no_such_part(unfinished):
    page = Page(write_report(unfinished).read_text(encoding="utf-8"))
    assert "fading to one" not in page.text


def strips(**changes):
    values = {
        "down": "epoch",
        "rows": ("1", "2"),
        "columns": ("T = 1",),
        "names": ("a long name", "b", "others"),
        "shares": (((0.6, 0.4, 0.0),), ((0.99, 0.005, 0.005),)),
    }
    return Strips(**{**values, "rest": True, **changes})


def test_parts_are_named_where_the_name_fits_and_told_in_order():
    drawing = draw(strips())
    assert drawing.svg.count('class="part"') == 5  # a share of 0 is not drawn
    assert drawing.svg.count(">a long name<") == 2
    assert drawing.svg.count(">b<") == 1
    assert [key.name for key in drawing.legend] == ["a long name", "b", "others"]
    assert "epoch 2, T = 1: b 0.50 %" in drawing.svg


def test_long_name_is_cut_to_its_part():
    svg = draw(
        strips(names=("a very long name of a class, longer than any bar", "b", "others"))
    ).svg
    assert ">a very long" in svg
    assert "…<" in svg


def test_row_that_stands_out_has_a_star():
    assert "★ 2" in draw(strips(marked=1)).svg
    assert "★" not in draw(strips()).svg


def test_rest_is_quiet_and_no_other_part_is():
    assert part_styles(strips()) == (0, 1, None)
    assert part_styles(strips(rest=False)) == (0, 1, 2)
    assert draw(strips()).svg.count('class="rest"') == 1


def test_names_of_parts_bring_no_markup():
    svg = draw(strips(names=(HOSTILE, "b", "others"))).svg
    assert "<img" not in svg
    assert "&lt;img" in svg
