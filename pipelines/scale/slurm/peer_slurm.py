"""The jobs of this folder under a real Slurm: munged, slurmctld and one slurmd of Debian's packages, on loopback, in a
temporary folder."""

import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import peers
import pytest
from peers import load_stream, with_tools

HERE = Path(__file__).parent
PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "scontrol"]
MISSING = [program for program in PROGRAMS if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")]

# Daemons of another cluster are not to be met, and root alone starts slurmd.
if not os.environ.get("CI"):
    pytestmark = pytest.mark.skipif(
        bool(MISSING) or os.geteuid() != 0,
        reason=f"needs root and Debian's packages slurm-wlm and munge; missing: {', '.join(MISSING) or 'root'}",
    )

# How long a cluster on a busy machine may take to start or to end a job, in seconds.
PATIENCE = 120

# No cgroups, no systemd and no accounting daemon (slurmdbd needs MySQL): what a job ended with is in the log of jobcomp/filetxt.
CONFIG = """
ClusterName=pipegrad
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.log
SchedulerParameters=sched_min_interval=0,bf_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes=node Default=YES MaxTime=INFINITE State=UP
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    pytest.fail(f"not within {PATIENCE} seconds: {what}")


@contextmanager
def daemon(*command, env):
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def fields(line):
    return dict(entry.split("=", 1) for entry in line.split() if "=" in entry)


class Cluster:
    def __init__(self, folder, env):
        self.folder, self.env = folder, env

    def submit(self, command, folder):
        """Runs a command that prints the ids of jobs."""
        return peers.shell(command, folder, self.env).split()

    def sbatch(self, arguments, folder, env=None):
        (folder / "logs").mkdir(exist_ok=True)
        (job,) = peers.shell(f"sbatch --parsable {arguments}", folder, self.env | (env or {})).split()
        return job

    def log(self):
        """What jobcomp/filetxt wrote of the jobs that ended: state and exit code by id, that of a task as users write it (7_2)."""
        log = {}
        for line in (self.folder / "jobs.log").read_text().splitlines():
            job = fields(line)
            name = f"{job['ArrayJobId']}_{job['ArrayTaskId']}" if "ArrayJobId" in job else job["JobId"]
            log[name] = (job["JobState"], job["ExitCode"])
        return log

    def logs(self, folder):
        """The logs of the jobs in a folder and of the daemons, for the message of a test that fails."""
        files = [*folder.glob("logs/*.log"), self.folder / "slurmctld.log", self.folder / "slurmd.log"]
        return "\n".join(f"{file.name}:\n{file.read_text()[-3000:]}" for file in files)

    def show(self, job):
        text = peers.shell(f"scontrol --oneliner show job {job}", self.folder, self.env)
        return [fields(line) for line in text.splitlines()]

    def start_again(self, task):
        """Starts a requeued task soon, and not after Slurm's two minutes. Credentials count seconds: one that is made in the
        second in which the first run's was revoked is refused, and the task fails."""
        time.sleep(2)
        peers.shell(f"scontrol update JobId={task} StartTime=now", self.folder, self.env)

    def ended(self, job):
        """State and exit code of a job once it has ended; of an array, those of its tasks by their index."""
        over = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}

        def finished():
            tasks = self.show(job)
            return tasks if all(task["JobState"] in over for task in tasks) else None

        tasks = wait_until(finished, f"the end of job {job}")
        if "ArrayJobId" in tasks[0]:
            return {int(task["ArrayTaskId"]): (task["JobState"], task["ExitCode"]) for task in tasks}
        return tasks[0]["JobState"], tasks[0]["ExitCode"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    assert not MISSING, f"install Debian's packages slurm-wlm and munge: {', '.join(MISSING)}"
    folder = tmp_path_factory.mktemp("slurm")
    folder.chmod(0o755)
    for name in ["state", "spool", "munge"]:
        (folder / name).mkdir()
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    conf = folder / "slurm.conf"
    conf.write_text(
        CONFIG.format(folder=folder, host=socket.gethostname().split(".")[0], ctld_port=free_port(), slurmd_port=free_port())
    )
    env = os.environ | {"SLURM_CONF": str(conf), "PATH": f"{with_tools()}:/usr/sbin"}
    munge = [f"--{name}={folder}/munge/{name}" for name in ["log-file", "pid-file", "seed-file"]]
    with ExitStack() as stack:
        # --force: the folder of the tests is below one that everybody may write to.
        stack.enter_context(
            daemon("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket", *munge, env=env)
        )
        wait_until((folder / "munge.socket").exists, "munged")
        stack.enter_context(daemon("slurmctld", "-D", "-i", "-f", str(conf), env=env))
        stack.enter_context(daemon("slurmd", "-D", "-N", "node", "-f", str(conf), env=env))

        def idle():
            done = subprocess.run(["sinfo", "-h", "-o", "%T"], env=env, capture_output=True, text=True)
            return done.stdout.strip() == "idle"

        wait_until(idle, f"a node that is idle; see {folder}/*.log")
        yield Cluster(folder, env)


DONE = ("COMPLETED", "0:0")


def test_the_shards_of_an_array_are_the_rows_of_one_process(cluster, tmp_path):
    shards = cluster.sbatch(f"--array=1-3 {HERE}/shards.sbatch 3 parts rows=10001", tmp_path, {"ENCODING": "ndjson"})
    merge = cluster.sbatch(f"--dependency=afterok:{shards} {HERE}/merge.sbatch 3 parts rows.ndjson", tmp_path)
    assert cluster.ended(merge) == DONE
    assert cluster.ended(shards) == {1: DONE, 2: DONE, 3: DONE}
    peers.shell("gen-data rows=10001 | entropy | cmp - rows.ndjson", tmp_path, cluster.env)


def test_rows_sweep_and_table_are_four_jobs(cluster, tmp_path):
    shards, merge, sweep, compare = cluster.submit(f"{HERE}/submit.sh 5000 2 2", tmp_path)
    assert cluster.ended(compare) == DONE, (tmp_path / f"logs/compare-{compare}.log").read_text()
    assert cluster.ended(sweep) == {1: DONE, 2: DONE}
    peers.shell("gen-data rows=5000 --to npy | entropy -o whole.npy", tmp_path, cluster.env)
    # On a pipe and in a file of parts, arrays follow each other.
    whole = (tmp_path / "whole.npy").read_bytes()
    assert (load_stream((tmp_path / "rows.npy").read_bytes()) == load_stream(whole)).all()
    peers.shell("train --quiet whole.npy -o whole trainer.seed=1 > /dev/null", tmp_path, cluster.env)
    peers.shell("cmp whole/model.safetensors runs/sweep/trainer.seed=1/model.safetensors", tmp_path)
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 2, "a header, and the mean over seeds"
    assert {f"{shards}_1", f"{shards}_2", merge, f"{sweep}_1", f"{sweep}_2", compare} <= cluster.log().keys()


def test_tasks_of_srun_train_one_model(cluster, tmp_path):
    settings = "trainer.batch_size=32 trainer.accumulate_batches=2 trainer.max_epochs=3"
    peers.shell("gen-data rows=5000 --to npy | entropy -o rows.npy", tmp_path, cluster.env)
    job = cluster.sbatch(f"--ntasks=2 {HERE.parent}/mpi/train.sbatch rows.npy ranks {settings}", tmp_path)
    assert cluster.ended(job) == DONE, (tmp_path / f"logs/train-{job}.log").read_text()
    peers.shell(f"train --quiet rows.npy -o alone {settings} > /dev/null", tmp_path, cluster.env)
    peers.shell("cmp ranks/model.safetensors alone/model.safetensors", tmp_path)
    assert (tmp_path / "ranks/events.ndjson").read_text().count('"event":"start"') == 1


def test_the_steps_of_the_page_run(cluster, tmp_path):
    blocks = re.findall(r"^```console\n(.*?)^```", (HERE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    (steps,) = [block for block in blocks if "merge=" in block]
    for script in HERE.glob("*.sbatch"):
        shutil.copy(script, tmp_path)
    steps = steps.replace("$ ", "").replace("rows=1000000", "rows=2000")
    (job,) = re.findall(r"Submitted batch job (\d+)", peers.shell(steps, tmp_path, cluster.env))
    assert cluster.ended(job) == {task: DONE for task in range(1, 11)}
    assert len(list(tmp_path.glob("runs/sweep/*/metrics.json"))) == 10


def test_a_task_that_fails_fails_the_whole_and_nothing_downstream_runs(cluster, tmp_path):
    (tmp_path / "parts/00002.npy").mkdir(parents=True)  # which no file can replace
    shards = cluster.sbatch(f"--array=1-3 {HERE}/shards.sbatch 3 parts rows=3000", tmp_path)
    merge = cluster.sbatch(
        f"--kill-on-invalid-dep=yes --dependency=afterok:{shards} {HERE}/merge.sbatch 3 parts rows.npy", tmp_path
    )
    assert cluster.ended(shards) == {1: DONE, 2: ("FAILED", "2:0"), 3: DONE}
    assert cluster.ended(merge)[0] == "CANCELLED"
    assert cluster.log()[f"{shards}_2"] == ("FAILED", "2:0")
    assert (tmp_path / f"logs/shards-{shards}_2.log").read_text().startswith("entropy: ")
    assert not (tmp_path / "rows.npy").exists() and not (tmp_path / f"logs/merge-{merge}.log").exists()

    # One shard is repeated, and the rows are whole.
    (tmp_path / "parts/00002.npy").rmdir()
    again = cluster.sbatch(f"--array=2 {HERE}/shards.sbatch 3 parts rows=3000", tmp_path)
    merge = cluster.sbatch(f"--dependency=afterok:{again} {HERE}/merge.sbatch 3 parts rows.npy", tmp_path)
    assert cluster.ended(merge) == DONE
    assert len(load_stream((tmp_path / "rows.npy").read_bytes())) == 3000


def test_a_task_whose_error_may_pass_is_tried_again(cluster, tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/00002.npy").symlink_to("/dev/full")  # through which entropy writes
    shards = cluster.sbatch(f"--array=1-3 {HERE}/shards.sbatch 3 parts rows=3000", tmp_path)
    merge = cluster.sbatch(
        f"--kill-on-invalid-dep=yes --dependency=afterok:{shards} {HERE}/merge.sbatch 3 parts rows.npy", tmp_path
    )

    def is_requeued():
        (task,) = cluster.show(f"{shards}_2")
        return task["JobState"] == "PENDING" and int(task["Restarts"]) == 1

    wait_until(is_requeued, "a task in the queue again")
    assert "No space left on device" in (tmp_path / f"logs/shards-{shards}_2.log").read_text()
    (tmp_path / "parts/00002.npy").unlink()
    cluster.start_again(f"{shards}_2")
    assert cluster.ended(merge) == DONE
    peers.shell("gen-data rows=3000 --to npy | entropy -o whole.npy", tmp_path, cluster.env)
    assert (load_stream((tmp_path / "rows.npy").read_bytes()) == load_stream((tmp_path / "whole.npy").read_bytes())).all()


def test_a_merge_without_all_shards_writes_nothing(cluster, tmp_path):
    shards = cluster.sbatch(f"--array=1-2 {HERE}/shards.sbatch 3 parts rows=3000", tmp_path)
    merge = cluster.sbatch(f"--dependency=afterok:{shards} {HERE}/merge.sbatch 3 parts rows.npy", tmp_path)
    assert cluster.ended(merge) == ("FAILED", "1:0")
    assert "parts/00003.npy" in (tmp_path / f"logs/merge-{merge}.log").read_text()
    assert not (tmp_path / "rows.npy").exists()


def test_a_task_without_a_line_of_the_sweep_fails(cluster, tmp_path):
    peers.shell("gen-data rows=1000 --to npy | entropy -o rows.npy", tmp_path, cluster.env)
    peers.shell("sweep --run-dir runs trainer.max_epochs=1 trainer.seed=0,1 -o jobs.txt", tmp_path, cluster.env)
    sweep = cluster.sbatch(f"--array=1-3 {HERE}/sweep.sbatch jobs.txt rows.npy", tmp_path)
    assert cluster.ended(sweep) == {1: DONE, 2: DONE, 3: ("FAILED", "2:0")}
    assert "--array=1-2" in (tmp_path / f"logs/sweep-{sweep}_3.log").read_text()


def test_a_task_that_is_requeued_resumes(cluster, tmp_path):
    settings = "trainer.max_epochs=50 callbacks.checkpoint.every_n_steps=20"
    peers.shell("gen-data rows=20000 --to npy | entropy -o rows.npy", tmp_path, cluster.env)
    peers.shell(f"sweep --run-dir runs {settings} trainer.seed=0,1 -o jobs.txt", tmp_path, cluster.env)
    sweep = cluster.sbatch(f"--array=1 {HERE}/sweep.sbatch jobs.txt rows.npy", tmp_path)
    wait_until(lambda: list(tmp_path.glob("runs/*/checkpoints/last.safetensors")), "a checkpoint")
    peers.shell(f"scontrol requeue {sweep}_1", tmp_path, cluster.env)
    wait_until(lambda: cluster.show(sweep)[0]["JobState"] == "PENDING", "a job in the queue again")
    cluster.start_again(f"{sweep}_1")
    assert cluster.ended(sweep) == {1: DONE}, cluster.logs(tmp_path)
    assert int(cluster.show(sweep)[0]["Restarts"]) == 1
    (run,) = (tmp_path / "runs").iterdir()
    assert '"resumed":{' in (run / "events.ndjson").read_text()
    peers.shell(f"train --quiet rows.npy {settings} -o whole > /dev/null", tmp_path, cluster.env)
    peers.shell(f"cmp whole/model.safetensors '{run}/model.safetensors'", tmp_path)
