"""The part of a report on an export: what stands in its tables, and when there is none."""

import pytest

from goodteacher.records import (
    Covered,
    Estimated,
    Export,
    ExportedTeacher,
    Latency,
    Quality,
    QuantizedTeacher,
    ReliabilityBin,
    Size,
    Timed,
)
from goodteacher.report.exported import (
    export_sections,
    latency_table,
    quality_table,
    reliability_panels,
)
from goodteacher.report.findings import read_findings
from goodteacher.report.page import render, sections


def quality(accuracy):
    def around(value):
        return Estimated(value=value, interval=(value - 0.01, value + 0.01))

    return Quality(
        num_examples=500,
        accuracy=around(accuracy),
        nll=around(0.25),
        brier=around(0.125),
        calibration_error=around(0.05),
        uncalibrated_nll=0.3,
        uncalibrated_calibration_error=0.1,
        covered=(Covered(coverage=1.0, accuracy=accuracy),),
    )


def timed(runtime, *medians, repetitions=200):
    return Timed(
        runtime=runtime,
        latencies=tuple(
            Latency(
                batch_size=size,
                median=median,
                quartiles=(0.9 * median, 1.2 * median),
                p95=2 * median,
                repetitions=repetitions,
            )
            for size, median in zip((1, 64), medians, strict=True)
        ),
    )


def quantized(**change):
    plain = {
        "num_bytes": 9000,
        "quality": quality(0.93),
        "difference": -0.02,
        "interval": (-0.03, -0.01),
        "student_smaller": True,
        "student_faster": False,
    }
    return QuantizedTeacher(**{**plain, **change})


def exported(**change):
    teacher = ExportedTeacher(
        name="the teacher of batch size 64 after epoch 8",
        architecture="mlp:64",
        size=Size(parameters=5000, multiply_adds=4900),
        num_bytes=20000,
        quality=quality(0.95),
        timed=(timed("PyTorch", 0.004, 0.2, repetitions=7),),
        quantized=quantized(),
    )
    plain = {
        "architecture": "mlp:8",
        "size": Size(parameters=610, multiply_adds=592),
        "temperature": 1.5,
        "student": quality(0.91),
        "hard_labels": quality(0.9),
        "teacher": teacher,
        "files": (),
        "machine": "a machine",
        "timed": (timed("PyTorch", 0.001, 0.02), timed("ONNX Runtime", 0.0005, 0.01)),
    }
    return Export(**{**plain, **change})


def test_every_model_has_a_row_of_its_quality():
    table = quality_table(exported())
    assert [row[0] for row in table.rows] == [
        "student",
        "student of hard labels",
        "teacher",
        "teacher in 8 bits",
    ]
    assert table.rows[2][1:3] == ("95.00 [94.00,\xa096.00]", "0.250 [0.240,\xa00.260]")
    assert "n = 500 examples" in table.caption
    assert "after epoch 8" in table.caption
    assert all(len(row) == len(table.head) for row in table.rows)


def test_every_runtime_has_a_row_of_its_times():
    table = latency_table(exported())
    assert [row[0] for row in table.rows] == [
        "student, PyTorch",
        "student, ONNX Runtime",
        "teacher, PyTorch",
    ]
    assert table.head == ("", "batch of 1, ms", "95 %, ms", "batch of 64, ms", "95 %, ms")
    assert table.rows[1][1:] == ("0.5 [0.45,\xa00.6]", "1", "10 [9,\xa012]", "20")
    assert "Median of 7 to 200 repetitions" in table.caption


def test_lead_names_sizes_and_the_competitor():
    (section,) = export_sections(exported())
    told = " ".join(section.lead)
    assert "The student (mlp:8) has 610 parameters and takes 592 multiply-adds" in told
    assert "The teacher (mlp:64) has 5,000 parameters and takes 4,900 multiply-adds." in told
    assert "(9,000 bytes): -2.00 points [-3.00,\xa0-1.00]" in told
    assert "better choice" not in told
    lost = exported().teacher.model_copy(update={"quantized": quantized(student_smaller=False)})
    (section,) = export_sections(exported(teacher=lost))
    assert "The teacher in 8 bits is the better choice." in " ".join(section.lead)


def test_teacher_that_cannot_be_run_says_why():
    why = "It was recorded elsewhere."
    teacher = ExportedTeacher(name="the forest", why_not_run=why, why_not_quantized=why)
    (section,) = export_sections(exported(teacher=teacher, hard_labels=None))
    assert why in section.lead
    quality_rows, times = section.tables
    assert [row[0] for row in quality_rows.rows] == ["student"]
    assert len(times.rows) == 2


def test_page_shows_the_last_export_and_nothing_before_there_is_one(store, findings):
    assert "export" not in {section.key for section in sections(findings)}
    store.write_json("export.json", exported())
    again = read_findings(store)
    assert again.export == exported()
    keys = [section.key for section in sections(again)]
    assert keys.index("export") < keys.index("cost")
    assert "student, ONNX Runtime" in render(again)


def reliable(*pairs):
    return tuple(ReliabilityBin(num_examples=5, confidence=c, accuracy=a) for c, a in pairs)


def test_reliability_is_drawn_before_and_after_calibration_beside_the_diagonal():
    student = quality(0.91).model_copy(
        update={
            "uncalibrated_reliability": reliable((0.7, 0.5), (0.99, 0.9)),
            "reliability": reliable((0.6, 0.55), (0.9, 0.91)),
        }
    )
    (panel,) = reliability_panels(exported(student=student))
    (view,) = panel.views
    perfect, before, after = view.figure.series
    assert [(p.x, p.y) for p in perfect.points] == [(50.0, 50.0), (100, 100)]
    assert (before.name, after.name) == ("before calibration", "after calibration")
    assert [p.x for p in before.points] == pytest.approx([70.0, 99.0])
    assert [p.y for p in after.points] == pytest.approx([55.0, 91.0])
    assert view.table.rows[0] == ("before calibration", "5", "70.00", "50.00")
    assert "0.100 before, 0.050 after dividing logits by 1.5" in view.caption


def test_export_without_bins_has_no_reliability_diagram():
    assert reliability_panels(exported()) == ()
