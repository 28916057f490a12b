"""Texts: their terms, in a data set, and what is refused."""

import numpy as np
import pytest
import torch

from goodteacher.data import Dataset, Split, doctor, load_dataset, prepare
from goodteacher.data.terms import choose_analyzer, count_unknown, frequent_terms
from goodteacher.data.texts import Texts
from goodteacher.errors import DataError

TEXTS = [
    "My card is lost, my card!",
    "is the card here",
    "top up failed at the bank",
    "a bank failed: fehlt Geld für 東京 tower",
]


def text_dataset(num_train=40, num_test=20):
    """Each text has a word of its class, a common one and one of its own."""
    splits = [
        Split.from_texts([f"the class{n % 2} {name}{n}" for n in range(size)], np.arange(size) % 2)
        for name, size in (("train", num_train), ("test", num_test))
    ]
    return Dataset("made", splits[0], splits[1], ("even", "odd"))


CHINESE = ["银行卡丢了", "我的卡被偷了", "卡片遗失", "转账还没到", "汇款失败了", "转账被拒绝"]


@pytest.mark.parametrize(
    "texts, analyzer",
    [
        (CHINESE, "char"),
        (["カードを失くしました", "送金がまだです"], "char"),
        (["บัตรของฉันหาย", "การโอนล้มเหลว"], "char"),
        (["ACGTTGCA", "GGTACCAT", "TTGACCGA", "CATGGTAC"], "char"),  # no word comes twice
        (["😀 😡", "😡 😡", "😀"], "char"),  # no word at all
        (TEXTS, "word"),
        (
            ["나는 카드를 잃어버렸다", "카드를 찾았다 나는", "나는 집에"],
            "word",
        ),  # Korean has spaces
        (["lost card 东京", "the card is lost", "a card"], "word"),
    ],
)
def test_terms_are_characters_where_words_do_not_serve(texts, analyzer):
    assert choose_analyzer(texts) == analyzer


def languages(count, words=("ar er ir", "ung heit keit", "tion ment age")):
    """Texts of made-up words that end as those of one language do; no word tells the language."""
    draw = np.random.default_rng(0)
    labels = np.arange(count) % len(words)
    stems = ["".join(draw.choice(list("bdfgklmnpst"), 4)) for _ in range(count)]
    texts = [
        f"{stem}{draw.choice(words[label].split())} the"
        for stem, label in zip(stems, labels, strict=True)
    ]
    return texts, labels


def test_terms_are_characters_where_they_tell_classes_better_than_words():
    texts, labels = languages(600)
    assert choose_analyzer(texts) == "word"  # "the" is in all of them
    assert choose_analyzer(texts, labels) == "char"
    assert choose_analyzer(texts, np.zeros(600, np.int64)) == "word"  # nothing to tell
    assert choose_analyzer(texts, np.full(600, -1)) == "word"  # nobody knows
    assert choose_analyzer(texts, np.random.default_rng(0).permutation(labels)) == "word"
    assert frequent_terms(texts, labels=labels).analyzer == "char"


def test_texts_without_spaces_share_terms():
    terms = frequent_terms(CHINESE)
    asked = ["请冻结我的卡", "转账", "hello", ""]
    assert count_unknown(asked, terms.names, terms.analyzer) == 2
    assert {"卡", "转账"} <= set(terms.names)
    assert not [term for term in terms.names if not term.strip()]


def test_texts_without_words_are_refused():
    with pytest.raises(
        DataError, match="must contain words or letters, but the 2 training texts have none"
    ):
        frequent_terms(["", " "])


# In a data set -----------------------------------------------------------------------------------


def test_sealed_texts_are_out_of_reach():
    with pytest.raises(AttributeError, match="Call open"):
        _ = prepare(text_dataset()).test.texts


def test_subset_takes_its_texts_along():
    split = Split.from_texts(TEXTS, [0, 1, 0, 1])
    assert split.subset([3, 0]).texts == (TEXTS[3], TEXTS[0])


def test_fingerprint_is_of_the_texts_and_of_nothing_else():
    def made(*texts):
        split = Split.from_texts(texts, [0, 1])
        return Dataset("any", split, split, ("a", "b")).fingerprint

    assert made("x", "yz") == made("x", "yz")
    assert len({made("x", "yz"), made("xy", "z"), made("x", "yz "), made("", "xyz")}) == 4
    assert made("\ud800", "x") != made("x", "\ud800")  # half of a pair cannot be encoded


def test_splits_of_texts_and_numbers_are_refused_together():
    numbers = Split.from_arrays([[0.0], [1.0]], [0, 1])
    texts = Split.from_texts(["a", "b"], [0, 1])
    with pytest.raises(
        DataError, match=r"the same type, but those of train are texts and .* 1 numbers"
    ):
        Dataset("mixed", texts, numbers, ("a", "b"))


def test_split_needs_a_label_for_each_text_and_a_text():
    numbers = torch.arange(2)
    with pytest.raises(DataError, match=r"labels must have shape \[1\]"):
        Split(Texts(("a",)), numbers, numbers)
    with pytest.raises(DataError, match="at least one example"):
        Split.from_texts([], np.zeros(0, np.int64))


def test_arrays_of_strings_are_texts(tmp_path):
    arrays = {"x_train": TEXTS, "y_train": [0, 1] * 2, "x_test": TEXTS, "y_test": [0, 1] * 2}
    data = load_dataset(arrays)
    assert data.train.texts == tuple(TEXTS)
    np.savez(tmp_path / "texts.npz", **arrays)
    assert load_dataset(tmp_path / "texts.npz").fingerprint == data.fingerprint


# The doctor --------------------------------------------------------------------------------------


def codes(train, test, labels=(0, 1)):
    splits = [Split.from_texts(t, (list(labels) * len(t))[: len(t)]) for t in (train, test)]
    return {f.code: f for f in doctor(Dataset("made", splits[0], splits[1], ("a", "b")))}


def test_doctor_finds_repeated_shared_and_empty_texts():
    train = [f"text {n}" for n in range(30)]
    clean = codes(train, [f"test {n}" for n in range(30)])
    assert {"duplicates", "leakage", "empty_text", "conflicting_labels"}.isdisjoint(clean)
    found = codes([*train, "text 3", "text 4 "], [*(f"test {n}" for n in range(30)), "text 5", " "])
    assert "1 of 32 training examples" in found["duplicates"].message
    assert "conflicting_labels" in found  # text 3 is odd, and its copy is at an even place
    assert found["leakage"].message.startswith("1 of 32 test examples")
    assert found["empty_text"].message.startswith("1 of 32 test texts are empty (ids 31)")


def test_doctor_finds_that_all_texts_are_one():
    assert codes(["same"] * 20, ["same"] * 20)["constant_inputs"].severity == "error"
