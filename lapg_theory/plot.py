"""Pictures of the theory, one function each: a result and an optional `ax` in, the axes out; your rcParams hold.

`matplotlib.rc_context(STYLE)` gives the look of the analytic figures, whose colours colour-blind readers tell apart. `save`
writes what a paper takes.
"""

from typing import Any, Literal

import numpy as np

from lapg_theory.basin.course import Course
from lapg_theory.evolution import Population
from lapg_theory.figures.flows import CORNERS, corner_names
from lapg_theory.figures.flows import actions as actions
from lapg_theory.figures.flows import commons as commons
from lapg_theory.figures.flows import flow as flow
from lapg_theory.figures.flows import invasion as invasion
from lapg_theory.figures.maps import COLOURS
from lapg_theory.game import Horizon, MatrixGame, look
from lapg_theory.game.look import save as save
from lapg_theory.metagame import LABELS, MetaGame, project
from lapg_theory.metagame.ascent import Basins
from lapg_theory.metagame.bifurcation import Bifurcation
from lapg_theory.metagame.phase import AttractorMap
from lapg_theory.zd.polygon import payoff_polygon

#: The look of the analytic figures, for `matplotlib.rc_context`.
STYLE = look.STYLE


def payoffs(game: MatrixGame, policy: Any, horizon: Horizon, *, n: int = 300, ax: look.Axes | None = None) -> look.Axes:
    """Payoffs per step that a policy leaves to be had, in the polygon of what the game allows; a line where it enforces one.

    Args:
        game: a 2x2 game.
        policy: five probabilities, or the name of a strategy.
        horizon: `Discounted` or `FiniteHorizon`.
        n: how many random co-players are drawn.
        ax: matplotlib axes; new ones by default.

    Example:
        >>> import lapg_theory as lt
        >>> ax = lt.plot.payoffs(lt.prisoners_dilemma(), "tft", lt.Discounted(0.9), n=10)
        >>> ax.get_xlabel(), ax.get_ylabel()
        ("the other's payoff", 'own payoff')
    """
    ax, found = look.single(ax), payoff_polygon(game, policy, horizon, n)
    R, S, T, P = map(float, game.row_payoffs)
    r, s, t, p = map(float, game.column_payoffs)
    corners = np.array([(r, R), (t, S), (p, P), (s, T)])
    around = np.angle((corners - corners.mean(0)) @ [1, 1j])
    ax.fill(*corners[np.argsort(around)].T, color="#eef1f4", zorder=0)
    ax.scatter(found.points[:, 1], found.points[:, 0], s=7, color=look.BLUE, alpha=0.5, linewidth=0)
    ends = np.concatenate([found.hull, found.hull[:1]])
    ax.plot(ends[:, 1], ends[:, 0], color=look.INK, linewidth=1.2)
    ax.set(xlabel="the other's payoff", ylabel="own payoff")
    return ax


def phase(found: AttractorMap, *, ax: look.Axes | None = None) -> look.Axes:
    """Which of defection, extortion and cooperation are fixed points, over both parameters of an attractor map.

    Example:
        >>> import lapg_theory as lt
        >>> pool = lt.MetaGame(lt.prisoners_dilemma(), gamma=0.99, p_naive=0.25, eta=1.0, updates=4, nodes=8)
        >>> ax = lt.plot.phase(lt.attractor_map(pool, p_naive=[0.25, 0.75], over="tau", values=[4.0, 20.0]))
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('share of naive learners', 'tau')
    """
    ax, letters = look.single(ax), {"D": "defect", "E": "extort", "C": "cooperate"}
    across = len(found.p_naive)
    for (i, j), names in np.ndenumerate(found.names):
        width = 0.94 / max(len(names), 1)
        for k, letter in enumerate(names):
            left = j - 0.47 + k * width
            ax.barh(i, width, 0.94, left, color=COLOURS[letters[letter]], alpha=0.75, linewidth=0, align="center")
            if across <= 10:  # beyond, letters run into each other; colours tell
                ax.text(left + width / 2, i, letter, ha="center", va="center", fontsize="small", color="white")
        if not names and across <= 5:
            ax.text(j, i, "none", ha="center", va="center", fontsize="small", color=look.SOFT)
    for letter, name in letters.items():
        ax.bar(0, 0, color=COLOURS[name], alpha=0.75, label=f"{letter} {name}")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize="small", handlelength=1, columnspacing=1)
    ax.set(xlim=(-0.5, across - 0.5), ylim=(len(found.values) - 0.5, -0.5))  # from top to bottom, as the table
    ax.set_xticks(range(len(found.p_naive)), [f"{x:g}" for x in found.p_naive])
    ax.set_yticks(range(len(found.values)), [f"{x:.3g}" for x in found.values])
    ax.set(xlabel="share of naive learners", ylabel=found.over)
    ax.grid(visible=False)
    return ax


