"""Which defaults of the search are right, chosen on other data sets than those they are judged on?

    python experiments/defaults.py    # of the committed pairs: results/defaults.json and the page

Each default is replayed, with its alternatives, on every pair of the study whose committed students
say what each alternative would have found; nothing is trained. Run again, it is of what is there.

*What an alternative loses*: the accuracy of the students that today's default finds minus that of
the students it finds, both on what took no part in the choice. Test accuracies exist only of the
students that searches confirmed, so:

- `variants` is judged on the test split: the default search's pick, the blend's best recipe, or the
  better of both on the selection split, by the fresh seeds of the confirmation.
- All others are judged by a search seed that was left out of the choice, on the selection split:
  each seed in turn (`variants.held_out`). That needs two search seeds; pairs with one are left out.

*What it costs*, as a ratio to today's default: student-epochs of the candidates, and of stopping
rules the time of teachers (`regret.teaching_share`).

**The rule**, fixed before a table had been made:

1. *Chosen without the data set that it is judged on*: of the alternatives, today's among them,
   those whose mean loss on the other data sets (each counts alike) is at most 0.1 points above the
   least; of these the cheapest, by the geometric mean of its cost.
2. The out-of-sample regret of a pair is what that choice loses there. Its 95 % interval draws data
   sets with replacement, and of each its pairs (10,000 times).
3. *changed*: without any data set the same other alternative is chosen, and the interval lies
   at or below 0; or at most at 0.1 points, and it is cheaper.
   *kept*: without any data set today's default is chosen; or the interval lies above -0.1 points,
   so that choosing anew wins nothing that matters.
   *cannot be told apart*: neither. *not known*: pairs of fewer than two data sets.
4. As long as fewer than half of the pairs have tuned students, as the package trains them today,
   decisions are provisional: no default is changed by them. (Added once a table had been seen: it
   withholds a change, and makes none.)
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from goodteacher.config import read_toml  # noqa: E402
from goodteacher.records.words import fixed, points, steady  # noqa: E402
from pages import filled  # noqa: E402
from pairs import RESULTS, Pair, all_pairs  # noqa: E402
from replays import DEFAULTS, Default, Outcome  # noqa: E402
from run import struck_of  # noqa: E402
from summaries import json_text, table  # noqa: E402

FILE = RESULTS / "defaults.json"
PAGE = ROOT / "docs/study-defaults.md"
STUDIES = sorted((ROOT / "experiments/cpu").glob("*.toml"))
CLOSE = 0.001
"""A loss that does not matter: the target of the regret, 0.1 points."""
RESAMPLES = 10_000

Found = Mapping[str, Mapping[str, Outcome]]
"""What each alternative comes to, by pair."""


@dataclass(frozen=True)
class Regret:
    """A loss over pairs.

    Attributes:
        mean: Mean over pairs.
        low: Lower end of its interval; NaN of fewer than two data sets.
        high: Upper end.
    """

    mean: float
    low: float
    high: float

    def text(self) -> str:
        """Format in points."""
        if math.isnan(self.low):
            return points(self.mean)
        return f"{points(self.mean)} [{points(self.low)}, {points(self.high)}]"


@dataclass(frozen=True)
class Decided:
    """What became of a default.

    Attributes:
        chosen: The alternative that the other data sets choose, by data set.
        regret: What the choice loses out of sample.
        cost: The geometric mean of its cost.
        decision: In the words of the rule.
    """

    chosen: Mapping[str, str]
    regret: Regret
    cost: float
    decision: str


def data_of(pair: str) -> str:
    """Return the data set of a pair."""
    return pair.partition("/")[0]


def losses(found: Found, alternative: str, today: str) -> dict[str, float]:
    """Return what an alternative loses in each pair."""
    return {pair: each[today].accuracy - each[alternative].accuracy for pair, each in found.items()}


def cost_of(found: Found, alternative: str) -> float:
    """Return the geometric mean over pairs of a cost."""
    return math.exp(statistics.fmean(math.log(each[alternative].cost) for each in found.values()))


def choose(found: Found, today: str) -> str:
    """Return the alternative that some pairs choose, by the first part of the rule."""
    names = list(next(iter(found.values())))
    means = {name: _over_data_sets(losses(found, name, today)) for name in names}
    least = min(means.values())
    near = [name for name in names if means[name] <= least + CLOSE + 1e-12]
    return min(near, key=lambda name: (round(cost_of(found, name), 9), means[name]))


def _over_data_sets(by_pair: Mapping[str, float]) -> float:
    return statistics.fmean(statistics.fmean(each) for each in _by_data(by_pair).values())


def _by_data(by_pair: Mapping[str, float]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for pair, value in by_pair.items():
        found[data_of(pair)].append(value)
    return dict(found)


def regret_of(by_pair: Mapping[str, float]) -> Regret:
    """Return the mean loss with its interval, by the second part of the rule."""
    groups = [np.asarray(each) for each in _by_data(by_pair).values()]
    mean = steady(statistics.fmean(by_pair.values()))
    if len(groups) < 2:
        return Regret(mean, math.nan, math.nan)
    rng, sizes = np.random.default_rng(0), np.array([len(group) for group in groups])
    chosen = rng.integers(len(groups), size=(RESAMPLES, len(groups)))
    sums = np.zeros(RESAMPLES)
    for place in range(len(groups)):  # each draw of a data set draws its pairs anew
        each = [g[rng.integers(len(g), size=(RESAMPLES, len(g)))].sum(1) for g in groups]
        sums += np.choose(chosen[:, place], each)
    drawn = sums / sizes[chosen].sum(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Regret(mean, steady(float(low)), steady(float(high)))


def decide(found: Found, today: str) -> Decided:
    """Decide about a default.

    Args:
        found: What each alternative comes to in each pair, of two data sets at least.
        today: The default.
    """
    chosen = {
        data: choose({pair: each for pair, each in found.items() if data_of(pair) != data}, today)
        for data in sorted({data_of(pair) for pair in found})
    }
    lost = {
        pair: each[today].accuracy - each[chosen[data_of(pair)]].accuracy
        for pair, each in found.items()
    }
    ratios = [math.log(each[chosen[data_of(pair)]].cost) for pair, each in found.items()]
    regret, cost = regret_of(lost), math.exp(statistics.fmean(ratios))
    return Decided(chosen, regret, cost, _decision(set(chosen.values()), today, regret, cost))


def _decision(chosen: set[str], today: str, regret: Regret, cost: float) -> str:
    better = regret.high <= 0 or (regret.high <= CLOSE and cost < 1)
    if chosen == {today}:
        return "kept"
    if len(chosen) == 1 and better:
        return "changed"
    return "kept" if regret.low > -CLOSE else "cannot be told apart"


# --- the page ------------------------------------------------------------------------------------


def result_of(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return what every alternative comes to, as JSON holds it: accuracy and cost."""
    return {
        "tuned": {pair.name: pair.tuned for pair in pairs},
        "defaults": {
            default.name: {
                pair.name: {name: [one.accuracy, one.cost] for name, one in found.items()}
                for pair in pairs
                if (found := default.replay(pair))
            }
            for default in DEFAULTS
        },
    }


