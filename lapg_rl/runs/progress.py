"""A progress line with the time left: rewritten in place on a terminal, a line now and then in a log."""

import sys
import time
from typing import Any


def say(text: str, end: str = "\n") -> bool:
    """Write to standard error, and tell whether it could be written: a reader that is gone is no reason to stop a run."""
    return _written(sys.stderr, text + end)


def tell(text: str, end: str = "\n") -> bool:
    """The same for standard output."""
    return _written(sys.stdout, text + end)


def _written(stream: Any, text: str) -> bool:
    try:
        if stream is not None:
            stream.write(text)
            stream.flush()
    except (OSError, ValueError):
        return False
    return True


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class Progress:
    """Reports work that goes from `start` to `total` on standard error."""

    def __init__(self, label: str, start: int = 0, total: int = 0, *, quiet: bool = False, log_every: float = 30.0):
        self.label, self.quiet = label, quiet
        self.terminal = sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()
        self.log_every = log_every
        self.begin(start, total)

    def begin(self, start: int, total: int) -> None:
        """Count from here, from now."""
        self.start, self.total = start, total
        self.began = self.shown = time.monotonic()
        self.first = None

    def show(self, done: int, note: str = "") -> None:
        """Report that `done` of `total` is finished; the estimate leaves out the first step, which compiles."""
        now = time.monotonic()
        self.first = self.first or (now, done)
        if self.quiet or (
            not self.terminal and now - self.shown < self.log_every and self.start + 1 < done < self.total
        ):
            return
        self.shown = now
        since, at = self.first
        left = f"{_clock((now - since) / (done - at) * (self.total - done))} left" if done > at else "first step done"
        line = f"{self.label}: {done}/{self.total}  {_clock(now - self.began)} gone, {left}  {note}"
        if not say(f"\r\x1b[K{line}" if self.terminal else line, "" if self.terminal else "\n"):
            self.quiet = True

    def done(self) -> None:
        """End the line."""
        if self.terminal and not self.quiet:
            say("")
