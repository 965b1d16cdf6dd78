"""Pictures of runs, one function each: data and an optional `ax` in, the axes out; your rcParams hold.

Colours tell estimators apart, also for colour-blind readers, and are those of reports; `matplotlib.rc_context(STYLE)` gives the
rest of their look. `save` writes what a paper takes.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lapg_rl.config.checks import several
from lapg_rl.reports import crossplay, figures
from lapg_rl.study.records import Prediction
from lapg_rl.study.results import Result, by_estimator, collect, runs_in
from lapg_rl.study.standings import met
from lapg_rl.study.tournament import Tournament
from lapg_theory.game import check_count, look
from lapg_theory.game.look import save as save

#: The look of reports, for `matplotlib.rc_context`.
STYLE = figures.STYLE
Runs = Result | str | Path | Iterable[Result | str | Path]


def training(
    runs: Runs, metric: str = "reward_vs_naive", *, prediction: Prediction | None = None, ax: look.Axes | None = None
) -> look.Axes:
    """A metric against the update: a line an estimator, the mean over its runs, and the range from lowest to highest.

    Args:
        runs: results, run folders, or folders with runs inside.
        metric: its name, as `lapg list metrics` has them.
        prediction: what theory says of these runs, drawn as levels.
        ax: matplotlib axes; new ones by default.

    Example:
        >>> import lapg_rl as rl
        >>> rl.plot.training([run]).get_xlabel()
        'update'
    """
    ax = look.single(ax)
    figures.training_curve(ax, _groups(runs, metric), metric, prediction)
    ax.set_ylabel(_words(metric))
    return ax


def each_run(runs: Runs, metric: str = "reward_vs_naive", *, ax: look.Axes | None = None) -> look.Axes:
    """A metric against the update, one line a run: where runs end in one of several ways, a mean shows none of them.

    Args:
        runs: results, run folders, or folders with runs inside.
        metric: its name.
        ax: matplotlib axes; new ones by default.

    Example:
        >>> import lapg_rl as rl
        >>> len(rl.plot.each_run([run]).lines)
        1
    """
    ax = look.single(ax)
    for name, results in _groups(runs, metric).items():
        figures.each_run(ax, results, name, metric)
    ax.set(xlabel="update", ylabel=_words(metric))
    return ax


def path(
    runs: Runs, x: str = "reward_vs_naive", y: str = "reward_vs_meta", *, mean: int = 10, ax: look.Axes | None = None
) -> look.Axes:
    """One metric against another in the course of training, a line a run, to a dot where it ends.

    Args:
        runs: results, run folders, or folders with runs inside.
        x: a metric's name.
        y: another's; a path has the updates that have both.
        mean: how many updates each point is a mean over.
        ax: matplotlib axes; new ones by default.

    Raises:
        ValueError: for metrics that no run has, or that a run never has both at once for `mean` updates.

    Example:
        >>> import lapg_rl as rl
        >>> line, end = rl.plot.path([run], y="naive_reward", mean=2).lines
        >>> float(line.get_xdata()[0]) == float(rl.collect(run).metrics["reward_vs_naive"].mean())  # of its two updates
        True
    """
    check_count("mean", mean)
    groups, ax = _groups(runs, x), look.single(ax)
    for name, results in groups.items():
        for n, result in enumerate(results):
            both = np.stack([result.metrics.get(metric, np.nan * result.metrics[x]) for metric in (x, y)])
            both = both[:, np.isfinite(both).all(0)]
            if both.shape[1] < mean:
                raise ValueError(
                    f"{result.name}: {both.shape[1]} updates have both {x} and {y}, mean={mean} takes more"
                )
            both = np.lib.stride_tricks.sliding_window_view(both, mean, axis=1).mean(-1)
            ax.plot(*both, color=figures.colour(name), lw=1.2, label=None if n else figures.label(name))
            ax.plot(*both[:, -1], "o", color=figures.colour(name), ms=4)
    ax.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "))
    return ax


def meta_episode(runs: Runs, what: str = "cooperation", *, ax: look.Axes | None = None) -> look.Axes:
    """What evaluated agents and their naive co-players do from one inner episode to the next; runs of one estimator.

    Args:
        runs: results with evaluations, run folders, or folders with runs inside.
        what: "cooperation" or "reward".
        ax: matplotlib axes; new ones by default.

    Raises:
        ValueError: where no run is evaluated, they have several estimators, or for another `what`.

    Example:
        >>> import lapg_rl as rl
        >>> rl.plot.meta_episode([run])
        Traceback (most recent call last):
        ValueError: no run is evaluated yet; `lapg evaluate RUN` does it
    """
    if what not in ("cooperation", "reward"):
        raise ValueError(f'what must be "cooperation" or "reward", got {what!r}')
    groups = _evaluated(runs)
    if len(groups) > 1:
        raise ValueError(f"one estimator at a time fits into these axes, got {', '.join(groups)}; draw each apart")
    ax = look.single(ax)
    ((name, results),) = groups.items()
    figures.course_curves(ax, results, name, f"{what}_curve")
    ax.set_ylabel("frequency of cooperation" if what == "cooperation" else "reward per step")
    return ax


def signature(runs: Runs, *, prediction: Prediction | None = None, ax: look.Axes | None = None) -> look.Axes:
    """How often evaluated agents cooperate with naive learners at the start and after each joint action, by estimator.

    Example:
        >>> import lapg_rl as rl
        >>> rl.plot.signature([run])
        Traceback (most recent call last):
        ValueError: no run is evaluated yet; `lapg evaluate RUN` does it
    """
    groups, ax = _evaluated(runs), look.single(ax)
    figures.signature_bars(ax, groups, prediction)
    return ax


def cross_play(played: Tournament, *, ax: look.Axes | None = None) -> look.Axes:
    """Who earns how much from whom in a tournament: blue more, red less than what mutual defection yields.

    Example:
        >>> import lapg_rl as rl
        >>> ax = rl.plot.cross_play(rl.tournament([run], ["tft"], meta_batch=2))
        >>> len(ax.get_yticklabels())
        2
    """
    table, ax = played.groups or played.players, look.single(ax)
    crossplay.cells(ax, table, table.names, played.marks)
    ax.set_xlabel(met(table))
    return ax


def _groups(runs: Runs, metric: str) -> dict[str, list[Result]]:
    found = _results(runs)
    if not any(metric in result.metrics for result in found):
        known = sorted(set().union(*(result.metrics for result in found)) - {"update"})
        raise ValueError(f"no run has the metric {metric!r}; there are {', '.join(known)}")
    return by_estimator(result for result in found if metric in result.metrics)


def _evaluated(runs: Runs) -> dict[str, list[Result]]:
    groups = figures.evaluated(by_estimator(_results(runs)))
    if not groups:
        raise ValueError("no run is evaluated yet; `lapg evaluate RUN` does it")
    return groups


def _results(runs: Runs) -> Sequence[Result]:
    given = [runs] if isinstance(runs, Result) else several(runs)
    found = [one for one in given if isinstance(one, Result)]
    found += [collect(folder) for folder in runs_in(Path(one) for one in given if not isinstance(one, Result))]
    if not found:
        raise ValueError("no runs to draw; name at least one run folder")
    return found


def _words(metric: str) -> str:
    reward = metric.startswith("reward") or metric.endswith("reward")
    return "reward per step" if reward else metric.replace("_", " ")
