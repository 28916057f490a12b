"""Who is said to have been judged."""

from goodteacher.report.findings import Judgement
from goodteacher.report.judgement import judgement_sections, remark
from tests.report.test_ladder import verdict  # noqa: F401


def of_file(verdict):  # noqa: F811
    return verdict.model_copy(update={"teacher": "file 0123456789abcdef"})


def test_given_response_is_called_by_its_files_name(verdict):  # noqa: F811
    said = remark(of_file(verdict), "teacher.npz")
    assert said.startswith("Judged: teacher.npz, distilled with")
    assert "0123" not in said


def test_response_given_in_python_has_no_digest_for_a_name(verdict):  # noqa: F811
    said = remark(of_file(verdict))
    assert said.startswith("Judged: the given response, distilled with")
    assert "0123" not in said


def test_teacher_of_a_study_keeps_its_name(verdict):  # noqa: F811
    assert remark(verdict, "teacher.npz").startswith("Judged: batch 32 epoch 2, distilled with")


def test_section_of_the_verdict_names_the_file(verdict):  # noqa: F811
    (section,) = judgement_sections(Judgement(of_file(verdict), None), "teacher.npz")
    assert section.key == "verdict"
    assert any("teacher.npz" in paragraph for paragraph in section.lead)
