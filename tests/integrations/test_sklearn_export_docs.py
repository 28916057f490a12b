"""From `pip install` to a served student, by what the pages show and nothing else."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.pages import block
from tests.processes import alone

for _package in ("onnx", "onnxruntime", "skl2onnx"):
    pytest.importorskip(_package, reason="needs goodteacher[sklearn,onnx]")

ROOT = Path(__file__).parents[2]
QUICK, PAGE = ROOT / "docs" / "tables.md", ROOT / "docs" / "tables-and-scikit-learn.md"
NOT_IN_EXTRAS = ["pandas", "polars", "lightgbm", "xgboost", "transformers", "datasets", "keras"]
ABSENT = ["goodteacher", "torch", "sklearn", "pandas", "skl2onnx"]


def test_the_short_page_goes_from_a_table_to_a_served_student(tmp_path):
    quick = block(QUICK, "fit-and-export").replace("Classifier(30,", "Classifier(3,")
    told = (
        "import json\nrows = X_test[:20].tolist()\njson.dump(rows, open('rows.json', 'w'))\n"
        "print(json.dumps(clf.predict(X_test[:20]).tolist()))"
    )
    expected = alone(quick.replace("print(", "str(") + told, tmp_path, without=NOT_IN_EXTRAS)
    code = block(QUICK, "serve-a-table")
    asked = "print(json.dumps(classify(json.load(open('rows.json')))))"
    said = alone(code + asked, tmp_path, without=ABSENT)
    assert [name for name, _ in said] == [str(each) for each in expected]
    assert all(0.5 <= probability <= 1 for _, probability in said)
    assert code.count("\n") <= 16


def test_the_page_goes_from_a_frame_to_a_served_student(tmp_path):
    quick = block(PAGE, "ship-a-frame")
    quick = quick.replace("RandomForestClassifier(20)", "DecisionTreeClassifier(max_depth=2)")
    told = (
        "import json\nasked = pd.DataFrame({'height': [1.5, None], 'colour': ['red', None]})\n"
        "print(json.dumps(clf.predict(asked).tolist()))"
    )
    expected = alone(quick.replace("print(found)", "str(found)") + told, tmp_path, without=[])
    code = block(PAGE, "serve-a-frame").replace("print(classify(", "print(json.dumps(classify(")
    assert alone(code.rstrip() + ")", tmp_path, without=ABSENT) == expected


def test_the_extra_holds_what_an_export_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = {re.match(r"[\w-]+", each).group() for each in (*extras["sklearn"], *extras["onnx"])}
    assert {"skl2onnx", "onnxmltools", "onnx", "onnxruntime", "onnxscript"} <= named
    assert "sklearn" in extras["test-extras"][0]
