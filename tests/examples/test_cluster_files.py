"""The files for Slurm and Kubernetes are what these read, and name what there is."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.test_docs import COMMANDS, options_of, shown_commands

FOLDER = Path(__file__).parent.parent.parent / "examples" / "cluster"
SCRIPT, MANIFEST = FOLDER / "slurm.sh", FOLDER / "kubernetes.yaml"


def job():
    return yaml.safe_load(MANIFEST.read_text())


def test_the_batch_script_is_one_that_bash_reads():
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)
    lines = SCRIPT.read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    options = [line for line in lines if line.startswith("#SBATCH ")]
    assert "#SBATCH --ntasks-per-node=1" in options
    first_command = next(n for n, line in enumerate(lines) if line and not line.startswith("#"))
    assert all(lines.index(line) < first_command for line in options), "Slurm reads no others"


@pytest.mark.parametrize("text", [SCRIPT.read_text(), job()["spec"]["entrypoint"]])
def test_the_command_is_one_of_goodteacher(text):
    ((name, options),) = shown_commands(text.replace("\\\n", " "))
    assert name in COMMANDS
    assert "--address" in options
    assert set(options) <= options_of(name)


def test_the_manifest_is_a_job_of_ray_whose_pods_share_a_disk():
    found = job()
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayJob")
    cluster = found["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    pods = [group["template"]["spec"] for group in groups]
    assert len({pod["containers"][0]["image"] for pod in pods}) == 1, "the same versions"
    for pod in pods:
        (mount,) = pod["containers"][0]["volumeMounts"]
        (volume,) = pod["volumes"]
        assert mount["name"] == volume["name"]
        assert found["spec"]["entrypoint"].count(mount["mountPath"]) == 2, "data and study"
    workers = cluster["workerGroupSpecs"][0]
    assert 1 <= workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]


SEARCH = """
import sys
from goodteacher.engines.ray_cluster import join, nodes
join(sys.argv[sys.argv.index("--address") + 1], cpus=1)
print("joined", len(nodes()), "node of", [int(each["CPU"]) for each in nodes().values()], "CPUs")
"""


@pytest.mark.skipif(not find_spec("ray"), reason="goodteacher[ray] is not installed")
def test_the_batch_script_starts_a_cluster_that_a_search_joins(tmp_path):
    """Slurm is played by three short scripts, on a single machine."""
    stand_ins = tmp_path / "bin"
    stand_ins.mkdir()
    (tmp_path / "search.py").write_text(SEARCH)
    commands = {
        "scontrol": "echo 127.0.0.1",
        "srun": 'exec "$@"',
        "goodteacher": f'exec {sys.executable} {tmp_path}/search.py "$@"',
    }
    for name, command in commands.items():
        (stand_ins / name).write_text(f"#!/bin/bash\n{command}\n")
        (stand_ins / name).chmod(0o755)
    environment = tmp_path / "goodteacher" / ".venv" / "bin" / "activate"
    environment.parent.mkdir(parents=True)
    environment.write_text(f'PATH="{stand_ins}:{Path(sys.executable).parent}:$PATH"\n')
    given = {"SLURM_JOB_NODELIST": "one", "SLURM_JOB_NUM_NODES": "1", "SLURM_CPUS_ON_NODE": "3"}
    made = subprocess.run(
        ["bash", str(SCRIPT)],
        env={**os.environ, **given, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "joined 1 node of [3] CPUs" in made.stdout
