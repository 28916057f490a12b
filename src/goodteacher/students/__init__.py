"""Students: what they learn from, how they are trained and tuned, what they predict."""

from goodteacher.students.doubts import (
    check_diverged,
    told_diverged,
    told_doubts,
    told_unfinished,
    without_learning,
)
from goodteacher.students.families import LONGER, RECIPE_AXES, Explored, Family, Rules, explore
from goodteacher.students.finished import unfinished
from goodteacher.students.given import keep_response, tell
from goodteacher.students.kept import Shelf, all_rows, mean_accuracies, rows_by_arm
from goodteacher.students.plan import Students, StudentTask, WidthTask, by_arm
from goodteacher.students.predictions import Correct, Predicted, correct_by_arm, predicted_by_arm
from goodteacher.students.running import curve_epochs, row_of, target_request
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
    "LONGER",
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
    "WidthTask",
    "all_rows",
    "by_arm",
    "check_diverged",
    "correct_by_arm",
    "curve_epochs",
    "explore",
    "is_planned",
    "keep_response",
    "logits_of_students",
    "mean_accuracies",
    "plan_student",
    "planning",
    "predicted_by_arm",
    "row_of",
    "rows_by_arm",
    "rules_for",
    "target_of",
    "target_request",
    "tell",
    "told_diverged",
    "told_doubts",
    "told_unfinished",
    "trained_student",
    "tune",
    "tuning_rows",
    "unfinished",
    "without_learning",
]
