"""What a cross-validation is about: a game, memory-one players, sizes, a budget, and a false-alarm rate."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.game import AnonymousGame, FiniteHorizon, MatrixGame, NormalFormGame, check_count, prisoners_dilemma
from lapg_theory.game.show import state_names
from lapg_theory.oracle.episodes import number

BUDGETS = {"small": 0.25, "medium": 1.0, "large": 8.0}
EGO = (Fraction(1, 3), Fraction(2, 3), Fraction(1, 4), Fraction(1, 2), Fraction(1, 5))
NAIVE = (Fraction(1, 2), Fraction(3, 5), Fraction(1, 4), Fraction(2, 3), Fraction(1, 3))


def policies_of(players: int) -> dict[str, tuple[Fraction, ...]]:
    """The policies that a group of so many has by default: chances that differ in every state."""
    others = range(players - 1, -1, -1)
    ego = [Fraction(1, 3), *(Fraction(2 + 3 * j, 3 * players + 2) for j in others)]
    naive = [Fraction(1, 2), *(Fraction(1 + j, players + 2) for j in others)]
    return {
        "ego": (*ego, *(Fraction(1 + 2 * j, 3 * players) for j in others)),
        "naive": (*naive, *(Fraction(2 + j, 2 * players) for j in others)),
    }


#: With more actions than this states are put together, and level L3 is about single steps: tables grow like their cube.
FEW_ACTIONS = 4


def tables_of(actions: int) -> dict[str, tuple[Fraction, ...]]:
    """The policies that players of so many actions have by default, row after row: they differ, the learner's little."""
    rows, found = np.arange(1 + actions**2)[:, None], {}
    for name, least, slope in (("ego", 1, 3), ("naive", 12, 7)):
        shares = least + (slope * rows + 2 * np.arange(actions) + rows // actions) % 5
        found[name] = tuple(Fraction(int(x), int(row.sum())) for row in shares for x in row)
    return found


@dataclasses.dataclass(frozen=True)
class Setting:
    """The question of a cross-validation; every level reads what it needs.

    Attributes:
        game: a 2x2 game, an anonymous one of n players, or a table of two players with k actions each; with noise or without.
        ego: P(cooperate | s0, CC, CD, DC, DD) of the learning-aware agent, strictly between 0 and 1; in a group 2 n + 1; with k
            actions those of all in the opening, then after each joint action, own action first: (1 + k^2) k numbers.
        naive: the same of the co-player, or of each of them, at first, in its own view.
        gamma: discount of the play of level L0 that stops at random.
        steps: T.
        inner_episodes: M.
        batch: B.
        alpha: learning rate of the naive co-player in probabilities, or None for 1/10 over its largest payoff
            (1 / (4 k^2) with k > 2 actions), so that it steps as far in a game with larger payoffs; `rate` is the one
            that holds, `eta` the one in log-odds.
        budget: multiplies all sample sizes.
        seed: of the key.
        false_alarms: rate of a false alarm of each level.

    Raises:
        ValueError: for a size that is no count, a policy that does not explore, or a rate out of range.
    """

    game: Any = dataclasses.field(default_factory=lambda: prisoners_dilemma(*map(Fraction, (2, 1, 0, -1))))
    ego: tuple[Any, ...] = EGO
    naive: tuple[Any, ...] = NAIVE
    gamma: float = 0.9
    steps: int = 4
    inner_episodes: int = 4
    batch: int = 4
    alpha: Fraction | None = None
    budget: float = 1.0
    seed: int = 0
    false_alarms: float = 0.001

    def __post_init__(self):
        if isinstance(self.game, NormalFormGame) and (self.game.players != 2 or len(set(self.game.actions)) != 1):
            raise ValueError(f"levels are about tables of two players with the same number of actions, got {self.game}")
        if not isinstance(self.game, MatrixGame):
            group = isinstance(self.game, AnonymousGame)
            default = policies_of(self.game.players) if group else tables_of(self.actions)
            for name, policy in default.items():
                if len(getattr(self, name)) != len(policy) and getattr(self, name) == getattr(type(self), name):
                    object.__setattr__(self, name, policy)
        for name, payoffs in zip(("ego", "naive"), self.payoffs, strict=True):
            if len(set(payoffs)) == 1:
                raise ValueError(
                    f"all payoffs of the {name} are {payoffs[0]}: nothing depends on play, so there is nothing to compare; "
                    "choose payoffs that differ"
                )
        check_count("steps", self.steps, 2)
        check_count("inner_episodes", self.inner_episodes, 2)
        check_count("batch", self.batch, 2)
        check_count("seed", self.seed, 0)
        if self.seed >= 2**32:
            raise ValueError(f"seed must be below 2^32 = {2**32:,}, got {self.seed}")
        for name in ("ego", "naive"):
            policy = getattr(self, name)
            entries = self.entries
            if len(policy) != entries or not all(0 < p < 1 for p in policy):
                count, shown = "five" if entries == 5 else str(entries), [*map(str, policy[:20])]
                shown += ["..."] if len(policy) > 20 else []
                states = (
                    ", ".join(self.states) if self.actions == 2 else "k for the opening, then after each joint action"
                )
                raise ValueError(
                    f"{name} needs {count} probabilities strictly between 0 and 1 ({states}), got {', '.join(shown)}; both "
                    "players must explore"
                )
            if (
                self.actions > 2
                and (off := np.abs(np.array(policy, float).reshape(-1, self.actions).sum(1) - 1)).max() > 1e-6
            ):
                raise ValueError(f"{name} needs {self.actions} probabilities that sum to 1 in each state, but row "
                                 f"{off.argmax()} is off by {off.max():.3g}")  # fmt: skip
        for name, value, high in (
            ("gamma", self.gamma, 1),
            ("alpha", self.rate, math.inf),
            ("budget", self.budget, 10_000),
        ):
            if not 0 < value < high:
                raise ValueError(f"{name} must lie strictly between 0 and {high}, got {value}")
        if not 0 < self.false_alarms <= 0.5:
            raise ValueError(f"false_alarms must lie in (0, 0.5], got {self.false_alarms}; the usual choice is 0.001")

    @property
    def players_count(self) -> int:
        """How many players the game has."""
        return self.game.players if isinstance(self.game, AnonymousGame) else 2

    @property
    def actions(self) -> int:
        """How many actions each player has."""
        return self.game.actions[0] if isinstance(self.game, NormalFormGame) else 2

    @property
    def entries(self) -> int:
        """How many numbers a policy is."""
        return 2 * self.players_count + 1 if self.actions == 2 else (1 + self.actions**2) * self.actions

    @property
    def plain(self) -> bool:
        """Whether it is a game of two players without noise, which all levels are about."""
        return isinstance(self.game, MatrixGame) and self.game.noise is None

    @property
    def states(self) -> tuple[str, ...]:
        """What the entries of a policy are called; with k actions its rows: s0, then both last actions, own first."""
        if self.actions == 2:
            return state_names(2 * self.players_count + 1, dilemma=True)
        return "s0", *(f"{own}.{other}" for own in range(self.actions) for other in range(self.actions))

    @property
    def groups(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Which states are looked at as one: names, and ones [states, groups].

        Each by itself, but with many actions all after the opening in three groups, by own plus twice the other's modulo 3: a
        slope in a group is that in all its states at once, and a player that is shown the wrong view plays by other groups.
        """
        if self.actions <= FEW_ACTIONS:
            return self.states, np.eye(len(self.states))
        own, other = np.divmod(np.arange(self.actions**2), self.actions)
        member = np.concatenate([[0], 1 + (own + 2 * other) % 3])
        return ("s0", "mod0", "mod1", "mod2"), np.eye(4)[member]

    @property
    def coordinates(self) -> tuple[str, ...]:
        """What `compared` gives is called."""
        names = self.groups[0]
        return names if self.actions == 2 else tuple(f"{a} {name}" for name in names for a in range(self.actions - 1))

    def compared(self, table: Any) -> np.ndarray:
        """[..., coordinates] from slopes [..., states], or [..., states, k - 1] with k actions."""
        if self.actions == 2:
            return np.asarray(table)
        found = np.einsum("...sa,sg->...ga", np.asarray(table), self.groups[1][: np.shape(table)[-2]])
        return found.reshape(*found.shape[:-2], -1)

    @property
    def payoffs(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """All that the ego, and a co-player, may earn in a step."""
        if isinstance(self.game, AnonymousGame):
            return ((*self.game.cooperator, *self.game.defector),) * 2
        if isinstance(self.game, NormalFormGame):
            row, column = self.game.payoffs
            return tuple(row.ravel().tolist()), tuple(column.T.ravel().tolist())
        return self.game.row_payoffs, self.game.column_payoffs

    @property
    def horizon(self) -> FiniteHorizon:
        """An inner episode."""
        return FiniteHorizon(self.steps)

    @property
    def players(self) -> tuple[np.ndarray, np.ndarray]:
        """(ego, naive) as floats; tables [states, k] of more than two actions."""
        ego, naive = np.array(self.ego, float), np.array(self.naive, float)
        return (ego, naive) if self.actions == 2 else (ego.reshape(-1, self.actions), naive.reshape(-1, self.actions))

    @property
    def rate(self) -> Fraction:
        """The learning rate of the co-player in probabilities.

        What a minibatch moves it by has the size of rate times payoff: a fixed rate would make of a game in larger units
        another one, with a noisier learner that is clipped.
        """
        if self.alpha is not None:
            return self.alpha
        share = Fraction(1, 10) if self.actions == 2 else Fraction(1, 4 * self.actions**2)
        return (share / _largest(self.payoffs[1])).limit_denominator(10**6)

    @property
    def time(self) -> float:
        """How long the agent of level L4 climbs: 16 over its largest payoff, for the same path in any units."""
        return float(16 / _largest(self.payoffs[0]))

    @property
    def eta(self) -> float:
        """The learning rate in log-odds, on returns per step, that moves q = 1/2 as fast as `rate`: 16 T rate.

        There dq = q (1 - q) dtheta and dJ/dtheta = q (1 - q) dJ/dq, and the return per step is J / T.
        """
        return 16 * self.steps * float(self.rate)

    def samples(self, count: int) -> int:
        """`count` times the budget, at least 64."""
        return max(64, round(count * self.budget))


def _largest(payoffs: Iterable[Any]) -> Fraction:
    """The largest absolute payoff."""
    return max(abs(number(payoff)) for payoff in payoffs)


def derived(function: Callable[..., Any]) -> Callable[..., Any]:
    """Remember what a function of a setting finds, for all settings that differ only in their samples."""
    remembered = functools.lru_cache(64)(function)

    @functools.wraps(function)
    def found(setting, *rest):
        return remembered(dataclasses.replace(setting, budget=1.0, seed=0, false_alarms=0.001), *rest)

    return found


def numbers(option: str, text: str, count: int) -> tuple[Fraction, ...]:
    """The `count` rationals of a command-line option, such as 1/3,0.25.

    Raises:
        ValueError: for another count, or a part that is no number.
    """
    values = tuple(number(part) for part in text.split(","))
    if len(values) != count:
        raise ValueError(f"--{option} needs {count} numbers, got {text!r}")
    return values


def logits(p: np.ndarray) -> np.ndarray:
    """Log-odds [s]; of a table [s, k] all logits but the last one, which is 0: [s, k - 1]."""
    return np.log(p) - np.log1p(-p) if p.ndim == 1 else np.log(p[:, :-1] / p[:, -1:])


def chances(theta: Any) -> Any:
    """The policy with these logits, in JAX."""
    if theta.ndim == 1:
        return jax.nn.sigmoid(theta)
    return jax.nn.softmax(jnp.concatenate([theta, jnp.zeros_like(theta[:, :1])], axis=1))
