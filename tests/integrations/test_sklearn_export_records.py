"""What stands beside the file, in it, and where it runs."""

import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from goodteacher import DistilledClassifier
from goodteacher.data import UNSEEN, rows_of_table, rows_spec, table_of
from goodteacher.errors import ConfigError
from goodteacher.integrations.sklearn import TableExport
from goodteacher.integrations.sklearn.pages import table_page
from goodteacher.integrations.sklearn.table_inputs import known_words
from tests.integrations.tables import PLAIN, TEACHER, fitted, given_as_columns, mixed, run
from tests.processes import alone

for _package in ("onnx", "onnxruntime", "skl2onnx"):
    pytest.importorskip(_package, reason="needs goodteacher[sklearn,onnx]")

import onnx  # noqa: E402

pytestmark = pytest.mark.usefixtures("briefly_timed")

ABSENT = ["goodteacher", "torch", "sklearn", "skl2onnx"]
QUICK = {
    "seeds": 2,
    "search_seeds": 1,
    "student_epochs": 3,
    "student_learning_rate": 0.01,
    "rungs": 1,
    "extend": False,
}


def metadata(folder):
    model = onnx.load(str(folder / "model.onnx"))
    return model, {each.key: each.value for each in model.metadata_props}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A tree for three flowers, its export with classes, and where it is."""
    X, y = load_iris(return_X_y=True)
    names = load_iris().target_names[y]
    seen, unseen, learned, asked = train_test_split(X, names, random_state=0, stratify=y)
    tree = DecisionTreeClassifier(max_depth=3)
    classifier = DistilledClassifier(TEACHER, tree, **{**PLAIN, "repeats": 1, "random_state": 0})
    out = tmp_path_factory.mktemp("exported") / "out"
    found = classifier.fit(seen, learned).export(out, unseen, asked)
    return classifier, found, out, unseen, asked


def test_the_record_is_what_is_written(exported):
    classifier, found, out, _, _ = exported
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "export.json", "model.onnx"]
    assert TableExport.model_validate_json((out / "export.json").read_text()) == found
    assert found.files[0].num_bytes == (out / "model.onnx").stat().st_size
    assert found.summary == classifier.summary_
    assert found.card.student == "DecisionTreeClassifier"
    assert (found.card.columns, found.card.num_columns) == ((), 4)


def test_the_metadata_say_what_the_student_is(exported):
    classifier, found, out, _, _ = exported
    model, told = metadata(out)
    assert json.loads(told["class_names"]) == ["setosa", "versicolor", "virginica"]
    card = json.loads(told["table"])
    assert card == found.card.model_dump(mode="json")
    assert card["recipe"] == str(classifier.report_.recipe)
    assert card["learned_from"] == classifier.report_.delivered
    assert card["versions"].keys() == {"goodteacher", "onnx", "scikit-learn", "skl2onnx"}
    stated = {each.domain or "ai.onnx": each.version for each in model.opset_import}
    assert stated == card["opsets"] == {"ai.onnx": 20, "ai.onnx.ml": 3}


def test_the_graph_has_one_input_and_probabilities_alone(exported):
    _, _, out, _, _ = exported
    model, _ = metadata(out)
    shapes = {
        each.name: [d.dim_param or d.dim_value for d in each.type.tensor_type.shape.dim]
        for each in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"inputs": ["batch", 4], "probabilities": ["batch", 3]}
    assert "ZipMap" not in {node.op_type for node in model.graph.node}


def test_any_number_of_rows_is_served(exported):
    classifier, _, out, unseen, _ = exported
    for count in (1, 5, 38):
        said = run(out, {"inputs": unseen[:count].astype(np.float32)})
        assert said == pytest.approx(classifier.predict_proba(unseen[:count]), abs=1e-4)


def test_it_is_measured_on_the_rows_given(exported):
    classifier, found, _, unseen, asked = exported
    quality = found.student
    assert quality.num_examples == len(asked) == 38
    assert quality.accuracy.value == pytest.approx(classifier.score(unseen, asked))
    assert quality.uncalibrated_nll == pytest.approx(quality.nll.value)
    assert quality.accuracy.interval[0] < quality.accuracy.value
    assert f"Accuracy there: {100 * quality.accuracy.value:.2f} %" in str(found)
    if found.card.learned_from == "hard_labels":
        assert found.hard_labels is None
    else:
        expected = classifier.baseline_.score(unseen, asked)
        assert found.hard_labels.accuracy.value == pytest.approx(expected)


def test_times_are_those_of_both_runtimes(exported):
    _, found, _, _, _ = exported
    assert [each.runtime for each in found.timed] == ["scikit-learn", "ONNX Runtime"]
    assert all([one.batch_size for one in each.latencies] == [1, 38] for each in found.timed)
    assert all(one.median > 0 for each in found.timed for one in each.latencies)


def test_the_card_is_read_by_the_hub_and_says_what_was_measured(exported):
    _, found, out, _, _ = exported
    page = (out / "README.md").read_text()
    assert "# DecisionTreeClassifier, a distilled classifier" in page
    assert "float32 `[rows, 4]`" in page
    assert "Distill: " in page
    accuracy = 100 * found.student.accuracy.value
    assert f"| this student | {accuracy:.2f} [" in page
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub checks cards")
    card = hub.ModelCard(page)
    (result,) = [r for r in card.data.eval_results if r.metric_type == "accuracy"]
    assert result.metric_value == pytest.approx(found.student.accuracy.value, abs=1e-6)


def test_the_piece_of_code_on_the_card_runs_where_nothing_else_is(exported):
    classifier, _, out, _, _ = exported
    page = (out / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    code = code.replace("print(", "print(json.dumps(").rstrip() + ")\n"
    said = alone(code, out, without=ABSENT)
    assert said == [str(name) for name in classifier.predict(np.zeros((1, 4)))]


def test_rows_without_classes_leave_it_unmeasured(tmp_path):
    X, y = load_iris(return_X_y=True)
    found = fitted(LogisticRegression(max_iter=500), X, y).export(tmp_path / "out", X)
    assert found.student is None
    assert "answers as the student does on 150 rows." in str(found)
    page = (tmp_path / "out/README.md").read_text()
    assert "Not measured, because the export got rows without their classes." in page
    assert "model-index" not in page


def test_ties_are_told(tmp_path):
    X, y = load_iris(return_X_y=True)
    found = fitted(LogisticRegression(max_iter=500), X, y).export(tmp_path / "out", X)
    assert "rows whose two best classes" not in table_page(found)
    tied = found.model_copy(update={"ties": 3})
    assert "(except for 3 rows whose two best classes are equally probable)" in table_page(tied)


# --- a process that has nothing else -------------------------------------------------------------


def test_a_forest_runs_where_neither_goodteacher_nor_torch_nor_scikit_learn_is(tmp_path):
    X, y = load_iris(return_X_y=True)
    classifier = fitted(RandomForestClassifier(5), X, y)
    classifier.export(tmp_path / "out", X)
    np.save(tmp_path / "rows.npy", X.astype(np.float32))
    code = (
        "import json, numpy, onnxruntime\n"
        "model = onnxruntime.InferenceSession('out/model.onnx')\n"
        "rows = {'inputs': numpy.load('rows.npy')}\n"
        "print(json.dumps(model.run(['probabilities'], rows)[0].tolist()))"
    )
    said = np.array(alone(code, tmp_path, without=ABSENT))
    assert said == pytest.approx(classifier.predict_proba(X), abs=1e-4)


def test_a_student_of_a_frame_runs_there_too(tmp_path):
    frame, y = mixed()
    classifier = fitted(DecisionTreeClassifier(max_depth=4), frame, y)
    classifier.export(tmp_path / "out", frame)
    given = {
        name: ["" if pd.isna(value) else str(value) for value in frame[name]]
        if name in ("colour", "new", "floor")
        else [None if pd.isna(value) else float(value) for value in frame[name]]
        for name in frame.columns
    }
    (tmp_path / "rows.json").write_text(json.dumps(given))
    code = (
        "import json, numpy, onnxruntime\n"
        "model = onnxruntime.InferenceSession('out/model.onnx')\n"
        "given = json.load(open('rows.json'))\n"
        "kinds = {each.name: each.type for each in model.get_inputs()}\n"
        "kinds = {k: numpy.float32 if 'float' in kind else object for k, kind in kinds.items()}\n"
        "rows = {k: numpy.array(given[k], kinds[k])[:, None] for k in kinds}\n"
        "print(json.dumps(model.run(['probabilities'], rows)[0].tolist()))"
    )
    said = np.array(alone(code, tmp_path, without=[*ABSENT, "pandas"]))
    assert said == pytest.approx(classifier.predict_proba(frame), abs=1e-4)


# --- the library's own students ------------------------------------------------------------------


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A small perceptron of the library's own, for rows of numbers."""
    pytest.importorskip("onnxscript", reason="needs goodteacher[onnx]")
    X, y = load_iris(return_X_y=True)
    folder = tmp_path_factory.mktemp("network")
    return fitted("mlp:4", X, y, settings=QUICK, out=folder / "search"), X, y


