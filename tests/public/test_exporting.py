"""Students that leave: checked, whole or not at all, and the same where goodteacher is not."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from goodteacher import load_student, search
from goodteacher.cli import app
from goodteacher.data import Dataset, InputSpec, Split, load_dataset
from goodteacher.delivery import checks, formats, quantization
from goodteacher.delivery.onnx_model import ONNX_FILE, read_onnx
from goodteacher.errors import (
    ConfigError,
    DataError,
    ModelError,
    PackageError,
    RunError,
    StudyError,
)
from goodteacher.public import exporting
from goodteacher.public.exporting import export
from goodteacher.studies import Store
from tests.made import SETTINGS, arrays, as_options, dataset
from tests.pages import block
from tests.processes import alone
from tests.tiny_models import write_model

PAGE = Path(__file__).parent.parent.parent / "docs" / "delivery.md"
QUICK = {**SETTINGS, "seeds": 2, "search_seeds": 1, "student_epochs": 4, "rungs": 1}
FEW = {**QUICK, "batch_sizes": (8, 16), "student_batch_size": 16}
VMAP = "ignore::goodteacher.training.stacking.StackingWarning"
runner = CliRunner()


def stripes():
    """Images with stripes across, stripes along, fields of a board, or nothing."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 90, (320, 1, 8, 8), generator=generator)
    labels = torch.arange(320) % 4
    odd = torch.arange(8) % 2
    across = odd[:, None].expand(8, 8)
    kinds = torch.stack([across, across.T, across ^ across.T, torch.zeros(8, 8, dtype=odd.dtype)])
    images += 120 * kinds[labels][:, None]
    parts = zip(images.byte().split(240), labels.split(240), strict=True)
    train, test = (Split(x, y, torch.arange(len(y)) + 500 * len(y)) for x, y in parts)
    return Dataset("stripes", train, test, tuple("abcd"))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("export") / "study", **QUICK)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A study whose data are found by their name."""
    root = tmp_path_factory.mktemp("named")
    np.savez(root / "circle.npz", **arrays())
    return search(root / "circle.npz", out=root / "study", **QUICK)


@pytest.fixture
def onnx():
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs goodteacher[onnx]")


def test_card_has_the_temperature_of_the_selection_split(study):
    student = study.student()
    assert student.card.fingerprint == study.data.fingerprint
    x = torch.randn(5, 6)
    scaled = (student(x) / student.card.temperature).softmax(-1)
    torch.testing.assert_close(student.predict_proba(x), scaled)
    assert student.card.temperature != 1


def test_program_runs_where_there_is_no_goodteacher(named, tmp_path):
    export(named, out=tmp_path / "shipped", format="torch")
    x = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import json, numpy, torch\n"
        "run = torch.export.load('shipped/model.pt2').module()\n"
        "print(json.dumps(run(torch.from_numpy(numpy.load('x.npy')))[0].tolist()))"
    )
    found = torch.tensor(alone(code, tmp_path, without=["goodteacher"]))
    torch.testing.assert_close(found, named.student()(x).detach(), atol=1e-5, rtol=1e-5)


def test_onnx_file_runs_where_there_is_no_torch(named, tmp_path, onnx):
    named.export(tmp_path / "shipped")
    x = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    code = block(PAGE, "serve") + "\nprint(json.dumps(classify(np.load('x.npy'))))"
    found = alone(code, tmp_path, without=["goodteacher", "torch"])
    student = named.student()
    assert [name for name, _ in found] == student.predict(x)
    highest = student.predict_proba(x).max(dim=1).values
    torch.testing.assert_close(torch.tensor([p for _, p in found]), highest, atol=1e-5, rtol=0)


TEXTS = {
    "mlp:4": ("serve-terms", ["goodteacher", "torch"]),
    "hf:{}@tokens:6": ("serve-tokens", ["goodteacher", "torch", "transformers"]),
}


@pytest.mark.filterwarnings(VMAP)
@pytest.mark.parametrize("student", TEXTS)
def test_students_of_texts_are_served_as_the_page_says(student, tmp_path, onnx):
    texts = [f"{a} {b}" for a in ("warm", "cold", "mild") for b in ("rain", "sun", "ice")] * 8
    labels = [("a", "b", "c")[n % 9 // 3] for n in range(72)]
    if student.startswith("hf:"):
        pytest.importorskip("transformers", reason="needs goodteacher[hf]")
        write_model(tmp_path / "bert", texts, weights=True)
    data = {"x_train": texts, "y_train": labels, "x_test": texts[:27], "y_test": labels[:27]}
    spec = student.format(tmp_path / "bert")
    made = search(data, out=tmp_path / "study", **{**FEW, "student": spec})
    export(made, out=tmp_path / "shipped", data=data)
    name, without = TEXTS[student]
    asked = ["cold rain", "", "mild ice and nothing known"]
    code = (
        block(PAGE, name)
        + f"\nimport json\nprint(json.dumps(probabilities_of({asked!r}).tolist()))"
    )
    found = torch.tensor(alone(code, tmp_path, without=without))
    torch.testing.assert_close(found, made.student().predict_proba(asked), atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A study of a table with words and gaps, whose test split has words that training lacks."""
    root, drawn = tmp_path_factory.mktemp("rows"), np.random.default_rng(0)
    for name, count in (("train", 240), ("test", 60)):
        codes = np.arange(count) % 3
        table = pd.DataFrame(
            {
                "size": codes + drawn.normal(0, 0.5, count),
                "colour": np.array([" red", "blue", "grün, dunkel"])[codes],
                "shape": drawn.choice(["round", "1", "NA"], count),
                "kept": drawn.choice([True, False], count).astype(int),
            }
        ).assign(species=np.array(list("uvw"))[codes])
        table.loc[::7, "size"], table.loc[::5, "colour"], table.loc[::11, "shape"] = None, None, " "
        if name == "test":
            table.loc[1::9, "colour"] = "violet"
        (root / "data").mkdir(exist_ok=True)
        table.to_csv(root / "data" / f"{name}.csv", index=False)
    settings = {**FEW, "student": "mlp:6", "student_epochs": 30, "target": "species"}
    return search(root / "data", out=root / "study", **settings)


