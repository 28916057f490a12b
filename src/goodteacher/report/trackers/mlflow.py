"""MLflow: a run in the store that ``MLFLOW_TRACKING_URI`` names, such as ``sqlite:///mlflow.db``.

The experiment is that of ``MLFLOW_EXPERIMENT_NAME``, or ``goodteacher``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from typing import Any

from goodteacher.report.trackers.telling import package_of
from goodteacher.report.trackers.told import Told
from goodteacher.studies import Store

_LONGEST = 5000
"""Characters of a value: MLflow allows a few more of a parameter, and of a tag."""
_AT_ONCE = 100


class MlflowTracker:
    """A run of MLflow.

    Args:
        store: The study; its folder's name is the run's.
    """

    def __init__(self, store: Store) -> None:
        # MLflow reports its use to its makers unless it is told not to.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        package_of("mlflow", "mlflow")
        self._entities = package_of("mlflow", "mlflow.entities")
        self._client_of: Any = package_of("mlflow", "mlflow.tracking").MlflowClient
        self._client: Any = None  # making one makes its store, too
        self._store = store
        self._run = ""

    def begin(self, run: str | None) -> str:
        """Open the run, or a new one where there is none of that name."""
        self._client = self._client_of()
        if run is not None and self._is_there(run):
            self._client.update_run(run, status="RUNNING")
            self._run = run
            return run
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "goodteacher")
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        made = self._client.create_run(experiment, run_name=self._store.name)
        self._run = str(made.info.run_id)
        return self._run

    def tell(self, news: Told) -> None:
        """Log settings as parameters, numbers as metrics, words as tags, files as artifacts."""
        kinds, now = self._entities, int(1000 * time.time())
        curves = [
            kinds.Metric(_key(name), value, now, step)
            for name, curve in news.curves.items()
            for step, value in curve
        ]
        results = [kinds.Metric(_key(name), value, now, 0) for name, value in news.results.items()]
        params = [kinds.Param(_key(k), v[:_LONGEST]) for k, v in news.settings.items()]
        tags = [kinds.RunTag(_key(name), text[:_LONGEST]) for name, text in news.words.items()]
        for kind, every in (("metrics", curves + results), ("params", params), ("tags", tags)):
            for some in _pieces(every):
                self._client.log_batch(self._run, **{kind: some})
        for name in news.files:
            self._client.log_artifact(self._run, str(self._store.local(name)))

    def end(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._run)

    def _is_there(self, run: str) -> bool:
        try:
            found = self._client.get_run(run)
        except package_of("mlflow", "mlflow.exceptions").MlflowException:
            return False  # another store, or one that was removed
        return bool(found.info.lifecycle_stage == "active")


def _key(name: str) -> str:
    """Return a name of the signs that MLflow allows."""
    return re.sub(r"[^\w./ -]", "_", name)


def _pieces(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[n : n + _AT_ONCE] for n in range(0, len(values), _AT_ONCE)]
