"""A progress line with the time left: rewritten in place on a terminal, a line now and then in a log."""

import shutil
import sys
import time
from typing import Any

#: Of lines in a log; those on a terminal are as wide as that is.
WIDTH = 80


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


def fitted(label: str, done: str, times: str, left: str, note: str, width: int) -> str:
    """A progress line that fits into `width` characters: what matters least is left out or cut first.

    Args:
        label: what is done; it is cut where nothing else helps.
        done: how much of it.
        times: how long it has taken, and will.
        left: how long it will take, alone.
        note: what came out so far.
        width: in characters; a line that wraps can't be rewritten in place.
    """
    for clock in (times, left):
        parts = [f"{label}: {done}", clock, *([note] if note else [])]
        if len(line := "  ".join(parts)) <= width:
            return line
    spare = width - len(line) + len(label)
    return (
        line
        if spare == len(label)
        else f"{label[: spare - 1]}~{line[len(label) :]}"[:width]
        if spare > 1
        else line[:width]
    )


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
        width = shutil.get_terminal_size().columns - 1 if self.terminal else WIDTH
        line = fitted(self.label, f"{done}/{self.total}", f"{_clock(now - self.began)} gone, {left}", left, note, width)
        if not say(f"\r\x1b[K{line}" if self.terminal else line, "" if self.terminal else "\n"):
            self.quiet = True

    def done(self) -> None:
        """End the line."""
        if self.terminal and not self.quiet:
            say("")
