#!/bin/bash
# A search on four machines of a Slurm cluster: sbatch slurm.sh
# DATA, --out and the environment lie on a disk that all of them mount.
#SBATCH --job-name=goodteacher
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=08:00:00
#SBATCH --output=goodteacher-%j.log

set -euo pipefail

source "$HOME/goodteacher/.venv/bin/activate"

# A token in your home folder, so that nobody else can send work to this job's cluster.
export RAY_AUTH_MODE=token
ray get-auth-token --generate > /dev/null

# Ray's launcher starts a node on each machine, and the command on the first once all are there.
# When it ends, for whatever reason, so does the cluster; the same command goes on from there.
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun ray symmetric-run --address "$head:6379" --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus "$SLURM_CPUS_ON_NODE" -- \
  goodteacher search data/cifar10 --teacher resnet:20 --student cnn:16,32,64 \
  --out studies/cifar10 --address auto
