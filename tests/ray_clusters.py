"""Clusters of Ray for tests: one node on this machine, or several."""

import contextlib
import logging
import os
import time
import warnings

NODE = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}


@contextlib.contextmanager
def quiet():
    """Leave out what Ray prints and warns of while it starts."""
    os.environ.update(QUIET)
    logging.getLogger("ray").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def one_node(cpus=2):
    """Start a cluster, to which this process is connected."""
    import ray

    with quiet():
        ray.init(
            address="local", num_cpus=cpus, log_to_driver=False, configure_logging=False, **NODE
        )
    try:
        yield
    finally:
        with quiet():
            ray.shutdown()


@contextlib.contextmanager
def several_nodes(*cpus):
    """Start a cluster whose nodes are processes of this machine, the first one its head."""
    from ray.cluster_utils import Cluster

    with quiet():
        cluster = Cluster()
        try:
            for count in cpus:
                cluster.add_node(num_cpus=count, **NODE)
            yield cluster
        finally:
            import ray

            ray.shutdown()
            cluster.shutdown()


def until(true, *, seconds=60.0, what="it"):
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"{what} did not come about in {seconds} seconds"
        time.sleep(0.02)
    return found
