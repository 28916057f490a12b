"""Which classes the teachers call alike, from planted responses."""

import pytest
import torch

from goodteacher.report import write_report
from goodteacher.report.alike import alike_panels, said_sections
from goodteacher.report.findings import read_findings
from goodteacher.report.recorded import class_order
from goodteacher.responses import Response, write_response
from tests.made import accepted
from tests.report.build import data_summary, finish_study, write_study

NAMES = ("zero", "<b>one</b>", "two")


def response(sharpness):
    """Logits of six examples, two of each class; classes 0 and 2 are alike."""
    likeness = torch.tensor([[3.0, 0.0, 2.0], [0.5, 3.0, 0.5], [2.0, 0.0, 3.0]])
    return sharpness * likeness.repeat_interleave(2, 0)


def record_responses(store, *, epochs=(1, 2, 4)):
    for number, run in enumerate(("batch-32", "batch-128")):
        for epoch in epochs:
            folder = store.path("teachers", run, "responses")
            folder.mkdir(exist_ok=True)
            write_response(
                folder / f"epoch-{epoch:05d}.transfer.view-0.safetensors",
                Response(response(epoch * (1 + number)), torch.arange(10, 16)),
            )
    accepted(store.root)


@pytest.fixture
def store(tmp_path):
    store = write_study(tmp_path / "study", data=data_summary(NAMES))
    finish_study(store)
    record_responses(store)
    return store


@pytest.fixture
def said(store):
    return read_findings(store).said


def test_matrix_holds_the_mean_probabilities_of_each_class(said):
    spot = next(each for each in said.alike if each.role == "at the sweet spot")
    assert spot.teacher == "batch 128 epoch 2"
    expected = (response(4) / said.temperature).softmax(1)[::2]
    assert torch.tensor(spot.rows) == pytest.approx(expected)
    assert spot.off_class == pytest.approx(float(1 - expected.diagonal().mean()))


def test_early_sweet_spot_and_converged_teacher_are_compared(said):
    roles = {each.role: each.teacher for each in said.alike}
    assert roles == {
        "early in training": "batch 128 epoch 1",
        "at the sweet spot": "batch 128 epoch 2",
        "for the converged teacher": "batch 32 epoch 4",
    }


def test_classes_that_are_alike_stand_together(said):
    assert abs(said.order.index(0) - said.order.index(2)) == 1
    rows = [[0.6, 0.0, 0.0, 0.4], [0.0, 0.7, 0.3, 0.0], [0.0, 0.3, 0.7, 0.0], [0.4, 0.0, 0.0, 0.6]]
    order = class_order(rows)
    assert sorted(order) == [0, 1, 2, 3]
    assert abs(order.index(0) - order.index(3)) == abs(order.index(1) - order.index(2)) == 1


def test_all_matrices_share_order_and_colours(said):
    figures = [panel.views[0].figure for panel in alike_panels(said, NAMES)]
    assert len({figure.limits for figure in figures}) == 1
    assert len({figure.columns for figure in figures}) == 1
    assert figures[0].columns == tuple(NAMES[place] for place in said.order)
    assert figures[0].cells[0][0].value is None


def test_page_shows_them_and_class_names_bring_no_markup(store):
    text = write_report(store).read_text(encoding="utf-8")
    assert "What the teachers say" in text
    assert "<b>" not in text
    assert "&lt;b&gt;one&lt;/b&gt;" in text


def test_without_responses_the_part_is_left_out(store):
    for path in store.path("teachers").rglob("*.safetensors"):
        path.unlink()
    found = read_findings(store)
    assert found.said is None
    assert said_sections(found.said, NAMES) == ()


@pytest.mark.parametrize("names", [("no", "yes"), tuple(map(str, range(99)))])
def test_two_or_very_many_classes_have_no_matrix(tmp_path, names):
    store = write_study(tmp_path / "s", data=data_summary(names))
    finish_study(store)
    folder = store.path("teachers", "batch-128", "responses")
    folder.mkdir()
    for epoch in (1, 2, 4):
        name = f"epoch-{epoch:05d}.transfer.view-0.safetensors"
        write_response(folder / name, Response(torch.randn(4, len(names)), torch.arange(4)))
    accepted(store.root)
    assert read_findings(store).said is None


def test_responses_of_which_only_the_largest_classes_were_kept_are_left_out(store):
    path = store.path("teachers/batch-128/responses/epoch-00004.transfer.view-0.safetensors")
    write_response(path, Response(response(1), torch.arange(10, 16)), top_k=2)
    accepted(store.root)
    assert read_findings(store).said is None
