"""A fitted student as one graph of ONNX: from a table to probabilities.

What becomes of the table's columns (`table_inputs`) and what the student makes of them are written
apart and joined here. Each graph states the same two sets of operators, whoever wrote its parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from goodteacher.delivery import FORMATS, ONNX_FILE, OPSET, OUTPUTS, Classifier, quiet, reason
from goodteacher.errors import ConfigError, ModelError, needed_package
from goodteacher.integrations.sklearn.converters import parts_of, special
from goodteacher.integrations.sklearn.encoding import TableEncoder
from goodteacher.integrations.sklearn.table_inputs import Columns, Front, front_of, front_of_network
from goodteacher.studies import Store

OPSETS = {"": OPSET, "ai.onnx.ml": 3}
"""Versions of ONNX's operators, and of those for trees and texts."""

LOGITS, PROBABILITIES = OUTPUTS

_STUDENT = "student/"
"""What every name in the student's own part begins with, so that none is that of a column."""


def graph_of(student: Any, rows: Any, classes: npt.NDArray[Any]) -> tuple[Any, Columns]:
    """Return a student as a model of ONNX.

    Args:
        student: A fitted classifier of scikit-learn's kind, or one of the library's own.
        rows: Such rows as it takes.
        classes: The classes, in the order of the probabilities.

    Returns:
        The model, and the columns that it takes by name; none where it takes one tensor.

    Raises:
        ConfigError: It gives no probabilities.
        ModelError: A part of it has no form in ONNX; the message names it.
        PackageError: A package that writes it is missing.
    """
    if isinstance(student, Classifier):
        front, columns = front_of_network(rows, student.card.inputs)
        body, outputs, places = _of_network(student), {name: name for name in OUTPUTS}, None
    else:
        _check(student)
        step, rest = _apart(student)
        selects = any(isinstance(part, ColumnTransformer) for part in parts_of(rest))
        front, columns = front_of(rows, step, by_name=selects)
        body, probabilities = _of_estimator(rest, columns if selects else (), front.width)
        outputs, places = {PROBABILITIES: probabilities}, _places(student.classes_, classes)
    taken = {each.name for each in columns} & set(OUTPUTS)
    if taken:
        raise ModelError(
            f"A column is called {taken.pop()!r}, as an output of the graph is. Rename it."
        )
    return _joined(front, body, outputs, len(classes), places), columns


# --- the student's own part ----------------------------------------------------------------------


def _check(student: Any) -> None:
    """Refuse what is known to have no form in ONNX, by name."""
    if not hasattr(student, "predict_proba"):
        raise ConfigError(
            f"The student {_name(student)} predicts classes without probabilities, but the file "
            "must give probabilities. Use a classifier with predict_proba, for example "
            "SGDClassifier(loss='log_loss'), or wrap it in CalibratedClassifierCV."
        )
    for part in parts_of(student):
        if type(part).__module__.startswith("sklearn.feature_extraction.text"):
            raise ModelError(
                f"The step {_name(part)} reads texts, which an ONNX graph cannot. Give the texts "
                "to goodteacher.search with student='linear': its export includes a companion "
                "file that reads texts."
            )
        has_words = getattr(part, "is_categorical_", None) is not None
        if isinstance(part, HistGradientBoostingClassifier) and has_words:
            raise ModelError(
                "The step HistGradientBoostingClassifier uses columns of categories directly, "
                "which an ONNX graph cannot. Put an encoder before it, for example "
                "OneHotEncoder, or convert these columns to text before fitting: they are then "
                "encoded."
            )


def _name(estimator: Any) -> str:
    return type(estimator).__name__


def _apart(student: Any) -> tuple[TableEncoder | None, Any]:
    """Return the encoder that a student begins with, if it does, and the rest."""
    if not isinstance(student, Pipeline) or not isinstance(student.steps[0][1], TableEncoder):
        return None, student
    rest = student[1:]
    return student.steps[0][1], rest if len(rest.steps) > 1 else rest.steps[0][1]


def _of_estimator(estimator: Any, columns: Columns, width: int) -> tuple[Any, str]:
    """Return an estimator's graph, and the name of its probabilities there."""
    package = needed_package("skl2onnx", extra="sklearn", what="A student of scikit-learn's kind")
    types = needed_package("skl2onnx.common.data_types", extra="sklearn", what="ONNX")
    kinds = {"number": types.FloatTensorType, "text": types.StringTensorType}
    inputs = [(each.name, kinds[each.kind]([None, 1])) for each in columns]
    converters, shapes = special(estimator)
    try:
        with quiet("skl2onnx"):
            model = package.convert_sklearn(
                estimator,
                initial_types=inputs or [("inputs", types.FloatTensorType([None, width]))],
                target_opset=OPSETS,
                custom_conversion_functions=converters,
                custom_shape_calculators=shapes,
            )
    except Exception as error:  # of many kinds, by estimator
        raise ModelError(_told(estimator, error)) from error
    found = model.graph.output[1].name
    zipped = [node for node in model.graph.node if found in node.output]
    if zipped and zipped[0].op_type == "ZipMap":
        found = zipped[0].input[0]
    return model, found


