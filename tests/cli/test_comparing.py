"""Studies side by side at the command line: table, JSON, page, messages."""

import json

import pytest
from typer.testing import CliRunner

from goodteacher.cli import app
from goodteacher.cli.comparing import print_comparison
from goodteacher.cli.display import stdout
from goodteacher.report import compare
from goodteacher.studies import Store
from tests.report.build import settings, write_study
from tests.report.test_comparison import HALF, MORE, made


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folders(tmp_path):
    made(tmp_path / "one", right=HALF)
    made(tmp_path / "two", right=MORE, config=settings(student="mlp:16", epochs=8))
    write_study(tmp_path / "three")
    return [tmp_path / name for name in ("one", "two", "three")]


def test_the_table_has_a_row_for_each_study_within_80_columns(folders):
    result = run("compare", *folders)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(result.stdout.split())
    assert "Distill: undecided in 2 of 3 (one and two); 1 of 3 not finished (three)." in text
    for words in (
        "92.00 [90.00, 94.00] hard labels +3.00 [+2.00, +4.00]",
        "batch size 128, epoch 2 smoothing +0.50 [-0.50, +1.50]",
        "kl, T=2, alpha=0.5 converged -2.00 [-2.50, -1.50]",
        "n = 3; trained 32 s distill: undecided",
        "verdict: none yet",
        "not finished",
        "Brackets: 95 % intervals, each for its own study.",
        "- one and two: no verdict yet: run goodteacher verify",
        "- three: not finished: run the same goodteacher search again",
        "teacher epochs 4 (one and three) and 8 (two)",
    ):
        assert words in text, words


def test_paired_differences_say_their_seeds_and_examples(folders):
    text = " ".join(run("compare", *folders).stdout.split())
    assert "Delivered students of two minus delivered students of one: +25.00 points [" in text
    assert "paired over 3 seeds and the same 360 test examples." in text


def test_json_is_the_comparison_and_nothing_else(folders):
    result = run("compare", *folders, "--json")
    found = json.loads(result.stdout)
    assert found == compare(*folders).model_dump(mode="json")
    assert found["schema_version"] == 1
    assert [study["finished"] for study in found["studies"]] == [True, True, False]
    assert found["differing"]["epochs"] == [4, 8, 4]


def test_a_page_is_written_where_it_is_asked_for(folders, tmp_path):
    page = tmp_path / "pages" / "compare.html"
    result = run("compare", *folders, "--out", page)
    assert result.stderr == f"Page: {page}\n"
    assert "<h1>Distill: undecided in 2 of 3" in page.read_text()
    assert not list(tmp_path.glob("**/*.part"))
    with_json = run("compare", *folders, "--out", page, "--json")
    assert json.loads(with_json.stdout)["studies"]
    at_a_url = run("compare", *folders, "--out", "memory://pages/all.html")
    assert at_a_url.stderr == "Page: memory://pages/all.html\n"
    assert Store("memory://pages").read_text("all.html") == page.read_text()


def test_a_page_of_another_kind_is_refused_before_anything_is_read(folders, tmp_path):
    result = run("compare", tmp_path / "nowhere", folders[0], "--out", tmp_path / "all.pdf")
    assert result.exit_code == 2
    assert "is not the name of a page: end it in .html" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["one"], "A comparison needs at least two studies"),
        (["one", "one"], "is named twice"),
        (["one", "nowhere"], "nowhere is not a study: it has no study.toml"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(folders, tmp_path, names, words):
    result = run("compare", *(tmp_path / name for name in names))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    told = run("compare", *(tmp_path / name for name in names), "--json")
    assert words in json.loads(told.stdout)["error"]["message"]


def test_studies_at_urls_are_compared(folders):
    for folder in folders[:2]:
        store = Store(folder)
        for name in (*store.matching("*"), *store.matching("teachers/*/*")):
            if "lock" not in name:
                with Store(f"memory://studies/{folder.name}").writing(name) as path:
                    path.write_bytes(store.local(name).read_bytes())
    result = run("compare", "memory://studies/one", "memory://studies/two", "--json")
    assert result.exit_code == 0, result.stderr
    at_urls, in_folders = json.loads(result.stdout), compare(*folders[:2]).model_dump(mode="json")
    for found in (at_urls, in_folders):
        for study in found["studies"]:
            del study["place"]
    assert at_urls == in_folders


def test_names_that_look_like_markup_are_printed_as_they_are(tmp_path):
    for name in ("[red]one", "[bold]two"):
        made(tmp_path / name, config=settings(data="[link=x]digits"))
    with stdout.capture() as captured:
        print_comparison(compare(*sorted(tmp_path.iterdir())))
    text = captured.get()
    assert "[red]one" in text
    assert "[link=x]digit" in text.replace("\n", "")


def test_the_help_says_what_it_needs():
    text = " ".join(run("compare", "--help").stdout.split())
    assert "at least two" in text
    assert "--out" in text
    assert "--json" in text
