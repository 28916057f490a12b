"""Peers side by side: one distillation, the same data and networks, several tools, one run.

    GOODTEACHER_DATA=... python benchmarks/peers/run.py [--out FILE.json]

For each pair of networks a teacher is trained once; then a plain PyTorch loop, Keras, torchdistill,
timm and goodteacher (one student, and 32 students) distil it into the same student from the same
initial weights: SGD with Nesterov momentum, the same rate, cosine schedule, weight decay, batch
size, temperature and loss weights, no augmentation in any of them. Every measurement is a process
of its own; tools take turns within a repeat. `--tools`, `--teacher`, `--student` choose; a tool
that cannot be installed or fails stands in the result with its reason.

Tools other than goodteacher run in an environment that is made on demand below `.bench/`. On a
machine with a CUDA GPU the same command uses it (`--device`), with whole CIFAR-10 for example as
`--examples 49920 --test-examples 10000 --epochs 10 --teacher-epochs 30`.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # The sessions are peers.* in every process, this one included.
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    from peers.compare import main

    main()
