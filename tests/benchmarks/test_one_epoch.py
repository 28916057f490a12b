"""What the benchmarks of memory share."""

import mmap
import sys
from pathlib import Path

import numpy as np
import pytest

from goodteacher.data import Split

sys.path.append(str(Path(__file__).parent.parent.parent / "benchmarks"))
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")


def test_an_epoch_sees_every_example_once_and_tells_how_far_it_is():
    from one_epoch import one_epoch

    split = Split.from_arrays(np.random.default_rng(0).normal(size=(50, 3)), [0, 1] * 25)
    steps = [*one_epoch(split, "mlp:2", num_classes=2, batch_size=8, every=3)]
    assert steps == [3, 6, 7]


@linux
def test_memory_that_the_process_owns_grows_with_an_array():
    from one_epoch import own_mib

    before = own_mib()
    # mapped, as memory that was freed before, in a process of many tests, would be taken again
    whole = mmap.mmap(-1, 64 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    array = np.frombuffer(whole, dtype=np.float64)
    array[:] = 1.0
    assert 55 < own_mib() - before < 80