@pytest.fixture(scope="module")
def network_out(network, tmp_path_factory):
    """Its export with classes, and where it is."""
    classifier, X, y = network
    out = tmp_path_factory.mktemp("network_out") / "out"
    return classifier.export(out, X, y), out


def test_a_network_has_logits_too(network, network_out):
    (classifier, X, y), (found, out) = network, network_out
    model, told = metadata(out)
    assert [each.name for each in model.graph.output] == ["logits", "probabilities"]
    said = run(out, {"inputs": X.astype(np.float32)})
    assert said == pytest.approx(classifier.predict_proba(X), abs=1e-4)
    assert found.card.student == "mlp:4"
    assert found.card.fingerprint == classifier.student_.card.fingerprint
    assert json.loads(told["card"])["fingerprint"] == found.card.fingerprint
    assert found.size.parameters == 4 * 4 + 4 + 4 * 3 + 3
    assert [each.runtime for each in found.timed] == ["PyTorch", "ONNX Runtime"]
    assert found.student.accuracy.value == pytest.approx(classifier.score(X, y))
    assert "35 parameters" in (out / "README.md").read_text()


def test_a_network_is_measured_calibrated_and_not(network, network_out):
    (classifier, X, y), (export, _) = network, network_out
    found, card = export.student, classifier.student_.card
    logits = classifier.student_(X.astype(np.float32)).detach().double()
    raw = -logits.log_softmax(-1)[range(150), y].mean().item()
    calibrated = -(logits / card.temperature).log_softmax(-1)[range(150), y].mean().item()
    assert found.uncalibrated_nll == pytest.approx(raw, abs=1e-4)
    assert found.nll.value == pytest.approx(calibrated, abs=1e-4)


