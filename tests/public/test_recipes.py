"""What a translation says, reads and refuses; the losses themselves are in test_recipe_losses."""

import contextlib
import json
import runpy
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from goodteacher import ConfigError, PackageError, import_recipe
from goodteacher.cli import app
from goodteacher.config import DistillConfig, StudyConfig, parse
from goodteacher.public.recipes import TOOLS
from tests.foreign_recipes import MDISTILLER, TORCHDISTILL
from tests.integrations.test_recipe_losses import criterion, torchdistill

EXAMPLE = Path(__file__).parents[2] / "examples" / "import_recipe.py"

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

REPDISTILLER = (
    "python train_student.py --path_t teacher.pth --distill kd --model_s resnet8x4 -r 1 -a 0.9 -b 0"
)

KERAS = """
ALPHA = 0.1
teacher.compile(optimizer=keras.optimizers.SGD())
teacher.fit(x, y, epochs=5)
distiller = Distiller(student=student, teacher=teacher)
distiller.compile(
    optimizer=keras.optimizers.Adam(learning_rate=2e-3),
    student_loss_fn=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    distillation_loss_fn=keras.losses.KLDivergence(),
    alpha=ALPHA,
    temperature=10,
)
distiller.fit(x, y, epochs=3, batch_size=64)
"""

TRANSFORMERS = """
args = DistillationTrainingArguments(
    output_dir="out", num_train_epochs=5, learning_rate=2e-5, weight_decay=0.01,
    per_device_train_batch_size=16, gradient_accumulation_steps=2, alpha=0.5, temperature=2,
)
trainer = DistillationTrainer(model=student, teacher_model=teacher, args=args)
"""


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def said(imported, words):
    return any(words in note for note in imported.notes)


def test_repdistiller_command_rescales_learning_rate_and_weight_decay():
    imported = import_recipe(REPDISTILLER)
    assert (imported.tool, imported.loss_scale, imported.exact) == ("repdistiller", 1.9, True)
    assert imported.recipe.alpha == pytest.approx(0.9 / 1.9)
    assert imported.recipe.temperature == 4, "its default"
    assert imported.training == {
        "student_epochs": 240,
        "student_batch_size": 64,
        "student_optimizer": "sgd",
        "student_learning_rate": 0.095,
        "student_weight_decay": pytest.approx(5e-4 / 1.9),
        "student_schedule": "multistep",
    }
    assert said(imported, "a learning rate 1.9 times as high (0.05 is 0.095 here)")
    assert said(imported, "not Nesterov's")
    assert not said(imported, "learning rate follows")
    assert "model_s = resnet8x4" in imported.not_translated


def test_a_learning_rate_that_falls_after_other_epochs_is_told_in_words():
    imported = import_recipe(f"{REPDISTILLER} --lr_decay_epochs 100,150")
    assert "student_schedule" not in imported.training
    assert said(imported, "steps (times 0.1 after epochs 100,150)")
    assert said(imported, "constant, linear or multistep")


def test_repdistiller_overrides_the_learning_rate_of_some_students():
    imported = import_recipe(
        REPDISTILLER.replace("resnet8x4", "ShuffleV1").replace("-r 1", "-r .1")
    )
    assert imported.training["student_learning_rate"] == 0.01
    assert said(imported, "sets the learning rate to 0.01")


def test_repdistiller_loss_of_features_is_named_and_left_out():
    imported = import_recipe("python train_student.py --distill crd -r 1 -a 1 -b 0.8")
    assert not imported.exact
    assert said(imported, "--distill crd has weight 0.8 (-b) and is left out")


def test_torchdistill_file_runs_nothing_and_names_what_is_left(tmp_path):
    imported = import_recipe(written(tmp_path, "kd.yaml", TORCHDISTILL))
    assert imported.tool == "torchdistill"
    assert imported.recipe.alpha == pytest.approx(0.1), "its alpha is that of the labels"
    assert imported.training["student_weight_decay"] == 1e-4, "YAML reads 1e-4 as text"
    assert imported.training["student_epochs"] == 182
    assert "models.student_model.ckpt = ./ckpt/kd.pt" in imported.not_translated
    assert "test" in imported.not_translated
    assert said(imported, "alpha weights the labels")


