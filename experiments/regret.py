"""What the default search loses against the exhaustive one, and what it saves. On every pair.

    python experiments/regret.py

Regret: accuracy of the students of the exhaustive search's pick minus that of the default search's
pick. *Fresh seeds*: both confirmed with the same seeds, which no choice has seen, so it may be
negative; on the selection split, by which both were picked, and on the test split, by which none
was. *Search seeds*: the accuracies by which the exhaustive search picked; its pick is the greatest
of many noisy values (the winner's curse), so this regret is never negative and too large.

Time: of students in the search, references and probes included and the confirmation, which both
need, left out; of teachers their epochs, priced as below. The naive grid trains a teacher from
scratch for each batch size and epoch and every student alone. Both it and the default search are
priced by the epochs of each kind that they take and the seconds of such an epoch, which
`benchmarks/naive_grid.py` measured on a quiet machine for the pair or, where it says "scaled", for
the same networks on another number of transfer examples; so is what each of the default search's
recorded responses takes. Some pairs `benchmarks/whole_search.py` ran whole instead of by prices.
Writes `results/regret.json`, of which `rendered` makes the tables.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from goodteacher.config import Training
from goodteacher.records.results import StudentRow, SweetSpot
from goodteacher.records.words import fixed, points
from pairs import RESULTS, Pair, all_pairs, confirmed, paired
from summaries import json_text, shown, shown_ratio, table

FILE = "regret.json"
MEASURED = Path(__file__).resolve().parent.parent / "benchmarks" / "results"
NAIVE, WHOLE = MEASURED / "naive_grid.json", MEASURED / "whole_searches.json"

Result = Mapping[str, Any]


def result_of(
    pairs: Iterable[Pair], naive: Sequence[Result], whole: Sequence[Result] = ()
) -> dict[str, Any]:
    """Return every number of the tables, as JSON holds it.

    Args:
        pairs: The study's pairs.
        naive: Lines of `naive_grid.json`.
        whole: Lines of `whole_searches.json`.
    """
    found: dict[str, Any] = {}
    left_out = []
    for pair in pairs:
        if pair.exhaustive is None or pair.search is None or not pair.of_today:
            left_out.append(pair.name)
        else:
            found[pair.name] = {
                "regret": regrets(pair, pair.exhaustive, pair.search),
                "cost": costs(pair, pair.exhaustive, pair.search, naive),
                "naive": savings(pair, pair.exhaustive, pair.search, naive),
                "whole": whole_run(pair, whole),
            }
    return {"pairs": found, "left_out": left_out}


def regrets(pair: Pair, exhaustive: SweetSpot, default: SweetSpot) -> dict[str, Any]:
    """Return what the default search's pick loses, as fractions.

    Args:
        pair: The pair, for its students.
        exhaustive: What the exhaustive search found.
        default: What the default search found.
    """
    theirs, ours = exhaustive.student, default.student
    same = (theirs.arm, theirs.training) == (ours.arm, ours.training)
    kept = {"selection": "selection_accuracy", "test": "test_accuracy"}
    fresh = {
        split: paired(
            confirmed(pair.students, theirs.arm, field, theirs.training),
            confirmed(pair.default_students, ours.arm, field, ours.training),
        )
        for split, field in kept.items()
    }
    found = {split: 0.0 if same else _mean(each) for split, each in fresh.items()}
    return {
        "same_pick": same,
        "seeds": len(fresh["selection"]),
        "fresh": found["selection"],
        "test": found["test"],
        "search_seeds": on_search_seeds(pair.students, ours.arm, ours.training),
    }


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def on_search_seeds(rows: Iterable[StudentRow], arm: str, training: Training) -> float | None:
    """Return the regret of an arm by the accuracies that the exhaustive search chose by.

    Args:
        rows: The students of the exhaustive search.
        arm: The default search's pick.
        training: How its students trained: of tuned students an arm has several trainings.

    Returns:
        None where the exhaustive search had no such arm.
    """
    seeds: dict[tuple[str, Training], list[float]] = defaultdict(list)
    for row in rows:
        if row.stage == "search" and row.epoch is not None:
            seeds[row.arm, row.training].append(row.selection_accuracy)
    means = {key: math.fsum(values) / len(values) for key, values in seeds.items()}
    return max(means.values()) - means[arm, training] if (arm, training) in means else None


def costs(
    pair: Pair, exhaustive: SweetSpot, default: SweetSpot, naive: Sequence[Result]
) -> dict[str, float | None]:
    """Return what the default search takes, as shares of what the exhaustive one takes.

    Args:
        pair: The pair, for its students.
        exhaustive: What the exhaustive search found.
        default: What the default search found.
        naive: Lines of `naive_grid.json`, which price the teachers.
    """
    whole = dict.fromkeys(pair.pair.taught, pair.pair.settings["epochs"])
    seconds = [searching_seconds(rows) for rows in (pair.default_students, pair.students)]
    epochs = [
        searching_epochs(*each)
        for each in ((default, pair.default_students), (exhaustive, pair.students))
    ]
    return {
        "student_time": seconds[0] / seconds[1],
        "student_epochs": epochs[0] / epochs[1],
        "teacher_time": teaching_share(pair, pair.pair.taught, whole, naive),
        "teacher_epochs_run": default.cost.teacher_epochs_run,
        "teacher_epochs_planned": default.cost.teacher_epochs_full,
    }


def searching_seconds(rows: Iterable[StudentRow]) -> float:
    """Return the training time of a search's students, probes included, without confirmation."""
    return math.fsum(row.student_seconds for row in rows if row.stage in ("search", "probe"))


