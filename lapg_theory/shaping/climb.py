"""The one search over policies: quasi-Newton ascent inside the cube [0, 1]^n, from several starts.

Whatever is maximised over policies (against naive learners, in a mixed pool, against defection) is maximised here; those who
call differ in what they maximise, and in how far they trust the best end.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float


class End(NamedTuple):
    """Where an ascent ended: the policy, its value, and why it stopped."""

    policy: Float[np.ndarray, " n"]
    value: float
    reason: str


def climb(
    value_and_slope: Callable[[Any], tuple[Any, Any]],
    starts: Iterable[Any],
    *,
    bounds: Any = None,
    unit: float = 1.0,
    **options: Any,
) -> list[End]:
    """The end of an ascent by L-BFGS-B (Byrd, Lu, Nocedal & Zhu 1995) from each start; nothing says that one is global.

    Args:
        value_and_slope: from a policy [n] to its value and the slope [n].
        starts: policies [n].
        bounds: (low, high) of each coordinate; by default all of [0, 1].
        unit: factor on the value while it climbs, which sets the length of the first step; results and `gtol` are without it.
        options: of scipy's method, as `ftol` and `gtol`.
    """
    from scipy.optimize import minimize

    def loss(p):
        value, slope = value_and_slope(p)
        return -unit * value, -unit * slope

    if "gtol" in options:
        options["gtol"] *= unit
    ends = []
    for start in starts:
        limits = [(0, 1)] * len(start) if bounds is None else bounds
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits, options=options)
        ends.append(End(found.x, -found.fun / unit, found.message))
    return ends


def climb_abreast(
    value_and_slope: Callable[[Any], tuple[Any, Any]], starts: Iterable[Any], *, units: Any = None, **given: Any
) -> list[End]:
    """`climb`, all starts at once: `value_and_slope` takes policies [k, n] and gives values [k] and slopes [k, n].

    `units` has one entry a start; the rest is as for `climb`.

    For a function whose time goes into many small operations, of which k policies need as many as one. An ascent waits in a
    thread of its own until every other has asked or ended, so that what is asked together doesn't depend on the threads.
    """
    starts = list(starts)
    asked: dict[int, Any] = {}
    answers: dict[int, Any] = {}
    climbing, turn = len(starts), threading.Condition()

    def answer() -> None:
        if not asked or len(asked) < climbing:
            return
        try:
            order = sorted(asked)
            values, slopes = value_and_slope(np.array([asked[i] for i in order]))
            answers.update(zip(order, zip(values, slopes, strict=True), strict=True))
        except BaseException as error:  # each ascent ends with it; one of them tells
            answers.update(dict.fromkeys(asked, error))
        asked.clear()
        turn.notify_all()

    def one(i: int) -> End:
        nonlocal climbing

        def ask(p):
            with turn:
                asked[i] = p
                answer()
                turn.wait_for(lambda: i in answers)
                found = answers.pop(i)
            if isinstance(found, BaseException):
                raise found
            return found

        try:
            return climb(ask, [starts[i]], unit=1.0 if units is None else units[i], **given)[0]
        finally:
            with turn:
                climbing -= 1
                answer()

    with ThreadPoolExecutor(max(climbing, 1)) as threads:
        return list(threads.map(one, range(len(starts))))


def highest(ends: Iterable[End]) -> End:
    """The highest of them, the first among equals."""
    return max(ends, key=lambda end: end.value)
