"""scikit-learn's contract: a classifier that is distilled from another one.

``DistilledClassifier`` (`estimator`) asks a teacher about rows that it did not see (`teaching`),
and about rows that were made (`synthetic`). What an arm learns (`soft_targets`) goes to any
student, as weighted rows or as its objective (`students`, `boosting`); arms are compared with
students that had no teacher (`comparing`, `reports`) and climb the ladder (`judging`). The
library's own students go to its search (`networks`). What users give is checked in `tables`; data
frames with words and gaps are encoded in `encoding`.
A student leaves as an ONNX file (`exporting`): written in `graphs`, `table_inputs` and
`converters`, asked beside itself in `asking`, described in `exported` and `pages`.
"""

from goodteacher.integrations.sklearn.estimator import DistilledClassifier
from goodteacher.integrations.sklearn.exported import TableExport
from goodteacher.integrations.sklearn.reports import TableReport

__all__ = ["DistilledClassifier", "TableExport", "TableReport"]
