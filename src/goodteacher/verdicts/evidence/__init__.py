"""Evidence beside the verdict: what else tells knowledge from regularization.

| module     | owns                                                                               |
|------------|------------------------------------------------------------------------------------|
| `case`     | what every piece starts from: the teacher, its students, and paired comparisons    |
| `curve`    | the gain of every rung over temperature                                            |
| `omitted`  | a class that students never see, and a map of it over a study's teachers           |
| `omitted_examples` | what of it is shown: the recognised, the missed, what it was learned from  |
| `fidelity` | agreement with one's own teacher in excess of an independent one                   |
| `errors`   | repeating the errors of one's own teacher                                          |
| `classes`  | which classes gain, and between which the confusions move                          |
| `flips`    | which test examples flip, with their pictures                                      |
| `gather`   | all of it, into one result                                                         |

None of it enters the verdict: the ladder decides. Every piece is *ours* unless its module cites.
"""

from goodteacher.verdicts.evidence.case import Case, Teachers
from goodteacher.verdicts.evidence.fidelity import given_teachers, study_teachers, with_independent
from goodteacher.verdicts.evidence.gather import gather
from goodteacher.verdicts.evidence.omitted import check_omission

__all__ = [
    "Case",
    "Teachers",
    "check_omission",
    "gather",
    "given_teachers",
    "study_teachers",
    "with_independent",
]
