"""A whole search: minutes, memory and what it found.

    GOODTEACHER_DATA=... python benchmarks/search.py fashion_mnist [--out FOLDER] [...settings]

The name is that of a data set below `GOODTEACHER_DATA` and of its settings in `experiments`
(`--config` names others of them). Further arguments go to `goodteacher search` as they are. Target
for `fashion_mnist`: 12 minutes and 4 GiB on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from goodteacher.studies import Store, environments

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--config", default=None, help="name of a file in experiments, no ending")
    parser.add_argument("--out", type=Path, default=None)
    options, further = parser.parse_known_args()
    config = EXPERIMENTS / f"{options.config or options.data}.toml"
    out = options.out or Path(tempfile.mkdtemp()) / config.stem
    if "GOODTEACHER_DATA" not in os.environ:
        parser.error(f"GOODTEACHER_DATA must name a folder with {options.data}/train.parquet")
    data = Path(os.environ["GOODTEACHER_DATA"]) / options.data
    command = [sys.executable, "-m", "goodteacher", "search", str(data), f"--config={config}"]
    started = time.perf_counter()
    finished = subprocess.run(
        [*command, f"--out={out}", "--json", *further],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    minutes = (time.perf_counter() - started) / 60
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    result = {
        "minutes": round(minutes, 2),
        "peak_gib": round(peak, 2),
        "n": 1,
        "environment": environments(Store.open(out))[0].model_dump(mode="json"),
        "sweet_spot": json.loads(finished.stdout),
        "folder": str(out),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
