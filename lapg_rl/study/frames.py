"""Results as data frames of polars or pandas, and sweeps as datasets of xarray: for whatever the reader does next."""

import dataclasses
import importlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lapg_rl.study.comparison import Comparison, varied
from lapg_rl.study.intervals import Estimate
from lapg_rl.study.results import Result, collect, runs_in, training_settings
from lapg_rl.study.standings import Tournament

Runs = Iterable[Result | str | Path]


def frame(
    what: Runs | Comparison | Tournament | Sequence[Mapping[str, Any]] | str | Path,
    to: str = "polars",
) -> Any:
    """Results as a data frame in long form, one fact a row.

    Args:
        what: runs (results, run folders, folders with runs inside): a row an update and agent, with what tells the runs apart;
            a `Comparison`: a row a metric and setting; a `Tournament`: a row a pair of players; or rows as dictionaries.
        to: the package of the frame, "polars" or "pandas".

    Raises:
        ValueError: where that package is not installed, for another one, and for what has no rows.

    Example:
        >>> import lapg_rl as rl
        >>> rl.frame([run])[["update", "agent"]].rows()
        [(0, 0), (1, 0)]
    """
    if to not in ("polars", "pandas"):
        raise ValueError(f'to must be "polars" or "pandas", got {to!r}')
    rows = list(_rows(what))
    if not rows:
        raise ValueError("there is nothing to make a frame of; name at least one run folder")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return _package(to).DataFrame({name: [row.get(name) for row in rows] for name in names})


def dataset(runs: Runs | str | Path) -> Any:
    """The metrics of a sweep as an `xarray.Dataset`, over what its settings differ in, the seed, the agent and the update.

    Every metric is a variable; NaN where there is no such run, or it has no such update.

    Args:
        runs: results, run folders, or folders with runs inside.

    Raises:
        ValueError: where xarray is not installed, there are no runs, or two are the same setting and seed.

    Example:
        >>> import lapg_rl as rl
        >>> rl.dataset([run])["reward_vs_naive"].dims
        ('seed', 'agent', 'update')
    """
    xarray = _package("xarray")
    results = _results(runs)
    if not results:
        raise ValueError("there is nothing to make a dataset of; name at least one run folder")
    places = [{key: _coordinate(value) for key, value in one.items()} | {"seed": r.config.seed}
              for one, r in zip(_settings(results), results, strict=True)]  # fmt: skip
    axes: dict[str, list[Any]] = {key: _sorted({place[key] for place in places}) for key in places[0]}
    axes["agent"] = list(range(max(r.config.pool.agents for r in results)))
    axes["update"] = _sorted({int(n) for r in results for n in r.metrics["update"]})
    at = {n: i for i, n in enumerate(axes["update"])}
    shape, data, filled = tuple(map(len, axes.values())), {}, {}
    for place, r in zip(places, results, strict=True):
        where = tuple(axes[key].index(value) for key, value in place.items())
        if where in filled:
            raise ValueError(f"{filled[where]} and {r.path} have the same setting and seed; name one of them")
        filled[where] = r.path
        updates = [at[int(n)] for n in r.metrics["update"]]
        for name, values in r.by_agent.items():
            if name != "update":
                there = data.setdefault(name, np.full(shape, np.nan))[where]
                there[: values.shape[1], updates] = values.T
    return xarray.Dataset({name: (tuple(axes), values) for name, values in data.items()}, coords=axes)


def _rows(what: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(what, Comparison):
        return _of_comparison(what)
    if isinstance(what, Tournament):
        return _of_tournament(what)
    if isinstance(what, list | tuple) and what and all(isinstance(row, Mapping) for row in what):
        return what
    return _of_runs(_results(what))


def _of_runs(results: Sequence[Result]) -> Iterable[dict[str, Any]]:
    for r, setting in zip(results, _settings(results), strict=True):
        about = {"run": r.name, "method": r.estimator, **setting, "seed": r.config.seed}
        for n, update in enumerate(r.metrics["update"]):
            for agent in range(r.config.pool.agents):
                values = {name: float(v[n, agent]) for name, v in r.by_agent.items() if name != "update"}
                yield about | {"update": int(update), "agent": agent} | values


def _of_comparison(found: Comparison) -> Iterable[dict[str, Any]]:
    for row in found.rows:
        for n, (setting, mean) in enumerate(zip(found.settings, row.means, strict=True)):
            more = row.differences[n - 1] if n else Estimate(0.0, None, None, None, mean.count)
            against = {
                f"difference_{name}": value for name, value in dataclasses.asdict(more).items() if name != "count"
            }
            yield {"metric": row.metric, "setting": setting.label, **dataclasses.asdict(mean), **against}


def _of_tournament(found: Tournament) -> Iterable[dict[str, Any]]:
    table = found.players
    for i, player in enumerate(table.names):
        for j, other in enumerate(table.names):
            if table.rewards[i][j] is not None:
                names = {"reward": table.rewards, "error": table.errors, "low": table.low, "high": table.high,
                         "cooperation": table.cooperation}  # fmt: skip
                yield {"player": player, "against": other} | {name: cells[i][j] for name, cells in names.items()}


def _results(runs: Any) -> list[Result]:
    given = [runs] if isinstance(runs, str | Path | Result) else list(runs)
    found = [one for one in given if isinstance(one, Result)]
    return found + [collect(folder) for folder in runs_in(Path(one) for one in given if not isinstance(one, Result))]


def _settings(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Of each run the settings in which the runs differ, but for the seed."""
    return varied([training_settings(r.config) for r in results]) if results else []


def _coordinate(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else str(value)


def _sorted(values: set[Any]) -> list[Any]:
    kinds = {type(value) for value in values}
    return sorted(values, key=None if len(kinds) == 1 or kinds <= {int, float} else str)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        extra = "polars" if name == "polars" else "xarray"
        raise ValueError(f'this needs {name}, which is not installed; pip install ".[{extra}]"') from None
