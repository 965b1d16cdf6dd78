"""Pictures of games beyond the dilemma: three actions, flows of a learning rule, invaders, and the commons."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory import ess
from lapg_theory.exact.precision import float64
from lapg_theory.game import MOST_UPDATES, Horizon, MatrixGame, NormalFormGame, check_count, look

#: Of a triangle of three chances or shares.
CORNERS = np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]])


def corner_names(ax: Any, names: Sequence[str]) -> None:
    """Write what the corners are beside them, and nothing else around the triangle."""
    ax.plot(*np.concatenate([CORNERS, CORNERS[:1]]).T, color=look.SOFT, linewidth=1)
    for name, place, where in zip(names, CORNERS, ("right", "left", "center"), strict=True):
        up = where == "center"
        how = {"ha": where, "va": "bottom" if up else "top", "textcoords": "offset points"}
        ax.annotate(name, place, (0, 6 if up else -6), **how)
    ax.set_aspect("equal")
    ax.axis("off")


def _paths(payoffs: Any, theta: Any, eta: float, updates: int) -> Any:
    """Chances [updates + 1, runs, k] of learners that each meet one like themselves."""

    def step(theta: Any, _: Any) -> tuple[Any, Any]:
        other = jax.nn.softmax(theta)
        uphill = jax.grad(lambda own: jnp.einsum("ra,ab,rb->", jax.nn.softmax(own), payoffs, other))(theta)
        return theta + eta * uphill, other

    return jax.lax.scan(step, theta, length=updates + 1)[1]


def actions(
    game: Any,
    starts: Any,
    *,
    eta: float = 0.1,
    updates: int = 500,
    names: Sequence[str] = ("0", "1", "2"),
    ax: look.Axes | None = None,
) -> look.Axes:
    """Where naive learners without memory go in a symmetric game of three actions: a line a run on the triangle of chances.

    Each meets one like itself and ascends its own reward in the logits of a softmax; a dot is where it begins.

    Args:
        game: symmetric, of two players with three actions.
        starts: the chances of the actions at first, [runs, 3].
        eta: the learning rate, on rewards per step.
        updates: how often they learn.
        names: of the actions.
        ax: matplotlib axes; new ones by default.

    Raises:
        ValueError: for another game, or starts that are no chances above 0.

    Example:
        >>> import lapg_theory as lt
        >>> ax = lt.plot.actions(lt.game.rock_paper_scissors(), [[0.5, 0.3, 0.2]], updates=10)
        >>> len(ax.lines[1].get_xdata())
        11
    """
    check_count("updates", updates, most=MOST_UPDATES)
    if not isinstance(game, NormalFormGame) or game.actions != (3, 3) or not game.is_symmetric:
        raise ValueError(f"a triangle shows symmetric games of two players with three actions, got {game}")
    given = np.asarray(starts, float)
    if given.ndim != 2 or given.shape[1] != 3 or not (given > 0).all() or np.abs(given.sum(1) - 1).max() > 1e-6:
        raise ValueError(f"starts must be rows of three chances above 0 that sum to 1, got {starts!r}")
    with float64():
        paths = np.asarray(_paths(jnp.asarray(game.payoffs[0]), jnp.log(jnp.asarray(given)), float(eta), updates))
    ax = look.single(ax)
    corner_names(ax, names)
    for run, colour in zip(range(len(given)), np.resize(look.CYCLE, len(given)), strict=True):
        x, y = (paths[:, run] @ CORNERS).T
        ax.plot(x, y, color=colour, linewidth=1)
        ax.plot(x[0], y[0], "o", color=colour, markersize=4)
    return ax


def flow(rule: Any, game: MatrixGame, horizon: Horizon, *, points: int = 15, ax: look.Axes | None = None) -> look.Axes:
    """The directions in which a learning rule moves two players who cooperate with the same chance after everything.

    Args:
        rule: one of `lapg_theory.learning`, such as `ActorCritic` or `Sarsa`.
        game: a 2x2 game.
        horizon: `Discounted` or `FiniteHorizon`.
        points: of the grid on each axis.
        ax: matplotlib axes; new ones by default.

    Example:
        >>> import lapg_theory as lt
        >>> ax = lt.plot.flow(lt.learning.ActorCritic(), lt.stag_hunt(), lt.Discounted(0.9), points=3)
        >>> ax.get_xlabel()
        'row player cooperates'
    """
    check_count("points", points, least=2)
    grid = np.linspace(0, 1, points + 2)[1:-1]
    x, y = np.meshgrid(grid, grid)
    joint = tuple(np.repeat(np.log(z / (1 - z))[..., None], 5, axis=-1) for z in (x, y))
    moves = [
        np.asarray(move).mean(-1) * z * (1 - z)
        for move, z in zip(rule.direction(game, horizon, joint), (x, y), strict=True)
    ]
    speed = np.hypot(*moves)
    rests = speed <= 1e-12 * speed.max()
    along = [np.where(rests, 0, move) / np.where(rests, 1, speed) for move in moves]
    ax = look.single(ax)
    ax.quiver(x, y, *along, speed, cmap="cividis", pivot="mid", scale=1.6 * points, width=0.006)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="row player cooperates", ylabel="column player cooperates", aspect="equal")
    ax.grid(visible=False)
    return ax


def invasion(
    strategy: Any,
    against: Mapping[str, Any] | Sequence[Any],
    *,
    game: Any,
    horizon: Horizon,
    points: int = 101,
    ax: look.Axes | None = None,
) -> look.Axes:
    """What invaders earn above a resident strategy, by their share of the population: one that starts above 0 breaks it.

    Args:
        strategy: the resident, as `lapg_theory.ess.is_ess` takes it.
        against: the invaders, likewise.
        game: a symmetric `MatrixGame` or an `AnonymousGame`.
        horizon: how long each encounter lasts.
        points: shares from 0 to 1.
        ax: matplotlib axes; new ones by default.

    Example:
        >>> import lapg_theory as lt
        >>> ax = lt.plot.invasion("tft", ["alld", "allc"], game=lt.prisoners_dilemma(), horizon=lt.Discounted(0.9))
        >>> [line.get_label() for line in ax.lines[1:]]
        ['alld', 'allc']
    """
    check_count("points", points, least=2)
    shares, ax = np.linspace(0, 1, points), look.single(ax)
    ax.axhline(0, color=look.SOFT, linewidth=1)
    for name, gain in ess.gains(strategy, against, game=game, horizon=horizon, shares=shares).items():
        ax.plot(shares, gain, label=name)
    resident = strategy if isinstance(strategy, str) else "the resident"
    ax.set(xlim=(0, 1), xlabel="share of the invader", ylabel=f"earns per step above {resident}")
    ax.legend()
    return ax


def commons(*, over: str, values: Any, ax: look.Axes | None = None, **numbers: Any) -> look.Axes:
    """From which discount on the ecological public good is kept: regions between two thresholds in closed form.

    Below both all defect (a tragedy), above both all cooperate, between them either stays once it is there, or neither does.

    Args:
        over: the symbol that changes along the axis: n, f, c, m, q_c or q_r (`lapg_theory.symbolic.ecology`).
        values: its values, ascending.
        ax: matplotlib axes; new ones by default.
        numbers: all other symbols.

    Raises:
        ValueError: for a symbol without a number.

    Example:
        >>> import lapg_theory as lt
        >>> ax = lt.plot.commons(over="q_c", values=[0.1, 0.2, 0.4], n=2, f=1.2, c=5, m=-5, q_r=0.01)
        >>> [round(float(y), 6) for y in (ax.lines[0].get_ydata()[1], ax.lines[1].get_ydata()[1])]
        [0.671141, 0.911002]
    """
    from lapg_theory.symbolic import ecology

    axis, ax = np.asarray(values, float), look.single(ax)
    given = numbers | {over: axis}
    keeps, leaves = (
        np.clip(np.broadcast_to(threshold()(**given), axis.shape), 0, 1)
        for threshold in (ecology.cooperation_from, ecology.defection_until)
    )
    low, high = np.minimum(keeps, leaves), np.maximum(keeps, leaves)
    shade = {"alpha": 0.15, "linewidth": 0}
    ax.fill_between(axis, 0, low, color=look.BLUE, label="all defect", **shade)
    ax.fill_between(axis, low, high, where=keeps <= leaves, color=look.AMBER, label="either", **shade)
    if (keeps > leaves).any():
        ax.fill_between(axis, low, high, where=keeps > leaves, color=look.SOFT, label="neither", **shade)
    ax.fill_between(axis, high, 1, color=look.GREEN, label="all cooperate", **shade)
    ax.plot(axis, keeps, color=look.GREEN)
    ax.plot(axis, leaves, color=look.BLUE)
    ax.set(xlim=(axis[0], axis[-1]), ylim=(0, 1), xlabel=over, ylabel="gamma")
    ax.legend()
    return ax
