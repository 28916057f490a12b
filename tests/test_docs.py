"""What the documentation says of commands, options, files and defaults is so."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
import torch
import yaml
from PIL import Image
from scripts import site_pages
from typer.main import get_command

import goodteacher
from goodteacher.cli import app
from goodteacher.config import StudyConfig, VerifyConfig
from goodteacher.records.results import VerdictName
from tests.pages import DOCS, ROOT, block, blocks, quick

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
RUN_ELSEWHERE = [
    ROOT / "tests/integrations/test_sklearn_export_docs.py",
    ROOT / "tests/public/test_exporting.py",
]
COMMANDS = get_command(app).commands


def options_of(name):
    return {"--help", *(o for parameter in COMMANDS[name].params for o in parameter.opts)}


def shown_commands(text):
    """Every `goodteacher ...` line of a page: (command, options)."""
    for line in re.findall(r"goodteacher ([a-z-]+ [^`\n#]*)", text):
        name, *words = re.sub(r"'[^']*'", "''", line).split()  # another's command has its own
        yield name, [word.split("=")[0] for word in words if word.startswith("--")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_on_the_page_exist(page):
    for name, options in shown_commands(page.read_text()):
        if name in COMMANDS:
            assert set(options) <= options_of(name), name


def test_a_page_shows_every_command():
    shown = {name for name, _ in shown_commands((ROOT / "docs" / "usage.md").read_text())}
    assert set(COMMANDS) <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_on_the_page_exist(page):
    text = page.read_text()
    named = re.findall(r"`((?:benchmarks|tests|docs)/[\w./]+)`", text)
    named += re.findall(r"\]\(([\w./]+\.md)\)", text)
    missing = [
        name for name in named if not (ROOT / name).exists() and not (page.parent / name).exists()
    ]
    assert not missing


def test_each_line_of_the_threat_model_names_tests_that_are_there():
    page = (DOCS / "threat-model.md").read_text()
    _, _, table = page.partition("## What others can and cannot do")
    rows = [line for line in table.partition("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    for row in rows:
        _, who, cannot, tests, can, _ = (cell.strip() for cell in row.split("|"))
        assert who
        assert can or tests, row
        assert bool(cannot) == bool(tests), f"what cannot be is held by a test: {row}"
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) >= len([row for row in rows if row.split("|")[2].strip()])
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(), f"{file} has no {test}"


def test_rounds_in_the_method_are_those_of_the_default():
    text = (ROOT / "docs" / "method.md").read_text()
    fields = StudyConfig.model_fields
    assert (fields["halving"].default, fields["rungs"].default) == (3, 2)
    plain = " ".join(text.split())
    assert "one in `halving` of each family trains three times as long" in plain


def test_defaults_of_the_verdict_are_those_of_its_page():
    text = (ROOT / "docs" / "verdict.md").read_text()
    defaults = {name: field.default for name, field in VerifyConfig.model_fields.items()}
    assert f"`--level` ({defaults['level']:g})" in text
    assert f"`--margin` is {100 * defaults['margin']:g} points" in text
    assert f"`--seeds` before ({defaults['seeds']} by default)" in " ".join(text.split())


# The site


def site():
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def leaves(nav):
    for entry in nav:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else leaves(value)


def test_each_page_stands_in_the_navigation_once():
    named = sorted(leaves(site()["nav"]))
    made = {name for name in site_pages.made_pages() if "/" not in name} | {"examples/index.md"}
    assert named == sorted({path.name for path in DOCS.glob("*.md")} | made)


def test_the_site_fetches_nothing_and_takes_warnings_for_errors():
    found = site()
    assert found["strict"] is True
    assert found["theme"]["font"] is False
    plugins = {each for each in found["plugins"] if isinstance(each, str)}
    assert "search" in plugins
    assert "offline" not in plugins, "it has the theme fetch a script from the network"
    assert all((DOCS / name).is_file() for name in found["extra_css"])


def test_the_reference_has_every_public_name_once():
    named = re.findall(r"^::: goodteacher\.(\w+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(set(goodteacher.__all__) - {"__version__"})


def test_the_page_of_the_command_line_has_every_command_and_option():
    page = site_pages.command_line()
    assert page.startswith("# Command line\n")
    for name in COMMANDS:
        _, part = page.split(f"## `goodteacher {name}`\n")
        part = part.partition("\n## ")[0]
        missing = [option for option in options_of(name) if option not in part]
        assert not missing, name


def test_links_that_leave_the_docs_lead_to_pages_that_are_made():
    made = site_pages.made_pages()
    for page in DOCS.glob("*.md"):
        inside = site_pages.inside(page.read_text())
        assert "](../" not in inside, page.name
        for name in re.findall(r"\]\((examples/[^)#]+)\)", inside):
            assert name in made, page.name


def test_the_search_of_the_site_lists_explanations_before_results():
    assert "Evidence" in {name for section in site()["nav"] for name in section}
    weights = {}
    for source, section in [
        ("study.md", "Evidence"),
        ("glossary.md", "Concepts"),
        ("changelog.md", "Reference"),
    ]:
        page = SimpleNamespace(
            file=SimpleNamespace(src_uri=source), parent=SimpleNamespace(title=section), meta={}
        )
        site_pages.on_page_markdown("text", page, None, None)
        weights[source] = page.meta["search"]["boost"]
    assert weights["glossary.md"] == 1
    assert max(weights["study.md"], weights["changelog.md"]) < 0.1


def test_an_example_is_shown_whole_with_what_it_does():
    made = site_pages.made_pages()
    script = (ROOT / "examples/record_checkpoints.py").read_text()
    assert f"```python\n{script}```" in made["examples/record_checkpoints.py.md"]
    assert "record_checkpoints.py): Checkpoints that exist already" not in made["examples/index.md"]
    assert (
        "[record_checkpoints.py](record_checkpoints.py.md): Checkpoints that exist already"
        in made["examples/index.md"]
    )


def test_a_notebook_is_shown_with_its_words_and_its_code():
    made = site_pages.made_pages()
    page = made["examples/compare_studies.ipynb.md"]
    assert page.startswith("# compare_studies.ipynb\n")
    assert "\n## Search, look, compare\n" in page
    assert "```python\nsmall.plot_map()\n```\n" in page
    assert "(compare_studies.ipynb.md): A search on the digits" in made["examples/index.md"]


def test_docstrings_are_shown_with_examples_as_code_and_names_as_names():
    pytest.importorskip("griffe", reason="needs goodteacher[docs]")
    from scripts.site_docstrings import as_shown

    text = "Do it.\n\n    Example:\n        >>> 1\n        1\n\nNo Example: here.\n"
    assert as_shown(text) == text.replace("    Example:", "    Examples:")
    assert as_shown("a :class:`~goodteacher.data.Dataset` of `x`") == "a `Dataset` of `x`"
    assert as_shown("a :class:`Dataset`") == "a `Dataset`"


def test_the_words_of_the_glossary_are_in_order():
    rows = re.findall(r"^\| ([^|]+) \|", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    words = [row.lower() for row in rows if row not in ("word", "---")]
    assert words == sorted(words)
    assert {"transfer set", "selection split", "test split", "response", "arm", "recipe"} <= {
        *words
    }


def test_figures_of_the_concepts_are_drawn_and_say_what_they_show(tmp_path):
    pytest.importorskip("matplotlib", reason="needs goodteacher[bench]")
    from scripts import concept_figures

    concept_figures.write(tmp_path, (1, 2, 3, 4))
    page = (DOCS / "concepts.md").read_text()
    for name, words in {"similarity": ["after 1 epoch"], "ladder": ["full response"]}.items():
        file = f"concept_{name}.svg"
        assert f"(figures/{file})" in page
        for folder in (tmp_path, DOCS / "figures"):
            text = (folder / file).read_text()
            assert all(word in text for word in ["hatched: the label", *words])


# Code of the short pages, as readers run it


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(code):
    made = {}
    exec(compile(code, "page", "exec"), made)
    return made


def test_the_answer_of_the_quickstart_is_read_and_used(folder, capsys):
    code = block(DOCS / "quickstart.md", "search-and-use")
    made = run(quick(code.replace("256,256", "16"), epochs=2, batch_sizes=[64]))
    assert made["study"].finished
    assert capsys.readouterr().out.rstrip().endswith("]")
    assert (folder / "study/report.html").exists()


def test_checkpoints_of_a_folder_of_images_are_recorded(folder):
    code = block(DOCS / "checkpoints.md", "record")
    generator = torch.Generator().manual_seed(0)
    for part, count in {"train": 20, "val": 20, "test": 10}.items():
        for number, name in enumerate(("cat", "dog")):
            (folder / "photos" / part / name).mkdir(parents=True)
            for place in range(count):
                pixels = torch.randint(0, 120, (8, 8), generator=generator) + 100 * number
                path = folder / "photos" / part / name / f"{place:03}.png"
                Image.fromarray(pixels.byte().numpy()).save(path)
    start = code.split("goodteacher.record_checkpoints(")[0]
    network = run(start)["make_net"](2, (1, 8, 8))
    for rate in ("lr-0.01", "lr-0.1"):
        (folder / "runs" / rate).mkdir(parents=True)
        for epoch in (2, 4):
            saved = {"model_state_dict": network.state_dict(), "epoch": epoch}
            torch.save(saved, folder / "runs" / rate / f"epoch-{epoch}.pt")
            with torch.no_grad():
                network[1].weight.add_(0.01)
    run(code)  # tests/test_study_recorded.py searches over such runs
    for rate in ("lr-0.01", "lr-0.1"):
        lines = (folder / "recorded" / rate / "trajectory.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [2, 4]


def test_a_file_of_logits_is_distilled(folder):
    code = block(DOCS / "logits-or-api.md", "logits-of-a-teacher")
    made = run(code.replace('out="student"', 'out="student", student_epochs=2, seeds=2'))
    assert made["train"].labels.shape == (len(made["labels"]),)
    assert "0" <= made["student"].predict(made["train"].inputs[:1])[0] <= "9"


def test_an_api_is_asked_and_a_student_answers(folder, capsys):
    run(quick(block(DOCS / "logits-or-api.md", "ask-an-api"), student_learning_rate=0.05))
    assert capsys.readouterr().out.rstrip().splitlines()[-1] in ("['refund']", "['thanks']")


def test_a_gain_is_judged_and_the_student_exported(folder, capsys):
    code = block(DOCS / "laptop-to-cluster.md", "two-processes")
    assert "workers=2, " in code  # whose processes have tests of their own
    run(quick(code.replace("workers=2, ", ""), epochs=1, batch_sizes=[64]))
    code = block(DOCS / "is-my-gain-real.md", "verify-a-study")
    verdict = run(code.replace("seeds=20", "seeds=3"))["verdict"]
    assert verdict.verdict == "undertrained"  # after so few epochs
    if all(find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript")):
        run(block(DOCS / "ship-it.md", "export-a-study"))
        assert (folder / "shipped/model.onnx").exists()


def test_studies_are_compared_in_python(folder, capsys):
    settings = "student_epochs=2, seeds=2, search_seeds=1, temperatures=[1], alphas=[1], "
    settings += "smoothings=[0.1], shortlist=1, rungs=1, extend=False, **common"
    code = block(DOCS / "compare.md", "compare-studies").replace("**common", settings)
    made = run(code.replace('"epochs": 4', '"epochs": 1').replace("[16, 64]", "[64]"))
    assert [row["name"] for row in made["rows"]] == ["small", "wide"]
    assert len(made["found"].differences) == 1
    assert (folder / "compare.html").exists()
    assert (folder / "gains.svg").exists()


def test_the_page_names_every_figure_of_a_study():
    page = (DOCS / "compare.md").read_text()
    for kind in (goodteacher.Study, goodteacher.SeveralStudies, goodteacher.Comparison):
        for name in vars(kind):
            assert not name.startswith("plot_") or f".{name}()" in page, name


def test_every_verdict_is_explained():
    rows = re.findall(r"^\| ([a-z ]+) \|", (DOCS / "is-my-gain-real.md").read_text(), re.MULTILINE)
    kinds = {name.replace("_", " ") for name in get_args(VerdictName)}
    assert kinds == set(rows) - {"verdict"}


def test_another_librarys_teacher_is_asked(folder, capsys):
    run(block(DOCS / "coming-from.md", "another-librarys-teacher"))
    assert capsys.readouterr().out.startswith("Distill: ")


def test_every_named_piece_of_code_of_the_short_pages_is_run_here():
    here = Path(__file__).read_text()
    for page in DOCS.glob("*.md"):
        for name in blocks(page):
            tests = [here, *(path.read_text() for path in RUN_ELSEWHERE)]
            assert any(f'"{name}"' in text for text in tests), f"{page.name}: {name}"
