#!/usr/bin/env python3
"""Enlarges a film on a Slurm of its own, kills one task and requeues another.

usage: scripts/slurm.py GST_UPSCALE FILM

Starts munged, slurmctld and slurmd on free ports of this machine (Debian: slurm-wlm, munge), hands in
the script of `gst-upscale remaster submit slurm`, and compares the output with that of an undisturbed
run. Needs root and FFmpeg. Takes three minutes, most of it Slurm's delay of requeued tasks.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "sinfo", "ffmpeg"]

CONFIGURATION = """\
ClusterName=gst-upscale
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000
PartitionName=all Nodes={host} Default=YES
"""

# Short segments, and grain that depends on the number of each frame.
OPTIONS = ["--segment", "4", "--grain", "0.5", "--threads", "1"]
MOST_SECONDS = 900


def free_ports():
    sockets = [socket.socket() for _ in range(2)]
    for it in sockets:
        it.bind(("127.0.0.1", 0))
    ports = [it.getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    return ports


def start(folder, environment):
    """Starts the daemons and waits until the node is idle."""
    for name in ["state", "spool"]:
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host = socket.gethostname()
    configuration = CONFIGURATION.format(folder=folder, host=host, ports=free_ports())
    (folder / "slurm.conf").write_text(configuration)
    munge = [f"--{name}={folder}/munge.{end}" for name, end in
             [("socket", "sock"), ("key-file", "key"), ("log-file", "log"), ("pid-file", "pid"),
              ("seed-file", "seed")]]
    commands = [["munged", "--foreground", "--force", *munge], ["slurmctld", "-D"],
                ["slurmd", "-D", "-N", host]]
    daemons = []
    for command in commands:
        daemons.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        time.sleep(2)
    while "idle" not in output(["sinfo", "--noheader", "--format=%T"], environment):
        time.sleep(1)
    return daemons


def output(command, environment):
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.stdout


def run(command, environment):
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command} failed: {done.stderr}")


def task(number):
    """The process of the task with this number. None if it does not run."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"segment" in words and f"SLURM_ARRAY_TASK_ID={number}".encode() in variables:
            return int(process.name)
    return None


def digest(film):
    """Of the video stream."""
    command = ["ffmpeg", "-v", "error", "-i", film, "-map", "0:v", "-c", "copy", "-f", "matroska",
               "-fflags", "+bitexact", "-flags", "+bitexact", "-"]
    return hashlib.sha256(subprocess.run(command, check=True, capture_output=True).stdout).hexdigest()


def disturb(film, environment):
    """Kills task 1 and requeues task 2 as soon as they run, and waits for the film."""
    is_killed = is_requeued = False
    end = time.monotonic() + MOST_SECONDS
    while not film.exists() and time.monotonic() < end:
        process = None if is_killed else task(1)
        if process:
            os.kill(process, signal.SIGKILL)
            is_killed = True
        if not is_requeued and task(2):
            jobs = output(["squeue", "--noheader", "--array", "--format=%F_%K"], environment).split()
            run(["scontrol", "requeue", next(job for job in jobs if job.endswith("_2"))], environment)
            is_requeued = True
        time.sleep(0.2)
    if not (is_killed and is_requeued and film.exists()):
        sys.exit(f"killed: {is_killed}, requeued: {is_requeued}, film: {film.exists()}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        return print("skipped:", f"there is no {missing[0]}" if missing else "this needs root")
    command, film = [str(Path(path).resolve()) for path in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        (folder / "bin/gst-upscale").symlink_to(command)
        path = f"{folder}/bin:{os.environ['PATH']}"
        environment = dict(os.environ, SLURM_CONF=f"{folder}/slurm.conf", PATH=path)
        daemons = start(folder, environment)
        try:
            calm, stormy = folder / "calm.mkv", folder / "stormy.mkv"
            run([command, "upscale", film, str(calm), *OPTIONS], environment)
            run([command, "remaster", "plan", film, str(stormy), *OPTIONS], environment)
            work = f"{stormy}.remaster"
            run([command, "remaster", "submit", "slurm", work, "--run"], environment)
            disturb(stormy, environment)
        finally:
            for daemon in reversed(daemons):
                daemon.terminate()
                daemon.wait()
        if digest(calm) != digest(stormy):
            sys.exit("the films differ")
    print("the films are equal")


if __name__ == "__main__":
    main()
