"""Responses that the user brings: read, put in the data's order, examined, kept.

A response comes from elsewhere, where classes and examples had another order, or the teacher had
seen what is called held-out here. What cannot be right is refused; what may be wrong is told before
anything is trained.
"""

from goodteacher.given.examination import examine_agreement, examine_response
from goodteacher.given.fitting import fitted_response
from goodteacher.given.keeping import RESPONSE_FILE, keep_response, load_pair, tell
from goodteacher.given.patient import doctor

__all__ = [
    "RESPONSE_FILE",
    "doctor",
    "examine_agreement",
    "examine_response",
    "fitted_response",
    "keep_response",
    "load_pair",
    "tell",
]
