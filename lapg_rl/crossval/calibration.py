"""How often the levels raise a false alarm, measured: every level anew for many keys, with nothing wrong.

A comparison is a chi-square statistic in the limit of many samples, and the comparisons of a level use samples of their
own. So if the prediction holds, the p-values of a comparison are uniform over keys, and so is the level's own,
1 - (1 - smallest p)^n for n comparisons; the level raises a false alarm where the latter is below the stated rate. Alarms
are counted, and the whole distribution is compared with the uniform one (Kolmogorov-Smirnov), which sees far more than the
count does. Exact comparisons have no chance in them.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from scipy import stats

from lapg_rl.crossval.ladder import LEVELS
from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.simulation import HONEST, Simulation
from lapg_rl.crossval.statistics import binomial_interval
from lapg_rl.crossval.verdict import Level, Sampled

#: The rate at which a level whose rate is as stated is called miscalibrated.
MISTAKEN = 0.001


def level_p_value(level: Level) -> float:
    """Chance of a comparison at least as deviant as the worst of the level's, if all predictions hold."""
    found = [check.p_value for check in level.checks if isinstance(check, Sampled)]
    return float(-np.expm1(len(found) * np.log1p(-min(found))))


def uniformity(p_values: Any) -> float:
    """p-value of the Kolmogorov-Smirnov test that these were drawn from the uniform distribution on [0, 1]."""
    return float(stats.kstest(p_values, "uniform").pvalue)


def calibrate(
    setting: Setting,
    codes: Iterable[str],
    count: int,
    simulation: Simulation = HONEST,
    told: Callable[[dict[str, Any]], None] = lambda row: None,
) -> list[dict[str, Any]]:
    """Carry out each level for `count` seeds, from the setting's on; one row a level (`told` as each is done).

    A row holds the number of `alarms`, its 95% Clopper-Pearson `interval`, the `stated` rate, the level's `p_values`
    [count], for each comparison the p-value of its `uniformity`, and `calibrated`: false where the count or a distribution
    is one that a level which keeps its rate shows once in a thousand times. A level of exact comparisons is carried out
    once and has no p-values; where one fails, it counts as an alarm for each key.
    """
    rows = []
    for code in codes:
        rows.append(_row(code, setting, count, simulation))
        told(rows[-1])
    return rows


def _row(code: str, setting: Setting, count: int, simulation: Simulation) -> dict[str, Any]:
    run = LEVELS[code].run
    row: dict[str, Any] = {"level": code, "keys": count, "stated": setting.false_alarms}
    found = [run(setting, simulation)]
    if not any(isinstance(check, Sampled) for check in found[0].checks):
        agrees = found[0].verdict == "confirmed"
        return row | {"alarms": 0 if agrees else count, "interval": None, "uniformity": {}, "calibrated": agrees}
    found += [run(dataclasses.replace(setting, seed=setting.seed + n), simulation) for n in range(1, count)]
    spread = {"level": [level_p_value(level) for level in found]}
    alarms = sum(p < setting.false_alarms for p in spread["level"])
    for place, check in enumerate(found[0].checks):
        if isinstance(check, Sampled):
            spread[check.name.partition(":")[0]] = [level.checks[place].p_value for level in found]  # type: ignore
    uniform = {name: uniformity(values) for name, values in spread.items()}
    worst = min(stats.binomtest(alarms, count, setting.false_alarms).pvalue, *uniform.values())
    return row | {
        "alarms": alarms,
        "interval": binomial_interval(alarms, count),
        "uniformity": uniform,
        "calibrated": bool(worst * (len(uniform) + 1) >= MISTAKEN),
        "p_values": spread["level"],
    }