def bifurcation(
    found: Bifurcation,
    what: Literal["self_play", "versus_naive", "naive_gets"] = "self_play",
    *,
    ax: look.Axes | None = None,
) -> look.Axes:
    """What agents earn at every fixed point along a parameter: filled where it is stable, pale where neutral, open where not.

    Args:
        found: the fixed points.
        what: reward per step among themselves, from naive learners, or that naive learners get.
        ax: matplotlib axes; new ones by default.

    Example:
        >>> import lapg_theory as lt
        >>> pool = lt.MetaGame(lt.prisoners_dilemma(), gamma=0.99, p_naive=0.25, eta=1.0, updates=4, nodes=8)
        >>> lt.plot.bifurcation(lt.bifurcation(pool, over="p_naive", values=[0.25, 0.5])).get_xlabel()
        'p_naive'
    """
    ax, fill = look.single(ax), {"stable": 1.0, "neutral": 0.35}
    for name in LABELS:
        pairs = zip(found.values, found.points, strict=True)
        points = [(value, point) for value, there in pairs for point in there if point.label == name]
        for n, (value, point) in enumerate(points):
            alpha = fill.get(point.stability, 0.0)
            marks = {"markerfacecolor": (COLOURS[name], alpha), "markeredgecolor": COLOURS[name], "linestyle": "none"}
            ax.plot(value, getattr(point, what), "o", label=None if n else name, **marks)
    ax.set(xlabel=found.over, ylabel=f"reward per step, {what.replace('_', ' ')}")
    ax.legend()
    return ax


def basins(found: Basins, *, ax: look.Axes | None = None) -> look.Axes:
    """How often pairs of agents end in each way, with 95 % intervals.

    Example:
        >>> import lapg_theory as lt
        >>> pool = lt.MetaGame(lt.prisoners_dilemma(), gamma=0.99, p_naive=0.25, eta=1.0, updates=4, nodes=8)
        >>> lt.plot.basins(pool.basins(2, steps=5, nodes=8)).get_ylabel()
        'share of pairs'
    """
    ax = look.single(ax)
    for n, (name, (share, low, high)) in enumerate(found.shares.items()):
        ax.bar(n, share, color=COLOURS[name])
        ax.vlines(n, low, high, color=look.INK, linewidth=1.2)
    ax.set_xticks(range(len(found.shares)), list(found.shares))
    ax.set(ylim=(0, 1), ylabel="share of pairs")
    return ax


def course(found: Course, *, ax: look.Axes | None = None) -> look.Axes:
    """What agents earn from naive learners and among each other as they learn: a line a run, coloured by its end.

    Args:
        found: the paths of runs under a schedule, of `lapg_theory.basin.integrate`.
        ax: matplotlib axes; new ones by default.

    Example:
        >>> import lapg_theory as lt
        >>> from lapg_theory.basin import Stage, integrate, random_starts, small_pool
        >>> found = integrate(small_pool(episodes=3), [Stage(0.5)], random_starts(2, 2), steps=2, every=1)
        >>> len(lt.plot.course(found).lines)
        2
    """
    ax, named = look.single(ax), set()
    for run, end in enumerate(found.labels):
        x, y = found.versus_naive[:, run], found.among[:, run]
        ax.plot(x, y, lw=1, color=COLOURS[end], label=None if end in named else end)
        named.add(end)
    ax.set(xlabel="reward per step from naive learners", ylabel="reward per step among agents")
    return ax


