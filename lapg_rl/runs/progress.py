"""Progress with the time left: a bar, rewritten in place, on a terminal, a plain line now and then in a log."""

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

#: Of lines in a log; those on a terminal are as wide as that is.
WIDTH = 80
FIRST = "first step, which may compile"


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


def bar(share: float, cells: int, fine: bool) -> str:
    """A bar of so many characters, filled by a share of 1; `fine`: in eighths of a character, which not every stream takes."""
    eighths = int(8 * cells * share)
    whole, part = divmod(eighths, 8)
    full = "█" * whole + " ▏▎▍▌▋▊▉"[part] * (part > 0) if fine else "#" * whole
    return f"|{full.ljust(cells)}|"


class Progress:
    """Reports work that goes from `start` to `total` on standard error."""

    def __init__(self, label: str, start: int = 0, total: int = 0, *, quiet: bool = False, log_every: float = 30.0):
        self.label, self.quiet = label, quiet
        self.terminal = sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()
        self.log_every = log_every
        self.begin(start, total)

    def begin(self, start: int, total: int, before: Callable[[], Iterable[Mapping[str, float]]] = tuple) -> None:
        """Count from here, from now; `before` gives what came out of the steps up to `start`, which a line has no use for."""
        self.start, self.total = start, total
        self.began = self.shown = time.monotonic()
        self.first = None

    def show(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """Report that `done` of `total` is finished, and what came out of it, by names."""
        now = time.monotonic()
        self.first = self.first or (now, done)
        if self.quiet or (
            not self.terminal and now - self.shown < self.log_every and self.start + 1 < done < self.total
        ):
            return
        self.shown, width = now, self._width()
        count, rest = f"{done}/{self.total}", (*self._times(now, done), self.note(values or {}), width)
        line = fitted(self.label, count, *rest)
        if self.terminal and self.total and (cells := min(width - len(line) - 3, 30)) >= 5:
            fine = (getattr(sys.stderr, "encoding", "") or "").lower().replace("-", "") == "utf8"
            line = fitted(self.label, f"{bar(done / self.total, cells, fine)} {count}", *rest)
        self._line(line)

    def first_step(self) -> None:
        """Say that it is under way, for it may compile."""
        if not self.quiet:
            self._line(fitted(self.label, f"{self.start}/{self.total}", FIRST, FIRST, "", self._width()))

    def _width(self) -> int:
        return shutil.get_terminal_size().columns - 1 if self.terminal else WIDTH

    def _line(self, line: str) -> None:
        if not say(f"\r\x1b[K{line}" if self.terminal else line, "" if self.terminal else "\n"):
            self.quiet = True

    def _times(self, now: float, done: int) -> tuple[str, str]:
        """How long it has taken and will, and the second alone; the estimate leaves out the first step, which compiles."""
        since, at = self.first or (now, done)
        left = f"{_clock((now - since) / (done - at) * (self.total - done))} left" if done > at else "first step done"
        return f"{_clock(now - self.began)} gone, {left}", left

    def note(self, values: Mapping[str, float]) -> str:
        """What came out of a step, in few words."""
        return " ".join(f"{name} {value:+.2f}" for name, value in values.items())

    def stopped(self, text: str) -> None:
        """Who interrupts at a terminal reads the error's own words."""

    def done(self) -> None:
        """End the line."""
        if self.terminal and not self.quiet:
            say("")


class Told(Progress):
    """Progress told to a function of (done, total, values)."""

    def __init__(self, function: Callable[[int, int, Mapping[str, float]], Any]):
        super().__init__("")
        self.function = function

    def show(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """Tell it."""
        self.function(done, self.total, values or {})

    def first_step(self) -> None:
        """Nothing is done yet."""

    def done(self) -> None:
        """There is no line to end."""


def chosen(progress: Any, label: str, quiet: bool) -> Progress:
    """The progress that `rl.train(progress=...)` asks for. Raises ValueError for what it can't be."""
    if quiet or progress == "none":
        return Progress(label, quiet=True)
    if callable(progress):
        return Told(progress)
    if progress not in ("auto", "line", "notebook"):
        raise ValueError(
            f"progress must be auto, line, notebook, none or a function of (done, total, values), got {progress!r}"
        )
    from lapg_rl.runs import notebook

    if progress == "notebook" or (progress == "auto" and notebook.in_notebook()):
        return notebook.Notebook(label)
    return Progress(label)