def stored_test(study):
    """The test split of the study of rows, as it is stored."""
    return load_dataset(study.folder.parent / "data", target="species").test.inputs


def test_students_of_rows_are_served_as_the_page_says(rows, tmp_path, onnx):
    rows.export(tmp_path / "shipped")
    path = rows.folder.parent / "data/test.csv"
    odd = [
        {"size": None, "colour": " blue ", "shape": 1, "kept": True, "more": "x"},
        {"size": float("nan"), "colour": None, "shape": "oval", "kept": 0},
        {"size": "2.5", "colour": "", "shape": "round", "kept": " 1 "},
    ]
    code = (
        block(PAGE, "serve-rows")
        + f"\nimport csv\nrows = list(csv.DictReader(open({str(path)!r}, encoding='utf-8')))\n"
        + f"nan = float('nan')\nprint(json.dumps(classify([*rows, *{odd!r}])))"
    )
    found = alone(code, tmp_path, without=["goodteacher", "torch", "pandas", "sklearn"])
    student = load_student(rows.folder / "student")
    frame = pd.DataFrame(pd.read_csv(path, dtype=str, keep_default_na=False))
    asked = pd.concat([frame, pd.DataFrame(odd)]).astype({"kept": float})
    asked["size"] = pd.to_numeric(asked["size"])
    asked["shape"] = asked["shape"].astype(str)
    assert [name for name, _ in found] == student.predict(asked)
    highest = student.predict_proba(asked).max(dim=1).values
    torch.testing.assert_close(torch.tensor([p for _, p in found]), highest, atol=1e-5, rtol=0)
    stored = stored_test(rows)
    assert bool((stored == -1).any()), "no word of the test split is unseen"
    assert bool(stored.isnan().any(dim=0)[:3].all()), "no gap in numbers or words"
    assert student.predict(stored) == [name for name, _ in found[: len(stored)]]
    assert len(set(student.predict(stored))) == 3


