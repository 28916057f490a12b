"""Each example is a short script that a person would write, and runs."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from goodteacher.data import InputSpec, Split
from goodteacher.networks import build_network, fit_preparation
from tests.tiny_models import write_model

FOLDER = Path(__file__).parent.parent.parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))


def run(name, *arguments):
    command = [sys.executable, str(FOLDER / name), *map(str, arguments)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    assert done.returncode == 0, done.stderr
    return done


def test_a_bert_is_recorded_by_its_trainer_and_teaches_a_smaller_one(tmp_path):
    pytest.importorskip("transformers", reason="needs goodteacher[hf]")
    pytest.importorskip("accelerate", reason="needs goodteacher[hf]")
    words = [f"{thing} is {how} now" for thing in ("card", "cash") for how in ("lost", "late")]
    rows = [f"{word} {n},{word.split()[0]}" for n in range(12) for word in words]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *rows]))
    models, recorded = tmp_path / "my models", tmp_path / "recorded"
    run("hugging_face.py", tmp_path / "texts.csv", models, recorded, "--epochs=1")
    assert (recorded / "bert/responses/epoch-00001.selection.view-0.safetensors").exists()
    network = build_network(
        f"hf:{models}/small",
        fit_preparation(f"hf:{models}/small@tokens", Split.from_texts(words, [0, 0, 1, 1])),
        num_classes=2,
        inputs=InputSpec(kind="texts"),
        seed=0,
    )
    assert network(words).shape == (4, 2)


def test_a_model_that_is_trained_already_teaches_a_student_of_terms(tmp_path):
    pytest.importorskip("transformers", reason="needs goodteacher[hf]")
    titles, kinds = ("card lost", "cash late", "loan here"), ("card", "cash", "loan")
    rows = [f"{titles[n % 3]} {n},it is number {n},{kinds[n % 3]}" for n in range(90)]
    (tmp_path / "texts.csv").write_text("\n".join(["title,body,intent", *rows]))
    names = {"id2label": {0: "loan", 1: "Card", 2: "cash"}, "num_hidden_layers": 1}
    write_model(tmp_path / "bert", rows, weights=True, **names)
    arguments = [tmp_path / "texts.csv", tmp_path / "bert", tmp_path / "out", "--quick"]
    done = run("ask_a_trained_model.py", *arguments, "--student=linear")
    assert "The teacher is right about" in done.stdout
    said = done.stdout.splitlines()[-5:]
    assert {line.partition(": ")[0] for line in said} <= set(kinds)
    assert all("'it is number " in line for line in said)
    assert (tmp_path / "out/study/student/config.json").exists()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_has_under_sixty_lines_and_says_how_it_is_run(path):
    text = path.read_text()
    assert text.count("\n") <= 60
    assert f"python examples/{path.name}" in text


def test_a_trainer_of_hugging_face_is_recorded(tmp_path):
    for package in ("transformers", "accelerate", "tokenizers"):
        pytest.importorskip(package, reason=f"{package} is missing")
    for name, count in (("train", 60), ("test", 20)):
        rows = [f"{('warm', 'cold')[n % 2]} word {n},{('hot', 'ice')[n % 2]}" for n in range(count)]
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / f"data/{name}.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    run("record_in_transformers.py", tmp_path / "data", tmp_path / "recorded", "--epochs=2")
    assert (tmp_path / "recorded/bert/trajectory.jsonl").read_text().count("\n") == 2


def test_checkpoints_are_recorded(tmp_path):
    run("record_checkpoints.py", "digits", tmp_path / "runs", tmp_path / "recorded")
    files = tmp_path.glob("recorded/*/responses/epoch-00008.selection.view-0.safetensors")
    assert {path.parent.parent.name for path in files} == {"lr-0.01", "lr-0.1"}


def test_a_plain_loop_is_recorded(tmp_path):
    done = run("record_your_teacher.py", "digits", tmp_path, "--epochs=2", "--width=8")
    assert "lr-0.003, epoch 2: " in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"lr-0.0003", "lr-0.003"}


def test_a_predict_function_becomes_a_student(tmp_path):
    pytest.importorskip("py3langid", reason="py3langid, the teacher of this example, is missing")
    sys.path.insert(0, str(FOLDER))
    try:
        from a_teacher_that_predicts import messages
    finally:
        sys.path.remove(str(FOLDER))
    if len(messages(600)) < 600:
        pytest.skip("this machine has too few translated messages")
    done = run("a_teacher_that_predicts.py", tmp_path, "--most=600", "--epochs=4")
    assert "hard labels" in done.stdout
    assert "than its teacher (recorded, 4.6 MB)." in done.stdout
    assert (tmp_path / "study/student/config.json").exists()


def test_an_onnx_file_that_sees_more_than_its_student_becomes_one(tmp_path):
    for package in ("magika", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package}, for the teacher's file, is missing")
    folder = Path(json.__file__).parent.parent
    for kind in ("*.py", "__pycache__/*.pyc"):
        for path in sorted(folder.glob(kind))[:40]:
            (tmp_path / "files").mkdir(exist_ok=True)
            (tmp_path / "files" / path.name).write_bytes(path.read_bytes())
    done = run("a_teacher_in_an_onnx_file.py", tmp_path, tmp_path / "files", "--epochs=4")
    assert "than its teacher (magika, 3.2 MB)." in done.stdout
    assert (tmp_path / "study/student/config.json").exists()


def test_a_network_of_timm_with_weights_of_its_own_teaches(tmp_path):
    timm = pytest.importorskip("timm", reason="needs goodteacher[vision]")
    import numpy as np
    from safetensors.torch import save_file

    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "own.safetensors")
    labels = np.arange(60) % 2
    noise = np.random.default_rng(0).integers(0, 90, (60, 3, 8, 8))
    images = (noise + 100 * labels[:, None, None, None]).astype(np.uint8)
    arrays = {"x_train": images, "y_train": labels, "x_test": images[:20], "y_test": labels[:20]}
    np.savez(tmp_path / "data.npz", **arrays)
    network = ["--network=test_resnet", "--pixels=16", "--epochs=1"]
    settings = [*network, "--student=mlp:2", "--student-epochs=2"]
    files = [tmp_path / "data.npz", tmp_path / "study", "--weights", tmp_path / "own.safetensors"]
    assert "hard labels" in run("timm_network.py", *files, *settings).stdout
    assert (tmp_path / "study/student/model.safetensors").exists()


def test_a_forest_teaches_a_tree():
    done = run("distilled_classifier.py", "--trees=5")
    assert done.stdout.startswith("Distill: ")
    assert "without: 0.9" in done.stdout


def posted(port, rows, *, seconds=60):
    """Return what the server answers; it may need a while to start."""
    asked = urllib.request.Request(f"http://localhost:{port}", json.dumps(rows).encode())
    for _ in range(10 * seconds):
        try:
            with urllib.request.urlopen(asked) as answer:
                return json.load(answer)
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError(f"nobody answers on port {port}")


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_a_table_is_served(tmp_path, kind):
    for package in ("skl2onnx", "onnx", "onnxruntime"):
        pytest.importorskip(package, reason="needs goodteacher[sklearn,onnx]")
    import numpy as np
    import pandas as pd
    from sklearn.tree import DecisionTreeClassifier

    from goodteacher import DistilledClassifier

    rows = {"height": [0.5, 1.5, None, 2.5] * 15, "colour": ["red", "blue", "red", ""] * 15}
    frame = pd.DataFrame(rows).replace({"colour": {"": None}})
    given, asked = frame, {name: column[:3] for name, column in rows.items()}
    if kind == "array":
        given = frame[["height"]].fillna(0).to_numpy()
        asked = {"inputs": [[0.5], [1.5]]}
    tree = DecisionTreeClassifier(max_depth=3)
    classifier = DistilledClassifier(tree, tree, cv=2, repeats=0, random_state=0)
    classifier.fit(given, ["a", "b", "a", "b"] * 15).export(tmp_path / "shipped", given)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(FOLDER / "serve_a_table.py"), str(tmp_path / "shipped")]
    server = subprocess.Popen([*command, str(port)], stderr=subprocess.DEVNULL)
    try:
        answers = posted(port, asked)
    finally:
        server.terminate()
        server.wait()
    said = classifier.predict_proba(given[: len(answers)])
    assert [list(answer) for answer in answers] == [["a", "b"]] * len(said)
    values = np.array([list(answer.values()) for answer in answers])
    assert values == pytest.approx(said, abs=1e-4)


def test_a_forest_teaches_a_network_of_a_table_in_a_file(tmp_path):
    kinds = ("cat", "dog", "owl")
    rows = [
        f"{n % 3 + n % 7 / 20},{kinds[n % 3] if n % 9 else ''},{kinds[n % 3]}" for n in range(90)
    ]
    (tmp_path / "table.csv").write_text("\n".join(["size,sound,species", *rows]))
    arguments = ["--target=species", "--teacher=forest:5", "--quick", f"--out={tmp_path / 'study'}"]
    done = run("forest_of_a_table.py", tmp_path / "table.csv", *arguments)
    said = done.stdout.splitlines()[-3:]
    assert [line.rpartition(" ")[2] for line in said] == list(kinds)
    assert {line.partition(",")[0] for line in said} <= set(kinds)
