"""Several texts of an example, and the names that people give to columns."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from goodteacher.config import ReadingConfig, parse, read_toml, to_toml
from goodteacher.data import Dataset, Split, doctor, load_dataset, prepare
from goodteacher.data.column_names import names_examples, texts_that_go_together
from goodteacher.data.sources import load_for
from goodteacher.data.terms import terms_of_columns
from goodteacher.data.texts import (
    TextColumns,
    are_texts,
    as_text_inputs,
    check_rows_of_texts,
    rows_of_columns,
)
from goodteacher.errors import ConfigError, DataError

from .conftest import noted

N = 24
QUESTIONS = [f"where is card {n}" for n in range(N)]
ANSWERS = [f"in drawer {n % 5} I think" for n in range(N)]
LABELS = [n % 3 for n in range(N)]


def save(folder, columns, *, suffix="csv", label="label", labels=LABELS, **test):
    for split in ("train", "test"):
        table = pd.DataFrame({**columns, **({label: labels} if label else {}), **test})
        if suffix == "csv":
            table.to_csv(folder / f"{split}.csv", index=False)
        elif suffix == "jsonl":
            table.to_json(folder / f"{split}.jsonl", orient="records", lines=True)
        else:
            pq.write_table(pa.Table.from_pandas(table), folder / f"{split}.parquet")
    return folder


def columns_of(data):
    return data.spec.columns


# Columns that go together ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["premise", "hypothesis"], ("premise", "hypothesis")),
        (["sentence2", "sentence1"], ("sentence1", "sentence2")),
        (["question_1", "question_2"], ("question_1", "question_2")),
        (["text_a", "text_b", "source"], ("text_a", "text_b")),
        (["q1", "q2"], ("q1", "q2")),
        (["Title", "Body"], ("Title", "Body")),
        (["content", "title"], ("title", "content")),
        (["question", "sentence"], ("question", "sentence")),
        (
            ["best_answer", "question_title", "question_content"],
            ("question_title", "question_content", "best_answer"),
        ),
        (["title", "body", "text"], None),  # two groups
        (["text", "source"], None),
        (["sentence1", "sentence3"], None),
        (["text"], None),
        ([], None),
    ],
)
def test_names_that_go_together(names, expected):
    assert texts_that_go_together(names) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("id", True),
        ("uid", True),
        ("pairID", True),
        ("user_id", True),
        ("Dialogue_ID", True),
        ("review-id", True),
        ("paid", False),
        ("valid", False),
        ("IDEA", False),
        ("text", False),
    ],
)
def test_names_of_columns_that_name_examples(name, expected):
    assert names_examples(name) == expected


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_pair_is_read_from_any_table(tmp_path, suffix):
    folder = save(tmp_path, {"answer": ANSWERS, "question": QUESTIONS}, suffix=suffix)
    data = load_dataset(folder)
    assert columns_of(data) == ("question", "answer")
    assert data.is_text
    assert data.train.texts == tuple(zip(QUESTIONS, ANSWERS, strict=True))
    assert data.train.text_columns["answer"] == tuple(ANSWERS)
    assert str(data.spec) == "2 texts (question, answer)"


def test_a_pair_is_read_through_the_library_of_the_hub(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "pairs"
    folder.mkdir()
    save(folder, {"premise": QUESTIONS, "hypothesis": ANSWERS}, suffix="parquet")
    data = load_dataset(f"hf:{folder}")
    assert columns_of(data) == ("premise", "hypothesis")
    assert data.fingerprint == load_dataset(folder).fingerprint


def test_strings_beside_a_pair_and_names_of_examples_are_left_out_and_told(tmp_path):
    columns = {
        "premise": QUESTIONS,
        "hypothesis": ANSWERS,
        "genre": ["fiction", "travel", "letters", "face to face"] * 6,
        "pairID": [f"{n}x" for n in range(N)],
        "promptID": [n * 7 % 11 for n in range(N)],
    }
    data, told = noted(save(tmp_path, columns))
    assert columns_of(data) == ("premise", "hypothesis")
    assert "columns 'pairID', 'promptID' name examples and are not used as input" in " ".join(told)
    assert "'genre' cannot be combined with texts and is not used as input" in " ".join(told)
    assert "to use others, give --text-column" in " ".join(told)


def test_texts_can_be_named_in_any_order_and_number(tmp_path):
    columns = {"title": QUESTIONS, "body": ANSWERS, "source": ["a", "b"] * 12, "stars": [1] * N}
    folder = save(tmp_path, columns)
    for named in ("body, source,title", ["body", "source", "title"]):
        data = load_dataset(folder, text_column=named)
        assert columns_of(data) == ("body", "source", "title")
        assert data.train.texts[1] == (ANSWERS[1], "b", QUESTIONS[1])
    assert load_dataset(folder, text_column="body").train.texts[1] == ANSWERS[1]
    config = parse(ReadingConfig, data=str(folder), text_column="title,body")
    assert config.text_column == ("title", "body")
    assert columns_of(load_for(config, folder)) == ("title", "body")
    kept = tmp_path / "settings.toml"
    kept.write_text(to_toml(config))
    assert parse(ReadingConfig, **read_toml(kept)) == config


@pytest.mark.parametrize(
    ("named", "error", "message"),
    [
        ("title,text", ConfigError, r"text_column = 'text' is not in .*'title', 'body'"),
        ("title,stars", DataError, "'stars' must be a column of strings"),
        ("title,title", DataError, "names a column twice"),
        ("title,label", DataError, "text_column names 'label', which holds the labels"),
    ],
)
def test_columns_that_are_no_texts_cannot_be_named(tmp_path, named, error, message):
    columns = {"title": QUESTIONS, "body": ANSWERS, "stars": [1] * N}
    folder = save(tmp_path, columns, labels=["loan", "card"] * (N // 2))
    with pytest.raises(error, match=message):
        load_dataset(folder, text_column=named)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"text": QUESTIONS, "source": ANSWERS},
            r"has 2 columns of texts \(text, source\)\. Choose one with --text-column text, or",
        ),
        (
            {"my text": QUESTIONS, "b": ANSWERS},
            r"with --text-column 'my text,b'; the others",
        ),
        (
            {"title": QUESTIONS, "body": ANSWERS, "text": QUESTIONS},
            r"has 3 columns of texts \(title, body, text\)",
        ),
        (
            {"premise": QUESTIONS, "hypothesis": ANSWERS, "score": [0.5, 1.5] * 12},
            r"has both \(text: premise, hypothesis; others: score\).*"
            "--text-column premise,hypothesis",
        ),
        (
            {"question1": QUESTIONS, "question2": ["1", "2", "?", "4"] * 6},
            "'question2' of the train split .* is taken as numbers",
        ),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_columns_and_what_to_type(
    tmp_path, columns, message
):
    with pytest.raises(DataError, match=f"(?s){message}"):
        load_dataset(save(tmp_path, columns))


def test_a_missing_text_is_refused_with_its_column(tmp_path):
    answers = [*ANSWERS[:-1], None]
    folder = save(tmp_path, {"question": QUESTIONS, "answer": answers}, suffix="parquet")
    with pytest.raises(DataError, match=r"1 of 24 in column 'answer' of the train .*rows 23"):
        load_dataset(folder)


def test_a_test_table_without_one_of_the_columns_is_refused(tmp_path):
    save(tmp_path, {"question": QUESTIONS, "answer": ANSWERS})
    table = pd.DataFrame({"question": QUESTIONS, "label": LABELS})
    table.to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(DataError, match=r"test split of .* lacks 'answer'"):
        load_dataset(tmp_path)


# Given in Python ---------------------------------------------------------------------------------


def given(train, test=None):
    return {
        "x_train": train,
        "y_train": LABELS,
        "x_test": train if test is None else test,
        "y_test": LABELS,
    }


def as_objects(values):
    return np.array(values, dtype=object)


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ({"a": QUESTIONS, "b": ANSWERS}, ("a", "b")),
        ({"a": np.array(QUESTIONS), "b": pd.Series(ANSWERS)}, ("a", "b")),
        (list(zip(QUESTIONS, ANSWERS, strict=True)), ("text1", "text2")),
        (np.array([QUESTIONS, ANSWERS]).T, ("text1", "text2")),
        (as_objects(list(zip(QUESTIONS, ANSWERS, strict=True))), ("text1", "text2")),
        (pd.DataFrame({"a": QUESTIONS, "b": ANSWERS}).to_numpy(), ("text1", "text2")),
    ],
    ids=["lists", "columns", "tuples", "array", "objects", "frame"],
)
def test_texts_given_in_python(texts, names):
    data = load_dataset(given(texts))
    assert columns_of(data) == names
    assert data.train.texts == tuple(zip(QUESTIONS, ANSWERS, strict=True))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([("a", "b"), ("c",)] * (N // 2), r"Each example is 2 texts .* but 12 of 24 are not"),
        (["a", 3] * (N // 2), "Texts must be strings, but 12 of 24 are int"),
        ([[1.0, 2.0], [3.0]] * (N // 2), "Do its rows differ in length"),
    ],
)
def test_lists_whose_rows_differ_are_refused(texts, message):
    with pytest.raises(DataError, match=message):
        load_dataset(given(texts))


def test_a_column_of_strings_of_pandas_is_texts():
    assert load_dataset(given(pd.Series(QUESTIONS))).train.texts == tuple(QUESTIONS)


def test_columns_of_other_splits_are_brought_into_the_order_of_train():
    turned = {"b": ANSWERS, "a": QUESTIONS}
    data = load_dataset(given({"a": QUESTIONS, "b": ANSWERS}, turned))
    assert data.test.texts == data.train.texts


def test_an_npz_file_and_a_folder_of_arrays_hold_columns_by_name(tmp_path):
    arrays = {}
    for split in ("train", "test"):
        arrays |= {f"x_{split}.question": np.array(QUESTIONS), f"x_{split}.answer": ANSWERS}
        arrays |= {f"y_{split}": np.array(LABELS)}
    np.savez(tmp_path / "pairs.npz", **arrays)
    data = load_dataset(tmp_path / "pairs.npz")
    assert columns_of(data) == ("question", "answer")
    (tmp_path / "folder").mkdir()
    for name, array in arrays.items():
        np.save(tmp_path / "folder" / f"{name}.npy", array)
    found = load_dataset(tmp_path / "folder")
    assert set(columns_of(found)) == {"question", "answer"}
    assert found.train.text_columns == data.train.text_columns


def test_texts_in_arrow_files_of_arrays_are_refused_with_what_to_do(tmp_path):
    table = pa.table({"question": QUESTIONS, "answer": ANSWERS})
    for split in ("train", "test"):
        with (
            pa.OSFile(str(tmp_path / f"x_{split}.arrow"), "wb") as file,
            pa.ipc.new_file(file, table.schema) as to,
        ):
            to.write_table(table)
        np.save(tmp_path / f"y_{split}.npy", LABELS)
    with pytest.raises(
        DataError, match=r"column 'question' of .* contains texts, .* train\.parquet"
    ):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ({"a": QUESTIONS, "b": np.zeros((N, 2))}, None, r"'a' contain texts and 'b' do not"),
        ({"a": QUESTIONS, "b": ANSWERS[:3]}, None, "lengths differ: a 24, b 3"),
        ({"a": QUESTIONS}, None, "need at least two columns, but there are 1"),
        ({"a": QUESTIONS, "b": ANSWERS}, {"a": QUESTIONS, "c": ANSWERS}, "must have the same type"),
        ({"a": QUESTIONS, "b": ANSWERS}, QUESTIONS, r"train are 2 texts \(a, b\) and .* texts"),
    ],
)
def test_texts_that_do_not_fit_together_are_refused(train, test, message):
    with pytest.raises(DataError, match=message):
        load_dataset(given(train, test))


def test_examples_with_different_numbers_of_texts_are_refused():
    with pytest.raises(DataError, match=r"1 of 2 are not \(at 1; the first is a tuple of 1 \(str"):
        Split.from_texts([("a", "b"), ("c",)], [0, 1])
    with pytest.raises(DataError, match="must be a list of strings, but their type is int"):
        as_text_inputs({"a": ["x"], "b": 5})
    with pytest.raises(DataError, match="the first is a str"):
        as_text_inputs([("a", "b"), "c"])
    with pytest.raises(DataError, match=r"tuple of 2 \(NoneType, str\)"):
        check_rows_of_texts([("a", None)], ["x", "y"])
    with pytest.raises(DataError, match="but got a str"):
        check_rows_of_texts("ab", ["x", "y"])


def test_columns_of_a_dictionary_are_taken_by_name():
    frame = pd.DataFrame({"more": [0, 1], "b": ["x", "y"], "a": ["v", "w"]})
    assert rows_of_columns(frame, ["a", "b"]) == [("v", "x"), ("w", "y")]
    assert rows_of_columns({"a": [], "b": []}, ["a", "b"]) == []
    with pytest.raises(DataError, match=r"the columns given are a, c\. Give a list for each of"):
        rows_of_columns({"a": ["x"], "c": ["y"]}, ["a", "b"])
    with pytest.raises(DataError, match="and no other column"):
        rows_of_columns({"a": ["x"], "b": ["y"], "c": ["z"]}, ["a", "b"])
    with pytest.raises(DataError, match="lengths differ"):
        rows_of_columns({"a": ["x"], "b": ["y", "z"]}, ["a", "b"])


def test_what_is_text_is_told_by_its_first_entry():
    assert are_texts(np.array(["a"]))
    assert are_texts(pd.Series(["a"]))
    assert not any(map(are_texts, [[], "a", [1], [[1.0]], [()], np.zeros((2, 2)), None, 5]))


# The parts of a study, and the doctor ------------------------------------------------------------


def made(train, test, labels=(0, 1)):
    splits = [
        Split.from_texts({"a": a, "b": b}, (list(labels) * len(a))[: len(a)])
        for a, b in (train, test)
    ]
    return Dataset("made", splits[0], splits[1], ("even", "odd"))


def codes(train, test):
    return {(f.code, f.severity): f.message for f in doctor(made(train, test))}


def test_parts_of_a_study_keep_the_texts_of_an_example_together():
    data = made((QUESTIONS, ANSWERS), (QUESTIONS, ANSWERS))
    parts = prepare(data, selection_fraction=0.25)
    for split in (parts.training, parts.selection):
        rows = split.ids.tolist()
        assert split.texts == tuple((QUESTIONS[row], ANSWERS[row]) for row in rows)
    assert parts.spec.columns == ("a", "b")
    with pytest.raises(AttributeError, match="sealed"):
        _ = parts.test.text_columns


def test_fingerprint_is_of_each_column_its_name_and_the_order():
    def fingerprint(**columns):
        split = Split.from_texts(columns, [0, 1])
        return Dataset("any", split, split, ("a", "b")).fingerprint

    x, y = ["p", "qr"], ["s", ""]
    assert fingerprint(a=x, b=y) == fingerprint(a=x, b=y)
    others = (
        fingerprint(b=y, a=x),
        fingerprint(a=y, b=x),
        fingerprint(a=x, c=y),
        fingerprint(a=["p", "q"], b=["s", "r"]),
        fingerprint(a=x, b=y, c=y),
    )
    assert len({fingerprint(a=x, b=y), *others}) == 6


def test_doctor_takes_an_example_for_another_only_where_all_texts_are_the_same():
    train = ([*QUESTIONS, "x"], [*ANSWERS, "y z"])
    assert ("leakage", "warning") not in codes(train, (["x y"], ["z"]))  # the same words
    assert ("leakage", "error") not in codes(train, (["x", "y z"], ["other", "x"]))
    found = codes(train, (["x", *QUESTIONS[:20]], ["y z", *ANSWERS[1:21]]))
    assert "1 of 21 test examples" in found["leakage", "warning"]
    twice = codes((QUESTIONS + QUESTIONS[:1], ANSWERS + ANSWERS[:1]), (["new"], ["text"]))
    assert "1 of 25 training examples" in twice["duplicates", "warning"]


def test_doctor_tells_empty_examples_from_empty_columns():
    found = codes((["", "a", "b c"] * 8, [" ", "", "d"] * 8), (["a"], ["d"]))
    assert "8 of 24 training texts are empty" in found["empty_text", "warning"]
    assert "In column 'b', 16 of 24 training texts are empty" in found["empty_text", "info"]


def test_doctor_counts_an_example_as_unknown_only_where_no_column_has_a_term():
    test = (["where", "zzz", "vvv", "card"], ["qqq", "drawer", "www", "drawer"])
    found = codes((QUESTIONS, ANSWERS), test)
    assert "1 of 4 test texts (25%) have no term" in found["unknown_terms", "warning"]
    found = codes((QUESTIONS, [""] * N), test)
    assert "In the column 'b': Texts must contain words" in found["unknown_terms", "error"]


def test_terms_are_divided_evenly_and_what_a_column_cannot_fill_goes_to_the_others():
    many = [f"w{n} x{n} y{n} z{n}" for n in range(9)] * 3
    columns = {"few": ["one two", "one"] * 13 + ["one"], "many": many, "more": many}
    found = terms_of_columns(columns, max_terms=21)
    assert {name: len(terms.names) for name, terms in found.items()} == {
        "few": 3,  # one, two, one two
        "many": 9,
        "more": 9,
    }
    assert all(terms.num_texts.shape == (len(terms.names),) for terms in found.values())
    with pytest.raises(DataError, match="2 terms cannot be divided among the 3 columns"):
        terms_of_columns(columns, max_terms=2)


def test_each_column_has_words_or_characters_as_its_texts_need():
    chinese = ["银行卡丢了", "我的卡被偷了", "卡片遗失", "转账还没到", "汇款失败了", "转账被拒绝"]
    english = ["my card is lost", "the card is here", "lost card"] * 2
    found = terms_of_columns({"one": english, "two": chinese})
    assert (found["one"].analyzer, found["two"].analyzer) == ("word", "char")


# Names of labels and of classes ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["label", "labels", "target", "Class", "intent", "category", "Topic", "sentiment", "emotion"],
)
def test_labels_are_found_by_the_names_that_people_use(tmp_path, name):
    labels = [("cash", "card", "loan")[label] for label in LABELS]
    data = load_dataset(save(tmp_path, {"utterance": QUESTIONS}, label=name, labels=labels))
    assert data.class_names == ("card", "cash", "loan")
    assert data.train.texts == tuple(QUESTIONS)


@pytest.mark.parametrize("text", ["text", "sentence", "content", "review", "utterance", "Tweet"])
@pytest.mark.parametrize("index", ["idx", "id", "uid"])
def test_texts_and_ids_are_found_by_the_names_that_people_use(tmp_path, text, index):
    values = [str(n) + "-x" for n in range(N)] if index == "uid" else np.arange(N)
    data, told = noted(save(tmp_path, {index: values, text: QUESTIONS}))
    assert data.train.texts == tuple(QUESTIONS)
    assert bool(told) == (index != "id")  # integers called id are the ids


def test_several_columns_that_may_be_the_label_are_refused_by_name(tmp_path):
    columns = {"text": QUESTIONS, "topic": ["a", "b"] * 12}
    folder = save(tmp_path, columns, label="sentiment")
    with pytest.raises(
        DataError, match=r"has 'topic', 'sentiment'\. Say which one, for example --target to"
    ):
        load_dataset(folder)
    assert load_dataset(folder, target="sentiment", text_column="text").num_classes == 3


def test_the_fine_label_is_taken_and_the_coarse_one_where_it_is_named(tmp_path):
    coarse = [("x", "y")[label > 0] for label in LABELS]
    folder = save(tmp_path, {"text": QUESTIONS, "coarse_label": coarse}, label="fine_label")
    data, told = noted(folder)
    assert data.num_classes == 3
    assert "'coarse_label' has the name of a label" in " ".join(told)
    data, told = noted(folder, target="coarse_label")
    assert data.class_names == ("x", "y")
    assert "'fine_label' has the name of a label" in " ".join(told)


@pytest.mark.parametrize("column", ["label_text", "label_name", "Label_Text", "class_name"])
@pytest.mark.parametrize("first", [0, 1])
def test_names_beside_labels_are_names_of_classes(tmp_path, column, first):
    names = ["zero", "first", "other"]
    columns = {"text": QUESTIONS, column: [names[label] for label in LABELS]}
    folder = save(tmp_path, columns, labels=[label + first for label in LABELS])
    data, _ = noted(folder)
    assert data.class_names == ("zero", "first", "other")  # in the order of the labels
    assert data.train.labels.tolist() == LABELS
    assert [note.code for note in data.notes] == ["labels_from_one"] * first


def test_names_of_classes_are_those_of_all_splits_and_numbers_where_nobody_says(tmp_path):
    for split, labels in (("train", [0, 1, 3, 4] * 6), ("test", [0, 2] * 12)):
        names = [f"name {label}" if label != 3 else None for label in labels]
        table = {"text": QUESTIONS, "label": labels, "label_text": names}
        pq.write_table(pa.table(table), tmp_path / f"{split}.parquet")
    with pytest.raises(DataError, match="name 2"):  # no training example has it
        load_dataset(tmp_path)
    train = {"text": QUESTIONS, "label": [0, 1, 3, 2] * 6}
    train["label_text"] = [None if n == 3 else f"name {n}" for n in train["label"]]
    pq.write_table(pa.table(train), tmp_path / "train.parquet")
    assert load_dataset(tmp_path).class_names == ("name 0", "name 1", "name 2", "3")


@pytest.mark.parametrize(
    "names", [["a", "b", "c", "d"] * 6, ["same", "same", "other"] * 8], ids=["several", "shared"]
)
def test_names_that_do_not_go_with_labels_are_no_names_of_classes(tmp_path, names):
    data, told = noted(save(tmp_path, {"text": QUESTIONS, "label_text": names}))
    assert data.class_names == ("0", "1", "2")
    assert "'label_text' cannot be used as class names" in " ".join(told)


def test_names_of_the_schema_win_over_a_column_of_names(tmp_path):
    features = {"label": {"_type": "ClassLabel", "names": ["x", "y", "z"]}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    columns = {"text": QUESTIONS, "label": LABELS, "label_text": ["p", "q", "r"] * 8}
    for split in ("train", "test"):
        table = pa.table(columns).replace_schema_metadata(metadata)
        pq.write_table(table, tmp_path / f"{split}.parquet")
    data, _ = noted(tmp_path)
    assert data.class_names == ("x", "y", "z")


def test_the_column_of_names_is_the_label_where_there_is_no_other(tmp_path):
    names = [("p", "q", "r")[label] for label in LABELS]
    data = load_dataset(save(tmp_path, {"text": QUESTIONS}, label="label_text", labels=names))
    assert data.class_names == ("p", "q", "r")


def test_names_of_classes_beside_numbers_are_no_feature(tmp_path):
    columns = {"height": np.random.default_rng(0).normal(size=N), "label_text": ["p", "q", "r"] * 8}
    data = load_dataset(save(tmp_path, columns))
    assert (data.feature_names, data.class_names) == (("height",), ("p", "q", "r"))
    assert torch.equal(data.train.labels, torch.tensor(LABELS))


def test_columns_are_what_they_say(tmp_path):
    inputs = TextColumns({"a": tuple(QUESTIONS), "b": tuple(ANSWERS)})
    assert len(inputs) == N
    assert inputs.nbytes == 0
    assert inputs.subset(torch.tensor([3])).columns == {"a": (QUESTIONS[3],), "b": (ANSWERS[3],)}