def portrait(
    pool: MetaGame, plane: Literal["reactive", "edge"] = "reactive", *, points: int = 21, ax: look.Axes | None = None
) -> look.Axes:
    """The directions of learning in self-play on a plane of policies, of any game.

    On "reactive" the policies are (x, x, y, x, y): cooperate with probability x after the other cooperated and at the start, y
    after it defected. On "edge" they are (x, 1, 0, y, 0): from extortion, x = 0, to cooperation with one's own kind, x = 1.

    Args:
        pool: the mixed pool.
        plane: which policies.
        points: of the grid on each axis.
        ax: matplotlib axes; new ones by default.

    Example:
        >>> import lapg_theory as lt
        >>> pool = lt.MetaGame(lt.stag_hunt(), gamma=0.9, p_naive=0.5, eta=1.0, updates=4, nodes=8)
        >>> lt.plot.portrait(pool, points=4).get_ylabel()
        'cooperates after the other defected'
    """
    ax, grid = look.single(ax), np.linspace(0, 1, points)
    x, y = np.meshgrid(grid, grid)
    zero, one = np.zeros_like(x), np.ones_like(x)
    policies, states, words = {
        "reactive": ((x, x, y, x, y), ([0, 1, 3], [2, 4]), ("after the other cooperated", "after the other defected")),
        "edge": ((x, one, zero, y, zero), ([0], [3]), ("at the start", "after (D, C)")),
    }[plane]
    F = pool.field(*(np.stack(policies, -1),) * 2)
    field = project(np.stack([x, y], -1), np.stack([F[..., part].mean(-1) for part in states], -1))
    speed = np.log10(np.linalg.norm(field, axis=-1) + 1e-9)
    ax.contourf(grid, grid, speed, np.linspace(-4, 1, 11), cmap="cividis", alpha=0.6, extend="both")
    ax.streamplot(grid, grid, field[..., 0], field[..., 1], color=look.INK, linewidth=0.8, density=0.9)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel=f"cooperates {words[0]}", ylabel=f"cooperates {words[1]}")
    ax.grid(visible=False)
    return ax


def simplex(types: Population, *, points: int = 12, ax: look.Axes | None = None) -> look.Axes:
    """The replicator dynamics of three types on the triangle of their shares, with the mixtures at rest (filled: stable).

    Args:
        types: a population of three types.
        points: arrows along a side.
        ax: matplotlib axes; new ones by default.

    Raises:
        ValueError: for another number of types.

    Example:
        >>> import lapg_theory as lt
        >>> rock = lt.Population(("rock", "paper", "scissors"), [[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
        >>> [text.get_text() for text in lt.plot.simplex(rock).texts]
        ['rock', 'paper', 'scissors']
    """
    if len(types.names) != 3:
        raise ValueError(f"a triangle shows three types, got {len(types.names)}: {', '.join(types.names)}")
    ax = look.single(ax)
    shares = np.array([(i, j, points - i - j) for i in range(points + 1) for j in range(points + 1 - i)]) / points
    velocity = np.array([types.velocity(x) for x in shares])
    at, to = shares @ CORNERS, velocity @ CORNERS
    length = np.linalg.norm(to, axis=1, keepdims=True)
    along = to / np.where(length > 0, length, 1)
    ax.quiver(*at.T, *along.T, length[:, 0], cmap="cividis", pivot="mid", scale=2.2 * points, width=0.006)
    for rest in types.rest_points():
        face = look.INK if rest.stable else "white"
        ax.scatter(*(rest.shares @ CORNERS), s=45, facecolor=face, edgecolor=look.INK, zorder=3, clip_on=False)
    corner_names(ax, types.names)
    return ax
