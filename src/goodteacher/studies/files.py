"""Names of the files of a study's folder that more than one module reads."""

from __future__ import annotations

CONFIG_FILE = "study.toml"
DATA_FILE = "data.json"
NETWORKS_FILE = "networks.json"
STUDENTS_FILE = "students.toml"
ENVIRONMENT_FILE = "environment.json"
DECISIONS_FILE = "decisions.jsonl"
SWEET_SPOT_FILE = "sweet_spot.json"
VERDICT_FILE = "verdict.json"
EVIDENCE_FILE = "evidence.json"
CONFIRMED_FILE = "confirmed.safetensors"
"""Who of the confirmed students is right on the test split: a tensor for each family."""
EXAMPLES_FILE = "examples.json"
FRONT_FILE = "front.json"
BLENDS_FILE = "blends.jsonl"
RESULT_FILE = "distillation.json"
EXPORT_FILE = "export.json"
MODEL_CARD_FILE = "model_card.md"
RESPONSE_FILE = "response.safetensors"
RECORDED_FOLDER = "recorded"
"""Of the runs of classifiers that a search trains; all that a folder may hold before it begins."""
EVENTS_FILE = "events.jsonl"
EVENTS_FOLDER = "events"
"""Of the log of events where nothing can be appended to a file: pieces of it, by writer."""
TABLE_FILE = "students.parquet"
REPORT_FILE = "report.html"
TEST_FILE = "/test.safetensors"
"""What the students of a task say about the test split, once that is open."""
LAST_FILES = ("rows.parquet", "trajectory.jsonl", BLENDS_FILE)
"""The last file of a task, which says that the task is done."""
TASK_FOLDERS = frozenset({"students", "teachers"})
"""With a folder for each task."""
OWN_FOLDERS = TASK_FOLDERS | frozenset({"student", "baseline", RECORDED_FOLDER})
OWN_FILES = frozenset(
    {
        CONFIG_FILE,
        DATA_FILE,
        NETWORKS_FILE,
        STUDENTS_FILE,
        ENVIRONMENT_FILE,
        DECISIONS_FILE,
        SWEET_SPOT_FILE,
        VERDICT_FILE,
        EVIDENCE_FILE,
        CONFIRMED_FILE,
        EXAMPLES_FILE,
        FRONT_FILE,
        RESULT_FILE,
        EXPORT_FILE,
        MODEL_CARD_FILE,
        RESPONSE_FILE,
        TABLE_FILE,
        "student_training.json",
        "trajectories.json",
        "trackers.json",
        "probes.jsonl",
        REPORT_FILE,
    }
)
"""Files at the top of a study; others that lie there are the user's."""

VERIFY_SEEDS = range(2_000_000, 4_000_000)
"""Seeds of the students that ``verify`` trains; they meet none of a search."""
