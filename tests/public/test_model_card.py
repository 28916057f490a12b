"""The model card: true to the records, readable by the hub, and no name in it is markup."""

import json
import shutil

import numpy as np
import pytest

from goodteacher import search, verify
from goodteacher.public.card_parts import escaped
from goodteacher.public.exporting import export
from tests.made import SETTINGS, arrays

QUICK = {**SETTINGS, "seeds": 3, "search_seeds": 1, "student_epochs": 4, "rungs": 1}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("card")
    np.savez(root / "circle.npz", **arrays(num_test=200))
    return search(root / "circle.npz", out=root / "study", **QUICK)


@pytest.fixture(scope="module")
def exported(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "shipped"
    return export(study, out=out, format="safetensors"), out


def front_matter(text):
    _, head, body = text.split("---\n", 2)
    return {
        k: json.loads(v) for k, _, v in (line.partition(": ") for line in head.splitlines())
    }, body


def test_metadata_hold_the_measured_values(study, exported):
    found, out = exported
    metadata, _ = front_matter((out / "README.md").read_text())
    (model,) = metadata["model-index"]
    (result,) = model["results"]
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values["accuracy"] == pytest.approx(found.student.accuracy.value, abs=1e-6)
    assert values["accuracy"] == pytest.approx(study.student().card.test_accuracy, abs=1e-6)
    assert values["nll"] == pytest.approx(found.student.nll.value, abs=1e-6)
    assert result["dataset"]["name"] == "circle.npz"
    assert metadata["pipeline_tag"] == "tabular-classification"


def test_hub_reads_it(exported):
    hub = pytest.importorskip(
        "huggingface_hub", reason="huggingface_hub, of the extra hub, is missing"
    )
    _, out = exported
    card = hub.ModelCard.load(out / "README.md")
    (accuracy,) = [each for each in card.data.eval_results if each.metric_type == "accuracy"]
    low, high = accuracy.metric_args["interval_95"]
    assert low < accuracy.metric_value < high
    assert accuracy.metric_args["test_examples"] == 200


def test_text_says_what_was_found(study, exported):
    found, out = exported
    _, body = front_matter((out / "README.md").read_text())
    assert study.sweet_spot.summary.split(".")[0] in body
    assert f"{found.size.parameters:,} parameters" in body
    assert f"divided by {found.temperature:.3g}" in body
    assert "and 200 for the test" in body
    assert ("student of hard labels |" in body) == (found.hard_labels is not None)
    assert "Verdict" not in body


def test_verdict_is_told_once_there_is_one(study, tmp_path):
    mine = tmp_path / "study"  # a copy: the other tests need the study as the search left it
    shutil.copytree(study.folder, mine)
    judged = verify(mine, seeds=3)
    export(mine, out=tmp_path / "again", format="safetensors")
    assert f"**Verdict: {judged.verdict}.**" in (tmp_path / "again/README.md").read_text()


def test_names_from_data_are_text_and_nothing_else():
    assert escaped("a|b<script>`x`*_[y](z)") == "a\\|b&lt;script&gt;\\`x\\`\\*\\_\\[y\\](z)"


def test_quality_stands_in_the_record_too(exported):
    found, out = exported
    again = json.loads((out / "export.json").read_text())
    assert again["student"]["accuracy"]["value"] == found.student.accuracy.value
    assert again["student"]["covered"][0]["coverage"] == 1.0
    assert again["size"]["multiply_adds"] == 6 * 3 + 3 * 4
