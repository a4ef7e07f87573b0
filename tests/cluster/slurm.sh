#!/bin/bash
# A Slurm of one node on this machine, for tests of what runs under Slurm.
#
#   tests/cluster/slurm.sh up DIR      starts munge, slurmctld and slurmd, whose files lie in DIR
#   tests/cluster/slurm.sh down DIR    stops them
#
# Needs root, and of Debian slurm-wlm and munge; libpmix-dev for srun --mpi=pmix. The node claims eight processors and four
# GPUs that it need not have: jobs only have to be told apart.
set -eu
action=${1:?up or down} dir=${2:?a folder}

stop() {
  for name in slurmctld slurmd munge/pid; do
    file=$dir/$name
    [ -f "$file.pid" ] && file=$file.pid
    if [ -f "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
  done
}

if [ "$action" = down ]; then
  stop
  exit
fi

mkdir -p "$dir"/{state,spool,log,munge}
dir=$(cd "$dir" && pwd)
chmod 755 "$dir" && chmod 700 "$dir/munge"
head -c 1024 /dev/urandom >"$dir/munge/key" && chmod 400 "$dir/munge/key"
host=$(hostname -s)
touch "$dir"/gpu{0,1,2,3}
echo "Name=gpu File=$dir/gpu[0-3]" >"$dir/gres.conf"
cat >"$dir/slurm.conf" <<END
ClusterName=scion
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=5
KillWait=20
JobRequeue=1
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 Gres=gpu:4 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
munged --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge/pid" \
  --log-file="$dir/munge/log" --seed-file="$dir/munge/seed" --force 2>/dev/null
export SLURM_CONF=$dir/slurm.conf
slurmctld -f "$SLURM_CONF"
slurmd -f "$SLURM_CONF"
for _ in $(seq 30); do
  if sinfo --noheader --format %t 2>/dev/null | grep -q idle; then exit; fi
  sleep 1
done
cat "$dir"/log/*.log >&2
stop
exit 1
