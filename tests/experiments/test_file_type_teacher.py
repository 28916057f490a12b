"""Which files of a machine the study of file types is made of."""

import file_type_teacher as study


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
