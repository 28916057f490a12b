import dataclasses

from goodteacher.config import StudyConfig
from goodteacher.report.facts import (
    cost_of,
    cost_table,
    data_table,
    environment_table,
    settings_table,
)
from goodteacher.report.findings import read_findings
from tests.report.build import data_summary, environment, settings, sweet_spot, write_study


def test_finished_study_reports_the_cost_it_recorded(findings):
    assert cost_of(findings) == sweet_spot().cost


def test_cost_so_far_counts_a_student_once_over_its_rungs(findings):
    cost = cost_of(dataclasses.replace(findings, sweet_spot=None))
    # 5 checkpoints x 4 recipes + 3 other arms, 2 seeds; 3 confirmed students.
    assert cost.num_students == 2 * 23 + 3
    # All do 2 epochs, the winner's 2 students 18 in all, the confirmed ones 18 each.
    assert cost.student_epochs_run == 2 * 22 * 2 + 2 * 18 + 3 * 18
    assert cost.student_epochs_exhaustive == 2 * 3 * 4 * 18 * 2
    assert cost.teacher_seconds == 2 * 10.0
    assert (cost.teacher_epochs_run, cost.teacher_epochs_full) == (8, 8)


def test_cost_table_gives_the_share_of_the_exhaustive_grid(findings):
    rows = {row[0]: row for row in cost_table(findings).rows}
    assert rows["students, epochs"][1:2] == ("120",)
    assert rows["students, epochs"][2].startswith("12.5 % of the 960")
    assert rows["teachers, training time"][1] == "20.0 s"


def test_unfinished_cost_is_called_so_far(unfinished):
    table = cost_table(read_findings(unfinished))
    assert "so far" in table.caption


def test_every_setting_is_listed_with_its_meaning(findings):
    rows = {row[0]: row for row in settings_table(findings).rows}
    assert set(rows) == set(StudyConfig.model_fields)
    assert rows["batch_sizes"][1] == "32, 128"
    assert rows["temperatures"][1] == "1, 2"
    assert rows["exhaustive"][1] == "no"
    assert rows["micro_batch_size"][1] == "default"
    assert rows["alphas"][2] == "alphas to try; alpha is the weight of the teacher term"


def test_data_table_holds_sizes_and_classes(findings):
    rows = {row[0]: row for row in data_table(findings).rows}
    assert rows["transfer set"][1] == "1,000"
    assert rows["input"][1] == "1 x 8 x 8"
    assert rows["classes"][1:] == ("3", "zero, one, two")


def test_long_lists_of_classes_are_cut_and_counted(tmp_path):
    data = data_summary(tuple(f"c{number}" for number in range(1000)))
    found = read_findings(write_study(tmp_path / "s", config=settings(), data=data))
    rows = {row[0]: row for row in data_table(found).rows}
    assert rows["classes"][2].endswith("c99, and 900 more")


def test_environment_is_flattened(findings):
    rows = environment_table(findings).rows
    assert ("torch", "2.9") in rows
    assert ("device", "cpu") in rows


def test_each_environment_of_a_study_is_a_column(findings):
    both = (*findings.environments, environment(device="cuda:0 bfloat16"))
    table = environment_table(dataclasses.replace(findings, environments=both))
    assert table.head == ("what", "1", "2")
    assert ("device", "cpu", "cuda:0 bfloat16") in table.rows