def _told(estimator: Any, error: Exception) -> str:
    """Say which step has no form in ONNX, and what to do."""
    unknown = re.search(r"for type '<class '[\w.]*?(\w+)'>'", str(error))
    if unknown:
        what = f"The step {unknown.group(1)} cannot be converted to ONNX by skl2onnx"
    else:
        what = f"The student {steps_of(estimator)} cannot be written as ONNX: {reason(error)}"
    return f"{what}. Apply this step to X before fit, use another step, or pickle the student."


def steps_of(estimator: Any) -> str:
    """Return the steps of a fitted estimator, by their names.

    Example:
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> steps_of(make_pipeline(StandardScaler(), DecisionTreeClassifier()))
        'StandardScaler > DecisionTreeClassifier'
    """
    if isinstance(estimator, Pipeline):
        return " > ".join(steps_of(step) for _, step in estimator.steps)
    return _name(estimator)


def _of_network(student: Classifier) -> Any:
    """Return the graph of one of the library's own, as its export writes it."""
    onnx = needed_package("onnx", extra="onnx", what="The format onnx")
    with TemporaryDirectory() as scratch:
        FORMATS["onnx"].write(Store(Path(scratch)), "student", student.network, student.card)
        return onnx.load(str(Path(scratch, "student", ONNX_FILE)))


# --- joining -------------------------------------------------------------------------------------


def _places(own: npt.NDArray[Any], classes: npt.NDArray[Any]) -> npt.NDArray[np.float32] | None:
    """Return where a student's classes stand among all, 0 and 1 [own, all]; None if all do."""
    if len(own) == len(classes):
        return None
    found = np.zeros((len(own), len(classes)), np.float32)
    found[np.arange(len(own)), np.searchsorted(classes, own)] = 1
    return found


def _joined(
    front: Front,
    body: Any,
    outputs: Mapping[str, str],
    num_classes: int,
    places: npt.NDArray[np.float32] | None,
) -> Any:
    """Return one model of what becomes of the columns and of what follows.

    Args:
        front: Of the columns.
        body: The student's own model.
        outputs: By the name that it shall have, the name of each output in the body.
        num_classes: Number C of classes.
        places: Where the body's classes stand among all, or None.
    """
    onnx = needed_package("onnx", extra="onnx", what="The format onnx")
    compose = needed_package("onnx.compose", extra="onnx", what="The format onnx")
    helper = onnx.helper
    model = compose.add_prefix(body, _STUDENT)
    graph, inner = model.graph, []
    begin = [
        helper.make_node("Identity", [front.feeds[each.name.removeprefix(_STUDENT)]], [each.name])
        for each in graph.input
    ]
    for name, found in outputs.items():
        edge = f"{_STUDENT}{found}"
        if places is None:
            inner.append(helper.make_node("Identity", [edge], [name]))
            continue
        graph.initializer.append(onnx.numpy_helper.from_array(places, f"{_STUDENT}places"))
        inner.append(helper.make_node("MatMul", [edge, f"{_STUDENT}places"], [name]))
    nodes = _needed([*front.nodes, *begin, *graph.node, *inner], outputs)
    used = {name for node in nodes for name in node.input}
    kept = [each for each in (*front.constants, *graph.initializer) if each.name in used]
    for part in (graph.node, graph.initializer, graph.input, graph.output, graph.value_info):
        del part[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    graph.input.extend(front.inputs)
    shape = ["batch", num_classes]
    graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in outputs
    )
    graph.name, graph.doc_string = "student", ""
    _stated(model, onnx)
    return model


def _needed(nodes: list[Any], outputs: Iterable[str]) -> list[Any]:
    """Return the nodes that some outputs need, in order."""
    wanted, found = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            found.append(node)
            wanted |= set(node.input)
    return found[::-1]


def _stated(model: Any, onnx: ModuleType) -> None:
    """State the sets of operators, and check the model.

    skl2onnx was asked for these and states the oldest that have what it used; an operator that had
    changed since would have been written in its newer form.
    """
    others = [each for each in model.opset_import if each.domain not in OPSETS]
    stated = [onnx.helper.make_opsetid(name, version) for name, version in OPSETS.items()]
    del model.opset_import[:]
    model.opset_import.extend([*stated, *others])
    model.producer_name = "goodteacher"
    onnx.checker.check_model(model)
