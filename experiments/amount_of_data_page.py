"""What `amount_of_data.py` found: docs/study-data.md and its figure, made of the committed rows.

python experiments/amount_of_data_page.py
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from amount_of_data import FEWEST, FILE, ORDER, PAIRS, REPETITIONS, SHARES, TENTH, settings_of_pair
from goodteacher.records.words import percent
from panels import Look, Panel, Series
from repeated import Estimate, over_repetitions, slope
from summaries import table

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from pages import filled  # noqa: E402  (it fills the pages of the benchmarks, too)

PAGE, FIGURE = ROOT / "docs/study-data.md", ROOT / "docs/figures/amount_of_data.svg"

Row = Mapping[str, Any]
Rows = Sequence[Row]

TITLES = {
    "fashion_mnist": "Fashion-MNIST",
    "mnist": "MNIST",
    "banking77": "Banking77",
    "cifar10": "CIFAR-10",
}
GAINS = {"over_labels": "labels", "over_smoothing": "smoothing"}
NOT_RUN = "*Not run yet.*"
TOO_FEW = f"*Not answered yet: no data set has {FEWEST} shares.*"


def main() -> None:
    rows = json.loads(FILE.read_text())
    PAGE.write_text(page_of(PAGE.read_text(), rows))
    from figures import Kind, draw  # needs Matplotlib: the extra bench

    kind = Kind(
        lambda _: [],
        "examples that students learn from",
        "gain, points",
        log_x=10,
        from_zero=0.0,
    )
    draw(kind, panels_of(rows), FIGURE)


def page_of(text: str, rows: Rows) -> str:
    """Return the page with every place filled anew."""
    return filled(text, lambda name: PLACES[name](rows))


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
            _answer(rows, "over_labels", "Does the gain over hard labels grow where data are few?"),
            _answer(rows, "over_smoothing", "Does the gain over tuned label smoothing grow, too?"),
            _fewest(rows, "own", "the same few examples"),
            _fewest(rows, "all", "all training examples"),
            _unlabelled(rows),
        ]
    )


def _answer(rows: Rows, gain: str, question: str) -> str:
    found = {data: slope_of(rows, data, gain) for data in PAIRS}
    known = {data: each for data, each in found.items() if each is not None}
    said = [
        f"{TITLES[data]} {_fewer(each)} points for ten times fewer examples "
        f"({reading(each)}; shares {_shares(rows, data)}, repetitions: {each.repetitions})"
        for data, each in known.items()
    ]
    return f"- **{question}** {_count(known)}{'; '.join(said) or TOO_FEW}"


def _count(known: Mapping[str, Estimate]) -> str:
    grows = sum(each.high < 0 for each in known.values())
    return f"On {grows} of {len(known)} data sets it does: " if known else ""


def _fewer(found: Estimate) -> str:
    """Format a slope with its sign turned: what a tenth of the examples adds."""
    return Estimate(-found.mean, -found.high, -found.low).text()


def _shares(rows: Rows, data: str) -> str:
    shares = [share for share in SHARES if measured(rows, data, "own", share)]
    return f"{100 * shares[0]:g} to {100 * shares[-1]:g} %"


def _fewest(rows: Rows, kind: str, of: str) -> str:
    """Say what students of the fewest examples gain from a teacher."""
    said = []
    for data in PAIRS:
        shares = [share for share in SHARES if measured(rows, data, kind, share)]
        if shares:
            found = measured(rows, data, kind, shares[0])
            said.append(
                f"{TITLES[data]} ({found[0]['students_learn_from']:,} examples) "
                f"{estimate(found, 'over_labels').text()} points over hard labels, "
                f"{estimate(found, 'over_smoothing').text()} over smoothing, {_verdicts(found)}"
            )
    question = f"What do students of the fewest examples gain, from a teacher of {of}?"
    return f"- **{question}** {'; '.join(said) or NOT_RUN}"


def _unlabelled(rows: Rows) -> str:
    found = {data: unlabelled_gain(rows, data) for data in PAIRS}
    said = [f"{TITLES[data]} {each.text()} points" for data, each in found.items() if each]
    return (
        "- **Do unlabelled examples help?** The students of a labelled tenth gain from the "
        f"unlabelled rest: {'; '.join(said) or NOT_RUN}"
    )


def points_table(rows: Rows) -> str:
    """Show every point that was measured."""
    head = [
        "data",
        "teacher of",
        "students of",
        "hard labels",
        "smoothing",
        "distilled",
        "over labels",
        "over smoothing",
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
        TITLES[data],
        f"{found[0]['teacher_learns_from']:,}{rest}",
        f"{found[0]['students_learn_from']:,}",
        *(percent(mean(name)) for name in ("labels", "smoothing", "students")),
        *(estimate(found, gain).text() for gain in GAINS),
        _verdicts(found),
        str(len(found)),
    ]


def _verdicts(found: Rows) -> str:
    counted = Counter(row["verdict"].replace("_", " ") for row in found)
    if len(counted) == 1:
        return next(iter(counted))
    return ", ".join(f"{name} ({count})" for name, count in counted.items())


def missing(rows: Rows) -> str:
    """Say what has not been run, and what cannot be."""
    lines = [f"- {TITLES[data]}: {said}." for data in PAIRS if (said := _open(rows, data))]
    return "\n".join([*(lines or ["- Nothing: all has been run."]), *_impossible(rows)])


def _open(rows: Rows, data: str) -> str:
    """List the points of a data set that have too few repetitions, those alike together."""
    done = Counter((row["kind"], row["share"]) for row in rows if row["data"] == data)
    groups: dict[tuple[str, int], list[float]] = {}
    for point in sorted(ORDER, key=_place):
        if done[point] < REPETITIONS:
            groups.setdefault((point[0], REPETITIONS - done[point]), []).append(point[1])
    return "; ".join(
        f"{kind} {', '.join(f'{100 * share:g}' for share in shares)} % ({lacking})"
        for (kind, lacking), shares in groups.items()
    )


def _impossible(rows: Rows) -> Iterator[str]:
    found = dict.fromkeys(
        (row["data"], row["kind"], row["share"]) for row in rows if row.get("impossible")
    )
    for data, kind, share in found:
        yield (
            f"- {TITLES[data]}, {kind} {100 * share:g} %: impossible, a class would have no "
            "example."
        )


def pairs(rows: Rows) -> str:
    """Say who teaches whom."""
    return table(
        ["data", "teacher", "student"],
        [
            [
                TITLES[data],
                *(f"`{settings_of_pair(data)[name]}`" for name in ("teacher", "student")),
            ]
            for data in PAIRS
        ],
    )


PLACES = {"answer": answer, "points": points_table, "missing": missing, "pairs": pairs}


# --- the figure --------------------------------------------------------------------------------


LOOKS: Mapping[str, tuple[str, Look]] = {
    "own": ("", "line"),
    "all": (", teacher of all", "dashed"),
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
            found.append(Panel(f"{TITLES[data]}\nrepetitions: {most}", series))
    return found


def _series(rows: Rows, data: str, kind: str, gain: str, label: str, look: Look) -> Series | None:
    each = [found for share in SHARES if (found := measured(rows, data, kind, share))]
    if not each:
        return None
    gains = [estimate(found, gain) for found in each]
    return Series(
        label,
        [found[0]["students_learn_from"] for found in each],
        [100 * gain.mean for gain in gains],
        [100 * gain.low for gain in gains],
        [100 * gain.high for gain in gains],
        look,
    )


if __name__ == "__main__":
    main()
