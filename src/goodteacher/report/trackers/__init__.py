"""Experiment trackers that are told what a study found, beside its folder: ``tracker="mlflow"``.

What is told is read from the files that a study writes, after each stage and at the end, and only
what is new, so a study that goes on adds to the same run. Where a tracker keeps it is set as that
library says: by its own environment variables. Each file here uses its own package alone.

| module        | owns                                                         |
|---------------|--------------------------------------------------------------|
| `told`        | what there is to tell, and what of it is new                 |
| `telling`     | when it is told; a tracker that fails never ends the work    |
| `mlflow`      | MLflow                                                       |
| `tensorboard` | TensorBoard                                                  |
| `wandb`       | Weights & Biases                                             |
"""

from goodteacher.report.trackers.telling import TRACKERS, Tracker, tell_trackers, tracked

__all__ = ["TRACKERS", "Tracker", "tell_trackers", "tracked"]
