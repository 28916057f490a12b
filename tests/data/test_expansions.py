"""What is made of data is asked for before it is made: terms, features, columns for words."""

import multiprocessing
import string

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, random_array
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from goodteacher.config import Augmentation, DistillConfig, RuntimeConfig, parse
from goodteacher.data import Dataset, Sparse, Split, doctor, rows_spec
from goodteacher.data.bounds import allowed_bytes, at_most
from goodteacher.data.terms import ANALYZERS, _counted, _parts, frequent_terms
from goodteacher.errors import DataError
from goodteacher.networks.encoding import fit_encoding
from goodteacher.networks.examples import Examples
from goodteacher.networks.preparation import Chain, Identity
from goodteacher.networks.text import fit_tfidf
from goodteacher.teachers.estimators import Classifying
from goodteacher.training import Share, borrowed, take_share

TOO_MUCH = r"would take .* GiB of memory, but max_memory_gib says .*--max-memory-gib"


def words(count, seed=0):
    """Texts of words that are all different."""
    letters = np.random.default_rng(seed).choice(list(string.ascii_lowercase), (count, 8))
    return [" ".join("".join(word) for word in letters[n : n + 20]) for n in range(0, count, 20)]


# --- terms of texts ------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    texts=st.lists(st.text(alphabet="ab cé我", max_size=12), min_size=1, max_size=12),
    analyzer=st.sampled_from(["word", "char"]),
    at_once=st.integers(1, 40),
)
def test_terms_counted_in_parts_are_those_counted_together(texts, analyzer, at_once):
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr("goodteacher.data.terms._CHARACTERS_AT_ONCE", at_once)
        assert [text for part in _parts(texts) for text in part] == texts
        found = _counted(texts, analyzer)
    counter = CountVectorizer(**ANALYZERS[analyzer])
    try:
        counts = counter.fit_transform(texts)
    except ValueError:
        assert found == {}
        return
    totals, num_texts = np.asarray(counts.sum(axis=0)).ravel(), counts.getnnz(axis=0)
    names = counter.get_feature_names_out()
    assert found == {n: (t, k) for n, t, k in zip(names, totals, num_texts, strict=True)}


def test_more_different_terms_than_fit_are_refused_before_all_are_counted(monkeypatch):
    monkeypatch.setattr("goodteacher.data.terms._CHARACTERS_AT_ONCE", 10_000)
    texts = words(20_000)
    assert len(frequent_terms(texts, analyzer="word").names) == 4096
    with at_most(0.001), pytest.raises(DataError, match=TOO_MUCH) as told:
        frequent_terms(texts, analyzer="word")
    counted = int(str(told.value).split()[1])
    assert 0.001 * 2**30 / 200 < counted < 12_000  # of 40,000 terms and pairs
    assert "--text-column" in str(told.value)


def test_a_text_whose_terms_may_not_fit_is_refused_by_its_length():
    with at_most(0.01), pytest.raises(DataError, match=r"a text of 100000 characters " + TOO_MUCH):
        frequent_terms(["ab" * 50_000], analyzer="char")
    with at_most(0.1):
        assert frequent_terms(["ab" * 50_000], analyzer="char").names


# --- features of texts ---------------------------------------------------------------------------


def test_features_of_many_texts_are_refused_dense_and_taken_sparse():
    texts = [f"word{n % 97} and word{n % 89}" for n in range(5000)]
    tfidf = fit_tfidf(texts[:100], analyzer="word")
    wide, limit = len(tfidf.terms), len(tfidf.terms) * 5000 * 3 / 2**30
    with at_most(limit):
        sparse = tfidf.sparse(texts)
        with pytest.raises(DataError, match=rf"5000 examples of {wide} features .*" + TOO_MUCH):
            tfidf(texts)
        assert tfidf(texts[:32]).shape == (32, wide)
        assert sum(len(chunk) for chunk in sparse.chunks(100)) == 5000
    assert len(tfidf(texts)) == 5000


