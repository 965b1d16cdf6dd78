"""Level L6, behaviour: a trained agent with a memory against the best memory-one policy of the exact theory.

The naive learner's rate is calibrated before and apart from the agent (see `prediction`); the best memory-one policy against
exact learners of that rate is found by `lapg_theory.shaping.optimum`. An agent that remembers the meta-episode can do all that
this policy does and more, so the theory bounds what it should do from one side, and that is what is judged:

* it earns at least as much from naive learners,
* its reward rises at least as much from the first inner episode to the last: it shapes,
* it lets co-players keep at most as much of what they give it (slope of the payoff line), and no less than a defector.

Where agent and policy differ in the direction that is allowed is reported, not judged.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lapg_rl.config import Config
from lapg_rl.crossval.prediction import payoff_line, predict
from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.simulation import HONEST, Simulation
from lapg_rl.crossval.verdict import Level, Sampled
from lapg_rl.runs.loop import RunFolder
from lapg_rl.study import records
from lapg_rl.study.evaluation import evaluate, fit_extortion
from lapg_rl.study.records import Evaluation, Match, PayoffLine, Prediction
from lapg_rl.study.results import runs_in
from lapg_theory import zd
from lapg_theory.game import TFT, FiniteHorizon
from lapg_theory.shaping.optimum import train_shaper

#: Half the width of a 95 % interval in standard errors.
HALF = 1.96
#: Meta-episodes of an evaluation that is made here, at budget 1.
MEETINGS = 128


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What the theory says of one config; each over the calibrated rates.

    Attributes:
        policies: the best memory-one policies.
        rewards: what they earn per step from naive learners.
        defection: what an unconditional defector earns; `fall`: the largest rise of its reward, which is a fall.
        curves: their reward per step in each inner episode.
        slopes: of their payoff lines.
        floor: slope of a defector's payoff line.
        fair: slope of tit-for-tat's.
    """

    policies: list[list[float]]
    rewards: list[float]
    defection: list[float]
    fall: float
    curves: list[list[float]]
    slopes: list[float]
    floor: float
    fair: float

    @property
    def rise(self) -> float:
        """The least rise of the reward from the first inner episode to the last."""
        return min(curve[-1] - curve[0] for curve in self.curves)


def bounds(cfg: Config, told: Prediction) -> Bounds:
    """The best memory-one policies at the calibrated rates, found by the shaping trainer of the theory."""
    game, horizon = cfg.game.build(), FiniteHorizon(cfg.steps)
    start, updates = np.zeros((1, 5)), cfg.inner_episodes - 1
    best = [train_shaper(game, horizon, eta=o.rate, updates=updates, learners=start) for o in told.best]
    lines = [payoff_line(cfg, shaper.policy)[0] for shaper in best]
    floor, fair = (payoff_line(cfg, policy)[0] for policy in (np.zeros(5), TFT))
    return Bounds(
        [shaper.policy.tolist() for shaper in best],
        [float(shaper.value) for shaper in best],
        [o.reward for o in told.defection],
        max(o.reward_curve[-1] - o.reward_curve[0] for o in told.defection),
        [shaper.curve.tolist() for shaper in best],
        [_number(slope) for slope in lines],
        _number(floor),
        _number(fair),
    )


def _number(slope: float | None) -> float:
    return math.nan if slope is None else slope


def outside(
    name: str, value: float, error: float, bound: tuple[float, float], effect: float, samples: int, words: str
) -> Sampled:
    """Is a measured value within the bounds, up to its standard error?

    The statistic is the squared distance from them in standard errors. On a bound it exceeds a threshold half as often as
    chi-square with one degree of freedom, inside them less often. `effect` is a value that must be seen to be outside.
    """
    distance = max(bound[0] - value, value - bound[1], 0.0)
    shift = max(bound[0] - effect, effect - bound[1], 0.0)
    return Sampled(name, (distance / error) ** 2, 1, (shift / error) ** 2, samples, words)


def compare(name: str, match: Match, line: PayoffLine, told: Bounds, count: int) -> list[Sampled]:
    """The three comparisons of one agent; errors over `count` meta-episodes, and over random co-players."""
    if match.own.error is None or line.slope is None or line.low is None or line.high is None:
        raise ValueError(
            f"the evaluation of {name} has no errors: it was made with a single meta-episode, or its co-players did "
            "not differ; evaluate it anew, `lapg evaluate RUN --meta-batch 128`"
        )
    curve, error = match.own.reward_curve, match.own.error
    least, plain = min(told.rewards), max(told.defection)
    # The errors of single inner episodes are not recorded; as if they were independent, which makes them too large.
    rise, rise_error = curve[-1] - curve[0], error * math.sqrt(2 * len(curve))
    slope_error = (line.high - line.low) / (2 * HALF)
    return [
        outside(
            f"{name}: earns {match.own.reward:.3f} from naive learners, at least {least:.3f}", match.own.reward, error,
            (least, math.inf), (least + plain) / 2, count, "half of what parts the best policy from a defector",
        ),
        outside(
            f"{name}: reward rises by {rise:.3f} in a meta-episode, at least {told.rise:.3f}", rise, rise_error,
            (told.rise, math.inf), (told.rise + told.fall) / 2, count,
            "half of what parts the rise of the best policy from a defector's",
        ),
        outside(
            f"{name}: payoff line of slope {line.slope:.3f}, from {told.floor:.3f} to {max(told.slopes):.3f}", line.slope,
            slope_error, (told.floor, max(told.slopes)), told.fair, len(line.points), "the slope of tit-for-tat",
        ),
    ]  # fmt: skip


