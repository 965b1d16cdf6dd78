"""Runs in processes of their own, some at a time, here or on Slurm: what happens to one leaves the others alone."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import lapg_rl
from lapg_rl.runs import preemption
from lapg_rl.runs.progress import say

#: Environment variable of a process that is to end with the one that started it.
WITH_PARENT = "LAPG_WITH_PARENT"


class Ended(NamedTuple):
    """How a run's process ended: its exit status, and the last line that it wrote to standard error."""

    status: int
    said: str = ""


def command(folder: Path | str, options: Sequence[str]) -> list[str]:
    """The command line that carries on with a prepared run."""
    return [sys.executable, "-m", "lapg_rl.commands.main", "train", "--resume", str(folder), *options]


def start(folder: Path | str, options: Sequence[str], place: Mapping[str, str], **how: Any) -> "subprocess.Popen[str]":
    """Start a process that carries on with a prepared run, and that ends when this one does, however that comes.

    Its standard input is a pipe from here, which tells it. Modules of the working folder are not on its path.
    """
    source = Path(lapg_rl.__file__).parents[1]
    places = [str(source)] * (source.name not in ("site-packages", "dist-packages"))
    places += [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    environment = (
        os.environ
        | {WITH_PARENT: "1", "PYTHONSAFEPATH": "1"}
        | ({"PYTHONPATH": os.pathsep.join(places)} if places else {})
        | {**place}
    )
    return subprocess.Popen(
        command(folder, options), env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how
    )


def _follow(process: "subprocess.Popen[str]") -> Ended:
    """Pass on what a process writes to standard error, as it comes, until it ends; the status is what a shell would say."""
    said = ""
    with process:
        for line in process.stderr or ():
            say(line, end="")
            said = line.strip() or said
    return Ended(process.returncode if process.returncode >= 0 else 128 - process.returncode, said)


def gpus() -> list[str]:
    """The GPUs that processes started here would see, as CUDA_VISIBLE_DEVICES names them."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    return [str(n) for n in range(sum(line.startswith("GPU ") for line in listed.splitlines()))]


class _Processes:
    """The processes that are running, each with a GPU of its own as far as they go; after `stop` none starts."""

    def __init__(self, options: Sequence[str], jobs: int):
        self.options, self.running, self.stopped, self.lock = options, set(), False, threading.Lock()
        self.places: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        visible = gpus()
        for n in range(jobs):
            self.places.put({"CUDA_VISIBLE_DEVICES": visible[n % len(visible)]} if visible else {})

    def train(self, folder: Path) -> Ended:
        """Carry on with a prepared run; its lines on standard error are passed on as they come."""
        place = self.places.get()
        try:
            return self._train(folder, place)
        finally:
            self.places.put(place)  # however it ended, those that wait for one are to go on, or to end as well

    def _train(self, folder: Path, place: dict[str, str]) -> Ended:
        place = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | place
        with self.lock:
            if self.stopped:
                return Ended(preemption.EXIT)
            process = start(
                folder, self.options, place, start_new_session=True
            )  # Ctrl-C is for this process to pass on
            self.running.add(process)
        end = _follow(process)
        with self.lock:
            self.running.discard(process)
        if self.stopped and process.returncode == -signal.SIGTERM:  # before it began to listen: nothing is lost
            return Ended(preemption.EXIT)
        return end

    def stop(self) -> None:
        """Pass SIGTERM on."""
        with self.lock:
            self.stopped = True
            for process in self.running:
                process.terminate()


def train_each(folders: Sequence[Path], jobs: int, options: Sequence[str] = ()) -> list[Ended]:
    """Train the prepared runs in `folders`, up to `jobs` at a time, and say how each ended.

    SIGTERM is passed on: every process saves its run and exits with 75, which is the status of those not begun, too.

    Args:
        folders: run folders.
        jobs: how many processes at a time.
        options: more options for `lapg train`.
    """
    processes = _Processes(options, jobs)
    with preemption.listen() as asked, ThreadPoolExecutor(jobs) as pool:
        ends = [pool.submit(processes.train, folder) for folder in folders]
        try:
            while wait(ends, timeout=0.2).not_done:
                if asked() and not processes.stopped:
                    processes.stop()
        except BaseException:  # an interrupt, above all
            processes.stop()
            raise
    return [end.result() for end in ends]


class SlurmTask:
    """Carries on with a run inside a Slurm job; when the job's time is up, saves it and has it queued again."""

    def __init__(self, options: Sequence[str]):
        self.options = list(options)
        self.process: subprocess.Popen[str] | None = None

    def __call__(self, folder: str) -> Ended:
        """Train, in a process of its own that Slurm's signals reach as well."""
        process = self.process = start(folder, self.options, {})
        return _follow(process)

    def checkpoint(self, folder: str) -> Any:
        """What submitit calls before it queues the job again."""
        from submitit.helpers import DelayedSubmission

        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        return DelayedSubmission(SlurmTask(self.options), folder)


def train_on_slurm(
    folders: Sequence[Path], logs: Path, parameters: Mapping[str, Any], options: Sequence[str] = ()
) -> list[Ended]:
    """Train the prepared runs in `folders` as one Slurm array, wait, and say how each ended.

    Args:
        folders: run folders, on a disk that the nodes see.
        logs: where submitit keeps scripts and output.
        parameters: of submitit's `AutoExecutor` (timeout_min, slurm_partition, gpus_per_node, slurm_array_parallelism, ...);
            `cluster=local` runs them here, all at once.
        options: more options for `lapg train`.

    Raises:
        ValueError: where submitit is not installed, or refuses a parameter.
    """
    try:
        import submitit
    except ImportError:
        raise ValueError('--slurm needs submitit: pip install ".[slurm]"') from None
    others = dict(parameters)
    try:
        executor = submitit.AutoExecutor(folder=logs, cluster=others.pop("cluster", "slurm"))
        executor.update_parameters(name="lapg", **others)
    except (NameError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"--slurm: {error}") from None
    jobs = executor.map_array(SlurmTask(options), [str(folder.resolve()) for folder in folders])
    say(f"submitted {len(jobs)} jobs: {', '.join(job.job_id for job in jobs)}; their output is in {logs}")

    def end(job: Any) -> Ended:
        try:
            return job.result()
        except Exception as error:  # of any kind: it is the job's
            return Ended(1, str(error).strip().splitlines()[-1])

    return [end(job) for job in jobs]
