"""Texts: their features, where these are fitted, and what is refused."""

import math
import re
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.feature_extraction.text import TfidfVectorizer

from goodteacher.data import (
    DataNote,
    Dataset,
    Split,
    Tfidf,
    doctor,
    fit_tfidf,
    load_dataset,
    prepare,
)
from goodteacher.data.normalization import fit_length
from goodteacher.data.text import check_memory
from goodteacher.errors import ConfigError, DataError

from .conftest import make_dataset, make_images

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


def slow_features(texts, fitted_to):
    """TF-IDF by its formula, a term at a time, in float64."""

    def terms_of(text):
        words = re.findall(r"\b\w\w+\b", text.lower())
        return [*words, *(f"{a} {b}" for a, b in pairwise(words))]

    terms = sorted({term for text in fitted_to for term in terms_of(text)})
    rows = []
    for text in texts:
        found, row = terms_of(text), []
        for term in terms:
            having = sum(term in terms_of(other) for other in fitted_to)
            idf = 1 + math.log((1 + len(fitted_to)) / (1 + having))
            count = found.count(term)
            row.append((1 + math.log(count)) * idf if count else 0.0)
        norm = math.sqrt(sum(value**2 for value in row))
        rows.append([value / norm if norm else 0.0 for value in row])
    return terms, np.array(rows)


def test_features_are_those_of_the_formula():
    texts = [*TEXTS, "a card nobody has seen", ""]
    terms, slow = slow_features(texts, TEXTS)
    tfidf = fit_tfidf(TEXTS)
    assert list(tfidf.terms) == terms
    np.testing.assert_allclose(tfidf(texts).numpy(), slow, atol=1e-6)


def test_features_are_those_of_scikit_learn_where_its_choice_of_terms_is_not_a_tie():
    reference = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=2)
    expected = reference.fit_transform(["xx yy xx yy xx", "yy zz"]).toarray()
    tfidf = fit_tfidf(["xx yy xx yy xx", "yy zz"], max_features=2)
    assert tfidf.terms == tuple(reference.get_feature_names_out())
    np.testing.assert_allclose(tfidf(["xx yy xx yy xx", "yy zz"]).numpy(), expected, atol=1e-6)


def test_of_equally_frequent_terms_the_first_in_the_alphabet_are_kept():
    words = [f"word{n:02d}" for n in range(60)]
    shuffled = [words[n] for n in np.random.default_rng(0).permutation(60)]
    tfidf = fit_tfidf([f"{word}!" for word in shuffled], max_features=20, analyzer="word")
    assert tfidf.terms == tuple(words[:20])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(), max_size=5))
def test_any_strings_give_finite_rows_of_length_one_or_zero(texts):
    features = fit_tfidf(TEXTS)(texts)
    assert features.shape == (len(texts), len(fit_tfidf(TEXTS).terms))
    lengths = features.norm(dim=1)
    assert bool((((lengths - 1).abs() < 1e-5) | (lengths == 0)).all())


def test_vocabulary_survives_json_to_the_last_bit():
    tfidf = fit_tfidf(TEXTS)
    restored = Tfidf.model_validate_json(tfidf.model_dump_json())
    assert restored == tfidf
    assert torch.equal(restored(TEXTS), tfidf(TEXTS))


def test_a_text_is_the_same_alone_and_among_others():
    tfidf = fit_tfidf(TEXTS)
    assert torch.equal(tfidf(TEXTS)[2:3], tfidf(TEXTS[2:3]))


@pytest.mark.parametrize("texts", ["one text", np.array(["a"]), None])
def test_what_is_no_list_of_texts_is_refused(texts):
    with pytest.raises(DataError, match="must be a list of strings, but are of type"):
        fit_tfidf(TEXTS)(texts)


@pytest.mark.parametrize(("other", "kind"), [(None, "NoneType"), (3, "int"), (b"x", "bytes")])
def test_what_is_no_text_is_refused_with_its_place(other, kind):
    with pytest.raises(DataError, match=rf"1 of 2 are {kind} \(at 1\)"):
        fit_tfidf(TEXTS)(["a", other])
    with pytest.raises(DataError, match=rf"1 of 2 are {kind} \(at 1\)"):
        Split.from_texts(["a", other], [0, 1])


def test_texts_without_words_are_refused():
    with pytest.raises(
        DataError, match="need words or letters, but the 2 training texts have none"
    ):
        fit_tfidf(["", " "])


@pytest.mark.parametrize("changed", [{"terms": ("a", "a")}, {"idf": (1.0,)}, {"terms": ()}])
def test_vocabulary_that_does_not_fit_together_is_refused(changed):
    with pytest.raises(ValidationError, match="unique terms with one idf each"):
        Tfidf(**{"terms": ("a", "b"), "idf": (1.0, 2.0), **changed})


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
    assert fit_tfidf(texts).analyzer == analyzer