def test_other_formats_of_a_network_are_pointed_to(network, tmp_path):
    classifier, X, _ = network
    with pytest.raises(ConfigError, match=r"call goodteacher.export on FOLDER/study"):
        classifier.export(tmp_path / "out", X, format="safetensors")


def test_a_network_that_was_pickled_can_leave(network, tmp_path):
    classifier, X, _ = network
    again = pickle.loads(pickle.dumps(classifier))
    again.export(tmp_path / "out", X)
    said = run(tmp_path / "out", {"inputs": X.astype(np.float32)})
    assert said == pytest.approx(classifier.predict_proba(X), abs=1e-4)


def test_a_network_for_a_frame_has_its_encoder_in_the_file(tmp_path):
    pytest.importorskip("onnxscript", reason="needs goodteacher[onnx]")
    frame, y = mixed()
    classifier = fitted("linear", frame, y, settings=QUICK, out=tmp_path / "search")
    classifier.export(tmp_path / "out", frame)
    model, _ = metadata(tmp_path / "out")
    assert [each.name for each in model.graph.input] == list(frame.columns)
    said = run(tmp_path / "out", given_as_columns(frame, {"colour", "floor"}))
    assert said == pytest.approx(classifier.predict_proba(frame), abs=1e-4)


def test_words_are_those_that_the_student_knows_with_spaces_and_truth_values(tmp_path):
    pytest.importorskip("onnxscript", reason="needs goodteacher[onnx]")
    drawn = np.random.default_rng(0)
    frame = pd.DataFrame({"size": drawn.normal(size=240)})
    frame["new"] = pd.Categorical(np.where(np.arange(240) % 2, True, False))
    frame["colour"] = np.array([" red", "blue ", "green"])[np.arange(240) % 3]
    y = np.array(list("uvw"))[(np.arange(240) % 3 + np.arange(240) % 2) % 3]
    classifier = fitted("linear", frame, y, settings=QUICK, out=tmp_path / "search")
    found = classifier.export(tmp_path / "out", frame)
    spec = classifier.student_.card.inputs
    assert spec.words == {"new": ("false", "true"), "colour": ("blue", "green", "red")}
    assert {each.name: each.kind for each in found.card.columns} == {
        "size": "number",
        "new": "word",
        "colour": "word",
    }
    given = {
        "size": frame["size"].to_numpy(np.float32)[:, None],
        "new": np.array([str(each).lower() for each in frame["new"]], object)[:, None],
        "colour": np.array([each.strip() for each in frame["colour"]], object)[:, None],
    }
    assert run(tmp_path / "out", given) == pytest.approx(classifier.predict_proba(frame), abs=1e-4)


def test_words_for_a_file_are_those_of_its_companion():
    """What a frame's column becomes is what the loader of a study's students makes of it."""
    column = pd.Series([" red", None, "", "blue", " ", "never"], index=range(6, 0, -1))
    assert known_words(column).tolist() == ["red", "", "", "blue", "", "never"]
    spec = rows_spec({"colour": ("blue", "red")})
    stored = rows_of_table(table_of({"colour": column.tolist()}, ["colour"]), spec)[:, 0].tolist()
    known = ["" if np.isnan(n) else spec.words["colour"][int(n)] for n in stored[:5]]
    assert known == known_words(column).tolist()[:5]
    assert stored[5] == UNSEEN
