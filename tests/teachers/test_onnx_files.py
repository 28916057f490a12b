"""Teachers in ONNX files."""

import numpy as np
import pytest

from goodteacher.errors import ModelError, PackageError
from goodteacher.teachers import onnx_teacher

WEIGHTS = np.array([[1.0, -1.0, 0.5], [0.0, 2.0, 1.0]], np.float32)


@pytest.fixture
def path(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx, which writes the file, is missing")
    pytest.importorskip("onnxruntime", reason="onnxruntime is missing")
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("MatMul", ["x", "w"], ["logits"]),
        ],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [
            helper.make_tensor_value_info("shape", TensorProto.INT64, [2]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3]),
        ],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, tmp_path / "teacher.onnx")
    return tmp_path / "teacher.onnx"


def test_the_output_of_a_row_for_each_example_is_taken(path):
    predict = onnx_teacher(path)
    rows = np.array([[1, 0], [0, 1], [2, 2]])  # whole: they are given as the file wants them
    assert np.allclose(predict(rows), rows @ WEIGHTS)
    assert np.allclose(predict({"x": rows}), rows @ WEIGHTS)


def test_inputs_of_other_names_are_refused(path):
    with pytest.raises(ModelError, match="needs the inputs x, but examples have ids, mask"):
        onnx_teacher(path)({"ids": np.zeros((1, 2)), "mask": np.zeros((1, 2))})


def test_a_file_that_is_none_is_refused(tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is missing")
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"no.onnx cannot be run .* Is it a complete ONNX file"):
        onnx_teacher(tmp_path / "no.onnx")


def test_a_file_that_is_not_there_is_named_with_what_else_a_teacher_can_be(tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is missing")
    with pytest.raises(ModelError, match=r"no ONNX file at .*gone.onnx\. .* a function of"):
        onnx_teacher(tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match="There is no ONNX file at"):
        onnx_teacher(tmp_path)


def test_a_missing_runtime_is_named_with_its_command(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PackageError, match=r"pip install 'goodteacher\[onnx\]'"):
        onnx_teacher(tmp_path / "teacher.onnx")