def test_columns_and_words_stand_beside_every_graph_of_rows(rows, tmp_path, onnx):
    rows.export(tmp_path / "out", format="onnx,torch,safetensors")
    known = json.loads((tmp_path / "out/columns.json").read_text(encoding="utf-8"))
    assert known == {
        "columns": ["size", "colour", "shape", "kept"],
        "words": {"colour": ["blue", "grün, dunkel", "red"], "shape": ["1", "NA", "round"]},
    }
    program = torch.export.load(tmp_path / "out/model.pt2").module()
    stored = stored_test(rows)
    torch.testing.assert_close(program(stored)[0], rows.student()(stored).detach())
    known["words"]["colour"].reverse()
    (tmp_path / "out/columns.json").write_text(json.dumps(known))
    for name in ("onnx", "torch"):
        with pytest.raises(StudyError, match=r"columns\.json .*are not those of the student"):
            formats.FORMATS[name].read(tmp_path / "out")


def test_students_of_named_numbers_take_columns_by_name_everywhere(tmp_path, onnx):
    drawn, codes = np.random.default_rng(0), np.arange(240) % 3
    table = pd.DataFrame({name: codes + drawn.normal(0, 0.5, 240) for name in "abc"}).round(3)
    table["c"] = table["c"].round(0).astype(int)
    table.assign(species=codes).to_csv(tmp_path / "table.csv", index=False)
    settings = {**FEW, "student": "mlp:6", "target": "species"}
    made = search(tmp_path / "table.csv", out=tmp_path / "study", **settings)
    student = load_student(tmp_path / "study/student")
    assert student.card.inputs == InputSpec(kind="numbers", shape=(3,), columns=("a", "b", "c"))
    expected = student.predict(table.to_numpy(np.float32))
    mixed = table.assign(extra="x")[["c", "extra", "a", "b"]]
    assert student.predict(mixed) == expected
    assert student.predict(mixed.to_dict("records")) == expected
    with pytest.raises(DataError, match="does not have the columns 'a', 'b'"):
        student.predict(mixed[["c"]])
    made.export(tmp_path / "shipped", format="onnx,torch")
    known = json.loads((tmp_path / "shipped/columns.json").read_text())
    assert known == {"columns": ["a", "b", "c"], "words": {}}
    assert read_onnx(tmp_path / "shipped" / ONNX_FILE).card.inputs.columns == ("a", "b", "c")
    rows = mixed.to_dict("records")
    code = block(PAGE, "serve-rows") + f"\nprint(json.dumps(classify({rows!r})))"
    found = alone(code, tmp_path, without=["goodteacher", "torch", "pandas"])
    assert [name for name, _ in found] == expected
    assert len(set(expected)) > 1


def test_nothing_stands_beside_graphs_of_numbers_without_names(named, tmp_path, onnx):
    named.export(tmp_path / "out", format="onnx,torch")
    assert not (tmp_path / "out/columns.json").exists()


