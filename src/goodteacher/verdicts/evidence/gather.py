"""All the evidence, into one result."""

from __future__ import annotations

from goodteacher.records import Evidence
from goodteacher.studies import EVIDENCE_FILE
from goodteacher.verdicts.evidence.case import Case
from goodteacher.verdicts.evidence.classes import class_gains, confusion
from goodteacher.verdicts.evidence.curve import temperature_curve
from goodteacher.verdicts.evidence.errors import error_transfer
from goodteacher.verdicts.evidence.fidelity import fidelity
from goodteacher.verdicts.evidence.flips import flips
from goodteacher.verdicts.evidence.omitted import omitted_class


def gather(case: Case) -> Evidence:
    """Gather the evidence and write ``evidence.json``.

    What the verdict's own students say is always reported; the temperature curve and the omitted
    class train further students, where they are asked for. Students that were trained before are
    not trained again.

    Args:
        case: A verification that has been judged.
    """
    errors, errors_missing = error_transfer(case)
    found = Evidence(
        teacher=str(case.source),
        recipe=case.recipe,
        num_seeds=case.num_seeds,
        level=case.config.level,
        class_names=case.context.data.class_names,
        curve=temperature_curve(case),
        omitted=omitted_class(case),
        fidelity=fidelity(case),
        fidelity_missing=case.teachers.missing,
        error_transfer=errors,
        error_transfer_missing=errors_missing,
        classes=class_gains(case),
        confusion=confusion(case),
        flips=flips(case),
    )
    case.context.store.write_json(EVIDENCE_FILE, found)
    return found