def test_torchdistill_of_texts_reads_its_own_optimizer_and_schedule():
    config = kd(temperature=7.0, alpha=0.9, student_module_path=".classifier")
    config["train"] |= {
        "train_data_loader": {"batch_size": 16},
        "optimizer": {
            **criterion("optimizer_no_decay", optimizer_key="AdamW", lr=1e-4, weight_decay=0.01),
            "grad_accum_step": 2,
        },
        "scheduler": criterion("get_linear_schedule_with_warmup", num_warmup_steps=10),
    }
    imported = import_recipe(config)
    assert imported.training == {
        "student_batch_size": 32,
        "student_optimizer": "adamw",
        "student_learning_rate": 1e-4,
        "student_weight_decay": 0.01,
        "student_schedule": "linear",
    }
    assert said(imported, "first rises for 10 steps")
    assert said(imported, "excludes biases")


def test_torchdistill_command_is_read_through_its_file(tmp_path):
    path = written(tmp_path, "kd.yaml", TORCHDISTILL)
    imported = import_recipe(f"python image_classification.py --config {path} -adjust_lr")
    assert imported.recipe == import_recipe(path).recipe
    assert "adjust_lr" in imported.not_translated


def test_mdistiller_options_behind_the_file_win(tmp_path):
    path = written(tmp_path, "kd.yaml", MDISTILLER)
    imported = import_recipe(f"python tools/train.py --cfg {path} KD.TEMPERATURE 2 SOLVER.LR 0.1")
    assert imported.tool == "mdistiller"
    assert (imported.recipe.temperature, imported.recipe.alpha) == (2, 0.9)
    assert imported.training["student_learning_rate"] == 0.1
    assert import_recipe(path).recipe.temperature == 4


def test_mdistiller_dkd_with_other_weights_is_told_to_be_no_equal():
    config = {"DISTILLER": {"TYPE": "DKD"}, "DKD": {"BETA": 6.0}}
    imported = import_recipe(config)
    assert imported.recipe.loss == "dkd"
    assert imported.recipe.alpha == pytest.approx(0.75 / 1.75), "NCKD is weighted as there"
    assert not imported.exact
    assert said(imported, "TCKD is weighted by 0.75 instead of 1")
    assert said(imported, "grows over the first 20 epochs")


def test_keras_script_is_read_but_only_its_distiller(tmp_path):
    imported = import_recipe(written(tmp_path, "train.py", KERAS))
    assert imported.tool == "keras"
    assert (imported.recipe.alpha, imported.recipe.temperature) == (0.9, 10)
    assert imported.training == {
        "student_epochs": 3,
        "student_batch_size": 64,
        "student_optimizer": "adam",
        "student_learning_rate": 2e-3,
        "student_schedule": "constant",
    }


@pytest.mark.parametrize("name", ["train.py", "config.yaml"])
def test_nothing_of_a_recipe_runs(tmp_path, name):
    marker = tmp_path / "ran"
    code = f"import os\nos.mkdir({str(marker)!r})\n{KERAS}"
    tagged = f"{TORCHDISTILL}\nextra: !!python/object/apply:os.mkdir [{str(marker)!r}]\n"
    with contextlib.suppress(ConfigError):
        import_recipe(written(tmp_path, name, code if name == "train.py" else tagged))
    assert not marker.exists()


def test_settings_beside_a_file_are_added(tmp_path):
    path = written(tmp_path, "train.py", KERAS)
    imported = import_recipe(f"{path} temperature_squared=false")
    assert imported.loss_scale == pytest.approx(0.1 + 0.9 / 100)
    assert said(imported, "Without T^2")
    with pytest.raises(ConfigError, match=r"alpha is given twice.*as 0\.1 and as 0\.3"):
        import_recipe(f"{path} alpha=0.3")


def test_what_keras_takes_unless_it_is_given_is_told():
    imported = import_recipe({"alpha": 0.2}, tool="keras")
    assert imported.recipe.temperature == 3
    assert said(imported, "0.1 and its temperature 3 unless given")
    assert not said(import_recipe({"alpha": 0.1, "temperature": 3}, tool="keras"), "unless given")


@pytest.mark.parametrize("first", [True, False])
def test_names_with_dots_are_parts_of_a_group(first):
    words = ["optimizer=sgd", "optimizer.learning_rate=0.1"]
    text = " ".join(words if first else reversed(words))
    imported = import_recipe(f"alpha=0.1 temperature=3 {text}", tool="keras")
    assert imported.training["student_optimizer"] == "sgd"
    assert imported.training["student_learning_rate"] == 0.1
    assert said(imported, "Its momentum is 0")


def test_weight_decay_of_adam_in_keras_is_that_of_adamw():
    imported = import_recipe(
        "Distiller(alpha=0.5, temperature=2, optimizer=keras.optimizers.Adam(weight_decay=0.01))"
    )
    assert imported.training["student_optimizer"] == "adamw"
    assert imported.training["student_weight_decay"] == 0.01


