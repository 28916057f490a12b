"""Pages of the site that have their source elsewhere: a hook of MkDocs, named in mkdocs.yml.

The changelog and the page on contributing are those of the repository, each example is a page with
its code, and the command line is described by its own help. Links to them from the pages in `docs/`
are those that work in a copy of the repository; here they lead to the pages made of these files.
"""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
LANGUAGES = {".py": "python", ".sh": "bash", ".yaml": "yaml", ".ipynb": "python"}
OF_THE_REPOSITORY = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages that are made here."""
    from mkdocs.structure.files import File

    for name, text in made_pages().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """Lead links that leave `docs/` to the pages made of those files; explanations are found first.

    Without a weight, a search for a common word lists tables of results and the changelog.
    """
    found_late = (
        page.file.src_uri == "changelog.md" or getattr(page.parent, "title", "") == "Evidence"
    )
    page.meta.setdefault("search", {"boost": 0.02 if found_late else 1})
    return inside(markdown)


def inside(markdown: str) -> str:
    """Return a page of `docs/` with its links to other parts of the repository put right."""
    markdown = re.sub(r"\]\(\.\./(examples/[^)#]+)\)", r"](\1.md)", markdown)
    for name, source in OF_THE_REPOSITORY.items():
        markdown = markdown.replace(f"](../{source}", f"]({name}")
    return markdown


def made_pages() -> dict[str, str]:
    """Return the text of each page that is made, by its path on the site."""
    pages = {name: of_the_root(source) for name, source in OF_THE_REPOSITORY.items()}
    pages["command-line.md"] = command_line()
    paths = sorted(path for path in EXAMPLES.rglob("*") if path.suffix in LANGUAGES)
    pages |= {f"{path.relative_to(ROOT)}.md": example(path) for path in paths}
    pages["examples/index.md"] = list_of(paths)
    return pages


def of_the_root(source: str) -> str:
    """Return a page of the repository's root, whose links to `docs/` stay on the site."""
    return (ROOT / source).read_text().replace("](docs/", "](")


def example(path: Path) -> str:
    """Return a page that shows an example's code."""
    name = path.relative_to(ROOT)
    if path.suffix == ".ipynb":
        return f"# {path.name}\n\n`{name}`\n\n{of_a_notebook(path)}"
    return f"# {path.name}\n\n`{name}`\n\n```{LANGUAGES[path.suffix]}\n{path.read_text()}```\n"


def of_a_notebook(path: Path) -> str:
    """Return the words and the code of a notebook, its headings below that of the page."""
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        is_code = cell["cell_type"] == "code"
        parts.append(f"```python\n{text}\n```\n" if is_code else f"{re.sub('^#', '##', text)}\n")
    return "\n".join(parts)


def list_of(paths: list[Path]) -> str:
    """Return the list of all examples, each with its first sentence."""
    lines = [
        f"- [{path.name}]({path.relative_to(EXAMPLES)}.md): {first_sentence(path)}"
        for path in paths
    ]
    lead = "Each is a script or a notebook to read and to change, and is run by the tests."
    return f"# Examples\n\n{lead}\n\n" + "\n".join(lines) + "\n"


def first_sentence(path: Path) -> str:
    """Return the first line that says what an example does."""
    if path.suffix == ".ipynb":
        said = "".join(json.loads(path.read_text())["cells"][0]["source"]).split("\n\n")[1]
        return f"{' '.join(said.split()).partition('. ')[0]}."
    lines = path.read_text().splitlines()
    line = next(each for each in lines if not each.startswith("#!"))
    return line.lstrip('#" ').rstrip('"')


@cache
def command_line() -> str:
    """Return the description of every command and option, as typer writes it from the program."""
    typer = [sys.executable, "-m", "typer", "goodteacher.cli", "utils", "docs"]
    done = subprocess.run(
        [*typer, "--name", "goodteacher"], capture_output=True, text=True, check=True
    )
    return done.stdout.replace("# `goodteacher`", "# Command line", 1)
