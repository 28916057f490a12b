"""The whole search on Fashion-MNIST: minutes, memory and what it found.

    GOODTEACHER_DATA=... python benchmarks/fashion_mnist_search.py [--out FOLDER] [...settings]

Teacher `mlp:800,800`, student `mlp:64`, four batch sizes, 32 epochs recorded at powers of two, four
temperatures, two alphas, three seeds for the search and three fresh ones for the confirmation.
Further arguments go to `goodteacher search` as they are. Target: 12 minutes and 4 GiB on two cores.
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

SETTINGS = [
    "--teacher=mlp:800,800",
    "--student=mlp:64",
    "--batch-sizes=32,128,512,2048",
    "--epochs=32",
    "--record-epochs=1,2,4,8,16,32",
    "--temperatures=1,2,4,8",
    "--alphas=0.5,1",
    "--search-seeds=3",
    "--seeds=3",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=None)
    options, further = parser.parse_known_args()
    out = options.out or Path(tempfile.mkdtemp()) / "fashion_mnist"
    if "GOODTEACHER_DATA" not in os.environ:
        parser.error("GOODTEACHER_DATA must name a folder with fashion_mnist/train.parquet")
    data = Path(os.environ["GOODTEACHER_DATA"]) / "fashion_mnist"
    command = [sys.executable, "-m", "goodteacher", "search", str(data), f"--out={out}", "--json"]
    started = time.perf_counter()
    finished = subprocess.run(
        [*command, *SETTINGS, *further], stdout=subprocess.PIPE, text=True, check=True
    )
    minutes = (time.perf_counter() - started) / 60
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    result = {
        "minutes": round(minutes, 2),
        "peak_gib": round(peak, 2),
        "n": 1,
        "environment": json.loads((out / "environment.json").read_text()),
        "sweet_spot": json.loads(finished.stdout),
        "folder": str(out),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
