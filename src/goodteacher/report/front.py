"""Several students on one page: the table, and accuracy over parameters and latency."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from goodteacher.config import read_toml
from goodteacher.records import (
    FAMILY,
    Front,
    FrontRow,
    Latency,
    Pair,
    latency_title,
    listed,
    percent,
    points,
    repetitions_of,
)
from goodteacher.report.chart import Axis, Lines, Point, Series
from goodteacher.report.going import Going, unfinished
from goodteacher.report.headline import confidence, in_points, shown_range
from goodteacher.report.page import render_page
from goodteacher.report.parts import REPORT_FILE, Page, Panel, Section, Table, View
from goodteacher.studies import (
    CONFIG_FILE,
    FRONT_FILE,
    STUDENTS_FILE,
    SWEET_SPOT_FILE,
    Place,
    Store,
    study_folders,
)

DEFINITIONS = (
    "Each student has a study of its own: its training, recipe and teacher were chosen for it on "
    "the selection split, and the test split was opened after all choices. All students share "
    "the same teachers, which were trained once.",
    "A student is on the front if no other student is as accurate at lower cost, or more "
    "accurate at the same cost. This compares means only; the text above says which differences "
    "are clear.",
    "Latency is the time from stored inputs to logits, on one CPU thread of the named machine. "
    "It cannot be compared with latencies on other machines.",
)


@dataclass(frozen=True)
class Student:
    """A student in a figure.

    Attributes:
        name: Its specification.
        cost: On the axis of costs.
        accuracy: On the test split, in %.
        interval: Of the accuracy, in %.
        on_front: Whether no other student beats it.
    """

    name: str
    cost: float
    accuracy: float
    interval: Pair
    on_front: bool


def write_front_report(store: Store, going: Going | None = None) -> Place:
    """Write ``report.html`` of several students from ``front.json``.

    While the search for some of them goes on, and where it was stopped, the page says which are
    done, and leads to the report of each.

    Args:
        store: The folder of all.
        going: What is running in it, or was stopped.

    Returns:
        Where the report is.

    Raises:
        StudyError: A file is damaged.
    """
    store.write_text(REPORT_FILE, front_report_of(store, going))
    return store.root / REPORT_FILE


def front_report_of(store: Store, going: Going | None = None) -> str:
    """Return what :func:`write_front_report` writes."""
    settings = read_toml(store.local(STUDENTS_FILE))["settings"]
    named = {
        "name": store.root.name,
        "teacher": settings.get("teacher", "recorded teachers"),
        "data": settings["data"],
    }
    if going is None and store.exists(FRONT_FILE):
        page = front_page(store.read_json(FRONT_FILE, Front), **named)
    else:
        page = unfinished_front(_states(store), going, **named)
    return render_page(page)


@dataclass(frozen=True)
class State:
    """How far the search for a student is.

    Attributes:
        student: Its specification.
        folder: Name of the folder of its study.
        finished: Whether its search has ended.
        reported: Whether there is a report of it.
    """

    student: str
    folder: str
    finished: bool
    reported: bool


def unfinished_front(
    states: Sequence[State], going: Going | None, *, name: str, teacher: str, data: str
) -> Page:
    """Return what is said about several students of which some are still searched for.

    Args:
        states: How far the search for each is.
        going: Where the work is; None where nobody knows whether it is running.
        name: Of the folder.
        teacher: The teacher's specification.
        data: What the data are called.
    """
    done = sum(state.finished for state in states)
    page = Page(
        name=name,
        title=f"{len(states)} students of {teacher} on {data}",
        answer="",
        notes=(),
        sections=(Section("students", "The students", tables=(_states_table(states),)),),
        definitions=DEFINITIONS,
    )
    known = f"The search has ended for {done} of {len(states)} students."
    unknown = "Which students are the most accurate ones for their size and latency."
    return unfinished(page, going, known=known, unknown=unknown)


def _states(store: Store) -> tuple[State, ...]:
    found = []
    for student, folder in study_folders(store.root).items():
        study = Store(folder)
        begun = study.exists(CONFIG_FILE)
        finished = begun and study.exists(SWEET_SPOT_FILE)
        found.append(State(student, folder.name, finished, study.exists(REPORT_FILE)))
    return tuple(found)


def _states_table(states: Sequence[State]) -> Table:
    rows = tuple(
        (
            state.student,
            "has ended" if state.finished else "is not finished",
            _link(state.folder) if state.reported else "not written yet",
        )
        for state in states
    )
    return Table("", ("student", "its search", "its report"), rows)


def _link(folder: str) -> Markup:
    return Markup('<a href="{0}/report.html">{0}</a>').format(folder)


def front_page(front: Front, *, name: str, teacher: str, data: str) -> Page:
    """Return what is said about several students.

    Args:
        front: What was found.
        name: Of the folder.
        teacher: The teacher's specification.
        data: What the data are called.
    """
    front_names = listed([row.student for row in front.rows if row.on_front])
    panels, tables = front_panels(front), (front_table(front),)
    answer = Section("answer", "The students", (front.summary,), panels, tables)
    return Page(
        name=name,
        title=f"{len(front.rows)} students of {teacher} on {data}",
        answer=f"On the front of accuracy over parameters: {front_names}.",
        notes=_notes(front),
        sections=(answer, Section("cost", "Cost", (front.teacher_time,))),
        definitions=DEFINITIONS,
    )


def front_panels(front: Front) -> tuple[Panel, Panel]:
    """Return accuracy over parameters, and over each latency."""
    return (_parameters_panel(front), _latency_panel(front))


def _notes(front: Front) -> tuple[str, ...]:
    """Return what a reader must know before trusting the numbers."""
    open_ones = [row.student for row in front.rows if row.answer == "undecided"]
    if not open_ones:
        return ()
    return (
        f"Whether to distill is undecided for {listed(open_ones)}. The reports of these students "
        "say why.",
    )


def front_table(front: Front) -> Table:
    """Return a row for each student, with the way to its own report."""
    share, first = confidence(front.level), front.rows[0]
    times = repetitions_of(front.latencies)
    sizes = [latency.batch_size for latency in first.latencies]
    head = (
        "student",
        "report",
        "on the front",
        "distill",
        "delivered student of",
        "test, %",
        "hard labels, %",
        "gain over hard labels, points",
        "parameters",
        "weights, KiB",
        *(f"{latency_title(size)}, ms" for size in sizes),
    )
    caption = (
        f"Accuracy on the test split (n = {first.num_test:,} examples), mean of {first.num_seeds} "
        f"seeds; brackets: {share} intervals for each student alone; differences are paired. "
        f"Latency: median of {times} repetitions, brackets: quartiles, measured on "
        f"{front.machine}, one thread. On the front: of accuracy over parameters (P), and over "
        f"each latency ({', '.join(f'L{size}' for size in sizes)})."
    )
    return Table(caption, head, tuple(_cells(row) for row in front.rows))


def _cells(row: FrontRow) -> tuple[str, ...]:
    gain = points(row.gain)
    if row.gain_interval is not None:
        gain = f"{gain} {shown_range(row.gain_interval, points)}"
    fronts = [*(["P"] if row.on_front else [])]
    fronts += [f"L{latency.batch_size}" for latency in row.latencies if latency.on_front]
    return (
        row.student,
        _link(row.folder),
        ", ".join(fronts) or "-",
        row.answer,
        FAMILY[row.delivered],
        f"{percent(row.test_accuracy)} {shown_range(row.interval, percent)}",
        f"{percent(row.hard_labels_accuracy)} {shown_range(row.hard_labels_interval, percent)}",
        gain,
        f"{row.parameters:,}",
        f"{row.weight_bytes / 1024:,.1f}",
        *(f"{_ms(each.median)} {shown_range(each.quartiles, _ms)}" for each in row.latencies),
    )


def points_of(
    front: Front, cost: Callable[[FrontRow], float], on_front: Callable[[FrontRow], bool]
) -> tuple[Student, ...]:
    """Return the students of a figure, cheapest first.

    Args:
        front: What was found.
        cost: What stands on the axis of costs.
        on_front: Whether no other student beats one.
    """
    found = (
        Student(
            row.student,
            cost(row),
            100 * row.test_accuracy,
            in_points(row.interval),
            on_front(row),
        )
        for row in front.rows
    )
    return tuple(sorted(found, key=lambda point: (point.cost, point.accuracy)))


def draw_front(students: Sequence[Student], *, title: str) -> Lines:
    """Draw a point with its interval for each student, and a line along the front."""
    front = [student for student in students if student.on_front]
    beaten = [student for student in students if not student.on_front]
    edges = [Point(after.cost, before.accuracy) for before, after in itertools.pairwise(front)]
    corners = [Point(student.cost, student.accuracy) for student in front]
    stairs = [corner for pair in itertools.zip_longest(corners, edges) for corner in pair if corner]
    series = (
        Series("front", tuple(stairs), style=None, marked=False, dashed=True),
        Series("on the front", tuple(map(_point, front)), style=0, joined=False),
        Series("beaten", tuple(map(_point, beaten)), style=1, joined=False),
    )
    return Lines(
        Axis(title, log=True),
        Axis("test accuracy, %"),
        tuple(each for each in series if each.points),
        height=300,
    )


def _point(student: Student) -> Point:
    note = f"{student.name}: {student.accuracy:.2f} %, {student.cost:,.4g}"
    return Point(student.cost, student.accuracy, note, student.name, student.interval)


def _parameters_panel(front: Front) -> Panel:
    students = points_of(front, lambda row: row.parameters, lambda row: row.on_front)
    caption = (
        "Test accuracy of the delivered kind of student over its number of parameters "
        f"(logarithmic), {_basis(front)}"
    )
    figure = draw_front(students, title="parameters")
    view = View("", figure, caption, _numbers(students, "parameters"))
    return Panel("parameters", "Accuracy over parameters", (view,))


def _latency_panel(front: Front) -> Panel:
    views = tuple(_latency_view(front, place) for place in range(len(front.rows[0].latencies)))
    return Panel("latency", "Accuracy over latency", views)


def _latency_view(front: Front, place: int) -> View:
    def latency(row: FrontRow) -> Latency:
        return row.latencies[place]

    students = points_of(
        front, lambda row: 1e3 * latency(row).median, lambda r: latency(r).on_front
    )
    first = latency(front.rows[0])
    title = f"latency of {latency_title(first.batch_size)}, ms"
    times = repetitions_of(map(latency, front.rows))
    caption = (
        f"Test accuracy over the median of {times} repetitions for "
        f"{latency_title(first.batch_size)} (logarithmic), on {front.machine}, one thread, "
        f"{_basis(front)} If the quartiles of two students overlap in the table above, no "
        "difference in speed is shown."
    )
    label = latency_title(first.batch_size)
    return View(label, draw_front(students, title=title), caption, _numbers(students, title))


def _numbers(students: Sequence[Student], title: str) -> Table:
    rows = tuple(
        (
            point.name,
            f"{point.cost:,.4g}" if point.cost < 1000 else f"{point.cost:,.0f}",
            f"{point.accuracy:.2f}",
            f"{point.interval[0]:.2f}",
            f"{point.interval[1]:.2f}",
            "yes" if point.on_front else "no",
        )
        for point in students
    )
    return Table("", ("student", title, "accuracy, %", "low", "high", "on the front"), rows)


def _basis(front: Front) -> str:
    first = front.rows[0]
    return (
        f"mean of {first.num_seeds} seeds, n = {first.num_test:,} test examples; bars: "
        f"{confidence(front.level)} intervals. Dashed: the front."
    )


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}"