@pytest.mark.filterwarnings(VMAP)
def test_folder_of_transformers_is_read_without_goodteacher(tmp_path):
    pytest.importorskip("transformers", reason="needs goodteacher[hf]")
    texts = [f"{a} {b}" for a in ("warm", "cold") for b in ("rain", "sun")] * 15
    labels = [("a", "b")[n % 4 // 2] for n in range(60)]
    write_model(tmp_path / "bert", texts)
    data = {"x_train": texts, "y_train": labels, "x_test": texts[:20], "y_test": labels[:20]}
    made = search(data, out=tmp_path / "s", **{**FEW, "student": f"hf:{tmp_path}/bert"})
    export(made, out=tmp_path / "shipped", format="hf", data=data)
    code = (
        "import json, torch\n"
        "from transformers import AutoModelForSequenceClassification, AutoTokenizer\n"
        "model = AutoModelForSequenceClassification.from_pretrained('shipped/hf').eval()\n"
        "tokens = AutoTokenizer.from_pretrained('shipped/hf')\n"
        "given = tokens(['cold sun', 'warm'], padding=True, return_tensors='pt')\n"
        "print(json.dumps([model.config.id2label[0], model(**given).logits.tolist()]))"
    )
    name, logits = alone(code, tmp_path, without=["goodteacher"])
    assert name == "a"
    expected = made.student()(["cold sun", "warm"]).detach()
    torch.testing.assert_close(torch.tensor(logits), expected, atol=1e-5, rtol=1e-4)


def test_export_says_what_it_wrote(named, tmp_path, onnx):
    found = export(named, out=tmp_path / "out", format="onnx,safetensors", int8=True)
    written = json.loads((tmp_path / "out/export.json").read_text())
    assert written == found.model_dump(mode="json")
    assert json.loads((named.folder / "export.json").read_text()) == written
    assert (named.folder / "model_card.md").read_text() == (tmp_path / "out/README.md").read_text()
    assert "The exported student" in named.report.read_text()
    assert [each.file for each in found.files] == ["model.onnx", "model.safetensors"]
    assert all(each.agreement.examples == 120 for each in found.files)
    assert [each.runtime for each in found.timed] == [
        "PyTorch",
        "ONNX Runtime",
        "ONNX Runtime, 8 bits",
    ]
    assert {one.batch_size for each in found.timed for one in each.latencies} == {1, 64}
    events = [e for e in named.store.events() if e["event"] == "test_split_opened"]
    assert "compare exported files with the student, and with its teacher" in {
        e["reason"] for e in events
    }
    assert load_student(tmp_path / "out").card == named.student().card


def test_file_says_nothing_of_the_machine_that_wrote_it(named, tmp_path, onnx):
    export(named, out=tmp_path / "out")
    content = (tmp_path / "out/model.onnx").read_bytes()
    assert str(Path(exporting.__file__).parent).encode() not in content
    assert b"site-packages" not in content
    assert str(named.folder).encode() not in content


class Off:
    """A format whose files answer a little differently."""

    name = "off"

    def __init__(self, change):
        self.change = change

    def takes(self, card):
        return True

    def write(self, store, folder, network, card):
        formats.FORMATS["safetensors"].write(store, folder, network, card)

    def read(self, folder, *, network=None):
        made = formats.FORMATS["safetensors"].read(folder)
        self.change(made.network.module[-1])
        return made


def _drift(layer):
    layer.bias.data += 3e-3


def _swap(layer):
    layer.weight.data = layer.weight.data.flip(0)
    layer.bias.data = layer.bias.data.flip(0)


@pytest.mark.parametrize(
    ("change", "message"), [(_drift, r"up to 0\.003 .* and 0 of 120"), (_swap, r"and \d+ of 120")]
)
def test_nothing_is_delivered_that_answers_differently(
    named, tmp_path, monkeypatch, change, message
):
    monkeypatch.setitem(formats.FORMATS, "off", Off(change))
    with pytest.raises(
        RunError, match=f"written as off does not give the same answers .*{message}"
    ):
        export(named, out=tmp_path / "out", format="safetensors,off")
    assert list(tmp_path.iterdir()) == []


def test_graph_that_holds_for_one_batch_size_only_is_found(named, tmp_path, monkeypatch):
    class Sized(Off):
        def read(self, folder, *, network=None):
            made = formats.FORMATS["safetensors"].read(folder)
            plain = made.forward
            made.forward = lambda x: plain(x) + 0.5 * (len(x) == 7)
            return made

    monkeypatch.setitem(formats.FORMATS, "off", Sized(None))
    with pytest.raises(RunError, match=r"up to 0\.5"):
        export(named, out=tmp_path / "out", format="off")


def test_tolerance_grows_with_the_logits():
    class Answer:
        tolerance = 1e-4

        def __init__(self, logits):
            self.logits = logits

        def __call__(self, inputs):
            return self.logits[inputs[:, 0].long()]

    split = dataset().train.subset(torch.arange(3))
    split.stored.tensor[:, 0] = torch.arange(3.0)
    logits = torch.tensor([[1000.0, 0.0], [0.0, 50.0], [-4.0, 9.0]])
    near = checks.compare(Answer(logits + 5e-3), logits, split)
    assert near.holds
    assert near.allowed_difference == pytest.approx(1e-2)
    assert not checks.compare(Answer(logits + 0.02), logits, split).holds
    small = logits / 1000
    assert not checks.compare(Answer(small + 5e-3), small, split).holds


def test_eight_bits_that_cost_too_much_are_not_delivered(named, tmp_path, monkeypatch, onnx):
    """As dynamic quantization of convolutions does: most of what the student knows is gone."""

    def destroyed(source, target, examples):
        import onnx

        model = onnx.load(source)
        for tensor in model.graph.initializer:
            if len(tensor.dims) == 2:
                values = onnx.numpy_helper.to_array(tensor)
                coarse = np.round(values / np.abs(values).max()) * np.abs(values).max()
                tensor.CopyFrom(onnx.numpy_helper.from_array(coarse * 0, tensor.name))
        onnx.save(model, target)

    monkeypatch.setattr(quantization, "quantize", destroyed)
    out = tmp_path / "out"
    result = runner.invoke(app, ["export", str(named.folder), "--out", str(out), "--int8"])
    assert result.exit_code == 1
    assert "more than the 0.50 allowed (--max-loss)" in " ".join(result.stdout.split())
    assert {path.name for path in out.iterdir()} == {"README.md", "export.json", ONNX_FILE}
    found = json.loads((out / "export.json").read_text())["int8"]
    assert found["delivered"] is False
    assert found["selection_loss"] > 0.1
    assert found["test_difference"] is None, "the test split has no say in it"


def test_eight_bits_are_decided_on_the_selection_split(named, tmp_path, onnx):
    found = export(named, out=tmp_path / "a", int8=True, max_loss=1.0).int8
    assert found.delivered
    low, high = found.interval
    assert low <= found.test_difference <= high
    eight = read_onnx(tmp_path / "a/model.int8.onnx")
    assert eight.card == named.student().card
    data = dataset()
    changed = (
        eight(data.test.inputs).argmax(1) != named.student()(data.test.inputs).argmax(1)
    ).sum()
    assert found.changed == int(changed)


def test_convolutions_in_eight_bits_keep_what_the_student_knows(tmp_path, onnx):
    data = stripes()
    study = search(
        data, out=tmp_path / "study", **{**QUICK, "student": "cnn:8", "student_epochs": 12}
    )
    found = export(study, out=tmp_path / "out", int8=True, max_loss=0.02, data=data).int8
    assert study.student().card.test_accuracy > 0.9
    assert found.delivered
    assert found.test_difference > -0.05


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"format": "onx"},
            ConfigError,
            "format must be one of safetensors, onnx, torch, hf, but is onx",
        ),
        ({"format": []}, ConfigError, "but is empty"),
        ({"format": "hf"}, ConfigError, "'mlp:3', which the format hf cannot store. Use safe"),
        ({"format": "torch", "int8": True}, ConfigError, "8 bits are only possible for ONNX files"),
        ({"max_loss": 5}, ConfigError, "must be between 0 and 1, .*Half a point is 0.005"),
    ],
)
def test_wrong_settings_are_said_and_nothing_is_written(named, tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        export(named, out=tmp_path / "out", **settings)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_not_empty_is_left_alone(named, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StudyError, match="exists and is not empty"):
        export(named, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_empty_folder_is_taken(named, tmp_path):
    export(named, out=tmp_path, format="safetensors")
    assert (tmp_path / "export.json").exists()


def test_folder_without_a_student_is_named(tmp_path):
    with pytest.raises(StudyError, match="contains no student"):
        export(tmp_path, out=tmp_path / "out")


def test_data_that_were_given_in_python_are_asked_for(study, tmp_path):
    with pytest.raises(StudyError, match=r"given in Python.*goodteacher\.export\(.*data=\.\.\."):
        export(study, out=tmp_path / "out", format="safetensors")
    found = export(study, out=tmp_path / "out", format="safetensors", data=dataset())
    assert found.files[0].agreement.largest_difference == 0


def test_other_data_are_refused(study, tmp_path):
    with pytest.raises(StudyError, match="other data"):
        export(study, out=tmp_path / "out", data=dataset(seed=1))


class Counts(nn.Module):
    """A network that asks how many of its inputs are positive, which no graph can follow."""

    def __init__(self, num_classes):
        super().__init__()
        self.layer = nn.Linear(6, num_classes)

    def forward(self, x):
        return self.layer(x * float((x > 0).sum().item() >= 0))


@pytest.mark.filterwarnings(VMAP)
@pytest.mark.parametrize("form", ["onnx", "torch"])
def test_network_that_cannot_be_traced_is_named(tmp_path, form, onnx):
    made = search(dataset(), out=tmp_path / "study", **{**QUICK, "student": Counts})
    with pytest.raises(
        ModelError, match=r"Counts.*cannot be (exported|written).*--format safetensors"
    ):
        export(made, out=tmp_path / "out", format=form, data=dataset(), network=Counts)
    assert not (tmp_path / "out").exists()


def test_student_is_exported_twice_and_unchanged(named, tmp_path):
    student = named.student()
    x = torch.randn(4, 6)
    before = student(x)
    for name in ("a", "b"):
        export(named, out=tmp_path / name, format="torch")
    assert torch.equal(named.student()(x), before)


def test_command_prints_files_and_times(named, tmp_path):
    out = tmp_path / "out"
    result = runner.invoke(
        app, ["export", str(named.folder), "--out", str(out), "--format", "torch,safetensors"]
    )
    assert result.exit_code == 0, result.stderr
    said = " ".join(result.stdout.split())
    assert f"{out}/model.pt2: " in said
    assert "every prediction agrees with the student's" in said
    assert "batch of 64" in said
    assert "PyTorch" in said


def test_command_gives_json(named, tmp_path):
    arguments = ["export", str(named.folder), "--out", str(tmp_path / "o"), "--format", "torch"]
    result = runner.invoke(app, [*arguments, "--json"])
    assert json.loads(result.stdout)["files"][0]["file"] == "model.pt2"


def test_distillation_is_exported_too(tmp_path):
    made = arrays()
    np.savez(tmp_path / "circle.npz", **made)
    np.save(tmp_path / "logits.npy", 3.0 * np.eye(4)[made["y_train"]])
    few = {k: SETTINGS[k] for k in ("selection_fraction", "precision", "device")}
    arguments = ["distill", tmp_path / "circle.npz", "--responses", tmp_path / "logits.npy"]
    options = as_options({"student": "mlp:3", "student_epochs": 2, **few})
    result = runner.invoke(app, [*map(str, arguments), "--out", str(tmp_path / "d"), *options])
    assert result.exit_code == 0, result.stderr
    assert export(tmp_path / "d", out=tmp_path / "o", format="torch").files


@pytest.mark.parametrize("hindrance", ["tracker", "read-only"])
def test_what_hinders_notes_in_the_study_does_not_hinder_the_export(
    hindrance, named, tmp_path, monkeypatch, caplog
):
    mine = tmp_path / "study"
    shutil.copytree(named.folder, mine)
    if hindrance == "tracker":
        settings = (mine / "study.toml").read_text()
        monkeypatch.setitem(sys.modules, "mlflow", None)
        settings = settings.replace("tracker = []", 'tracker = ["mlflow"]')
        Store(mine).write_text("study.toml", settings)
    else:
        (mine / "export.json").unlink(missing_ok=True)
        (mine / "export.json").mkdir()  # no file can take its place, for a superuser neither
    found = export(mine, out=tmp_path / "out", format="safetensors")
    assert (tmp_path / "out/export.json").is_file()
    assert found.files
    (told,) = [r.getMessage() for r in caplog.records if "The export is complete" in r.getMessage()]
    assert ("goodteacher[mlflow]" if hindrance == "tracker" else "cannot be written") in told


def test_missing_package_is_named_with_its_command(named, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(PackageError, match=r"onnxscript: pip install 'goodteacher\[onnx\]'"):
        export(named, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_input_is_checked_by_every_runtime(named, tmp_path, onnx):
    export(named, out=tmp_path / "out")
    with pytest.raises(DataError, match=r"\[N, 6\]"):
        read_onnx(tmp_path / "out/model.onnx")(np.zeros((2, 5), np.float32))
