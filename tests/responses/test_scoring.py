"""A score matches responses and labels by id and by name, or refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from goodteacher import score
from goodteacher.cli import app
from goodteacher.errors import ResponseError
from goodteacher.responses import Labels, Response

NAMES = np.array(["ant", "bee", "cow"])
TRUTH = torch.arange(90) % 3
MOVED = torch.randperm(90, generator=torch.Generator().manual_seed(0))


def logits(scale=2.0):
    """Right for nine in ten."""
    noise = torch.randn(90, 3, generator=torch.Generator().manual_seed(1))
    return scale * (2 * torch.eye(3)[TRUTH] + noise)


def accuracy(found):
    return found.measurements[0].accuracy


EXPECTED = accuracy(score(logits(), labels=TRUTH))


def test_ids_on_either_side_are_row_numbers_of_the_other():
    moved = Response(logits()[MOVED], MOVED)
    assert accuracy(score(moved, labels=TRUTH)) == EXPECTED > 0.7
    assert accuracy(score(moved, labels=Labels(TRUTH, torch.arange(90)))) == EXPECTED
    assert accuracy(score(logits(), labels=Labels(TRUTH[MOVED], MOVED))) == EXPECTED


@pytest.mark.parametrize("shift", [1, -1, 500])
def test_other_ids_than_row_numbers_are_refused_on_either_side(shift):
    with pytest.raises(ResponseError, match=r"the ids must be exactly 0\.\.89"):
        score(Response(logits(), torch.arange(90) + shift), labels=TRUTH)
    with pytest.raises(ResponseError, match="Give the response ids as well"):
        score(logits(), labels=Labels(TRUTH, torch.arange(90) + shift))


def test_ids_of_both_sides_that_overlap_only_are_refused():
    shifted = Labels(TRUTH, torch.arange(90) + 1)
    with pytest.raises(ResponseError, match=r"1 of 90 ids of the response have no label \(0\)"):
        score(Response(logits(), torch.arange(90)), labels=shifted)


def test_examples_without_a_label_or_without_a_row_are_left_out_and_told():
    some = Labels(TRUTH[:60], torch.arange(60))
    found = score(Response(logits(), torch.arange(90)), labels=some)
    assert (found.num_examples, found.notes[0][:27]) == (60, "30 rows of the response hav")
    few = score(Response(logits()[:60], torch.arange(60)), labels=Labels(TRUTH, torch.arange(90)))
    assert few.notes == ("30 labels have no row in the response and were left out.",)
    unlabelled = torch.where(torch.arange(90) < 60, TRUTH, -1)
    assert score(logits(), labels=unlabelled).measurements == found.measurements


def test_other_numbers_of_rows_without_ids_are_refused():
    with pytest.raises(ResponseError, match="90 rows, but there are 80 labels, and neither has"):
        score(logits(), labels=TRUTH[:80])
    with pytest.raises(ResponseError, match="Every label is -1"):
        score(logits(), labels=torch.full((90,), -1))


def test_labels_in_an_array_or_a_column_are_taken():
    assert accuracy(score(logits(), labels=TRUTH.numpy()[:, None])) == EXPECTED


def test_labels_by_name_find_their_column(tmp_path):
    order = [2, 0, 1]
    frame = pd.DataFrame(logits().numpy()[:, order], columns=[f"logit_{NAMES[c]}" for c in order])
    pd.DataFrame({"label": NAMES[TRUTH]}).to_csv(tmp_path / "l.csv", index=False)
    assert accuracy(score(frame, labels=tmp_path / "l.csv")) == pytest.approx(EXPECTED)
    with pytest.raises(ResponseError, match=r"Labels are names .* have no names"):
        score(logits(), labels=tmp_path / "l.csv")
    with pytest.raises(ResponseError, match="classes that the response does not have: 'bee'"):
        score(frame.rename(columns={"logit_bee": "wasp"}), labels=tmp_path / "l.csv")


def test_named_columns_with_labels_that_count_are_taken_as_they_stand_and_told():
    frame = pd.DataFrame(logits().numpy(), columns=NAMES)
    found = score(frame, labels=TRUTH)
    assert accuracy(found) == pytest.approx(EXPECTED)
    assert "labels are numbers and were taken as column numbers: 0 = 'ant'" in (found.notes[0])
    counted = score(frame.set_axis(["p_0", "p_1", "p_2"], axis=1), labels=TRUTH)
    assert counted.notes == ()


def test_columns_in_another_order_than_the_labels_are_told():
    found = score(logits()[:, [1, 2, 0]], labels=TRUTH)
    assert "with its columns in another order" in found.notes[0]


def test_probabilities_in_a_tensor_are_scored_as_in_a_file():
    probabilities = logits().softmax(1)
    with pytest.raises(ResponseError, match="look like probabilities"):
        score(probabilities, labels=TRUTH)
    found = score(probabilities, labels=TRUTH, probabilities=True)
    assert found.measurements[0].nll == pytest.approx(
        score(logits(), labels=TRUTH).measurements[0].nll, rel=1e-4
    )


def test_zero_probabilities_are_scored_with_finite_numbers():
    sparse = logits()
    sparse[::9] = torch.where(torch.eye(3)[TRUTH[::9]] > 0, -torch.inf, sparse[::9])
    found = score(sparse, labels=TRUTH)
    for measured in found.measurements:
        numbers = [v for v in measured.model_dump().values() if isinstance(v, float)]
        assert np.isfinite(numbers).all()


@pytest.mark.parametrize(
    ("kind", "limit", "words"),
    [
        ("perfect", "zero", "falls as T goes to 0"),
        ("useless", "infinity", "falls as T grows without bound"),
    ],
)
def test_a_best_temperature_that_no_finite_one_is_is_marked(tmp_path, kind, limit, words):
    perfect = 0.01 * torch.eye(3)[TRUTH]
    values = perfect if kind == "perfect" else -500 * perfect + 0.1 * logits()
    found = score(values, labels=TRUTH)
    assert found.optimal_temperature_limit == limit
    np.save(tmp_path / "r.npy", values.numpy())
    np.save(tmp_path / "l.npy", TRUTH.numpy())
    shown = CliRunner().invoke(
        app, ["score", str(tmp_path / "r.npy"), f"--labels={tmp_path}/l.npy"]
    )
    assert words in " ".join(shown.stdout.split())
    assert score(logits(), labels=TRUTH).optimal_temperature_limit is None
