"""SIGTERM, SIGHUP, or SIGUSR2 from Slurm: the machine is being taken away. Finish the update in hand, save it, exit with 75."""

import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Exit status of a command that was asked to stop and saved its work: EX_TEMPFAIL of sysexits.h, "try again later".
EXIT = 75

_asked = threading.Event()
_listening = threading.Event()
_names = ["SIGTERM"]


def counted(updates: int) -> str:
    """So many updates, with the verb that goes with them."""
    return f"{updates} update{' is' if updates == 1 else 's are'}"


class Preempted(Exception):  # noqa: N818 (nothing went wrong)
    """A run stopped because the process was asked to; its first `updates` updates are saved in `folder`."""

    def __init__(self, folder: Path, updates: int):
        self.folder, self.updates = folder, updates
        super().__init__(
            f"stopped by {_names[-1]}; {counted(updates)} saved, carry on with `lapg train --resume "
            f"{shlex.quote(str(folder))}`"
        )


def _numbers() -> list[int]:
    """The signals to listen for; Windows has only the first."""
    hangup, ours = getattr(signal, "SIGHUP", None), getattr(signal, "SIGUSR2", None)
    return [
        signal.SIGTERM,
        *([hangup] if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN else []),
        *([ours] if ours is not None and signal.getsignal(ours) == signal.SIG_DFL else []),
    ]


def _note(number: int, _: object) -> None:
    _names[:] = [signal.Signals(number).name]
    _asked.set()


@contextmanager
def listen() -> Iterator[Callable[[], bool]]:
    """Note SIGTERM instead of dying of it; gives a function that tells whether it came.

    So is SIGHUP, unless it is ignored (as under nohup), and SIGUSR2, with which Slurm announces the end of the time limit where
    it is told to, unless it has a handler already.
    Inside another `listen` this is the outer one. Outside the main thread, which alone may set signal handlers, it tells
    what the main thread has noted.
    """
    if _listening.is_set() or threading.current_thread() is not threading.main_thread():
        yield _asked.is_set
        return
    _asked.clear()
    before = {number: signal.signal(number, _note) for number in _numbers()}
    _listening.set()
    try:
        yield _asked.is_set
    finally:
        _listening.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
