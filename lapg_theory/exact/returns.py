"""Exact returns of two memory-one policies: discounted or finite horizon, one pair or a batch of pairs."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.exact.chain import (
    Discount,
    Play,
    acted,
    done,
    dot,
    from_probabilities,
    moves,
    onward,
    outcome_values,
    payoffs,
    stacked,
    traceable,
    visit_distribution,
)
from lapg_theory.exact.precision import as_floats, exact
from lapg_theory.game import CC, CD, DC, DD, S0, Discounted, Horizon, MatrixGame, mirror
from lapg_theory.game.numbers import is_traced
from lapg_theory.game.strategies import check_policy


def checked(name: str, policy: Any) -> Any:
    """The policy, refused where it is none; of a traced one only the shape can be checked."""
    if isinstance(policy, jax.core.Tracer):
        check_policy(name, np.full(policy.shape, 0.5))
        return policy
    array = check_policy(name, policy)
    if isinstance(policy, jax.Array):
        return policy if (np.asarray(policy) == array).all() else jnp.asarray(array, policy.dtype)
    return array


def refuse_perception(game: Any, why: str) -> None:
    """Refuse a game whose players may see each other's actions wrongly."""
    noise = getattr(game, "noise", None)
    if noise is not None and (is_traced(noise.perception) or noise.perception):
        raise ValueError(f"{why}, so perception must be 0, got {noise.perception}: leave it to execution errors")


def check_batches(p: Any, q: Any) -> None:
    """Refuse two batches of policies whose leading axes do not fit together."""
    try:
        np.broadcast_shapes(np.shape(p), np.shape(q))
    except ValueError:
        raise ValueError(
            f"the leading axes of p {np.shape(p)} and q {np.shape(q)} do not broadcast: make them equal or 1"
        ) from None


def plays(p: Any, q: Any) -> tuple[Play, Play]:
    """Both players (last axis: five states, own view) as the chain takes them: states first, row player's view."""
    check_batches(p, q)
    p, q = as_floats(p, q)
    return from_probabilities(jnp.moveaxis(p, -1, 0)), from_probabilities(jnp.moveaxis(q, -1, 0)).mirrored()


@jax.jit
def _returns(p: Any, q: Any, rewards: Any, horizon: Any) -> tuple[jax.Array, ...]:
    seen = visit_distribution(*plays(p, q), horizon)
    return tuple(horizon.weight * dot(seen, reward) for reward in rewards)


@exact
def exact_returns(game: MatrixGame, p: Any, q: Any, horizon: Horizon | Discount) -> tuple[Any, Any]:
    """Expected returns (J_row, J_col) of two memory-one policies, exactly.

    J = sum over t of gamma^t E[r_t] for `Discounted(gamma)`, over `steps` steps for `FiniteHorizon(steps)`: sums, not
    means; divide by `horizon.weight` for the reward per step.

    Args:
        game: any 2x2 game with numbers as payoffs.
        p: row player's cooperation probabilities, [..., 5], in the order s0, CC, CD, DC, DD of its own view.
        q: column player's, [..., 5], in *its* own view; leading axes broadcast against those of `p`.
        horizon: `Discounted` or `FiniteHorizon`.

    Returns:
        Two arrays of the leading shape: NumPy float64 for NumPy or Python input, JAX arrays for JAX input (in its
        dtype). JAX input may be differentiated, mapped and compiled: policies, payoffs (of a `MatrixGame` or
        `symmetric_game`) and the gamma of `Discounted`; traced values are not checked.

    Raises:
        ValueError: for a last axis other than five, a probability outside [0, 1], leading axes that do not broadcast,
            or what is no game or horizon.

    Example:
        >>> import lapg_theory as lt
        >>> own, other = lt.exact_returns(lt.prisoners_dilemma(), lt.TFT, lt.ALLD, lt.Discounted(0.95))
        >>> float(own), float(other)
        (-1.0, 2.0)
    """
    return _returns(checked("p", p), checked("q", q), (payoffs(game), payoffs(game, 1)), traceable(horizon, game))


@jax.jit
def _occupancy(p: Any, q: Any, horizon: Any) -> jax.Array:
    return jnp.stack(visit_distribution(*plays(p, q), horizon), axis=-1)


@exact
def occupancy(p: Any, q: Any, horizon: Horizon | Discount) -> Any:
    """Share of (discounted) time spent in CC, CD, DC, DD, row player's view, [..., 4], summing to one.

    (1 - gamma) sum over t of gamma^t Pr(outcome of step t), or the plain average over the steps of a finite horizon.
    Arguments and errors as for `exact_returns`.

    Example:
        >>> import lapg_theory as lt
        >>> lt.occupancy(lt.TFT, lt.ALLD, lt.FiniteHorizon(4)).tolist()  # CC, CD, DC, DD
        [0.0, 0.25, 0.0, 0.75]
    """
    return _occupancy(checked("p", p), checked("q", q), traceable(horizon))


