"""What the exact theory predicts for a run: the best memory-one policy against naive learners, and what it earns.

The theory's naive learner climbs its exact return with rate eta; the run's climbs a sampled one, with a network and
Adam, whose effective rate on the five probabilities no formula gives. So eta is *calibrated*, before and apart from any
trained agent: the run's own naive learners meet two fixed strategies, and eta is what makes the exact course of learning
match theirs. Against ALLD nothing is gained by cooperating, against tit-for-tat everything; what an extorter offers lies
between. (Adam's step hardly shrinks with the gradient, so the two rates differ.) Predictions are made for both and for
their geometric mean, and the spread between them is shown.

The policies compared are memory-one. An agent with a memory can count steps and inner episodes, so it may earn more.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from lapg_rl.config import Config, LearnerConfig, PoolConfig
from lapg_rl.models import memory_one
from lapg_rl.play.company import naive_learner
from lapg_rl.runs.loop import fresh_state
from lapg_rl.study.evaluation import fit_extortion, fit_line, u_shaped
from lapg_rl.study.matches import make_play
from lapg_rl.study.records import Calibration, Escape, Outcome, Prediction, Simulated
from lapg_theory import exact_returns, naive_course, shaping_value_and_gradient
from lapg_theory.game import ALLD, DC, NAMED, FiniteHorizon, check_policy
from lapg_theory.shaping.climb import climb, highest

#: The strategies that the naive learning rate is calibrated against.
REFERENCES = ("alld", "tft")
LEAST_RATE, LARGEST_RATE = 1e-3, 1e3
#: Meta-episodes that each simulated figure is a mean over.
MEETINGS = 64
#: Stands in for the agent's learner, which a prediction doesn't depend on; it allows any number of steps.
TELLING = LearnerConfig(estimator="inner_episode")


def predict(cfg: Config) -> Prediction:
    """Calibrate, then derive; the same for all configs that differ only in the agent's learner, seed or budget.

    Raises:
        ValueError: for a config with a single inner episode, in which no learning can be seen.
    """
    if cfg.inner_episodes < 2:
        raise ValueError(
            f"inner_episodes is {cfg.inner_episodes}, so naive learners never act on what they learnt; a prediction "
            "needs at least 2"
        )
    if cfg.game.noisy:
        raise ValueError(
            f"game.execution is {cfg.game.execution}, game.perception {cfg.game.perception}, but predictions are about games "
            "without noise; leave them at 0"
        )
    if cfg.naive.proximal:
        raise ValueError(
            f"naive.proximal is {cfg.naive.proximal}, but predictions are about learners that take plain steps; leave it at 0"
        )
    if cfg.game.stop:
        raise ValueError(
            f"game.stop is {cfg.game.stop}, but predictions are about inner episodes of full length; leave it at 0"
        )
    pool = PoolConfig(naive_population=cfg.pool.naive_population)
    kept = ("batch", "inner_episodes", "steps", "game", "model", "naive")
    return _predict(Config(pool=pool, learner=TELLING, **{name: getattr(cfg, name) for name in kept}))


@functools.cache
def _predict(cfg: Config) -> Prediction:
    meet = _Simulation(cfg)
    calibrations = [calibrate(cfg, name, meet.curves(NAMED[name])[1].tolist()) for name in REFERENCES]
    low, high = sorted(c.rate for c in calibrations)
    rates = [low, float(np.sqrt(low * high)), high]
    best = [outcome(cfg, best_policy(cfg, rate), rate) for rate in rates]
    fits = [fit_extortion(cfg.game.build(), o.policy) for o in best]
    return Prediction(
        calibrations,
        best,
        [outcome(cfg, ALLD, rate) for rate in rates],
        [fit for fit in fits if fit is not None],
        escape(cfg, rates[1]),
        meet.outcome(best[1].policy),
        meet.outcome(ALLD),
    )


def outcome(cfg: Config, policy: Any, rate: float) -> Outcome:
    """What `policy` earns against exact naive learners that start at cooperation with probability 1/2 everywhere."""
    game, horizon, policy = cfg.game.build(), FiniteHorizon(cfg.steps), check_policy("policy", policy)
    _, own, other = naive_course(game, horizon, policy, np.zeros(5), rate, cfg.inner_episodes - 1)
    own, other = np.asarray(own) / cfg.steps, np.asarray(other) / cfg.steps
    return Outcome(
        rate, policy.tolist(), float(own.mean()), float(other.mean()), own.tolist(), other.tolist(),
        *payoff_line(cfg, policy),
    )  # fmt: skip


def payoff_line(cfg: Config, policy: Any) -> tuple[float | None, float | None]:
    """(slope, intercept) of the line of `PayoffLine`, for `policy`: exact returns, co-players as evaluations draw them."""
    cloud = u_shaped(np.random.default_rng(0).uniform(size=(1024, 5)))
    game = cfg.game.build()
    returns = exact_returns(game, policy, cloud, FiniteHorizon(cfg.steps))
    own, other = (np.asarray(x) / cfg.steps - game.trps[2] for x in returns)
    return fit_line(own, other)[:2]


def escape(cfg: Config, rate: float) -> Escape:
    """The shaping gradient at unconditional defection after DC, in its two parts."""
    game, horizon, updates = cfg.game.build(), FiniteHorizon(cfg.steps), cfg.inner_episodes - 1
    _, total = shaping_value_and_gradient(game, horizon, ALLD, np.zeros(5), rate, updates)
    course, _, _ = naive_course(game, horizon, ALLD, np.zeros(5), rate, updates)
    _, frozen = shaping_value_and_gradient(game, horizon, ALLD, course, rate, 0)  # each learner as it is, and no update
    direct = float(np.asarray(frozen).mean(axis=0)[DC]) / cfg.steps
    via_learning = float(total[DC]) / cfg.steps - direct
    return Escape(direct, via_learning, -via_learning / direct if direct < 0 < via_learning else None)


def best_policy(cfg: Config, rate: float, starts: int = 16) -> np.ndarray:
    """The memory-one policy that earns most from naive learners of that rate: bounded quasi-Newton from many starts."""
    game, horizon, updates = cfg.game.build(), FiniteHorizon(cfg.steps), cfg.inner_episodes - 1

    def value_and_slope(policy):
        value, slope = shaping_value_and_gradient(game, horizon, policy, np.zeros(5), rate, updates)
        return float(value), np.asarray(slope, float)

    random = np.random.default_rng(0).uniform(size=(starts, 5))
    return highest(climb(value_and_slope, [*np.array(list(NAMED.values())), *random])).policy


def calibrate(cfg: Config, name: str, simulated: list[float]) -> Calibration:
    """The rate whose exact course of learning against the named strategy is nearest to `simulated`."""

    def distance(log_rate):
        curve = outcome(cfg, NAMED[name], float(np.exp(log_rate))).naive_curve
        return float(np.sqrt(np.mean(np.subtract(curve, simulated) ** 2)))

    grid = np.linspace(np.log(LEAST_RATE), np.log(LARGEST_RATE), 49)
    nearest = grid[np.argmin([distance(x) for x in grid])]
    width = grid[1] - grid[0]
    found = optimize.minimize_scalar(distance, bounds=(nearest - width, nearest + width), method="bounded")
    rate = float(np.exp(found.x))
    return Calibration(name, rate, simulated, outcome(cfg, NAMED[name], rate).naive_curve, float(found.fun))


class _Simulation:
    """The run's own environment and naive learners, met by memory-one policies."""

    def __init__(self, cfg: Config):
        self.play = make_play(cfg, naive_learner(cfg.naive))
        policies = fresh_state(cfg).naive_policies
        chosen = jnp.arange(MEETINGS) % cfg.pool.naive_population
        self.learners = jax.tree.map(lambda x: x[chosen], policies)
        self.key = jax.random.fold_in(jax.random.key(cfg.seed), 2**31 - 1)

    def curves(self, policy: Any) -> np.ndarray:
        """Reward per step of (agent, naive learner) in each inner episode, [2, M]."""
        tally = self.play(memory_one(policy), self.learners, self.key)
        return np.asarray(tally.rewards, float).mean(axis=1)

    def outcome(self, policy: Any) -> Simulated:
        own, other = self.curves(policy).mean(axis=1)
        return Simulated(list(policy), float(own), float(other))