def test_transformers_script(tmp_path):
    imported = import_recipe(written(tmp_path, "train.py", TRANSFORMERS))
    assert imported.tool == "huggingface"
    assert (imported.recipe.alpha, imported.recipe.temperature) == (0.5, 2)
    assert imported.training == {
        "student_epochs": 5,
        "student_batch_size": 32,
        "student_optimizer": "adamw",
        "student_learning_rate": 2e-5,
        "student_weight_decay": 0.01,
        "student_schedule": "linear",
    }
    assert said(imported, "excludes biases")


def test_transformers_alpha_of_the_teacher():
    settings = {"alpha": 0.7, "temperature": 2, "alpha_weights": "teacher"}
    assert import_recipe(settings).recipe.alpha == 0.7
    assert import_recipe({**settings, "alpha_weights": "labels"}).recipe.alpha == pytest.approx(0.3)


def test_labels_of_a_softened_student_have_no_equal():
    settings = {"lambda_param": 0.5, "temperature": 4, "labels_at_temperature": True}
    imported = import_recipe(settings)
    assert not imported.exact
    assert said(imported, "also divides the student's logits by 4")
    alone = import_recipe({**settings, "lambda_param": 1})
    assert alone.exact, "no term of labels, no difference"


def test_weights_of_classes_are_told():
    config = torchdistill(
        (1.0, criterion("CrossEntropyLoss", weight=[1.0, 2.0])), (1.0, criterion("DISTLoss"))
    )
    imported = import_recipe(config)
    assert not imported.exact
    assert said(imported, "has weights for the classes")


def test_yaml_without_its_reader_names_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(PackageError, match=r"pip install 'goodteacher\[recipes\]'"):
        import_recipe(written(tmp_path, "kd.yaml", TORCHDISTILL))


def test_timm_file_with_options_that_win(tmp_path):
    text = "kd_model_name: resnet50\nkd_temperature: 1.0\nopt: adamw\nlr: 1.0e-3\nsmoothing: 0.0\n"
    path = written(tmp_path, "args.yaml", text)
    imported = import_recipe(f"python train.py /data --config {path} --kd-temperature 3")
    assert (imported.tool, imported.recipe.temperature, imported.recipe.alpha) == ("timm", 3, 0.5)
    assert imported.loss_scale == 2, "both weights are 1 unless given"
    assert imported.training["student_learning_rate"] == 1e-3, "AdamW does not see the factor"
    assert said(imported, "AdamW divides each gradient by its size")
    assert "/data" in imported.not_translated


def test_timm_with_an_optimizer_and_a_mixture_that_we_do_not_have():
    options = "--kd-model-name m --opt lamb --lr 5e-3 --mixup 0.1 --bce-loss --task-loss-weight 0"
    imported = import_recipe(f"python train.py {options}")
    assert imported.exact, "its binary loss of labels has no weight"
    assert "student_optimizer" not in imported.training
    assert "student_learning_rate" not in imported.training
    assert said(imported, "does not have its optimizer lamb")
    assert said(imported, "mixup (0.1) is left out")
    assert not said(imported, "excludes biases")


def test_timm_learning_rate_follows_its_batch_size():
    options = "--kd-model-name m --smoothing 0 --task-loss-weight 0.5 --lr-base 0.1 -b 512"
    imported = import_recipe(f"python train.py {options}")
    assert imported.training["student_learning_rate"] == pytest.approx(0.2)
    assert imported.training["student_batch_size"] == 512


def test_extra_terms_of_torchdistill_are_named():
    config = torchdistill(
        (1.0, criterion("KDLoss", temperature=4.0, alpha=0.5)), (0.8, criterion("CRDLoss"))
    )
    imported = import_recipe(config)
    assert not imported.exact
    assert said(imported, "CRDLoss has weight 0.8 and is left out")


def test_toml_is_what_distill_and_search_take():
    imported = import_recipe(
        "python train.py --kd-model-name m --kd-temperature 3 --task-loss-weight 0.3 "
        "--smoothing .15"
    )
    for goal, kind in (("distill", DistillConfig), ("search", StudyConfig)):
        settings = tomllib.loads(imported.toml(goal))
        assert settings == imported.settings(goal)
        needed = {"data": "digits", "student": "mlp:8", "teacher": "mlp:64"}
        parse(kind, **{k: x for k, x in needed.items() if k in kind.model_fields}, **settings)
    assert imported.settings("search")["smoothings"] == [0.02, 0.05, 0.1, 0.15, 0.2, 0.3]
    assert "# Not translated: " in imported.toml()