def test_features_for_a_classifier_are_asked_for_before_they_are_made():
    texts = Split.from_texts([f"word{n} here" for n in range(300)], torch.arange(300) % 2)
    taught = Classifying(LogisticRegression(), 2, seed=0)
    with at_most(0.0001), pytest.raises(DataError, match=r"for a classifier, " + TOO_MUCH) as told:
        taught.said(texts, texts, {"test": texts})
    assert "--tfidf-features" in str(told.value)
    assert taught.said(texts, texts, {"test": texts}).logits["transfer"].shape == (300, 2)


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 9000), width=st.integers(1, 5), seed=st.integers(0, 9))
def test_a_sparse_matrix_on_another_device_is_the_same_numbers(rows, width, seed):
    matrix = csr_matrix(random_array((rows, width), density=0.3, rng=seed, dtype=np.float32))
    meta, here = Sparse(matrix).to("meta"), Sparse(matrix)
    assert (len(meta), meta.spec) == (len(here), here.spec)
    assert here.to("cpu") is here
    assert torch.equal(torch.cat([*here.chunks(1000)]), torch.from_numpy(matrix.toarray()))


# --- columns of words, and classes ---------------------------------------------------------------


def test_encoding_a_column_of_many_words_is_refused_with_its_name():
    rows = torch.arange(3000.0)[:, None]
    known = tuple(f"w{n}" for n in range(3000))
    spec = rows_spec({"city": known})
    assert fit_encoding(rows, spec).words[0].width == 50
    with at_most(0.001), pytest.raises(DataError, match=r"column 'city' " + TOO_MUCH):
        fit_encoding(rows, spec)
    with at_most(1e-5), pytest.raises(DataError, match=r"encoding of 1 columns " + TOO_MUCH):
        fit_encoding(rows, spec)


def test_mixed_labels_of_very_many_classes_take_the_room_of_a_batch():
    split = Split.from_arrays(torch.zeros(64, 1, 4, 4, dtype=torch.uint8), torch.arange(64))
    examples = Examples(split, Chain(Identity()), augmentation=Augmentation(mixup=0.5))
    mixed = examples.labels(torch.arange(8), view=1, num_classes=2_000_000)  # 8 rows, not 64
    assert mixed.shape == (8, 2_000_000)
    assert torch.allclose(mixed.sum(1), torch.ones(8))
    assert (mixed.gather(1, torch.arange(8)[:, None]) >= 0).all()


def _many_classes(count, width):
    labels = np.arange(count)
    inputs = torch.from_numpy(np.random.default_rng(0).normal(size=(count, width)).astype("f"))
    test = Split.from_arrays(inputs[:30] + 1, torch.arange(30) % 3, ids=np.arange(30) + count)
    names = tuple(f"c{n}" for n in range(count))
    return Dataset("many", Split.from_arrays(inputs, torch.from_numpy(labels)), test, names)


def test_the_doctor_says_where_the_means_of_classes_would_not_fit():
    data = _many_classes(3000, 50)
    with at_most(0.001):
        (found,) = [finding for finding in doctor(data) if finding.code == "class_means"]
    assert found.severity == "info"
    assert "3000 classes would take 0.0011 GiB" in found.message
    assert "--max-memory-gib" in found.message
    assert "class_means" not in [finding.code for finding in doctor(data)]


# --- who allows how much -------------------------------------------------------------------------


def test_the_setting_holds_in_the_whole_work_of_a_command_and_no_longer():
    before = allowed_bytes()
    with borrowed(_with_memory(0.25)):
        assert allowed_bytes() == 2**28
    with borrowed(parse(RuntimeConfig)):
        assert allowed_bytes() != 2**28
    assert allowed_bytes() == pytest.approx(before, rel=0.5)


def _with_memory(gib):
    return parse(DistillConfig, data="digits", student="mlp:4", max_memory_gib=gib)


def _tell(share, queue):
    take_share(share)
    queue.put(allowed_bytes())


def test_the_setting_holds_in_processes_that_work_for_this_one():
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    with at_most(0.25):
        share = Share.of_host(processes=1, threads=1)
    begun = context.Process(target=_tell, args=(share, queue))
    begun.start()
    begun.join()
    assert queue.get() == 2**28