def found_of(result: Mapping[str, Any], default: Default) -> dict[str, dict[str, Outcome]]:
    """Return what each alternative of a default comes to, by pair."""
    return {
        pair: {name: Outcome(*one) for name, one in each.items()}
        for pair, each in result["defaults"][default.name].items()
    }


def rows_of(default: Default, found: Found, after: str = "") -> list[list[str]]:
    """Return the rows of a default: one for each alternative, and the decision.

    Args:
        default: Which.
        found: What its alternatives come to.
        after: What is said after a decision.
    """
    if not found:
        return [[default.name, default.today, "not measured", "", "", ""]]
    sets = {data_of(pair) for pair in found}
    decided = decide(found, default.today) if len(sets) > 1 else None
    counts = (
        {name: list(decided.chosen.values()).count(name) for name in next(iter(found.values()))}
        if decided
        else {}
    )
    lines = []
    for name in next(iter(found.values())):
        is_today = name == default.today
        regret = "" if is_today else regret_of(losses(found, name, default.today)).text()
        shown = f"**{name}** (today)" if is_today else name
        picked = f"{counts[name]} of {len(sets)}" if counts.get(name) else ""
        lines.append([default.name, shown, regret, fixed(cost_of(found, name)), picked, ""])
    if decided is None:
        return [*lines, [default.name, "*out of sample*", "", "", "", "not known: one data set"]]
    last = ["*out of sample*", decided.regret.text(), fixed(decided.cost), ""]
    return [*lines, [default.name, *last, f"**{decided.decision}**{after}"]]