def test_standardised_logits_are_a_setting_of_both():
    config = torchdistill((1.0, criterion("LogitStdKDLoss", temperature=2.0, alpha=0.1, beta=9.0)))
    for goal in ("distill", "search"):
        assert import_recipe(config).settings(goal)["standardize"] is True


def kd(**own):
    return torchdistill((1.0, criterion("KDLoss", **own)))


REFUSED = {
    "no settings": ("", "there are no settings"),
    "no such file": ("nothing.yaml", "nothing.yaml cannot be read: No such file"),
    "a word": ("teacher", "'teacher' is neither a file that exists nor a setting"),
    "no tool": ("alpha=0.1", r"do not belong to a supported tool.*--tool keras"),
    "two tools": (
        {"kd_temperature": 4, "student_loss_weight": 0.5},
        "could be of timm or keras",
    ),
    "alpha is a word": (kd(temperature=4, alpha="high"), "alpha = high .* is not a finite number"),
    "alpha is nothing": (kd(temperature=4, alpha=float("nan")), "is not a finite number"),
    "alpha above 1": (kd(temperature=4, alpha=1.5), r"alpha = 1.5 .* must be in 0..1"),
    "alpha below 0": (kd(temperature=4, alpha=-0.1), r"alpha = -0.1 .* must be at least 0"),
    "temperature 0": (kd(temperature=0, alpha=0.5), r"temperature = 0 .* must be above 0"),
    "temperature missing": (kd(alpha=0.5), "KDLoss in the settings needs temperature"),
    "alpha and beta missing": (kd(temperature=4), "needs temperature, and alpha or beta"),
    "no reduction": (kd(temperature=4, alpha=0.5, reduction="none"), "does not give a single loss"),
    "labels alone": (kd(temperature=4, alpha=1.0), "has no term in which the student learns"),
    "inner layer": (
        kd(temperature=4, alpha=0.5, student_module_path="layer3"),
        "student_module_path = 'layer3'",
    ),
    "features alone": (torchdistill((1.0, criterion("RKDLoss"))), "has no term in which"),
    "two temperatures": (
        torchdistill(
            (1.0, criterion("KDLoss", temperature=4, alpha=0.5)),
            (1.0, criterion("KDLoss", temperature=2, alpha=0.5)),
        ),
        "two terms for the teacher, kl at temperature 4 and kl at 2",
    ),
    "relations apart": (
        torchdistill((1.0, criterion("DISTLoss", beta=1.0, gamma=2.0))),
        "weights its two relations by 1 and 2",
    ),
    "stages": ({"train": {"stage1": {"num_epochs": 1}}}, "trains in stages"),
    "repdistiller without alpha": ("python train_student.py --distill kd", "alpha is missing"),
    "given twice": (REPDISTILLER + " -a 0.5", "a is given twice in the command, as 0.9 and as 0.5"),
    "long and short": (REPDISTILLER + " --alpha 0.5", "alpha is given twice"),
    "another method": ({"DISTILLER": {"TYPE": "CRD"}}, "DISTILLER.TYPE = CRD"),
    "pairs of mdistiller": ("python tools/train.py --cfg a.yaml KD.TEMPERATURE", "pairs like"),
    "both ways of keras": (
        {"alpha": 0.1, "student_loss_weight": 0.5},
        "alpha and student_loss_weight are both",
    ),
    "T^2 of keras.distillation": (
        {"student_loss_weight": 0.5, "temperature": 2, "temperature_squared": False},
        "keras.distillation, which always has T",
    ),
    "features of keras": (
        "Distiller(distillation_losses=FeatureDistillation(), student_loss_weight=0.5)",
        "has 0 LogitsDistillation among its 1 losses",
    ),
    "name of a loss": (
        "Distiller(distillation_losses=[LogitsDistillation(loss='mse')], student_loss_weight=0.5)",
        "without softmax",
    ),
    "not python": ("Distiller(alpha=", "the call is not Python"),
    "tokens of timm": ({"kd_distill_type": "token"}, "kd_distill_type = token"),
    "binary loss of timm": ({"kd_temperature": 4, "bce_loss": True}, "bce_loss"),
    "timm above 1": ({"task_loss_weight": 2}, "Give both"),
    "alpha of either": (
        {"alpha": 0.7, "temperature": 2, "num_train_epochs": 3},
        "can mean two things.*alpha_weights=labels",
    ),
    "two weights": ({"alpha": 0.7, "lambda_param": 0.2}, "both are the weight between"),
    "classes not known": (
        {"lambda_param": 0.5, "temperature": 2, "reduction": "mean"},
        "--classes 100",
    ),
    "one class": (
        torchdistill(
            (1.0, criterion("LogitStdKDLoss", temperature=2.0, alpha=0.1, beta=9.0)), classes=1
        ),
        "number of classes must be at least 2, but is 1",
    ),
    "reverse divergence": ({"lmbda": 0.0, "beta": 1.0}, "beta = 1 of GKD"),
}


