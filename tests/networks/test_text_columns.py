"""Several texts of an example: as terms of each column, and as the pairs of a tokenizer."""

import json

import numpy as np
import pytest
import torch
from scipy.sparse import issparse

from goodteacher.data import Dataset, InputSpec, Split, numbers_spec, prepare
from goodteacher.errors import DataError, ModelError
from goodteacher.networks import Preparations, preparation_from
from goodteacher.networks.text import fit_tfidf
from goodteacher.networks.tokenizing import as_pairs
from goodteacher.networks.vectorizing import Vectorize, VectorizeColumns
from tests.tiny_models import HAS_TRANSFORMERS, write_model, write_tokenizer

THINGS = ("card", "money", "loan", "fee") * 6
TITLES = tuple(f"my {thing} {n % 3}" for n, thing in enumerate(THINGS))
BODIES = tuple(f"it is {how} now, my {how}" for how in ("lost", "late", "here") * 8)
TAGS = tuple(("urgent", "later today") * 12)
N = len(TITLES)

needs_transformers = pytest.mark.skipif(not HAS_TRANSFORMERS, reason="needs goodteacher[hf]")


def networks(columns, **settings):
    parts = [
        Split.from_texts(columns, [n % 2 for n in range(N)], range(begin, begin + N))
        for begin in (0, 1000, 2000)
    ]
    data = Dataset("made", parts[0], parts[1], ("a", "b"), parts[2])
    return Preparations(prepare(data), **settings)


PAIR = {"title": TITLES, "body": BODIES}
THREE = {**PAIR, "tag": TAGS}
ROWS = list(zip(TITLES, BODIES, strict=True))


# Terms -------------------------------------------------------------------------------------------


def test_features_are_those_of_each_column_beside_one_another():
    step = networks(PAIR).of("mlp:4").steps[0]
    expected = [fit_tfidf(texts)(texts) for texts in PAIR.values()]
    assert torch.allclose(step(ROWS), torch.cat(expected, dim=1))
    assert step.output(InputSpec(kind="texts", columns=("title", "body"))) == numbers_spec(
        (sum(part.shape[1] for part in expected),)
    )


def test_a_term_of_one_column_is_not_a_term_of_the_other():
    step = networks(PAIR).of("mlp:4").steps[0]
    one, other = step([("my my", "lost"), ("my lost", "lost my")])
    assert {"my"} <= set(step.columns["title"].terms) & set(step.columns["body"].terms)
    assert int((one > 0).sum()) == 2  # "my" of the title, "lost" of the body
    assert not torch.equal(one, other)
    turned = step([("lost", "my my")])[0]  # "lost" is in no title
    assert int((turned > 0).sum()) == 1


def test_features_stay_sparse_until_a_batch_is_made():
    made, spec = networks(PAIR), "mlp:4"
    split = made.data.selection
    read, left = made.of(spec).read(split.texts)
    assert issparse(read.matrix)
    assert read.matrix.dtype == np.float32
    rows = torch.tensor([5, 0])
    batch = made.examples(spec, split).inputs(rows)
    assert torch.equal(batch, made.of(spec)([split.texts[5], split.texts[0]]))
    assert torch.equal(batch, left(read.rows(rows)))


@pytest.mark.parametrize("spec", ["mlp:4@tfidf:9", "linear@tfidf:9"])
def test_the_number_of_terms_is_that_of_all_columns_together(spec):
    step = networks(PAIR).of(spec).steps[0]
    assert sorted(len(tfidf.terms) for tfidf in step.columns.values()) == [4, 5]
    assert networks(PAIR, tfidf_features=9).of("mlp:4").steps[0].to_dict() == step.to_dict()


def test_fewer_terms_than_columns_are_refused():
    with pytest.raises(DataError, match="2 terms cannot be divided among the 3 columns"):
        networks(THREE).of("mlp:4@tfidf:2")


def test_a_column_without_a_term_is_refused_by_name():
    with pytest.raises(
        DataError, match="In the column 'body': Texts must contain words or letters"
    ):
        networks({"title": TITLES, "body": ("",) * N}).of("mlp:4")


def test_an_example_is_unknown_only_where_no_column_has_a_term():
    made = networks(PAIR)
    rows = [("zzz", "late"), ("card", "qqq"), ("vvv", "www")]
    split = Split.from_texts(dict(zip(PAIR, zip(*rows, strict=True), strict=True)), [0] * 3)
    (note,) = made.notes("mlp:4", {"test": split})
    assert note.startswith("1 of 3 test texts (33%) have no term")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "b", "c")], r"Each example is 2 texts \(title, body\), but 1 of 1 are not"),
        (["ab", ("a", "b")], "the first is a str"),
        ([("a", None)], r"a tuple of 2 \(NoneType, str\)"),
        ("ab", "but got a str"),
    ],
)
def test_rows_of_another_number_of_texts_are_refused(rows, message):
    with pytest.raises(DataError, match=message):
        networks(PAIR).of("mlp:4")(rows)


