"""Iterate a learning rule, or integrate its continuous-time limit, and say why it stopped."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.exact.chain import Discount, traceable
from lapg_theory.exact.precision import as_floats, exact, float64
from lapg_theory.exact.returns import exact_returns
from lapg_theory.game import Horizon, MatrixGame, check_count
from lapg_theory.game.show import brief
from lapg_theory.learning.naive import Naive
from lapg_theory.learning.rule import Joint, Match, Rule

CONVERGED, MAX_STEPS, NOT_FINITE = "converged", "max steps", "not finite"


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """The course of two learners, and why it ended.

    Attributes:
        times: steps taken, or time where integrated, at each record, [n].
        row: row player's policy in the rule's own coordinates, [n, ..., 5].
        column: column player's, [n, ..., 5].
        rewards: rewards per step (J / horizon.weight) of row and column, [n, ..., 2].
        reason: why each run ended, [...]: "converged", "max steps" (or the end of time), "not finite".
        residual: largest change of a coordinate in the last step (rate of change where integrated), [...].
    """

    times: Any
    row: Any
    column: Any
    rewards: Any
    reason: Any
    residual: Any

    __repr__ = brief

    @property
    def last(self) -> tuple[Any, Any]:
        """The final joint policy."""
        return self.row[-1], self.column[-1]

    def require_convergence(self) -> "Trajectory":
        """Itself, where every run has converged.

        Raises:
            ValueError: where one has not, with the reasons, the largest residual and what to try.
        """
        reasons = np.ravel(self.reason)
        failed = {why: int((reasons == why).sum()) for why in (NOT_FINITE, MAX_STEPS) if (reasons == why).any()}
        if failed:
            known = np.ravel(self.residual)[np.isfinite(np.ravel(self.residual))]
            counts = ", ".join(f"{count} {why}" for why, count in failed.items())
            raise ValueError(
                f"{sum(failed.values())} of {reasons.size} runs did not converge ({counts}) by {self.times[-1]:g} of time "
                f"or steps; largest residual {known.max(initial=0):.3g}. Try more steps or a larger tolerance; where "
                "policies cycle or are not finite, a smaller rate"
            )
        return self


@functools.partial(jax.jit, static_argnums=(0, 1))
def _observe(rule: Rule | Match, game: MatrixGame, horizon: Any, joint: Joint) -> jax.Array:
    p, q = rule.probabilities(joint)
    return jnp.stack(exact_returns(game, p, q, horizon), axis=-1) / horizon.weight


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _advance(rule: Any, game: MatrixGame, optimizer: Any, steps: int, horizon: Any, joint: Joint, state: Any) -> Any:
    def step(carry, _):
        joint, state, _ = carry
        if optimizer is None:
            new = rule.step(game, horizon, joint)
        else:
            downhill = tuple(-move for move in rule.direction(game, horizon, joint))
            updates, state = optimizer.update(downhill, state, joint)
            new = tuple(x + update for x, update in zip(joint, updates, strict=True))
        change = jnp.maximum(*(jnp.abs(a - b).max(-1) for a, b in zip(new, joint, strict=True)))
        return (new, state, change), None

    start = (joint, state, jnp.zeros(joint[0].shape[:-1], joint[0].dtype))
    return jax.lax.scan(step, start, length=steps)[0]


@functools.lru_cache
def _optimizer(name: str, rate: float) -> Any:
    if name != "adamw":
        raise ValueError(f'optimizer must be "gradient", "adamw" or an optax transformation, got {name!r}')
    import optax

    return optax.adamw(rate)


def _check_tolerance(tolerance: float) -> None:
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be >= 0, got {tolerance}")


def _reasons(residual: Any, tolerance: float) -> Any:
    return np.where(np.isfinite(residual), np.where(residual <= tolerance, CONVERGED, MAX_STEPS), NOT_FINITE)[()]


@exact
def _iterate(
    rule: Any, game: MatrixGame, horizon: Any, joint: Joint, steps: int, optimizer: Any, every: int, tolerance: float
) -> Any:
    joint = tuple(jnp.broadcast_arrays(*as_floats(*joint)))
    state = None if optimizer is None else optimizer.init(joint)
    records = [(0, *joint, _observe(rule, game, horizon, joint))]
    done, residual = 0, None
    while done < steps:
        count = min(every, steps - done)
        joint, state, residual = _advance(rule, game, optimizer, count, horizon, joint, state)
        done += count
        records.append((done, *joint, _observe(rule, game, horizon, joint)))
        if np.all(~(np.asarray(residual) > tolerance)):  # converged, or not a number
            break
    residual = np.asarray(residual)
    times, row, column, rewards = (np.stack([np.asarray(r[k]) for r in records]) for k in range(4))
    return times, row, column, rewards, _reasons(residual, tolerance), residual


def iterate(
    rule: Rule | Match,
    game: MatrixGame,
    horizon: Horizon | Discount,
    joint: Any,
    steps: int,
    *,
    optimizer: Any = "gradient",
    record_every: int | None = None,
    tolerance: float = 0.0,
) -> Trajectory:
    """Apply a learning rule `steps` times to a joint policy, or to a batch of them at once.

    Args:
        rule: any rule of `lapg_theory.learning`.
        game: any 2x2 game with numbers as payoffs.
        horizon: `Discounted` or `FiniteHorizon`.
        joint: (row, column) in the rule's coordinates (logits), [..., 5] each.
        steps: the most steps to take, >= 1.
        optimizer: "gradient" steps of size `rule.rate`; "adamw", with learning rate `rule.rate` and optax's other
            defaults; or any optax transformation.
        record_every: steps between two records; by default a hundredth of `steps`.
        tolerance: a run has converged when no coordinate changes by more in a step; looked at at each record. The
            iteration ends when every run has converged or is not finite.

    Returns:
        A `Trajectory`: float64 for NumPy or Python input, in the dtype of JAX input.

    Raises:
        ValueError: for a count that is no integer >= 1, a negative tolerance, an unknown optimizer, or wrong shapes.

    Example:
        >>> import numpy as np, lapg_theory as lt
        >>> from lapg_theory.learning import Naive
        >>> start = (np.zeros(5), np.zeros(5))  # log-odds of cooperating
        >>> path = lt.iterate(Naive(rate=1.0), lt.prisoners_dilemma(), lt.Discounted(0.9), start, 50)
        >>> bool(path.rewards[-1].max() < 0.1)  # naive learners come to defect
        True
    """
    rule.check(joint)
    check_count("steps", steps)
    every = max(1, steps // 100) if record_every is None else record_every
    check_count("record_every", every)
    _check_tolerance(tolerance)
    if optimizer == "gradient":
        optimizer = None
    elif isinstance(optimizer, str):
        if isinstance(rule, Match):
            raise ValueError("a Match has two rates: give an optax transformation instead of a name")
        optimizer = _optimizer(optimizer, rule.rate)
    return Trajectory(*_iterate(rule, game, traceable(horizon), joint, steps, optimizer, every, tolerance))


def integrate(
    rule: Rule,
    game: MatrixGame,
    horizon: Horizon | Discount,
    joint: Any,
    duration: float,
    *,
    records: int = 101,
    tolerance: float = 0.0,
    rtol: float = 1e-6,
    atol: float = 1e-9,
) -> Trajectory:
    """Integrate d policy / d time = direction of the rule: its limit for small rates, time = rate x steps.

    Float64, by SciPy's LSODA. It ends early, "converged", when no coordinate changes faster than `tolerance`.

    Args:
        rule: a rule of `lapg_theory.learning`, in logits.
        game: any 2x2 game with numbers as payoffs.
        horizon: `Discounted` or `FiniteHorizon`.
        joint: (row, column) logits, [..., 5] each.
        duration: how long, in units of rate x steps.
        records: how many points of the path are kept.
        tolerance: the path ends when no coordinate moves faster.
        rtol: relative tolerance of the integrator.
        atol: absolute tolerance of the integrator, in logits.

    Raises:
        ValueError: for a rule in probability space (at the border its limit is a projected flow: iterate it with a
            small rate instead), or a duration that is not positive and finite.

    Example:
        >>> import numpy as np, lapg_theory as lt
        >>> from lapg_theory.learning import Naive
        >>> start = (np.zeros(5), np.zeros(5))
        >>> path = lt.integrate(Naive(), lt.prisoners_dilemma(), lt.Discounted(0.9), start, 50.0)
        >>> bool(path.rewards[-1].max() < 0.1)
        True
    """
    from scipy.integrate import solve_ivp

    if isinstance(rule, Match) or (isinstance(rule, Naive) and rule.space == "probability"):
        raise ValueError("integrate takes one rule for both players, in logits; use iterate with a small rate")
    if not 0 < duration < np.inf:
        raise ValueError(f"duration must be positive and finite, got {duration}")
    check_count("records", records, least=2)
    _check_tolerance(tolerance)
    start = np.stack(np.broadcast_arrays(*(np.asarray(policy, dtype=float) for policy in joint)))

    def field(_, flat):
        return np.stack(rule.direction(game, horizon, tuple(flat.reshape(start.shape)))).ravel()

    def fastest(time, flat):
        return np.abs(field(time, flat)).max() - tolerance

    setattr(fastest, "terminal", True)  # noqa: B010 - SciPy reads an attribute that function types do not declare
    times = np.linspace(0, duration, records)
    found = solve_ivp(field, (0, duration), start.ravel(), "LSODA", times, events=fastest, rtol=rtol, atol=atol)
    path = np.concatenate([found.y.T.ravel(), np.ravel(found.y_events[0])]).reshape(-1, *start.shape)
    residual = np.abs(field(0, path[-1].ravel()).reshape(start.shape)).max(axis=(0, -1))
    if found.t_events[0].size:  # the root finder ends next to the tolerance, on either side
        residual = np.minimum(residual, tolerance)
    with float64():
        rewards = np.asarray(_observe(rule, game, traceable(horizon), tuple(jnp.asarray(path[:, k]) for k in (0, 1))))
    reached = np.concatenate([found.t, found.t_events[0]])
    return Trajectory(reached, path[:, 0], path[:, 1], rewards, _reasons(residual, tolerance), residual)
