"""A search from its first stage to its answer."""

from __future__ import annotations

from collections.abc import Sequence

from goodteacher.config import StudyConfig
from goodteacher.data import selection_note
from goodteacher.delivery import deliver_best, savings_of
from goodteacher.records import StudentRow, SweetSpot, TeacherRecord
from goodteacher.students import StudentTask, all_rows, correct_by_arm, tuning_rows
from goodteacher.studies import SWEET_SPOT_FILE, Store
from goodteacher.sweet_spot.conclude import conclude, confirmed_rows, write_confirmed
from goodteacher.sweet_spot.examples import keep_examples
from goodteacher.sweet_spot.search import Found, Search
from goodteacher.sweet_spot.shipping import doubts_of


def run_search(plan: Search) -> None:
    """Search, or go on where it was stopped, until the answer is written.

    Args:
        plan: The search; its folder is locked.
    """
    store = plan.context.store
    if coarse := selection_note(len(plan.context.data.selection)):
        plan.context.note(coarse)
    store.log("search_resumed" if store.exists(SWEET_SPOT_FILE) else "search_started")
    records, found, confirmed = _searched(plan)
    if _unanswered(store, plan.config):
        _finish(plan, records, found, confirmed)
    keep_examples(plan)


def rehearse_search(plan: Search) -> None:
    """Do all of a search that is done in tasks; the test split stays sealed.

    Args:
        plan: The search, with an engine that pretends.
    """
    _, found, confirmed = _searched(plan)
    doubts_of(plan, found, confirmed)


def _searched(plan: Search) -> tuple[list[TeacherRecord], Found, tuple[StudentTask, ...]]:
    """Return the teachers, what was found among them, and its confirmation."""
    records = plan.train_teachers()
    others: list[TeacherRecord] = [*plan.teachers.branched(), *plan.teachers.mix(records)]
    found = plan.explore(records, others)
    return [*records, *others], found, plan.confirm(found.winners.values())


def _unanswered(store: Store, config: StudyConfig) -> bool:
    """Say whether there is no answer yet, or one that training longer was asked to replace."""
    if not store.exists(SWEET_SPOT_FILE):
        return True
    return config.until_converged and bool(store.read_json(SWEET_SPOT_FILE, SweetSpot).improving)


def _finish(
    plan: Search,
    records: Sequence[TeacherRecord],
    found: Found,
    confirmed: Sequence[StudentTask],
) -> None:
    """Open the test split, write the students' table, deliver the best student, then the answer."""
    context = plan.context
    # Doubts may have students trained to tell, so the test split is sealed yet.
    doubts = doubts_of(plan, found, confirmed)
    context.progress.begin("measuring the chosen students", 0.0)
    correct = correct_by_arm(context, confirmed)
    write_confirmed(context, found.winners, confirmed, correct)
    answer = conclude(plan, records, found, confirmed, correct, doubts)
    confirmations = confirmed_rows(context.store, confirmed, correct)
    probes = [*plan.probes, *found.probes]
    explored = all_rows(context.store, [*probes, *found.tasks])
    rows = [*tuning_rows(context.store, plan.plan), *explored, *confirmations]
    context.store.write_table("students.parquet", rows, StudentRow)
    delivered, labels = found.winners[answer.delivered], found.winners["cross_entropy"]
    student = deliver_best(context, delivered, confirmed, correct, "student")
    deliver_best(context, labels, confirmed, correct, "baseline")
    teacher, predictor = answer.teacher, plan.teachers.predictor(answer.teacher.run)
    if predictor is not None and not teacher.members:
        savings = savings_of(context, student, "student", predictor, name=teacher.run)
        summary = f"{answer.summary} {savings.summary}".strip()
        answer = answer.model_copy(update={"savings": savings, "summary": summary})
    context.store.write_json(SWEET_SPOT_FILE, answer)