def searching_epochs(found: SweetSpot, rows: Iterable[StudentRow]) -> int:
    """Return the student-epochs of a search without its confirmation."""
    confirmation = sum(row.student_epochs for row in rows if row.stage == "confirm")
    return found.cost.student_epochs_run - confirmation


def savings(
    pair: Pair, exhaustive: SweetSpot, default: SweetSpot, naive: Sequence[Result]
) -> dict[str, Any] | None:
    """Return what the naive grid takes, and how many times cheaper the default search is.

    Args:
        pair: The pair.
        exhaustive: What the exhaustive search found.
        default: What the default search found.
        naive: Lines of `naive_grid.json`.

    Returns:
        None where epochs of these networks were not timed, or it is not known how many the default
        search taught.
    """
    line, teaching = _line_for(pair, naive), teaching_of(pair, naive)
    sizes = {record.batch_size for record in pair.teachers}
    if line is None or not pair.pair.taught or not sizes <= teaching.keys():
        return None
    scale = pair.pair.transfer_examples / line["examples"]
    student = {way: scale * each["median"] for way, each in line["student_epoch"].items()}
    from_scratch: dict[int, int] = defaultdict(int)
    for record in pair.teachers:
        if record.variant == "raw":
            from_scratch[record.batch_size] += record.epoch
    students = exhaustive.cost.student_epochs_exhaustive
    teachers = _teaching_seconds(teaching, pair.pair.taught, "here")
    stacked = student["stacked"] * searching_epochs(default, pair.default_students)
    recording = scale * line["teacher_record"]["median"] * _recorded(pair)
    naively = {
        "alone": _teaching_seconds(teaching, from_scratch, "here") + student["alone"] * students,
        "loop": _teaching_seconds(teaching, from_scratch, "loop") + student["loop"] * students,
    }
    return {
        "scaled": scale != 1,
        "teacher_seconds": teachers,
        "recording_seconds": recording,
        "student_seconds": stacked,
        "naive_teacher_seconds": _teaching_seconds(teaching, from_scratch, "loop"),
        "naive_seconds": naively["loop"],
        **{way: seconds / (teachers + recording + stacked) for way, seconds in naively.items()},
    }


def whole_run(pair: Pair, whole: Sequence[Result]) -> dict[str, Any] | None:
    """Return what a search and the naive grid took that were run whole, if they were.

    Args:
        pair: The pair.
        whole: Lines of `whole_searches.json`.
    """
    wanted = {**_networks(pair), "examples": pair.pair.transfer_examples}
    for line in whole:
        if all(line[name] == value for name, value in wanted.items()):
            return {
                "n": line["n"],
                "search_seconds": line["search"]["whole"],
                "naive_seconds": line["naive"]["whole"],
                "times_cheaper": line["times_cheaper"],
            }
    return None


