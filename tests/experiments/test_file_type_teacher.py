"""Which files of a machine the study of file types is made of."""

import json
from pathlib import Path

import file_type_teacher as study

PAGE = Path(__file__).parent.parent.parent / "docs/teachers-tried.md"


def test_of_each_ending_at_most_so_many_are_taken_in_a_fixed_order(tmp_path):
    (tmp_path / "below").mkdir()
    for number in range(study.EACH + 30):
        (tmp_path / "below" / f"{number}.py").write_text("x")
    for number in range(5):
        (tmp_path / f"{number}.h").write_text("y")
    found = study.chosen([tmp_path, tmp_path / "below"], 1000)
    assert len(found) == len(set(found)) == study.EACH + 5
    assert sum(path.suffix == ".h" for path in found) == 5
    assert found == study.chosen([tmp_path, tmp_path / "below"], 1000)
    assert [path.suffix for path in found] != sorted(path.suffix for path in found)
    assert study.chosen([tmp_path], 7) == study.chosen([tmp_path], 7)
    assert len(study.chosen([tmp_path], 7)) == 7


def test_files_of_blanks_and_those_that_cannot_be_read_are_left_out(tmp_path):
    (tmp_path / "blank").write_text(" \n")
    (tmp_path / "some").write_text("some")
    paths = [tmp_path / name for name in ("blank", "gone", "some")]
    assert list(study.read(paths)) == [b"some"]


def points(value):
    return f"{100 * value:.1f}"


def share(found, interval):
    low, high = found[interval]
    return f"{points(found['test_accuracy'])} % [{points(low)}, {points(high)}]"


def test_page_has_the_figures_of_the_results():
    found = json.loads(study.FILE.read_text())
    text = " ".join(PAGE.read_text().split())
    (row,) = (line for line in PAGE.read_text().splitlines() if line.startswith("| magika"))
    assert f"| {sum(found['files'].values()):,} files" in row
    assert f"{found['classes']} classes" in row
    assert share(found["student"], "interval") in row
    for name in ("cross_entropy", "label_smoothing"):
        assert share(found["references"][name], "accuracy_interval") in row
    gain, seeds = found["verdict"]["gain"], found["verdict"]["num_seeds"]
    told = f"the answer is *{found['answer']}*, and the verdict of {seeds} further seeds"
    assert f"{told} *{found['verdict']['verdict']}*, {points(gain['mean'])} points" in text
    assert found["savings"]["teacher_bytes"] / found["savings"]["student_bytes"] > 4.7