def test_no_examples_are_no_features():
    made = networks(PAIR).of("mlp:4")
    assert made([]).shape == (0, made.output(InputSpec(kind="texts", columns=tuple(PAIR))).shape[0])


def test_a_preparation_is_for_its_own_columns_alone():
    made = networks(PAIR).of("mlp:4")
    for columns in ((), ("body", "title"), ("title", "body", "tag")):
        with pytest.raises(ValueError, match="are not the texts title, body"):
            made.output(InputSpec(kind="texts", columns=columns))
    single = Vectorize(fit_tfidf(TITLES))
    with pytest.raises(ValueError, match=r"2 texts \(title, body\) are not one text"):
        single.output(InputSpec(kind="texts", columns=("title", "body")))


def test_a_damaged_record_is_refused():
    record = networks(PAIR).of("mlp:4").to_dict()
    del record["steps"][0]["columns"][1]["idf"][0]
    with pytest.raises(DataError, match=r"'tfidf_columns' of a preparation cannot be read: .*idf"):
        preparation_from(record)
    del record["steps"][0]["columns"][0]["column"]
    with pytest.raises(
        DataError, match="'tfidf_columns' of a preparation cannot be read: 'column'"
    ):
        preparation_from(record)


def test_columns_keep_their_order_through_a_file():
    made = networks({"z": TITLES, "a": BODIES}).of("mlp:4")
    again = preparation_from(json.loads(json.dumps(made.to_dict())))
    assert isinstance(again.steps[0], VectorizeColumns)
    assert list(again.steps[0].columns) == ["z", "a"]
    assert torch.equal(again(ROWS), made(ROWS))


# Tokens ------------------------------------------------------------------------------------------


def test_texts_become_pairs_and_more_are_joined_by_the_separator():
    assert as_pairs(["a", "\ud800"], "") == ["a", "?"]
    assert as_pairs([("a", "b"), ("\ud800", "")], "") == [("a", "b"), ("?", "")]
    assert as_pairs([("a", "b", "c", "d")], "[SEP]") == [("a", "b [SEP] c [SEP] d")]


@needs_transformers
@pytest.mark.parametrize("length", ["", "@tokens:9"])
def test_tokens_of_a_pair_are_those_of_the_tokenizer(tmp_path, length):
    write_model(tmp_path, TITLES + BODIES)
    tokenizer = write_tokenizer(tmp_path, TITLES + BODIES)
    step = networks(PAIR).of(f"hf:{tmp_path}{length}").steps[0]
    longest = max(len(ids) for ids in tokenizer(list(TITLES), list(BODIES))["input_ids"])
    size = 9 if length else longest
    expected = tokenizer(
        list(TITLES),
        list(BODIES),
        padding="max_length",
        max_length=size,
        truncation=True,
        return_tensors="pt",
    )
    found = step(ROWS)
    assert found.keys() == expected.keys() == {"input_ids", "attention_mask", "token_type_ids"}
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert int(found["token_type_ids"].max()) == 1


@needs_transformers
def test_more_than_two_texts_are_a_pair_whose_second_has_separators(tmp_path):
    write_model(tmp_path, TITLES + BODIES + TAGS)
    tokenizer = write_tokenizer(tmp_path, TITLES + BODIES + TAGS)
    made = networks(THREE)
    step = made.of(f"hf:{tmp_path}").steps[0]
    rows = list(zip(*THREE.values(), strict=True))
    joined = [f"{body} [SEP] {tag}" for body, tag in zip(BODIES, TAGS, strict=True)]
    expected = tokenizer(list(TITLES), joined, padding="longest", return_tensors="pt")
    found = step(rows)
    assert torch.equal(found["input_ids"], expected["input_ids"])
    separators = (found["input_ids"] == tokenizer.sep_token_id).sum(1)
    assert separators.tolist() == [3] * N
    assert made.network(f"hf:{tmp_path}", seed=0)(rows).shape == (N, 2)
    with pytest.raises(DataError, match=r"Each example is 3 texts \(title, body, tag\)"):
        step(ROWS)


