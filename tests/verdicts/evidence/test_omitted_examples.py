"""Examples of an omitted class: who is recognised, who is missed, what taught them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from goodteacher.config import Recipe, VerifyConfig, parse
from goodteacher.data import Split
from goodteacher.verdicts.evidence.omitted_examples import (
    MOST_CLASSES,
    MOST_RESEMBLING,
    most_resembling,
    omitted_examples,
)

NUMBER = 1
TEXTS = tuple(f"test example {number}" for number in range(6))


def case_of(logits=None, labels=(0, 2, 2, 0), *, keep=12, temperature=4.0):
    """Test examples 1, 3, 4 and 5 are of the omitted class; ids differ from places."""
    transfer = Split.from_texts(["a", "b", "c", "d"], list(labels), [50, 51, 52, 53])
    test = Split.from_texts(list(TEXTS), [0, 1, 2, 1, 1, 1], [90, 91, 92, 93, 94, 95])
    given = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 4.0], [0.0, 0.0, 4.0], [2.0, 3.0, 0.0]])
    return SimpleNamespace(
        config=parse(VerifyConfig, data="x", student="mlp:3", keep_examples=keep),
        context=SimpleNamespace(data=SimpleNamespace(transfer=transfer)),
        recipe=Recipe(temperature=temperature),
        response=given if logits is None else logits,
        test=test,
        labels=np.asarray(test.labels),
    )


SAYS = np.array(
    [[0, 1, 2, 1, 1, 0], [0, 1, 2, 0, 1, 0], [0, 1, 2, 1, 0, 2], [0, 1, 2, 0, 0, 0]], np.int32
)
"""Four students: 91 is recognised by all, 93 and 94 by two, 95 by none."""


def test_recognised_is_who_more_than_half_of_the_students_recognise():
    found = omitted_examples(case_of(), NUMBER, SAYS)
    assert found.num_recognised == 1
    assert [(each.id, each.right, each.says) for each in found.recognised] == [(91, 4, 1)]
    assert [(each.id, each.right) for each in found.missed] == [(95, 0), (93, 2), (94, 2)]
    assert found.missed[0].says == 0
    assert found.recognised[0].shown.text == "test example 1"


def test_examples_are_limited_and_counted_in_full():
    found = omitted_examples(case_of(keep=1), NUMBER, np.ones_like(SAYS))
    assert found.num_recognised == 4
    assert [each.id for each in found.recognised] == [91]
    assert found.missed == ()
    assert len(found.resembling) == 1


def test_none_are_kept_where_none_are_wanted():
    assert omitted_examples(case_of(keep=0), NUMBER, SAYS) is None


def test_students_learned_from_what_the_teacher_gives_most_of_the_class():
    found = omitted_examples(case_of(), NUMBER, SAYS).resembling
    assert [each.id for each in found] == [53, 51, 50, 52]
    first = found[0]
    expected = torch.tensor([2.0, 3.0, 0.0])
    assert (first.label, first.classes) == (0, (1, 0, 2))
    assert first.plain == pytest.approx(expected.softmax(0)[[1, 0, 2]].tolist())
    assert first.softened == pytest.approx((expected / 4).softmax(0)[[1, 0, 2]].tolist())
    assert first.shown.text == "d"


def test_neither_the_class_itself_nor_unlabelled_examples_taught_it():
    found = omitted_examples(case_of(labels=(0, 1, 2, -1)), NUMBER, SAYS).resembling
    assert {each.id for each in found} == {50, 52}


def test_of_many_examples_and_classes_a_few_are_kept():
    logits = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    case = case_of(logits)
    labels = torch.arange(40) % 30
    case.context.data.transfer = Split.from_arrays(torch.zeros(40, 3), labels)
    found = omitted_examples(case, NUMBER, SAYS).resembling
    assert len(found) == MOST_RESEMBLING
    assert {len(each.classes) for each in found} == {MOST_CLASSES}
    shares = logits.softmax(1)[:, NUMBER].where(labels != NUMBER, torch.tensor(0.0))
    assert [each.id for each in found] == shares.argsort(descending=True)[:6].tolist()


def test_rows_of_a_large_response_are_taken_a_few_at_a_time():
    class Rows:
        asked = 0

        def __len__(self):
            return 10_000

        def __getitem__(self, rows):
            self.asked = max(self.asked, rows.stop - rows.start)
            count = min(rows.stop, 10_000) - rows.start
            return torch.zeros(count, 2) + torch.arange(2) * (rows.start == 8192)

    rows = Rows()
    found = most_resembling(rows, torch.zeros(10_000, dtype=torch.int64), 1, 1)
    assert found == [8192]
    assert rows.asked == 4096
