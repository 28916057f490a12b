"""What `amount_of_data.py` found: docs/study-data.md and its figure, made of the committed rows.

python experiments/amount_of_data_page.py
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from amount_of_data import FEWEST, FILE, ORDER, PAIRS, REPETITIONS, SHARES, TENTH, settings_of_pair
from docs_pages import (
    DOCS,
    FIGURES,
    NOT_RUN,
    ResultsPage,
    Row,
    Rows,
    counted,
    in_panels,
    points_series,
    still_to_run,
)
from goodteacher.records.words import percent
from pairs import NAMES
from panels import Look, Panel, Series
from repeated import Estimate, over_repetitions, slope
from summaries import table

GAINS = {"over_labels": "hard labels", "over_smoothing": "label smoothing"}
TOO_FEW = f"*Not known yet: no data set was measured with {FEWEST} amounts of data.*"


# --- what the rows come to -------------------------------------------------------------------


def measured(rows: Rows, data: str, kind: str, share: float) -> list[Row]:
    """Return the rows of a point, one for each repetition."""
    here = (data, kind, share)
    return [
        row
        for row in rows
        if (row["data"], row["kind"], row["share"]) == here and not row.get("impossible")
    ]


def estimate(rows: Rows, gain: str) -> Estimate:
    """Return a gain at one point, over its repetitions."""
    return over_repetitions([Estimate(*row[gain]) for row in rows])


def slope_of(rows: Rows, data: str, gain: str) -> Estimate | None:
    """Return how a gain changes where teacher and students learn from ten times the examples.

    Args:
        rows: All rows.
        data: The data set.
        gain: A key of `GAINS`.

    Returns:
        None where no repetition has `FEWEST` shares.
    """
    own = [r for share in SHARES for r in measured(rows, data, "own", share)]
    each = []
    for repetition in range(REPETITIONS):
        found = [row for row in own if row["repetition"] == repetition]
        if len(found) >= FEWEST:
            x = [math.log10(row["students_learn_from"]) for row in found]
            each.append(slope(x, [Estimate(*row[gain]) for row in found]))
    return over_repetitions(each) if each else None


def reading(found: Estimate) -> str:
    """Say what a slope says, by the rule of `amount_of_data.py`.

    Example:
        >>> reading(Estimate(-0.01, -0.02, -0.001))
        'grows where data are few'
    """
    if found.high < 0:
        return "grows where data are few"
    return "shrinks where data are few" if found.low > 0 else "undecided"


def unlabelled_gain(rows: Rows, data: str) -> Estimate | None:
    """Return what unlabelled examples add to the students of a labelled tenth."""
    found = [row for row in measured(rows, data, "unlabelled", TENTH) if "over_tenth" in row]
    return estimate(found, "over_tenth") if found else None


# --- the page ----------------------------------------------------------------------------------


def answer(rows: Rows) -> str:
    """Answer the questions, each data set with its interval."""
    return "\n".join(
        [
            _answer(rows, "over_labels", "Is more gained over hard labels where data are few?"),
            _answer(rows, "over_smoothing", "And over tuned label smoothing?"),
            _fewest(rows, "own", "the teacher was trained on the same examples"),
            _fewest(rows, "all", "the teacher was trained on all data"),
            _unlabelled(rows),
        ]
    )


def _answer(rows: Rows, gain: str, question: str) -> str:
    found = {data: slope_of(rows, data, gain) for data in PAIRS}
    known = {data: each for data, each in found.items() if each is not None}
    said = [
        f"{NAMES[data]} {_fewer(each)} points more with ten times fewer examples ({reading(each)}; "
        f"{_shares(rows, data)} of the data, repetitions: {each.repetitions})"
        for data, each in known.items()
    ]
    return f"- **{question}** {_count(known)}{'; '.join(said) or TOO_FEW}"


def _count(known: Mapping[str, Estimate]) -> str:
    grows = sum(each.high < 0 for each in known.values())
    return f"On {grows} of {len(known)} data sets: " if known else ""


def _fewer(found: Estimate) -> str:
    """Format a slope with its sign turned: what a tenth of the examples adds."""
    return Estimate(-found.mean, -found.high, -found.low).text()


def _shares(rows: Rows, data: str) -> str:
    shares = [share for share in SHARES if measured(rows, data, "own", share)]
    return f"{100 * shares[0]:g} to {100 * shares[-1]:g} %"


def _fewest(rows: Rows, kind: str, teacher: str) -> str:
    """Say what students of the fewest examples gain from a teacher."""
    said = []
    for data in PAIRS:
        shares = [share for share in SHARES if measured(rows, data, kind, share)]
        if shares:
            found = measured(rows, data, kind, shares[0])
            said.append(
                f"{NAMES[data]} ({found[0]['students_learn_from']:,} examples) "
                f"{estimate(found, 'over_labels').text()} points over hard labels and "
                f"{estimate(found, 'over_smoothing').text()} over label smoothing (verdict: "
                f"{_verdicts(found)})"
            )
    question = f"What do students of the fewest examples gain where {teacher}?"
    return f"- **{question}** {'; '.join(said) or NOT_RUN}"


def _unlabelled(rows: Rows) -> str:
    found = {data: unlabelled_gain(rows, data) for data in PAIRS}
    said = [f"{NAMES[data]} {each.text()} points" for data, each in found.items() if each]
    return (
        "- **Do unlabelled examples help?** With a tenth of the labels, learning from the "
        f"teacher's responses to the unlabelled rest as well adds: {'; '.join(said) or NOT_RUN}"
    )


def points_table(rows: Rows) -> str:
    """Show every point that was measured."""
    head = [
        "data",
        "examples of the teacher",
        "examples of the students",
        "hard labels",
        "label smoothing",
        "distilled",
        "over hard labels",
        "over label smoothing",
        "verdict",
        "repetitions",
    ]
    lines = [
        _line(found, data, kind)
        for data in PAIRS
        for kind, share in sorted(ORDER, key=_place)
        if (found := measured(rows, data, kind, share))
    ]
    return table(head, lines) if lines else NOT_RUN


def _place(point: tuple[str, float]) -> tuple[int, float]:
    return ("own", "unlabelled", "all").index(point[0]), point[1]


def _line(found: Rows, data: str, kind: str) -> list[str]:
    def mean(name: str) -> float:
        return math.fsum(row[name] for row in found) / len(found)

    rest = " labelled, the rest not" if kind == "unlabelled" else ""
    return [
        NAMES[data],
        f"{found[0]['teacher_learns_from']:,}{rest}",
        f"{found[0]['students_learn_from']:,}",
        *(percent(mean(name)) for name in ("labels", "smoothing", "students")),
        *(estimate(found, gain).text() for gain in GAINS),
        _verdicts(found),
        str(len(found)),
    ]


def _verdicts(found: Rows) -> str:
    said = counted(row["verdict"] for row in found)
    return said if len(found) > 1 else said.removesuffix(" 1")


def missing(rows: Rows) -> str:
    """Say what has not been run, and what cannot be."""
    done = Counter(row["data"] for row in rows)
    return "\n".join([still_to_run(done, REPETITIONS * len(ORDER)), *_impossible(rows)])


def _impossible(rows: Rows) -> Iterator[str]:
    found = dict.fromkeys(
        (row["data"], row["kind"], row["share"]) for row in rows if row.get("impossible")
    )
    for data, kind, share in found:
        words = {"own": "teacher and students of", "all": "students of", "unlabelled": "labels of"}
        yield (
            f"\nImpossible on {NAMES[data]}: {words[kind]} {100 * share:g} %, as some class would "
            "have no example."
        )


def pairs(rows: Rows) -> str:
    """Say who teaches whom."""
    return table(
        ["data", "teacher", "student"],
        [
            [
                NAMES[data],
                *(f"`{settings_of_pair(data)[name]}`" for name in ("teacher", "student")),
            ]
            for data in PAIRS
        ],
    )


# --- the figure --------------------------------------------------------------------------------


LOOKS: Mapping[str, tuple[str, Look]] = {
    "own": ("", "line"),
    "all": (", teacher of all data", "dashed"),
    "unlabelled": (", rest unlabelled", "hollow"),
}


def panels_of(rows: Rows) -> list[Panel]:
    """Return a panel for each data set: gains in points over the number of examples."""
    found = []
    for data in PAIRS:
        series = [
            line
            for gain, over in GAINS.items()
            for kind, (words, look) in LOOKS.items()
            if (line := _series(rows, data, kind, gain, f"over {over}{words}", look)) is not None
        ]
        if series:
            most = max(row["repetition"] + 1 for row in rows if row["data"] == data)
            found.append(Panel(f"{NAMES[data]}\nrepetitions: {most}", series))
    return found


def _series(rows: Rows, data: str, kind: str, gain: str, label: str, look: Look) -> Series | None:
    each = [found for share in SHARES if (found := measured(rows, data, kind, share))]
    if not each:
        return None
    sizes = [found[0]["students_learn_from"] for found in each]
    return points_series(label, sizes, [estimate(found, gain) for found in each], look)


PAGE = ResultsPage(
    DOCS / "study-data.md",
    FILE,
    {"answer": answer, "points": points_table, "missing": missing, "pairs": pairs},
    FIGURES / "amount_of_data.svg",
    in_panels(
        panels_of,
        x="examples that students learn from",
        y="gain, points",
        log_x=10,
        from_zero=0.0,
    ),
)

if __name__ == "__main__":
    PAGE.write()