@needs_transformers
def test_the_share_of_cut_pairs_is_told_and_both_texts_keep_their_beginning(tmp_path):
    write_model(tmp_path, TITLES + BODIES)
    tokenizer = write_tokenizer(tmp_path, TITLES + BODIES)
    made, spec = networks(PAIR), f"hf:{tmp_path}@tokens:8"
    lengths = [len(ids) for ids in tokenizer(list(TITLES), list(BODIES))["input_ids"]]
    cut = sum(length > 8 for length in lengths)
    assert cut == N
    short = Split.from_texts({"title": ["my card", "my"], "body": ["lost", BODIES[0]]}, [0, 1])
    notes = [*made.notes(spec, {"test": short})]
    assert notes == [
        f"{spec!r} reads 8 tokens of an example's texts: 24 of 24 training examples (100.0%) are "
        "longer and lose the end of their longest text.",
        f"{spec!r} reads 8 tokens of an example's texts: 1 of 2 test examples (50.0%) are longer "
        "and lose the end of their longest text.",
    ]
    read = tokenizer.decode(made.of(spec)([("my card", "now " * 30)])["input_ids"][0])
    assert read == "[CLS] my card [SEP] now now now [SEP]"


@needs_transformers
def test_a_teacher_of_pairs_and_a_student_of_terms_see_the_same_examples(tmp_path):
    write_model(tmp_path, TITLES + BODIES)
    made = networks(PAIR)
    rows = torch.tensor([7, 2])
    tokens = made.examples(f"hf:{tmp_path}", made.data.transfer).inputs(rows)
    terms = made.examples("mlp:4", made.data.transfer).inputs(rows)
    assert made.network(f"hf:{tmp_path}", seed=0).module(tokens).shape == (2, 2)
    assert made.network("mlp:4", seed=0).module(terms).shape == (2, 2)


def alter(folder, change):
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def without_pairs(content):
    content["post_processor"]["pair"] = [
        {"Sequence": {"id": "A", "type_id": 0}},
        {"Sequence": {"id": "B", "type_id": 1}},
    ]


@needs_transformers
def test_a_tokenizer_that_would_run_two_texts_together_is_refused(tmp_path):
    from transformers import PreTrainedTokenizerFast

    write_model(tmp_path, TITLES)
    alter(tmp_path, without_pairs)
    made = PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer.json"), pad_token="[PAD]", sep_token="[SEP]"
    )
    made.save_pretrained(tmp_path)
    with pytest.raises(
        ModelError, match=r"nothing would separate title and body\. Give its post_pro"
    ):
        networks(PAIR).of(f"hf:{tmp_path}")
    alone = Split.from_texts(TITLES, [n % 2 for n in range(N)])
    data = prepare(Dataset("made", alone, alone, ("a", "b")), selection_fraction=0.3)
    assert Preparations(data).of(f"hf:{tmp_path}")(TITLES)["input_ids"].shape[0] == N


@needs_transformers
def test_a_tokenizer_without_any_special_token_is_told(tmp_path):
    from transformers import PreTrainedTokenizerFast

    write_model(tmp_path, TITLES + BODIES)
    alter(tmp_path, lambda content: content.update(post_processor=None))
    made = PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer.json"), pad_token="[PAD]"
    )
    made.save_pretrained(tmp_path)
    (note,) = networks(PAIR).notes(f"hf:{tmp_path}", {})
    assert (
        "puts no token between the texts of an example, so nothing separates title and body" in note
    )


@needs_transformers
def test_a_tokenizer_without_a_separator_takes_two_texts_and_no_more(tmp_path):
    from transformers import PreTrainedTokenizerFast

    write_model(tmp_path, TITLES)
    made = PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer.json"), pad_token="[PAD]"
    )
    made.save_pretrained(tmp_path)
    assert networks(PAIR).of(f"hf:{tmp_path}")(ROWS)["input_ids"].shape[0] == N
    with pytest.raises(ModelError, match=r"no separator token to join 3 with \(title, body, tag\)"):
        networks(THREE).of(f"hf:{tmp_path}")


@needs_transformers
def test_a_model_without_kinds_of_text_takes_pairs(tmp_path):
    from transformers import DebertaV2Config

    write_tokenizer(tmp_path, TITLES + BODIES)
    DebertaV2Config(
        vocab_size=200,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=64,
        type_vocab_size=0,
    ).save_pretrained(tmp_path)
    made = networks(PAIR)
    assert made.network(f"hf:{tmp_path}", seed=0)(ROWS[:3]).shape == (3, 2)


@needs_transformers
def test_a_model_of_one_kind_of_text_refuses_the_marks_of_two(tmp_path):
    write_model(tmp_path, TITLES, type_vocab_size=1)
    made = networks(PAIR)
    with pytest.raises(ModelError, match=r"has 1 kind of text .* with 0 to 1"):
        made.network(f"hf:{tmp_path}", seed=0)
