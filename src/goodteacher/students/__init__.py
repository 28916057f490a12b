"""Students: what they learn from, how they are trained and tuned, what they predict."""

from goodteacher.students.doubts import (
    check_diverged,
    doubts,
    told_diverged,
    told_unfinished,
    without_learning,
)
from goodteacher.students.families import RECIPE_AXES, Explored, Family, Rules, explore
from goodteacher.students.finished import unfinished
from goodteacher.students.given import keep_response, tell
from goodteacher.students.kept import Shelf, all_rows, mean_accuracies, rows_by_arm
from goodteacher.students.plan import Students, StudentTask, by_arm
from goodteacher.students.predictions import Correct, Predicted, correct_by_arm, predicted_by_arm
from goodteacher.students.running import target_request
from goodteacher.students.stacks import logits_of_students, trained_student
from goodteacher.students.targets import target_of
from goodteacher.students.tuning import (
    Tuned,
    is_planned,
    plan_student,
    planning,
    rules_for,
    tune,
    tuning_rows,
)

__all__ = [
    "RECIPE_AXES",
    "Correct",
    "Explored",
    "Family",
    "Predicted",
    "Rules",
    "Shelf",
    "StudentTask",
    "Students",
    "Tuned",
    "all_rows",
    "by_arm",
    "check_diverged",
    "correct_by_arm",
    "doubts",
    "explore",
    "is_planned",
    "keep_response",
    "logits_of_students",
    "mean_accuracies",
    "plan_student",
    "planning",
    "predicted_by_arm",
    "rows_by_arm",
    "rules_for",
    "target_of",
    "target_request",
    "tell",
    "told_diverged",
    "told_unfinished",
    "trained_student",
    "tune",
    "tuning_rows",
    "unfinished",
    "without_learning",
]
