"""Texts as numbers: their features, where these are fitted, and what is refused."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.feature_extraction.text import TfidfVectorizer

from goodteacher.data import Dataset, Split, prepare
from goodteacher.errors import ConfigError, DataError
from goodteacher.networks import Preparations
from goodteacher.networks.normalization import fit_length
from goodteacher.networks.text import Tfidf, fit_tfidf
from tests.data.conftest import make_dataset, make_images
from tests.data.test_text import CHINESE, TEXTS, text_dataset


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
    with pytest.raises(DataError, match="must be a list of strings, but their type is"):
        fit_tfidf(TEXTS)(texts)


@pytest.mark.parametrize(("other", "kind"), [(None, "NoneType"), (3, "int"), (b"x", "bytes")])
def test_what_is_no_text_is_refused_with_its_place(other, kind):
    with pytest.raises(DataError, match=rf"1 of 2 are {kind} \(at 1\)"):
        fit_tfidf(TEXTS)(["a", other])
    with pytest.raises(DataError, match=rf"1 of 2 are {kind} \(at 1\)"):
        Split.from_texts(["a", other], [0, 1])


@pytest.mark.parametrize("changed", [{"terms": ("a", "a")}, {"idf": (1.0,)}, {"terms": ()}])
def test_vocabulary_that_does_not_fit_together_is_refused(changed):
    with pytest.raises(ValidationError, match="unique terms with one idf value each"):
        Tfidf(**{"terms": ("a", "b"), "idf": (1.0, 2.0), **changed})


def test_vocabulary_of_characters_survives_json():
    tfidf = fit_tfidf(CHINESE)
    restored = Tfidf.model_validate_json(tfidf.model_dump_json())
    assert torch.equal(restored(CHINESE), tfidf(CHINESE))


def test_a_network_tells_how_many_texts_have_no_known_term():
    train = Split.from_texts([f"card number {n}" for n in range(40)], np.arange(40) % 2)
    test = Split.from_texts(["carte bleue", "card here"] * 5, [0, 1] * 5)
    networks = Preparations(prepare(Dataset("two languages", train, test, ("a", "b"))))
    (note,) = networks.notes("mlp:8", {"test": test})
    assert re.match(r"5 of 10 test texts \(50%\) have no term", note)
    assert not [*networks.notes("mlp:8", {"selection": networks.data.selection})]


# In a study --------------------------------------------------------------------------------------


def steps_of(data, spec="mlp:8", **settings):
    parts = prepare(data, selection_fraction=0.2)
    vectorize, normalization = Preparations(parts, **settings).of(spec).steps
    return parts, vectorize.tfidf, normalization


def test_vocabulary_comes_from_the_training_part_alone():
    data = text_dataset()
    parts, tfidf, _ = steps_of(data)
    words = {word for text in parts.training.texts for word in text.split()}
    assert {term for term in tfidf.terms if " " not in term} == words
    unseen = {text.split()[-1] for text in (*parts.selection.texts, *data.test.texts)}
    assert unseen.isdisjoint(tfidf.terms)


def test_idf_and_scale_do_not_change_with_selection_test_or_unlabelled_texts():
    data = text_dataset()
    parts, tfidf, scale = steps_of(data)
    chosen = {*parts.selection.ids.tolist()}
    texts = [f"{t} the the other" if n in chosen else t for n, t in enumerate(data.train.texts)]
    train = Split.from_texts([*texts, "the pool"], [*data.train.labels.tolist(), -1])
    test = Split.from_texts([f"{t} class0" for t in data.test.texts], data.test.labels)
    other, same, equal = steps_of(Dataset("other", train, test, data.class_names))
    assert other.selection.ids.tolist() == parts.selection.ids.tolist()
    assert same == tfidf
    assert torch.equal(equal.std, scale.std)
    assert len(other.transfer) == len(parts.transfer) + 1


def test_every_split_has_the_features_of_its_own_texts_made_once():
    parts = prepare(text_dataset(), transfer_fraction=0.5)
    networks = Preparations(parts)
    for part in (parts.training, parts.transfer, parts.selection, parts.test.open("to see it")):
        examples = networks.examples("mlp:8", part)
        found = examples.inputs(torch.arange(len(part)))
        assert torch.equal(found, networks.of("mlp:8")(part.texts))
        again = networks.examples("mlp:4", part)
        assert again._stored.matrix is examples._stored.matrix


def test_scale_is_one_number_that_makes_the_mean_square_one():
    parts, tfidf, scale = steps_of(text_dataset(), tfidf_features=10)
    features = tfidf(parts.training.texts)
    seen = scale(features)
    assert seen.square().mean().item() == pytest.approx(1, abs=1e-5)
    ratio = seen[features > 0] / features[features > 0]
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    assert steps_of(text_dataset(), normalization="none")[2].std.item() == 1


def test_scale_of_features_that_are_all_zero_is_one():
    assert fit_length(torch.zeros(3, 2)).std.item() == 1


def test_cap_is_the_number_of_features():
    parts = prepare(text_dataset())
    networks = Preparations(parts, tfidf_features=7)
    assert networks.of("mlp:8").output(parts.spec).shape == (7,)
    assert networks.of("mlp:8@tfidf:5").output(parts.spec).shape == (5,)
    with pytest.raises(ConfigError, match="at least 1, but is 0"):
        Preparations(parts, tfidf_features=0)


@pytest.mark.parametrize(("make", "kind"), [(make_images, "images"), (None, "3 numbers")])
def test_cap_on_other_data_than_texts_is_refused(make, kind):
    data = make_dataset(make) if make else make_dataset()
    with pytest.raises(
        ConfigError, match=f"applies to texts only, but the inputs of these data are {kind}"
    ):
        Preparations(prepare(data), tfidf_features=100)
