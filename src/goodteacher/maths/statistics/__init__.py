"""Intervals, tests and ranks for arms trained with the same seeds, tested on the same examples.

| module      | owns                                                                              |
|-------------|-----------------------------------------------------------------------------------|
| `intervals` | the crossed model of seeds and examples; accuracies and paired differences        |
| `folds`     | differences from repeated cross-validation                                        |
| `decisions` | superiority, equivalence, many comparisons, and how many seeds a decision takes   |
| `by_class`  | differences class by class, joint over the classes                                |
| `sequential`| looking again after adding seeds: what each look may spend of the level           |
| `ranks`     | rank correlation and regret of a score                                            |
"""

from goodteacher.maths.statistics.by_class import (
    ClassDifference,
    differences_by_class,
    rows_by_class,
)
from goodteacher.maths.statistics.decisions import (
    SeedPlan,
    adjusted_level,
    equivalence_p_value,
    holm,
    practically_equal,
    seeds_needed,
    simultaneous,
)
from goodteacher.maths.statistics.folds import folds_interval, folds_mean_interval
from goodteacher.maths.statistics.intervals import (
    Interval,
    Resamples,
    accuracy_interval,
    crossed_interval,
    paired_interval,
    pigeonhole_resamples,
)
from goodteacher.maths.statistics.ranks import (
    MatrixCorrelation,
    RankCorrelation,
    mantel,
    regret,
    spearman,
)
from goodteacher.maths.statistics.sequential import PlannedLook, plan_looks

__all__ = [
    "ClassDifference",
    "Interval",
    "MatrixCorrelation",
    "PlannedLook",
    "RankCorrelation",
    "Resamples",
    "SeedPlan",
    "accuracy_interval",
    "adjusted_level",
    "crossed_interval",
    "differences_by_class",
    "equivalence_p_value",
    "folds_interval",
    "folds_mean_interval",
    "holm",
    "mantel",
    "paired_interval",
    "pigeonhole_resamples",
    "plan_looks",
    "practically_equal",
    "regret",
    "rows_by_class",
    "seeds_needed",
    "simultaneous",
    "spearman",
]