def _recorded(pair: Pair) -> int:
    """Return how many teachers the default search recorded."""
    raw = (record for record in pair.teachers if record.variant == "raw")
    return sum(record.epoch <= pair.pair.taught[record.batch_size] for record in raw)


def teaching_share(
    pair: Pair, taught: Mapping[int, int], whole: Mapping[int, int], naive: Sequence[Result]
) -> float | None:
    """Return the time that teaching so many epochs at each batch size takes, as a share.

    Args:
        pair: Whose teachers.
        taught: Epochs by batch size.
        whole: Those that it is a share of.
        naive: Lines of `naive_grid.json`.

    Returns:
        None where epochs of this teacher were not timed at each batch size.
    """
    each = teaching_of(pair, naive)
    if not whole or not whole.keys() <= each.keys():
        return None
    return _teaching_seconds(each, taught, "here") / _teaching_seconds(each, whole, "here")


def teaching_of(pair: Pair, naive: Sequence[Result]) -> dict[int, dict[str, float]]:
    """Return the seconds of a teacher's epoch by batch size and way.

    Neither the student nor its examples make a difference to them, so every line of this teacher
    counts: the median of their medians.
    """
    timed: dict[tuple[int, str], list[float]] = defaultdict(list)
    for line in naive:
        if (line["data"], line["teacher"]) == (pair.pair.data, pair.pair.teacher):
            for size, ways in line["teacher_epoch"].items():
                for way, seconds in ways.items():
                    timed[int(size), way].append(seconds["median"])
    found: dict[int, dict[str, float]] = defaultdict(dict)
    for (size, way), medians in timed.items():
        found[size][way] = statistics.median(medians)
    return dict(found)


def _teaching_seconds(
    each: Mapping[int, Mapping[str, float]], epochs: Mapping[int, int], way: str
) -> float:
    """Return the seconds of so many epochs at each batch size."""
    return math.fsum(count * each[size][way] for size, count in epochs.items())


def _line_for(pair: Pair, naive: Sequence[Result]) -> Result | None:
    """Return the line of these networks, of the nearest number of examples."""
    wanted = _networks(pair)
    found = [line for line in naive if all(line[name] == value for name, value in wanted.items())]
    distances = [abs(math.log(line["examples"] / pair.pair.transfer_examples)) for line in found]
    return found[distances.index(min(distances))] if found else None


def _networks(pair: Pair) -> dict[str, Any]:
    """Return what a line of this pair's networks says of them."""
    return {
        "data": pair.pair.data,
        "teacher": pair.pair.teacher,
        "student": pair.pair.student,
        "student_batch_size": pair.pair.settings["student_batch_size"],
    }


def rendered(result: Result) -> str:
    """Return the tables of a result, as Markdown."""
    pairs = result["pairs"]
    if not pairs:
        return "*Not measured.*"
    named = ", ".join(result["left_out"])
    missing = f" Not run both exhaustively and with today's defaults: {named}." if named else ""
    head = f"n = {len(pairs)} pairs; their mean [95 % interval over pairs] (range).{missing}"
    return "\n\n".join([head, _regret_table(pairs), _saving_table(pairs), _whole_table(pairs)])


_REGRETS = {
    "fresh": "regret, fresh seeds, points",
    "test": "regret, test split, points",
    "search_seeds": "regret, search seeds (too large), points",
}
_COSTS = {
    "student_time": "student time, share",
    "student_epochs": "student epochs, share",
    "teacher_time": "teacher time, share",
}


def _regret_table(pairs: Mapping[str, Result]) -> str:
    head = ["pair", "fresh seeds", *_REGRETS.values(), *_COSTS.values(), "teacher epochs"]
    lines = [_regret_line(name, pair) for name, pair in pairs.items()]
    means = [
        *(shown(_known(pairs, "regret", name, 100)) for name in _REGRETS),
        *(shown(_known(pairs, "cost", name)) for name in _COSTS),
    ]
    target = ["*target*", "", "at most 0.10", "", "", "at most 0.33", "", "below 1", ""]
    return table(head, [*lines, ["**mean**", "", *means, ""], target])