@pytest.mark.parametrize("source, words", REFUSED.values(), ids=REFUSED)
def test_refused_with_a_reason(source, words):
    with pytest.raises(ConfigError, match=words):
        import_recipe(source)


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("a.yaml", "a: [1", "is not YAML in line"),
        ("a.yaml", "- 1\n- 2", "holds list, not names with values"),
        ("a.yaml", "", "holds NoneType"),
        ("a.json", "{", "is not JSON"),
        ("a.toml", "a =", "is not TOML"),
        ("a.py", "def (", "is not Python"),
        ("a.py", "x = 1", "does not call a distiller or trainer"),
        ("a.sh", "python a.py -a 1\npython a.py -a 2", "holds 2 commands"),
        ("a.sh", "python a.py --name 'x", "cannot be read as a command"),
        ("a.cfg", "alpha=1", "has none of the extensions"),
        ("a.yaml", "a: &a\n  b: *a\n", "nested more than"),
        ("a.yaml", "train: {criterion: {key: [1, 2]}}", "is 1, 2, but it must be one value"),
    ],
)
def test_malformed_file_is_named(tmp_path, name, text, words):
    path = written(tmp_path, name, text)
    with pytest.raises(ConfigError, match=words) as error:
        import_recipe(path, tool="torchdistill")
    assert "nested" in words or name in str(error.value)


@given(st.text(max_size=60), st.sampled_from([None, *TOOLS]))
def test_any_text_is_translated_or_refused_but_never_fails_otherwise(text, tool):
    with contextlib.suppress(ConfigError):
        import_recipe(text, tool=tool)


NAMES = (
    *("alpha", "temperature", "beta", "lmbda", "gamma", "kd_T", "lambda_param", "alpha_weights"),
    *("reduction", "epochs", "student_loss_weight", "distillation_losses", "optimizer", "opt"),
    *("distillation_loss_weights", "lr", "task_loss_weight", "kd_temperature", "smoothing"),
    *("DISTILLER", "train"),
)
VALUES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)


@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        VALUES | st.lists(VALUES, max_size=3) | st.dictionaries(st.text(max_size=4), VALUES),
    ),
    st.sampled_from(TOOLS),
)
def test_any_values_are_translated_or_refused_but_never_fail_otherwise(values, tool):
    with contextlib.suppress(ConfigError):
        imported = import_recipe(values, tool=tool)
        assert imported.loss_scale > 0
        assert tomllib.loads(imported.toml()) == imported.settings()


def run(*arguments):
    return CliRunner().invoke(app, ["import-recipe", *map(str, arguments)])


def test_command_prints_toml_that_a_file_of_settings_can_be():
    result = run(REPDISTILLER)
    assert result.exit_code == 0
    assert tomllib.loads(result.stdout)["temperature"] == 4
    assert "# RepDistiller weights the labels by gamma" in result.stdout


def test_command_takes_names_and_values_as_words_and_json():
    result = run("alpha=0.1", "temperature=10", "--tool", "keras", "--goal", "search", "--json")
    answer = json.loads(result.stdout)
    assert answer["settings"] == {"losses": ["kl"], "temperatures": [10], "alphas": [0.9]}
    assert answer["loss_scale"] == 1


def test_command_says_what_is_wrong_and_exits_with_2():
    result = run("alpha=2", "temperature=10", "--tool", "keras")
    assert result.exit_code == 2
    assert "alpha = 2 in the settings must be in 0..1" in " ".join(result.stderr.split())
    assert run("alpha=2", "--tool", "caffe", "--json").exit_code == 2


def test_page_shows_what_is_printed():
    page = (Path(__file__).parents[2] / "docs" / "recipes-from-elsewhere.md").read_text()
    shown = import_recipe("python train_student.py --distill kd -r 1 -a 0.9 -b 0").toml()
    assert shown in page


def test_example_distils_with_a_translated_recipe(tmp_path, monkeypatch, capsys):
    options = ["--out", str(tmp_path / "distilled"), "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *options])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    shown = capsys.readouterr().out
    assert 'loss = "kl"' in shown
    assert "of the test examples are right" in shown
    assert EXAMPLE.read_text().count("\n") < 60