def describe(cfg: Config, match: Match, line: PayoffLine, told: Bounds) -> dict[str, Any]:
    """What is reported of one agent beside the policy: its conditional cooperation, fits, curve and cloud."""
    game, middle = cfg.game.build(), len(told.policies) // 2
    fitted = [fit_extortion(game, s) for s in (match.own.signature, told.policies[middle])]
    visited = [0.5 if p is None else p for p in match.own.signature]
    enforced = [zd.fit(game, policy, 1.0) for policy in (visited, told.policies[middle])]
    curve = np.array(match.own.reward_curve)
    away = [float(np.sqrt(np.mean((curve - np.array(c)) ** 2))) for c in told.curves]
    return {
        "signature": match.own.signature, "first": match.own.first_signature, "last": match.own.last_signature,
        "reward": match.own.reward, "error": match.own.error, "naive_reward": match.other.reward,
        "curve": match.own.reward_curve, "naive_curve": match.other.reward_curve,
        "curve_distance": min(away),
        "factor": None if fitted[0] is None else fitted[0].factor,
        "policy_factor": None if fitted[1] is None else fitted[1].factor,
        "enforced_slope": enforced[0].slope, "policy_enforced_slope": enforced[1].slope,
        "enforced_distance": enforced[0].residual, "policy_enforced_distance": enforced[1].residual,
        "slope": line.slope, "interval": (line.low, line.high), "intercept": line.intercept, "points": line.points,
    }  # fmt: skip


def _evaluation(path: Path, setting: Setting) -> Evaluation:
    """The evaluation that the folder holds, else a new one, which is kept there as `lapg evaluate` keeps it."""
    found = records.load(Evaluation, path)
    if found is None:
        found = evaluate(path, meta_batch=max(8, round(MEETINGS * min(1, setting.budget))), seed=setting.seed)
        records.save(found, path)
    return found


def level(setting: Setting, simulation: Simulation, folder: Path, *, runs: Sequence[Path] = (), **others: Any) -> Level:
    """Compare the agents of trained runs with the best memory-one policies.

    Raises:
        ValueError: without runs, for runs that meet no naive learners, and with a sabotage, which cannot reach them.
    """
    del folder, others  # of level L5
    if simulation is not HONEST:
        raise ValueError("L6 looks at runs that are trained already, so nothing can be sabotaged; leave it out")
    if not runs:
        raise ValueError(
            "L6 looks at trained agents: name their folders with --run DIR ... (`lapg train ipd-shaping-small --run DIR` "
            "trains one in minutes)"
        )
    made, shown, told = [], [], {}
    for path in runs_in(runs):
        cfg = RunFolder(path).trusted_config()
        if cfg.pool.p_naive == 0:
            raise ValueError(f"{path} meets no naive learners (p_naive = 0), so there is nothing to shape")
        found = _evaluation(path, setting)
        theory = records.load(Prediction, path) or predict(cfg)
        key = repr([o.rate for o in theory.best]), cfg.steps, cfg.inner_episodes, cfg.game
        if key not in told:
            told[key] = bounds(cfg, theory)
        for line in found.lines:
            match = found.match("naive", line.agent)
            name = path.name + (f" agent {line.agent}" if cfg.pool.agents > 1 else "")
            made += compare(name, match, line, told[key], found.meta_batch)
            shown.append(
                {"name": name, "bounds": dataclasses.asdict(told[key]), **describe(cfg, match, line, told[key])}
            )
    return Level("L6", tuple(made), {"agents": shown}, tuple(map(_note, shown)), setting.false_alarms)


def _note(agent: dict[str, Any]) -> str:
    """One agent beside the policy, in a sentence."""
    spelt = lambda values: ", ".join("-" if v is None else f"{v:.2f}" for v in values)  # noqa: E731
    told = agent["bounds"]
    middle = len(told["policies"]) // 2
    factors = ["unbounded" if x is None else f"{x:.2f}" for x in (agent["factor"], agent["policy_factor"])]
    return (
        f"{agent['name']}: cooperates after s0, CC, CD, DC, DD with frequency {spelt(agent['signature'])} (first inner "
        f"episode {spelt(agent['first'])}, last {spelt(agent['last'])}); the best memory-one policy with "
        f"{spelt(told['policies'][middle])}. Fitted extortion factor {factors[0]}, policy {factors[1]}. Payoff line: slope "
        f"{agent['slope']:.3f} [{agent['interval'][0]:.3f}, {agent['interval'][1]:.3f}], intercept {agent['intercept']:.3f}; "
        f"policy {min(told['slopes']):.3f} to {max(told['slopes']):.3f}. Nearest enforceable line: slope "
        f"{agent['enforced_slope']:.2f} at distance {agent['enforced_distance']:.2f}, policy "
        f"{agent['policy_enforced_slope']:.2f} at {agent['policy_enforced_distance']:.2f}. Root-mean-square distance of "
        "the shaping curves "
        f"{agent['curve_distance']:.3f}."
    )
