"""The files that a project has beside its code say what is so."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
import yaml
from packaging.version import Version
from scripts import licences, lowest

import goodteacher

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read(name):
    return yaml.safe_load((ROOT / name).read_text())


def test_the_version_is_one():
    assert PROJECT["version"] == goodteacher.__version__ == read("CITATION.cff")["version"]


def test_the_citation_has_what_the_format_demands():
    found = read("CITATION.cff")
    assert found["cff-version"] == "1.2.0"
    assert found.keys() >= {"message", "title", "authors", "type"}
    assert found["type"] in ("software", "dataset")
    assert found["license"] == PROJECT["license"]
    assert [each["name"] for each in found["authors"]] == [a["name"] for a in PROJECT["authors"]]
    assert len(found["keywords"]) == len(set(found["keywords"]))
    released = found.get("date-released")
    assert released is None or isinstance(released, date)


def test_the_hooks_run_the_tools_that_the_gate_runs():
    (local,) = read(".pre-commit-config.yaml")["repos"]
    hooks = {hook["id"]: hook["entry"] for hook in local["hooks"]}
    makefile = (ROOT / "Makefile").read_text()
    gate = makefile.partition("\ncheck: ")[2].partition("\n\n")[0]
    for tool in ("ruff format", "ruff check", "mypy"):
        assert f"$(BIN)/{tool}" in gate
        assert any(entry.startswith(f".venv/bin/{tool}") for entry in hooks.values())
    assert all(hook["language"] == "system" for hook in local["hooks"])


def test_the_workflow_calls_the_same_gate_on_each_python_that_is_promised():
    jobs = read(".github/workflows/check.yml")["jobs"]
    runs = {name: [step.get("run") for step in job["steps"]] for name, job in jobs.items()}
    assert "make check" in runs["check"]
    assert "make test-lowest" in runs["lowest"]
    assert ".ci/run" in runs["whole"]
    assert "make check\n" in (ROOT / ".ci" / "run").read_text()
    pythons = jobs["check"]["strategy"]["matrix"]["python"]
    promised = [c.rpartition(" :: ")[2] for c in PROJECT["classifiers"] if "Python :: 3." in c]
    assert set(promised) <= set(pythons)
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert min(pythons, key=Version) == oldest
    assert jobs["lowest"]["steps"][1]["with"]["python-version"] == oldest


def test_each_dependency_declares_its_lowest_version():
    extras = PROJECT["optional-dependencies"]
    for requirements in (PROJECT["dependencies"], *extras.values()):
        others = [each for each in requirements if not each.startswith("goodteacher[")]
        assert len(lowest.lowest(others)) == len(others)
    with pytest.raises(ValueError, match="declares no lowest version"):
        lowest.lowest(["torch"])


def test_pins_of_the_gate_are_not_below_what_is_declared():
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    named = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins.items()}
    for name, version in lowest.lowest(PROJECT["dependencies"]).items():
        assert Version(named[re.sub(r"[-_.]+", "-", name).lower()]) >= Version(version)


def test_the_list_of_licences_has_each_package():
    page = licences.PAGE.read_text()
    found = licences.known(page)
    for extra, packages in licences.declared().items():
        for package in packages:
            assert package in found, f"{package} of {extra or 'all'}: run scripts/licences.py"
    always = licences.declared()[""]
    for package in licences.needed_by(always):
        assert package in found, f"{package}: run scripts/licences.py"
    for package in (*always, *licences.needed_by(always)):
        assert not re.search(r"\bA?GPL", found[package].replace("LGPL", "")), package


def test_a_package_that_is_not_here_keeps_its_line():
    before = "| torch |  | of this page |\n| lightgbm | x | MIT |\n| keras | keras | Apache |\n"
    assert licences.known(before)["keras"] == "Apache"
    after = licences.known(licences.written(before))
    assert after["torch"] == licences.licence_of("torch")
    assert after["keras"] == (licences.licence_of("keras") or "Apache")


def test_security_and_releases_name_what_is_there():
    text = (ROOT / "SECURITY.md").read_text() + (ROOT / "docs" / "releasing.md").read_text()
    assert (ROOT / "docs" / "threat-model.md").exists()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", text))
    assert {"dist", "test-lowest", "test-vision"} <= named
    assert named <= targets