def _regret_line(name: str, pair: Result) -> list[str]:
    regret, cost = pair["regret"], pair["cost"]
    lost = ["-" if regret[key] is None else points(regret[key]) for key in _REGRETS]
    seeds = f"{regret['seeds']}{', the same pick' * regret['same_pick']}"
    shares = ["-" if cost[key] is None else fixed(cost[key]) for key in _COSTS]
    epochs = f"{cost['teacher_epochs_run']} of {cost['teacher_epochs_planned']}"
    return [name, seeds, *lost, *shares, epochs]


def _known(pairs: Mapping[str, Result], part: str, name: str, unit: float = 1) -> list[float]:
    found = [pair[part][name] for pair in pairs.values() if pair[part]]
    return [unit * value for value in found if value is not None]


_SAVINGS = {"alone": "times cheaper, students only", "loop": "times cheaper, plain loop"}
_SECONDS = {
    "teacher_seconds": "default search: teachers, s",
    "recording_seconds": "default search: responses, s",
    "student_seconds": "default search: students, s",
    "naive_teacher_seconds": "plain loop: teachers, s",
    "naive_seconds": "plain loop: all, s",
}


def _saving_table(pairs: Mapping[str, Result]) -> str:
    head = ["pair", *_SECONDS.values(), *_SAVINGS.values(), "student-epochs"]
    lines = [_saving_line(name, pair["naive"]) for name, pair in pairs.items()]
    means = [shown_ratio(_known(pairs, "naive", way)) for way in _SAVINGS]
    target = ["*target*", *[""] * len(_SECONDS), *["at least 30"] * len(_SAVINGS), ""]
    return table(head, [*lines, ["**geometric mean**", *[""] * len(_SECONDS), *means, ""], target])


def _saving_line(name: str, naive: Result | None) -> list[str]:
    if naive is None:
        return [name, *["-"] * (len(_SECONDS) + len(_SAVINGS)), "not timed"]
    times = [fixed(naive[way], ".1f") for way in _SAVINGS]
    seconds = [fixed(naive[key], ",.0f") for key in _SECONDS]
    return [name, *seconds, *times, "scaled" if naive["scaled"] else "timed"]


def _whole_table(pairs: Mapping[str, Result]) -> str:
    """Return what was run whole, beside what the prices of its parts say."""
    found = {name: pair for name, pair in pairs.items() if pair["whole"]}
    if not found:
        return "*No whole search was run.*"
    head = ["run whole", "n", "default search, s", "naive grid, s", "times cheaper", "by price"]
    lines = [
        [
            name,
            f"{pair['whole']['n']}",
            _median_and_range(pair["whole"]["search_seconds"], ",.0f"),
            _median_and_range(pair["whole"]["naive_seconds"], ",.0f"),
            _median_and_range(pair["whole"]["times_cheaper"], ".1f"),
            fixed(pair["naive"]["loop"], ".1f") if pair["naive"] else "not timed",
        ]
        for name, pair in found.items()
    ]
    return table(head, lines)


def _median_and_range(spread: Mapping[str, float], form: str) -> str:
    low, middle, high = (fixed(spread[key], form) for key in ("low", "median", "high"))
    return f"{middle} ({low}-{high})"


def lines_of(path: Path) -> list[Result]:
    """Return the lines of a benchmark's result; none where it has not been measured."""
    lines: list[Result] = json.loads(path.read_text())["pairs"] if path.exists() else []
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the pairs")
    parser.add_argument("--naive", type=Path, default=NAIVE, help="what naive_grid.py measured")
    parser.add_argument("--whole", type=Path, default=WHOLE, help="what whole_search.py measured")
    given = parser.parse_args()
    result = result_of(all_pairs(given.results), lines_of(given.naive), lines_of(given.whole))
    (given.results / FILE).write_text(json_text(result))
    print(rendered(result))


if __name__ == "__main__":
    main()
