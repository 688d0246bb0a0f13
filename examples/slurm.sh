#!/bin/bash
#SBATCH --job-name=searchbench
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
# A Ray cluster on the nodes of this allocation, and the study's driver on the first of them.
#   sbatch examples/slurm.sh study.toml results.db
set -euo pipefail
study=${1:?the study file}
store=${2:?the store, on a file system that the first node writes}

# Newer versions of Ray ask for the token that lies in the user's home, where there is one.
if [ -f ~/.ray/auth_token ]; then export RAY_AUTH_MODE=token; fi

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | awk '{print $1}'):6379
trap 'ray stop --force >/dev/null 2>&1 || true' EXIT

srun --nodes=1 --ntasks=1 -w "$head" \
  ray start --head --node-ip-address="${address%:*}" --port=6379 --num-cpus="$SLURM_CPUS_PER_TASK" --block &
sleep 15
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
  srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" \
    ray start --address="$address" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
  sleep 15
fi

searchbench run "$study" --store "$store" --ray-address "$address" --resume
