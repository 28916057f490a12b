"""Evidence beside the verdict: what else tells knowledge from regularization.

| module     | owns                                                                               |
|------------|------------------------------------------------------------------------------------|
| `results`  | the frozen content of ``evidence.json``                                            |
| `case`     | what every piece starts from: the teacher, its students, and paired comparisons    |
| `curve`    | the gain of every rung over temperature                                            |
| `omitted`  | a class that students never see                                                    |
| `fidelity` | agreement with one's own teacher in excess of an independent one                   |
| `classes`  | which classes gain, and between which the confusions move                          |
| `flips`    | which test examples flip, with their pictures                                      |
| `gather`   | all of it, into one result                                                         |

None of it enters the verdict: the ladder decides. Every piece is *ours* unless its module cites.
"""

from goodteacher.evidence.case import Case, Teachers
from goodteacher.evidence.fidelity import given_teachers, study_teachers, with_independent
from goodteacher.evidence.gather import gather
from goodteacher.evidence.omitted import check_omission
from goodteacher.evidence.results import EVIDENCE_FILE, Evidence

__all__ = [
    "EVIDENCE_FILE",
    "Case",
    "Evidence",
    "Teachers",
    "check_omission",
    "gather",
    "given_teachers",
    "study_teachers",
    "with_independent",
]
