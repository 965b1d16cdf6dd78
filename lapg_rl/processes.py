"""Runs in processes of their own, some at a time: what happens to one leaves the others alone."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from lapg_rl import preemption


class _Processes:
    """The processes that are running; after `stop` none starts."""

    def __init__(self, options: list[str]):
        self.options, self.running, self.stopped, self.lock = options, set(), False, threading.Lock()

    def train(self, folder: Path) -> int:
        """Carry on with a prepared run; its lines on standard error are passed on as they come."""
        command = [sys.executable, "-m", "lapg_rl.cli", "train", "--resume", str(folder), *self.options]
        environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        with self.lock:
            if self.stopped:
                return preemption.EXIT
            process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
            self.running.add(process)
        with process:
            for line in process.stderr or ():
                print(line, end="", file=sys.stderr, flush=True)
        with self.lock:
            self.running.discard(process)
        if self.stopped and process.returncode == -signal.SIGTERM:  # before it began to listen: nothing is lost
            return preemption.EXIT
        return process.returncode if process.returncode >= 0 else 128 - process.returncode  # killed: as a shell says it

    def stop(self) -> None:
        """Pass SIGTERM on."""
        with self.lock:
            self.stopped = True
            for process in self.running:
                process.terminate()


def train_each(folders: Sequence[Path], jobs: int, quiet: bool, devices: int | str | None = None) -> list[int]:
    """Train the prepared runs in `folders`, up to `jobs` at a time, each on `devices`, and give the exit status of each.

    SIGTERM is passed on: every process saves its run and exits with 75, which is the status of those not begun, too.
    """
    options = ["--quiet"] * quiet + ([] if devices is None else ["--devices", str(devices)])
    processes = _Processes(options)
    with preemption.listen() as asked, ThreadPoolExecutor(jobs) as pool:
        statuses = [pool.submit(processes.train, folder) for folder in folders]
        try:
            while wait(statuses, timeout=0.2).not_done:
                if asked() and not processes.stopped:
                    processes.stop()
        except KeyboardInterrupt:  # the running processes got it too
            processes.stopped = True
            raise
    return [status.result() for status in statuses]
