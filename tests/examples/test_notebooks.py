"""Each notebook under examples/ is executed by a real kernel, whose display hooks it uses."""

import ast
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs goodteacher[test-extras]")
nbclient = pytest.importorskip("nbclient", reason="needs goodteacher[test-extras]")
pytest.importorskip("ipykernel", reason="needs goodteacher[test-extras]")

FOLDER = Path(__file__).parent.parent.parent / "examples"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook that compares studies, executed in a folder of its own."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(FOLDER / "compare_studies.ipynb", as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources=resources
    ).execute()
    return folder, {cell.id: cell for cell in notebook.cells}


def shown(cell):
    """What a cell shows as its value, by kind."""
    (result,) = [each for each in cell.outputs if each.output_type == "execute_result"]
    return result.data


def printed(cell):
    return "".join(each.text for each in cell.outputs if each.get("name") == "stdout")


def test_no_notebook_is_left_out():
    assert [path.name for path in NOTEBOOKS] == ["compare_studies.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_valid_and_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert sum(cell.source.count("\n") + 1 for cell in code) <= 60
    ast.parse("\n".join(cell.source for cell in code))


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("map", "Student accuracy, first round"),
        ("ladder", "The ladder"),
        ("gains", "Gain by study: over hard labels"),
    ],
)
def test_figures_are_shown_as_a_notebook_shows_them(executed, cell, words):
    data = shown(executed[1][cell])
    assert f'<p class="plot-title">{words}' in data["text/html"]
    assert data["image/svg+xml"].startswith("<svg")
    assert data["text/plain"].startswith(words)
    assert "Plot(" not in data["text/plain"]


def test_the_cells_print_and_write_what_they_say(executed):
    folder, cells = executed
    assert printed(cells["small"]).startswith("Distill: ")
    assert "'teacher epoch'" in shown(cells["rows"])["text/plain"]
    assert "points" in printed(cells["verify"])
    assert "wide minus small: " in printed(cells["wide"])
    assert printed(cells["page"]).strip() == "Open compare.html"
    for name in ("map.svg", "compare.html", "small/report.html"):
        assert (folder / name).stat().st_size > 1000