def decisions(result: Mapping[str, Any]) -> str:
    """Return the table."""
    head = ["default", "alternative", "regret, points", "cost", "chosen", "decision"]
    after = _after(result["tuned"])
    rows = [row for each in DEFAULTS for row in rows_of(each, found_of(result, each), after)]
    return table(head, rows)


def answer(result: Mapping[str, Any]) -> str:
    """Say it in a sentence for each default."""
    after = _after(result["tuned"])
    lines = [_answer(default, found_of(result, default), after) for default in DEFAULTS]
    return "\n".join([*lines, "", _tuned(result["tuned"])])


def _answer(default: Default, found: Found, after: str) -> str:
    sets = sorted({data_of(pair) for pair in found})
    if len(sets) < 2:
        return f"- **{default.name}**: not known, pairs of {len(sets)} data sets."
    decided = decide(found, default.today)
    choice = ", ".join(f"`{name}`" for name in sorted(set(decided.chosen.values())))
    said = (
        f"- **{default.name}**, today `{default.today}`: **{decided.decision}**{after}. What "
        f"the other data sets choose ({choice}) has a regret of {decided.regret.text()} points at "
        f"{fixed(decided.cost)} times the cost; n = {len(found)} pairs of {len(sets)} data "
        f"sets, judged on {default.judged_on}."
    )
    if default.proposed is None:
        return f"{said}{default.note}"
    lost = regret_of(losses(found, default.proposed, default.today))
    return (
        f"{said} `{default.proposed}`, proposed before any of this, has one of {lost.text()} "
        f"points at {fixed(cost_of(found, default.proposed))} times the cost.{default.note}"
    )


def _after(of_pair: Mapping[str, bool]) -> str:
    """Return what is said after a decision, by the fourth part of the rule."""
    return "" if _enough(of_pair) else " (provisional)"


def _enough(of_pair: Mapping[str, bool]) -> bool:
    return 2 * sum(of_pair.values()) >= len(of_pair)


def _tuned(of_pair: Mapping[str, bool]) -> str:
    count = sum(of_pair.values())
    said = (
        f"Of {len(of_pair)} pairs, {count} have tuned students, as the package trains them today."
    )
    if _enough(of_pair):
        return said
    return f"{said} So all of this is provisional, and no default was changed by it."


def struck(_: Mapping[str, Any]) -> str:
    """Say what had been planned and is not run, with the reason."""
    lines = []
    for file in STUDIES:
        for reason, plans in struck_of(read_toml(file)).items():
            done = sum((RESULTS / plan.folder).exists() for plan in plans)
            first = plans[0]
            roles = (first.teacher_role, first.student_role, first.transfer)
            rates = f"`{first.data}/{'--'.join(roles)}` under other budgets and rates"
            which = f"`{first.folder}`" if len(plans) == 1 else rates
            ran = f", {done} of which had been run before" if done else ""
            lines.append(f"- {which}: {len(plans)} struck{ran}: {reason}.")
    return "\n".join(lines) if lines else "Nothing was struck."


PLACES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "answer": answer,
    "decisions": decisions,
    "struck": struck,
}


def page_of(text: str, result: Mapping[str, Any]) -> str:
    """Return the page with every place filled anew."""
    return filled(text, lambda name: PLACES[name](result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the pairs")
    write(parser.parse_args().results)


def write(results: Path = RESULTS) -> None:
    """Write the result and its page.

    Args:
        results: The folder of the pairs.
    """
    FILE.write_text(json_text(result_of(all_pairs(results))))
    PAGE.write_text(page_of(PAGE.read_text(), json.loads(FILE.read_text())))


if __name__ == "__main__":
    main()
