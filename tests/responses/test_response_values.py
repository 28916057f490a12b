"""What the numbers of a response are: probabilities of any precision, truncated rows, votes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from safetensors.torch import save_file

from goodteacher.errors import DataError, ResponseError
from goodteacher.maths.similarity import similarity_information
from goodteacher.responses import Response, as_response, read_labels, read_response

RNG = np.random.default_rng(0)


def logits(num_examples=200, num_classes=10, scale=3.0, seed=0):
    rng = np.random.default_rng(seed)
    return (scale * rng.normal(size=(num_examples, num_classes))).astype(np.float32)


def softmax(values):
    return torch.from_numpy(np.asarray(values, dtype=np.float64)).softmax(1).numpy()


def top_k(values, k, filler=0.0):
    ranks = values.argsort(1).argsort(1)
    return np.where(ranks >= values.shape[1] - k, values, filler)


# --- every way in is examined alike --------------------------------------------------------------

FORMS = {
    "array": lambda values, folder: values,
    "tensor": lambda values, folder: torch.tensor(values),
    "float16 tensor": lambda values, folder: torch.tensor(values).half(),
    "bfloat16 tensor": lambda values, folder: torch.tensor(values).bfloat16(),
    "response": lambda values, folder: Response(
        torch.tensor(values).float(), torch.arange(len(values))
    ),
    "mapping": lambda values, folder: {"logits": values},
    "data frame": lambda values, folder: pd.DataFrame(values),
    "list": lambda values, folder: values.tolist(),
    "file": lambda values, folder: saved(values, folder),
}
every_form = pytest.mark.parametrize("form", FORMS)


def saved(values, folder):
    np.save(folder / "r.npy", values)
    return folder / "r.npy"


@every_form
def test_probabilities_without_the_flag_are_refused_in_every_form(form, tmp_path):
    with pytest.raises(ResponseError, match=r"look like probabilities\. Pass probabilities=True"):
        as_response(FORMS[form](softmax(logits()), tmp_path))


@every_form
def test_probabilities_with_the_flag_are_read_in_every_form(form, tmp_path):
    wanted = softmax(logits())
    found = as_response(FORMS[form](wanted, tmp_path), probabilities=True)
    np.testing.assert_allclose(found.logits.softmax(1), wanted, rtol=0.01, atol=1e-4)


@every_form
def test_logits_are_read_as_they_are_in_every_form(form, tmp_path):
    found = as_response(FORMS[form](logits(), tmp_path))
    np.testing.assert_allclose(found.logits, logits(), rtol=0.01, atol=0.01)
    assert found.notes == ()


def test_a_response_of_logits_stays_one_though_the_flag_is_for_the_others():
    given = Response(torch.from_numpy(logits()), torch.arange(200))
    assert torch.equal(as_response(given, probabilities=True).logits, given.logits)


# --- precision of probabilities ------------------------------------------------------------------

ROUNDED = {
    "float16": lambda p: p.astype(np.float16),
    "bfloat16": lambda p: torch.tensor(p).bfloat16().float().numpy(),
    "three decimals": lambda p: p.round(3),
    "three decimals in float32": lambda p: p.round(3).astype(np.float32),
    "two decimals": lambda p: p.round(2),
}


@pytest.mark.parametrize("num_classes", [2, 10, 100, 1000])
@pytest.mark.parametrize("precision", ROUNDED)
def test_rounded_probabilities_are_recognised(precision, num_classes):
    rounded = ROUNDED[precision](softmax(logits(num_classes=num_classes, scale=4.0)))
    with pytest.raises(ResponseError, match="look like probabilities"):
        as_response(rounded)
    found = as_response(rounded, probabilities=True)
    torch.testing.assert_close(
        found.logits.double().exp().sum(1), torch.ones(200).double(), atol=1e-5, rtol=0
    )


def test_rows_that_miss_one_are_renormalised_and_told():
    rounded = softmax(logits(num_classes=300)).round(3)
    notes = as_response(rounded, probabilities=True).notes
    assert "do not sum to exactly 1 (off by up to" in notes[0]
    assert "exactly 0 and stay 0 at every temperature" in notes[1]
    assert as_response(softmax(logits()), probabilities=True).notes == ()


def test_rows_that_rounding_does_not_explain_are_refused():
    lost = softmax(logits())
    lost[7] *= 0.98
    with pytest.raises(ResponseError, match="1 of 200 rows do not; the first is row 7"):
        as_response(lost, probabilities=True)


def test_sigmoid_outputs_are_no_distribution():
    yes_no = 1 / (1 + np.exp(-logits()))
    with pytest.raises(ResponseError, match=r"separate yes/no \(sigmoid\) outputs"):
        as_response(yes_no, probabilities=True)
    assert "are between 0 and 1" in as_response(yes_no).notes[0]


@pytest.mark.parametrize("shape", [(50,), (50, 1)])
def test_one_column_is_told_to_need_two(shape):
    with pytest.raises(ResponseError, match=r"one number for each of 50 examples.*1 - p and p"):
        as_response(np.full(shape, 0.5), probabilities=True)


# --- zero, infinity ------------------------------------------------------------------------------


def test_minus_infinity_is_probability_zero():
    masked = logits()
    masked[:, 3] = -np.inf
    found = as_response(masked)
    assert (found.logits.softmax(1)[:, 3] == 0).all()


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("probabilities", [False, True])
def test_plus_infinity_and_nan_are_refused(value, probabilities):
    values = softmax(logits()) if probabilities else logits()
    values[3, 2] = value
    with pytest.raises(
        ResponseError, match="1 of 200 rows of the response contain NaN or infinity"
    ):
        as_response(values, probabilities=probabilities)


def test_a_row_of_minus_infinity_alone_is_refused():
    values = logits()
    values[3] = -np.inf
    with pytest.raises(ResponseError, match="1 of 200 rows"):
        as_response(values)


# --- truncated rows ------------------------------------------------------------------------------


def test_top_k_with_zeros_is_read_with_a_uniform_tail_and_told():
    whole = softmax(logits(num_classes=50, scale=1.0))
    found = as_response(top_k(whole, 3), probabilities=True)
    assert "contains the 3 largest of 50 classes of each row" in found.notes[0]
    kept = top_k(whole, 3) > 0
    np.testing.assert_allclose(found.logits.exp().numpy()[kept], whole[kept], rtol=1e-5)
    tail = found.logits.exp().numpy()[~kept].reshape(200, 47)
    np.testing.assert_allclose(tail, tail[:, :1].repeat(47, 1), rtol=1e-5)


def test_similarity_of_top_k_is_near_that_of_the_whole_response_at_high_temperature():
    """Read as whole, zeros are infinitely unlike: S at T = 4 was many times too large."""
    values = logits(400, 50, scale=1.0, seed=1)
    values[:, 0] += 4
    labels = torch.zeros(400, dtype=torch.int64)
    whole = as_response(softmax(values), probabilities=True).logits
    read = as_response(top_k(softmax(values), 3), probabilities=True).logits
    cut = torch.from_numpy(top_k(softmax(values), 3)).log()
    at = {"temperature": 4.0}
    truth = similarity_information(whole, labels, **at).total
    assert similarity_information(read, labels, **at).total < 3 * truth
    assert similarity_information(cut, labels, **at).total > 10 * truth


@pytest.mark.parametrize("k", [2, 3, 5, 9])
def test_renormalised_top_k_is_refused(k):
    cut = top_k(softmax(logits()), k)
    with pytest.raises(ResponseError, match=f"holds only the {k} largest of 10 classes"):
        as_response(cut / cut.sum(1, keepdims=True), probabilities=True)


def test_top_k_without_the_flag_asks_for_it():
    with pytest.raises(ResponseError, match="probabilities of their 3 largest classes"):
        as_response(top_k(softmax(logits()), 3))


@pytest.mark.parametrize("filler", [0.0, -100.0, -1e4, -1e9, -np.inf])
def test_logits_of_the_largest_classes_are_refused_whatever_fills_the_rest(filler):
    with pytest.raises(ResponseError, match="holds only the 3 largest of 10 classes"):
        as_response(top_k(logits() + 5, 3, filler))


def test_log_probabilities_of_clipped_renormalised_rows_are_refused():
    cut = top_k(softmax(logits()), 3)
    logs = np.log(np.maximum(cut / cut.sum(1, keepdims=True), 1e-12))
    with pytest.raises(ResponseError, match="holds only the 3 largest of 10 classes"):
        as_response(logs)


@pytest.mark.parametrize("filler", [-np.inf, -1e9])
def test_log_probabilities_of_the_largest_classes_are_read_with_a_uniform_tail(filler):
    whole = np.log(softmax(logits(scale=1.5)))
    found = as_response(top_k(whole, 4, filler))
    assert "contains the 4 largest of 10 classes" in found.notes[0]
    assert torch.isfinite(found.logits).all()


def test_top_k_of_which_some_rounded_to_zero_is_still_seen():
    cut = top_k(softmax(logits(num_classes=30, scale=1.5)), 5)
    cut = (cut / cut.sum(1, keepdims=True)).astype(np.float16)
    cut[::7][cut[::7] < 0.05] = 0
    cut = cut.astype(np.float64)
    with pytest.raises(ResponseError, match="holds only the 5 largest"):
        as_response(cut / cut.sum(1, keepdims=True), probabilities=True)


WHOLE = {
    "a confident teacher in float16": softmax(logits(scale=30.0)).astype(np.float16),
    "three decimals": softmax(logits(scale=6.0)).round(3),
    "three classes, three decimals": softmax(logits(num_classes=3, scale=8.0)).round(3),
    "five trees": np.stack(
        [np.bincount(RNG.integers(0, 10, 5), minlength=10) / 5 for _ in range(200)]
    ),
    "groups that exclude one another": np.kron(np.eye(5), np.ones((40, 2)))
    * softmax(logits(scale=1.0))[:, [0]]
    + np.kron(np.eye(5), np.ones((40, 2)) * [1, 0]) * (1 - 2 * softmax(logits(scale=1.0))[:, [0]]),
    "a class that no row has": np.insert(softmax(logits(num_classes=9)), 4, 0.0, axis=1),
    "hard labels": np.eye(10)[RNG.integers(0, 10, 200)],
}


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_responses_with_zeros_are_not_called_truncated(kind):
    values = WHOLE[kind]
    found = as_response(values, probabilities=True)
    np.testing.assert_array_equal((found.logits.exp() == 0).numpy(), values == 0)


@pytest.mark.parametrize(
    "values",
    [
        logits().round(1),
        np.maximum(logits(), 0),  # a last layer with ReLU
        np.clip(logits(), -3, 3),
        torch.tensor(logits(num_classes=300)).bfloat16().float().numpy(),
        4.0 * np.eye(10)[RNG.integers(0, 10, 200)],
        np.log(np.clip(softmax(logits(scale=8.0)), 1e-7, 1)),
    ],
    ids=["rounded", "relu", "clipped", "bfloat16", "hard", "clipped log-probabilities"],
)
def test_logits_with_equal_values_are_not_called_truncated(values):
    np.testing.assert_array_equal(as_response(values).logits, values.astype(np.float32))


# --- other numbers -------------------------------------------------------------------------------


def test_votes_and_per_cent_are_refused_with_what_to_divide_by():
    votes = np.stack([np.bincount(RNG.integers(0, 10, 100), minlength=10) for _ in range(50)])
    with pytest.raises(ResponseError, match=r"look like percentages\. Divide them by 100"):
        as_response(votes)
    with pytest.raises(ResponseError, match="sums to 100, so these are percentages"):
        as_response(100 * softmax(logits()), probabilities=True)
    few = np.stack([np.bincount(RNG.integers(0, 10, 30), minlength=10) for _ in range(50)])
    with pytest.raises(ResponseError, match=r"look like votes\. Divide them by 30"):
        as_response(few)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_quantised_logits_need_their_scale(dtype):
    with pytest.raises(ResponseError, match=r"quantised network's output.*scale"):
        as_response(np.clip(logits() * 10, 0, 100).astype(dtype))


def test_lists_of_different_length_and_objects_are_refused():
    with pytest.raises(ResponseError, match="not an array of numbers"):
        as_response([[1.0, 2.0], [1.0]])
    with pytest.raises(ResponseError, match="is object of shape"):
        as_response(np.array([[1.0, None]], dtype=object))


# --- tables --------------------------------------------------------------------------------------


def written(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "a;b\n1.5;-2\n0;3\n",
        "a;b\n1,5;-2,0\n0,0;3,0\n",
        "a\tb\n1.5\t-2\n0\t3\n",
        b"\xef\xbb\xbfa,b\n1.5,-2\n0,3\n",
        "a,b\r\n1.5,-2\r\n0,3\r\n",
        " a , b \n1.5,-2\n0,3\n",
    ],
    ids=["semicolons", "decimal commas", "tabs", "byte order mark", "carriage returns", "blanks"],
)
def test_text_tables_of_every_country_are_read(tmp_path, text):
    found = read_response(written(tmp_path / "r.csv", text))
    assert found.logits.tolist() == [[1.5, -2.0], [0.0, 3.0]]
    assert found.class_names == ("a", "b")


def test_compressed_and_tab_separated_text_is_read(tmp_path):
    frame = pd.DataFrame(logits(), columns=[f"logit_{c}" for c in range(10)])
    frame.to_csv(tmp_path / "r.csv.gz", index=False)
    frame.to_csv(tmp_path / "r.tsv", index=False, sep="\t")
    for name in ("r.csv.gz", "r.tsv"):
        np.testing.assert_allclose(read_response(tmp_path / name).logits, logits(), rtol=1e-5)


def test_text_in_utf_16_is_refused_with_what_to_save(tmp_path):
    with pytest.raises(ResponseError, match=r"it is UTF-16\. Save it as CSV UTF-8"):
        read_response(written(tmp_path / "r.csv", "a,b\n1,2\n".encode("utf-16")))


BESIDE = pd.DataFrame(logits(), columns=[f"logit_{c}" for c in range(10)])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("pred", logits().argmax(1)),
        ("prediction", logits().argmax(1)),
        ("argmax", logits().argmax(1)),
        ("confidence", logits().max(1)),
        ("file", [f"{i}.png" for i in range(200)]),
        ("whatever", ["text"] * 200),
        ("correct", [True] * 200),
        ("Unnamed: 0", np.arange(200)),
        ("index", np.arange(200)),
        ("label", [0] * 200),
        ("target", [0] * 200),
        ("seconds", np.linspace(0, 1, 200)),
    ],
)
@pytest.mark.parametrize("columns", ["numbered", "named"])
def test_what_is_no_class_is_never_made_one(tmp_path, name, values, columns):
    frame = BESIDE if columns == "numbered" else BESIDE.set_axis(list("abcdefghij"), axis=1)
    frame = frame.assign(**{name: values})
    frame.to_csv(tmp_path / "r.csv", index=False)
    known = list("abcdefghij") if columns == "named" else ()
    if columns == "named" and name == "seconds":
        with pytest.raises(ResponseError, match="'seconds' is not one of the data's 10 classes"):
            read_response(tmp_path / "r.csv", class_names=known)
        return
    found = read_response(tmp_path / "r.csv", class_names=known)
    np.testing.assert_allclose(found.logits, logits(), rtol=1e-5)
    assert name == "label" or any(repr(name) in note for note in found.notes)


def test_the_index_that_pandas_writes_is_left_out_if_it_numbers_the_rows(tmp_path):
    BESIDE.to_csv(tmp_path / "r.csv")
    assert "contains row numbers" in read_response(tmp_path / "r.csv").notes[0]
    BESIDE.sample(frac=1, random_state=0).to_csv(tmp_path / "moved.csv")
    with pytest.raises(ResponseError, match="call it 'id'; otherwise remove it"):
        read_response(tmp_path / "moved.csv")


def test_a_class_called_like_a_special_column_is_a_class_where_the_data_say_so(tmp_path):
    names = ["index", "label", "file"]
    pd.DataFrame(logits(num_classes=3), columns=names).to_csv(tmp_path / "r.csv", index=False)
    found = read_response(tmp_path / "r.csv", class_names=names)
    np.testing.assert_allclose(found.logits, logits(num_classes=3), rtol=1e-5)


def test_of_logits_and_probabilities_in_one_table_the_asked_for_are_read(tmp_path):
    both = {f"prob_{c}": column for c, column in zip("xyz", softmax(logits(9, 3)).T, strict=True)}
    both |= {f"logit_{c}": column for c, column in zip("xyz", logits(9, 3).T, strict=True)}
    pd.DataFrame(both).to_csv(tmp_path / "r.csv", index=False)
    np.testing.assert_allclose(read_response(tmp_path / "r.csv").logits, logits(9, 3), rtol=1e-5)
    found = read_response(tmp_path / "r.csv", probabilities=True)
    np.testing.assert_allclose(found.logits.exp(), softmax(logits(9, 3)), rtol=1e-5)
    assert found.class_names == ("prob_x", "prob_y", "prob_z")


def test_columns_that_count_are_put_in_the_order_of_their_numbers(tmp_path):
    order = sorted(range(12), key=str)  # 0, 1, 10, 11, 2, ...
    values = logits(num_classes=12)
    frame = pd.DataFrame(values[:, order], columns=[f"p_{c}" for c in order])
    frame.to_parquet(tmp_path / "r.parquet", index=False)
    np.testing.assert_array_equal(read_response(tmp_path / "r.parquet").logits, values)


def test_class_names_are_read_from_arrays_and_metadata(tmp_path):
    names, values = ["cat", "dog", "emu"], logits(9, 3)
    np.savez(tmp_path / "r.npz", logits=values, classes=np.array(names))
    save_file(
        {"logits": torch.from_numpy(values)},
        tmp_path / "r.safetensors",
        metadata={"class_names": '["cat", "dog", "emu"]'},
    )
    table = pa.table({"logits": values.tolist()}).replace_schema_metadata(
        {"classes": "cat,dog,emu"}
    )
    pyarrow.parquet.write_table(table, tmp_path / "r.parquet")
    for name in ("r.npz", "r.safetensors", "r.parquet"):
        assert read_response(tmp_path / name).class_names == ("cat", "dog", "emu")
    np.savez(tmp_path / "two.npz", logits=values, classes=np.array(names[:2]))
    with pytest.raises(ResponseError, match="2 classes are named, but the response has 3"):
        read_response(tmp_path / "two.npz")


def test_an_array_without_a_name_in_npz_is_the_response(tmp_path):
    np.savez(tmp_path / "r.npz", logits())
    np.testing.assert_array_equal(read_response(tmp_path / "r.npz").logits, logits())


def test_ids_may_be_text_or_floats_or_a_column_of_whole_numbers(tmp_path):
    for ids in (
        np.array(["00012", "3", "-1"]),
        np.array([12.0, 3, -1]),
        np.array([[12], [3], [-1]]),
    ):
        np.savez(tmp_path / "r.npz", logits=logits(3), ids=ids)
        assert read_response(tmp_path / "r.npz").ids.tolist() == [12, 3, -1]
    np.savez(tmp_path / "r.npz", logits=logits(3), ids=np.array(["012", "12", "3"]))
    with pytest.raises(ResponseError, match="must be unique, but 1 appear more than once: 12"):
        read_response(tmp_path / "r.npz")


def test_a_data_frame_may_carry_ids_in_its_index_only_by_name():
    moved = pd.DataFrame(logits(5), index=[4, 2, 0, 1, 3])
    with pytest.raises(ResponseError, match=r"index is not 0\.\.4.*rename_axis\('id'\)"):
        as_response(moved)
    assert as_response(moved.rename_axis("id")).ids.tolist() == [4, 2, 0, 1, 3]


def test_pickles_of_pytorch_are_refused_with_what_to_save(tmp_path):
    torch.save(torch.from_numpy(logits()), tmp_path / "r.pt")
    with pytest.raises(ResponseError, match=r"goodteacher never reads it\. Save the logits with"):
        read_response(tmp_path / "r.pt")


# --- labels --------------------------------------------------------------------------------------


def test_labels_may_be_a_column_or_names_or_numerals(tmp_path):
    np.save(tmp_path / "l.npy", np.array([[2], [0], [1]]))
    assert read_labels(tmp_path / "l.npy").labels.tolist() == [2, 0, 1]
    np.save(tmp_path / "l.npy", np.array(["dog", "cat", "dog"]))
    named = read_labels(tmp_path / "l.npy")
    assert [named.class_names[label] for label in named.labels] == ["dog", "cat", "dog"]
    np.save(tmp_path / "l.npy", np.array(["2", "0", "10"]))
    assert read_labels(tmp_path / "l.npy").labels.tolist() == [2, 0, 10]


def test_unlabelled_examples_may_stand_in_a_label_file(tmp_path):
    np.save(tmp_path / "l.npy", np.array([2, -1, 1]))
    assert read_labels(tmp_path / "l.npy").labels.tolist() == [2, -1, 1]


def test_categories_of_a_parquet_file_are_names(tmp_path):
    pd.DataFrame({"label": pd.Categorical(["b", "a", "b"])}).to_parquet(tmp_path / "l.parquet")
    assert read_labels(tmp_path / "l.parquet").class_names == ("a", "b")


def test_a_row_index_beside_labels_must_number_the_rows(tmp_path):
    moved = pd.DataFrame({"label": [0, 1, 2]}, index=[2, 0, 1])
    moved.to_csv(tmp_path / "l.csv")
    with pytest.raises(DataError, match="call it 'id'; otherwise remove it"):
        read_labels(tmp_path / "l.csv")
