"""A person with a table in a file, at the command line: what works, and what is said if not."""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save_model
from sklearn.datasets import load_iris
from typer.testing import CliRunner

from goodteacher.cli import app
from goodteacher.data import load_dataset, prepare
from goodteacher.networks import Preparations

QUICK = [
    *("--student-epochs", "20", "--student-batch-size", "16", "--seeds", "2", "--rungs", "1"),
    *("--search-seeds", "1", "--temperatures", "1", "--alphas", "1", "--smoothings", "0.1"),
    *("--no-extend", "--device", "cpu"),
]
N = 120


def run(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def told(*arguments, code=2):
    """What a command says on its way out, on one line."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def table(**extra):
    drawn = np.random.default_rng(0)
    codes = np.arange(N) % 3
    made = {"size": codes + drawn.normal(0, 0.4, N), "colour": drawn.choice(["red", "blue"], N)}
    return pd.DataFrame(made | {"species": np.array(list("uvw"))[codes]} | extra)


@pytest.fixture
def save(tmp_path):
    def to_file(frame, name="table.csv", **options):
        frame.to_csv(tmp_path / name, index=False, **options)
        return tmp_path / name

    return to_file


def findings(path, target="species"):
    result = run("doctor", path, "--target", target, "--json")
    return {each["code"]: each for each in json.loads(result.stdout)["findings"]}


# --- search --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["iris.csv", "iris.tsv", "iris.parquet"])
def test_a_forest_teaches_a_network_of_iris(tmp_path, kind):
    bunch = load_iris(as_frame=True)
    frame = bunch.data.assign(species=bunch.target_names[bunch.target])
    path = tmp_path / kind
    if kind.endswith("parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if kind.endswith("tsv") else ",")
    command = [
        "search",
        path,
        "--target",
        "species",
        "--teacher",
        "forest:9",
        "--student",
        "linear",
    ]
    result = run(*command, "--out", tmp_path / "study", "--json", *QUICK)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["teacher"]["run"] == "forest:9"
    assert (tmp_path / "study/recorded/forest-9/run.json").exists()
    assert (tmp_path / "study/report.html").exists()


def test_words_and_gaps_go_all_the_way_to_the_delivered_student(tmp_path, save):
    frame = table()
    frame.loc[::7, "size"], frame.loc[::9, "colour"] = None, None
    out = tmp_path / "study"
    command = ["search", save(frame), "--target", "species", "--teacher", "boosting:9"]
    result = run(*command, "--student", "mlp:3", "--out", out, *QUICK)
    assert result.exit_code == 0, result.output
    assert "Sweet spot: the teacher boosting:9" in result.output
    card = json.loads((out / "student/config.json").read_text())
    assert card["inputs"]["kind"] == "rows"
    assert card["inputs"]["words"] == {"colour": ["blue", "red"]}
    assert "boosting:9" in (out / "report.html").read_text()


def test_a_file_of_settings_may_name_teacher_and_target(tmp_path, save):
    path = save(table())
    lines = [f'data = "{path}"', 'target = "species"', 'teacher = "logistic"', 'student = "linear"']
    (tmp_path / "study.toml").write_text("\n".join(lines))
    result = run("search", "--config", tmp_path / "study.toml", "--out", tmp_path / "s", *QUICK)
    assert result.exit_code == 0, result.output
    assert "the teacher logistic" in result.output


@pytest.mark.parametrize(
    "options, message",
    [
        (
            ["--teacher", "forest", "--student", "forest"],
            "DistilledClassifier(teacher=..., student",
        ),
        (
            ["--teacher", "forest", "--student", "mlp:4", "--epochs", "9"],
            "epochs is about teachers",
        ),
        (["--teacher", "forest:no", "--student", "mlp:4"], "must be forest or forest:TREES"),
        (["--teacher", "forst", "--student", "mlp:4"], "A teacher can also be forest, extra-trees"),
        (["--student", "mlp:4"], "teacher is missing"),
    ],
)
def test_search_refuses_with_a_way_out(tmp_path, save, options, message):
    said = told("search", save(table()), "--target", "species", "--out", tmp_path / "s", *options)
    assert message in said
    assert not (tmp_path / "s").exists()


def test_checkpoints_are_asked_about_the_table_of_a_target(tmp_path, save):
    frame = table().rename(columns={"colour": "class"})
    frame.loc[::7, "size"] = None
    path = save(frame)
    network = Preparations(prepare(load_dataset(path, target="species"))).network("mlp:4", seed=0)
    (tmp_path / "bs8").mkdir()
    save_model(network.module, tmp_path / "bs8/epoch-2.safetensors")
    command = ["respond", path, "--target", "species", "--model", "mlp:4", "--json"]
    command += ["--checkpoints", tmp_path / "bs8/*", "--out", tmp_path / "said", "--device", "cpu"]
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {str(tmp_path / "said/bs8"): [2]}
    searched = ["search", path, "--target", "species", "--student", "linear"]
    searched += ["--trajectories", tmp_path / "said/bs8", "--out", tmp_path / "s", *QUICK]
    assert run(*searched).exit_code == 0
    command[command.index("species")] = "specie"
    assert "Did you mean 'species'" in told(*command)


# --- doctor --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_a_good_table_is_read_in_every_format(tmp_path, suffix):
    path = tmp_path / f"table.{suffix}"
    if suffix == "parquet":
        table().to_parquet(path)
    else:
        table().to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
    said = told("doctor", path, "--target", "species", code=0)
    assert "3 classes, inputs rows of 2 columns (size, colour)" in said


def test_what_says_nothing_or_too_much_is_named(save):
    users = [f"user{n:04}" for n in range(N)]
    found = findings(save(table(same="x", zero=0.0, user=users, number=range(N))))
    assert "'same', 'zero' have only one value" in found["constant_inputs"]["message"]
    left_out = found["left_out"]["message"]
    assert "'user'" in left_out or "'number'" in left_out


def test_gaps_many_words_and_unseen_words_are_told(tmp_path):
    frame = table(code=[f"c{n // 2}" for n in range(N)])
    frame.loc[: N // 2 + 9, "size"] = None
    frame["split"] = ["train"] * (N - 20) + ["test"] * 20
    frame.to_csv(tmp_path / "a.csv", index=False)
    found = findings(tmp_path / "a.csv")
    assert "size: 70.0%" in found["gaps"]["message"]
    assert found["gaps"]["severity"] == "warning"
    assert "code: 50" not in found.get("many_words", {"message": ""})["message"]
    assert "code: 100.0%" in found["unseen_words"]["message"]
    frame.assign(code=[f"c{n % 55}" for n in range(N)]).to_csv(tmp_path / "a.csv", index=False)
    assert "(code: 55)" in findings(tmp_path / "a.csv")["many_words"]["message"]


def test_missing_targets_and_two_classes_are_told(save):
    frame = table(species=np.array(["u", "v"])[np.arange(N) % 2])
    frame.loc[:9, "species"] = None
    found = findings(save(frame))
    assert "training examples are unlabelled." in found["unlabelled"]["message"]
    assert "Similarity information is then 0" in found["two_classes"]["message"]
    assert "two_classes" not in findings(save(table()))


def test_a_class_with_few_examples_is_told(save):
    frame = table()
    frame.loc[:3, "species"] = "rare"
    assert "rare: 3" in findings(save(frame))["tiny_class"]["message"]


REFUSED = {
    "a wrong target": (table, "specie", "Did you mean 'species'?"),
    "no target": (table, "", "is not in"),
    "one class": (lambda: table(species="u"), "species", "at least two classes"),
    "a price": (
        lambda: table(price=np.random.default_rng(0).permutation(9 * N)[:N]),
        "price",
        "look like a measurement, as for a regression",
    ),
    "fractions": (lambda: table(price=np.linspace(0, 1, N)), "price", "column of measurements"),
    "names": (lambda: table(who=[f"n{n}" for n in range(N)]), "who", "Is it the right column"),
    "dates": (
        lambda: table(day=pd.date_range("2024-01-01", periods=N)),
        "species",
        "Columns of dates cannot be inputs: 'day'",
    ),
    "one example": (lambda: table(species=["u"] * 60 + ["v"] * 59 + ["w"]), "species", "'w'"),
    "cannot be inputs": (
        lambda: table()[["species"]],
        "species",
        "no column that can be used as input",
    ),
    "no rows": (lambda: table()[:0], "species", "no rows"),
    "words among numbers": (
        lambda: table(age=[("?", "1", "2", "3")[n % 4] for n in range(N)]),
        "species",
        "Leave missing values empty",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_doctor_refuses_in_one_line_what_cannot_work(save, name):
    make, target, message = REFUSED[name]
    said = told("doctor", save(make()), "--target", target)
    assert said.startswith("error: ")
    assert message in said


FILES = {
    "empty": (b"", "cannot be read as csv"),
    "ragged": (b"a,species\n1,x\n2\n3,y,z\n", "Expected 2 columns, got 1"),
    "twice": (b"a,a,species\n1,2,x\n3,4,y\n", "more than one column 'a'"),
    "latin": ("a,species\n1,é\n2,ü\n".encode("latin1"), "is not UTF-8"),
    "binary": (bytes(range(256)), "is not UTF-8"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_tables_are_refused_in_one_line(tmp_path, name):
    content, message = FILES[name]
    (tmp_path / "table.csv").write_bytes(content)
    said = told("doctor", tmp_path / "table.csv", "--target", "species")
    assert message in said


def test_thousands_of_columns_are_read(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(30, 3_000)).round(2)
    frame = pd.DataFrame(numbers, columns=[f"c{n}" for n in range(3_000)])
    frame["species"] = ["u", "v"] * 15
    frame.to_parquet(tmp_path / "wide.parquet")
    said = told("doctor", tmp_path / "wide.parquet", "--target", "species", code=0)
    assert "inputs 3000 numbers" in said