def test_texts_without_spaces_share_terms():
    tfidf = fit_tfidf(CHINESE)
    assert tfidf.count_unknown(["请冻结我的卡", "转账", "hello", ""]) == 2
    assert {"卡", "转账"} <= set(tfidf.terms)
    assert not [term for term in tfidf.terms if not term.strip()]
    restored = Tfidf.model_validate_json(tfidf.model_dump_json())
    assert torch.equal(restored(CHINESE), tfidf(CHINESE))


def test_a_study_tells_how_many_texts_have_no_known_term():
    train = Split.from_texts([f"card number {n}" for n in range(40)], np.arange(40) % 2)
    test = Split.from_texts(["carte bleue", "card here"] * 5, [0, 1] * 5)
    with pytest.warns(DataNote, match=r"5 of 10 test texts \(50%\) have no term"):
        prepare(Dataset("two languages", train, test, ("a", "b")))


# In a data set -----------------------------------------------------------------------------------


def test_vocabulary_comes_from_the_training_part_alone():
    data = text_dataset()
    parts = prepare(data, selection_fraction=0.2)
    words = {word for text in parts.training.texts for word in text.split()}
    assert {term for term in parts.tfidf.terms if " " not in term} == words
    unseen = {text.split()[-1] for text in (*parts.selection.texts, *data.test.texts)}
    assert unseen.isdisjoint(parts.tfidf.terms)


def test_idf_and_scale_do_not_change_with_selection_test_or_unlabelled_texts():
    data = text_dataset()
    parts = prepare(data, selection_fraction=0.2)
    chosen = {*parts.selection.ids.tolist()}
    texts = [f"{t} the the other" if n in chosen else t for n, t in enumerate(data.train.texts)]
    train = Split.from_texts([*texts, "the pool"], [*data.train.labels.tolist(), -1])
    test = Split.from_texts([f"{t} class0" for t in data.test.texts], data.test.labels)
    other = prepare(Dataset("other", train, test, data.class_names), selection_fraction=0.2)
    assert other.selection.ids.tolist() == parts.selection.ids.tolist()
    assert other.tfidf == parts.tfidf
    assert torch.equal(other.normalization.std, parts.normalization.std)
    assert len(other.transfer) == len(parts.transfer) + 1


def test_every_part_has_the_features_of_its_own_texts():
    parts = prepare(text_dataset(), transfer_fraction=0.5)
    for part in (parts.training, parts.transfer, parts.selection, parts.test.open("to see it")):
        assert torch.equal(part.inputs, parts.tfidf(part.texts))
    whole = prepare(text_dataset())
    assert whole.transfer is whole.training


def test_sealed_texts_are_out_of_reach():
    with pytest.raises(AttributeError, match="call open"):
        _ = prepare(text_dataset()).test.texts


def test_subset_takes_its_texts_along():
    split = Split.from_texts(TEXTS, [0, 1, 0, 1])
    assert split.subset([3, 0]).texts == (TEXTS[3], TEXTS[0])


def test_scale_is_one_number_that_makes_the_mean_square_one():
    parts = prepare(text_dataset(), tfidf_features=10)
    seen = parts.normalization(parts.training.inputs)
    assert seen.square().mean().item() == pytest.approx(1, abs=1e-5)
    ratio = seen[parts.training.inputs > 0] / parts.training.inputs[parts.training.inputs > 0]
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    assert prepare(text_dataset(), normalization="none").normalization.std.item() == 1


def test_scale_of_features_that_are_all_zero_is_one():
    assert fit_length(torch.zeros(3, 2)).std.item() == 1


def test_cap_is_the_number_of_features():
    assert prepare(text_dataset(), tfidf_features=7).input_shape == (7,)
    with pytest.raises(ConfigError, match="at least 1, but is 0"):
        prepare(text_dataset(), tfidf_features=0)


@pytest.mark.parametrize(("make", "kind"), [(make_images, "images"), (None, "numbers")])
def test_cap_on_other_data_than_texts_is_refused(make, kind):
    data = make_dataset(make) if make else make_dataset()
    with pytest.raises(ConfigError, match=f"is for texts, but the inputs of 'made' are {kind}"):
        prepare(data, tfidf_features=100)


def test_more_features_than_memory_holds_are_refused_with_a_number_that_fits(monkeypatch):
    free = SimpleNamespace(available=2**20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    with pytest.raises(DataError, match=r"1,000 texts would take .* tfidf_features to 131 or less"):
        check_memory(1000, 4096)
    check_memory(1000, 131)
    with pytest.raises(DataError, match="60 texts"):  # training = transfer, selection and test
        prepare(text_dataset(), tfidf_features=2**14)


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
    with pytest.raises(DataError, match="one split has texts and the other has none"):
        Dataset("mixed", texts, numbers, ("a", "b"))


def test_split_needs_a_text_for_each_input():
    inputs, numbers = torch.zeros(2, 0), torch.arange(2)
    with pytest.raises(DataError, match="one for each of its 2 inputs, but has 1"):
        Split(inputs, numbers, numbers, ("a",))
    with pytest.raises(DataError, match="at least one example"):
        Split(inputs, numbers, numbers)
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