@jax.jit
def _action_values(p: Any, q: Any, reward: Any, horizon: Any) -> jax.Array:
    row, column = plays(p, q)
    after = outcome_values(row, column, reward, horizon)
    _, column = acted(row, column, horizon)
    values = [column.cooperate[s] * after[i] + column.defect[s] * after[i + 1] for s in range(5) for i in (0, 2)]
    if horizon_noise := getattr(horizon, "noise", None):
        slip = horizon_noise.execution
        values = [value + slip * (values[k ^ 1] - value) for k, value in enumerate(values)]
    return jnp.moveaxis(stacked(values), 0, -1).reshape(*jnp.shape(values[0]), 5, 2)


@exact
def action_values(game: MatrixGame, p: Any, q: Any, horizon: Horizon | Discount) -> Any:
    """Row player's expected return from each own state on for playing C or D now and its policy afterwards.

    Q(s, a) = E[r_t + gamma r_{t+1} + ... | state s, action a intended at t]. Discounted: [..., 5, 2], states s0, CC, CD, DC, DD
    by actions C, D. A finite horizon has a first axis, the step t at which the action is taken: [steps, ..., 5, 2].
    Arguments and errors as for `exact_returns`; games with perception errors are refused too.

    Args:
        game: any 2x2 game with numbers as payoffs.
        p: the row player's five probabilities, [..., 5], own view.
        q: the column player's, [..., 5], its own view.
        horizon: `Discounted` or `FiniteHorizon`.

    Example:
        >>> import lapg_theory as lt
        >>> values = lt.action_values(lt.prisoners_dilemma(), lt.TFT, lt.TFT, lt.Discounted(0.5))
        >>> values.shape  # states, own actions
        (5, 2)
    """
    refuse_perception(game, "action values are those of a state that both players see alike")
    return _action_values(checked("p", p), checked("q", q), payoffs(game), traceable(horizon, game))


@exact
def solved_returns(game: MatrixGame, p: Any, q: Any, horizon: Discounted) -> tuple[Any, Any]:
    """`exact_returns` by a library solve of r^T (I - gamma M)^-1 s0: the textbook route, to check the other by.

    Its rounding error grows like 1 / (1 - gamma).
    """
    row, column = plays(*done(game, checked("p", p), checked("q", q)))
    M = jnp.stack([jnp.stack(chances, axis=-1) for chances in onward(row, column)], axis=-2)
    start = jnp.stack(moves(row, column, 0), axis=-1)
    seen = jnp.linalg.solve(jnp.eye(4, dtype=M.dtype) - horizon.gamma * jnp.swapaxes(M, -1, -2), start[..., None])
    J_row, J_column = ((seen[..., 0] * jnp.asarray(payoffs(game, k), M.dtype)).sum(-1) for k in (0, 1))
    return J_row, J_column


def press_dyson(p: Sequence[Any], q: Sequence[Any], gamma: Any, f: Sequence[Any]) -> list[list[Any]]:
    """The 4x4 matrix whose determinant D(p, q, f) gives every return: (1 - gamma) J = D(p, q, r) / D(p, q, 1).

    Rows CC, CD, DC, DD of the row player's view; columns gamma p q + (1 - gamma) p0 q0 - [CC], gamma p + (1 - gamma) p0
    - [CC or CD], gamma q + (1 - gamma) q0 - [CC or DC], and f. The column of each player is its own to set: hence the
    zero-determinant strategies. p and q are five-vectors in their own views, of any number type (SymPy too). (Press &
    Dyson 2012, PNAS 109; Hilbe, Traulsen & Sigmund 2015, Games Econ. Behav. 92, with discount.)
    """
    q = mirror(q)

    def row(s):
        own, other = int(s in (CC, CD)), int(s in (CC, DC))
        return [
            gamma * p[s] * q[s] + (1 - gamma) * p[S0] * q[S0] - own * other,
            gamma * p[s] + (1 - gamma) * p[S0] - own,
            gamma * q[s] + (1 - gamma) * q[S0] - other,
            f[s - 1],
        ]

    return [row(s) for s in (CC, CD, DC, DD)]


@exact
def determinant_returns(game: MatrixGame, p: Any, q: Any, horizon: Discounted) -> tuple[Any, Any]:
    """`exact_returns` by the discounted Press-Dyson determinants: the closed form, to check the other by."""
    p, q = done(game, *as_floats(checked("p", p), checked("q", q)))
    p, q = (list(jnp.moveaxis(x, -1, 0)) for x in (p, q))

    one = [jnp.ones_like(p[0])] * 4

    def determinant(f):
        entries = stacked([entry for line in press_dyson(p, q, horizon.gamma, f) for entry in line])
        return jnp.linalg.det(jnp.moveaxis(entries, 0, -1).reshape(*entries.shape[1:], 4, 4))

    J_row, J_column = (horizon.weight * determinant(payoffs(game, k)) / determinant(one) for k in (0, 1))
    return J_row, J_column
