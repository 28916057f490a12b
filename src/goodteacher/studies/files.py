"""Names of the files of a study's folder that more than one module reads."""

from __future__ import annotations

NETWORKS_FILE = "networks.json"
STUDENTS_FILE = "students.toml"
ENVIRONMENT_FILE = "environment.json"
DECISIONS_FILE = "decisions.jsonl"
SWEET_SPOT_FILE = "sweet_spot.json"
VERDICT_FILE = "verdict.json"
EVIDENCE_FILE = "evidence.json"
FRONT_FILE = "front.json"
BLENDS_FILE = "blends.jsonl"
RESULT_FILE = "distillation.json"
EXPORT_FILE = "export.json"
MODEL_CARD_FILE = "model_card.md"
RESPONSE_FILE = "response.safetensors"
RECORDED_FOLDER = "recorded"
"""Of the runs of classifiers that a search trains; all that a folder may hold before it begins."""
