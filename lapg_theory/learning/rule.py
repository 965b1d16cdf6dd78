"""What every learning rule is: an ascent direction for each of two memory-one policies, and one step along it."""

import abc
import dataclasses
import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lapg_theory.exact.chain import Discount, Four, from_logits, payoffs, stacked, traceable
from lapg_theory.exact.precision import as_floats, exact
from lapg_theory.exact.slopes import Slopes, products
from lapg_theory.game import Horizon, MatrixGame
from lapg_theory.game.numbers import check_number, check_rate, check_share, is_traced
from lapg_theory.shaping.course import learner_slopes, learner_turns

Logits = Float[Array, " 5"]
Field = Float[Array, " 10"]
Jacobian = Float[Array, "10 10"]
Joint = tuple[Any, ...]  # row, column

#: Fields of a rule that are checked when it is built, and that it may be differentiated by: a finite number >= 0 (a step size,
#: a constant), kept as a float whatever kind of number it was; and a number in [0, 1].
Rate, Share = Annotated[Any, check_rate], Annotated[Any, check_share]


class Stage(NamedTuple):
    """The game as one player sees it: payoffs of CC, CD, DC, DD in its own view, its own ones and the other's.

    `unit` is what returns per step are multiplied by before anyone learns from them.
    """

    own: Four
    other: Four
    horizon: Any
    unit: Any


class Partials(NamedTuple):
    """Both returns of a pair of logit vectors and all four partial gradients: `own_by_other` is dJ_own/dtheta_other."""

    own: Any
    other: Any
    own_by_own: Any
    own_by_other: Any
    other_by_own: Any
    other_by_other: Any


def _in_stage(stage: Stage, scale: Array, own: Slopes, other: Slopes) -> Partials:
    unit = stage.unit
    by_own, by_other = [unit * scale * f.row for f in (own, other)], [unit * f.column for f in (own, other)]
    return Partials(unit * own.value, unit * other.value, by_own[0], by_other[0], by_own[1], by_other[1])


def partials(stage: Stage, own: Logits, other: Logits) -> Partials:
    """Returns in units of the stage, and partial gradients in both players' logits, each in its own view."""
    ego = from_logits(own)
    found = learner_slopes(ego, other, (stage.own, stage.other), stage.horizon)
    return _in_stage(stage, stacked(products(*ego)), *found)


def turns(stage: Stage, own: Logits, other: Logits, move: Logits) -> Partials:
    """Directional derivatives of all `partials` when the other's logits change by `move`."""
    ego = from_logits(own)
    found = learner_turns(ego, other, (stage.own, stage.other), stage.horizon, move)
    return _in_stage(stage, stacked(products(*ego)), *(turn for _, turn in found))


def game_jacobian(stage: Stage, own: Logits, other: Logits) -> tuple[Field, Jacobian]:
    """The simultaneous gradient xi = (dJ_own/down, dJ_other/dother) and its Jacobian H[i, j] = dxi_i / dtheta_j."""

    def field(theta):
        found = partials(stage, theta[:5], theta[5:])
        xi = jnp.concatenate([found.own_by_own, found.other_by_other])
        return xi, xi

    H, xi = jax.jacfwd(field, has_aux=True)(jnp.concatenate([own, other]))
    return xi, H


def off_diagonal(H: Jacobian) -> Jacobian:
    """The Jacobian's two blocks in which one player's gradient changes with the other's policy; the rest zero."""
    return H * (1 - jnp.kron(jnp.eye(2, dtype=H.dtype), jnp.ones((5, 5), H.dtype)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule(abc.ABC):
    """A learning rule for two simultaneous learners.

    A joint policy is the pair (row, column) of logit vectors [..., 5], each in its own view, s0, CC, CD, DC, DD
    (probabilities, for the one rule that says so).

    A rule of your own declares its rates as this one does, as `Rate` or `Share`; no other number among its
    fields may be NaN or infinite.

    Attributes:
        rate: step size of `step`.
        normalize: learn from returns per step, J / horizon.weight (False: from the sums J).

    Raises:
        ValueError: for a rate that is no finite number >= 0.
    """

    rate: Rate = 1.0
    normalize: bool = True

    def __post_init__(self):
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            checks = getattr(field.type, "__metadata__", (check_number,) if isinstance(value, float) else ())
            for check in checks:
                object.__setattr__(self, name, check(name, value))

    @abc.abstractmethod
    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """Where one player moves, facing the other; `direction` asks both players, over all leading axes."""

    def check(self, joint: Any) -> None:
        """Refuse a joint policy that is none."""
        if not hasattr(joint, "__len__") or len(joint) != 2:
            raise ValueError(f"a joint policy is a pair (row, column) of five logits each, got {joint!r}")
        for name, policy in zip(("row", "column"), joint, strict=True):
            if np.shape(policy)[-1:] != (5,):
                shape = np.shape(policy)
                raise ValueError(f"the {name} policy needs a last axis of five (s0, CC, CD, DC, DD): {shape}")

    def check_noise(self, game: MatrixGame) -> None:
        """Refuse noise for which the rule's direction is not exact; for most there is none such."""
        del game

    def settle(self, policy: Any) -> Any:
        """Bring a policy back where the rule allows it to be; logits may be anywhere."""
        return policy

    def probabilities(self, joint: Joint) -> Joint:
        """The joint policy as cooperation probabilities."""
        return _sigmoids(joint)

    def direction(self, game: MatrixGame, horizon: Horizon | Discount, joint: Any) -> Joint:
        """The ascent direction (row, column) at a joint policy, of the same shapes."""
        return _direction(self, game, horizon, joint)

    def step(self, game: MatrixGame, horizon: Horizon | Discount, joint: Any) -> Joint:
        """The joint policy after one simultaneous step: policy + rate * direction."""
        return _step(self, game, horizon, joint)


@dataclasses.dataclass(frozen=True)
class Match:
    """Two players that learn by different rules; it has the methods of a rule."""

    row: Rule
    column: Rule

    def check(self, joint: Any) -> None:
        """Refuse a joint policy that is none for the one player's rule or the other's."""
        self.row.check((joint[0], joint[0]))
        self.column.check((joint[1], joint[1]))

    def probabilities(self, joint: Joint) -> Joint:
        """The joint policy as cooperation probabilities."""
        return tuple(rule.probabilities(joint)[k] for k, rule in enumerate((self.row, self.column)))

    def direction(self, game: MatrixGame, horizon: Horizon | Discount, joint: Any) -> Joint:
        """Each player's direction by its own rule."""
        return tuple(rule.direction(game, horizon, joint)[k] for k, rule in enumerate((self.row, self.column)))

    def step(self, game: MatrixGame, horizon: Horizon | Discount, joint: Any) -> Joint:
        """Each player's step by its own rule."""
        return tuple(rule.step(game, horizon, joint)[k] for k, rule in enumerate((self.row, self.column)))


@exact
def _sigmoids(joint: Joint) -> Joint:
    return tuple(jax.nn.sigmoid(policy) for policy in as_floats(*joint))


def _apart(rule: Rule) -> tuple[Rule, dict[str, Any]]:
    """The rule with the numbers that JAX traces set to their defaults, so that it is hashable; and those numbers."""
    defaults: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(rule)}
    traced = {name: getattr(rule, name) for name in defaults if is_traced(getattr(rule, name))}
    return dataclasses.replace(rule, **{name: defaults[name] for name in traced}) if traced else rule, traced


def _together(rule: Rule, traced: dict[str, Any]) -> Rule:
    """The rule with traced numbers in their places."""
    return dataclasses.replace(rule, **traced) if traced else rule


@functools.partial(jax.jit, static_argnums=0)
def _ascents(rule: Rule, traced: dict[str, Any], row: Any, column: Any, rewards: Any, horizon: Any) -> Joint:
    rule = _together(rule, traced)
    shape = jnp.broadcast_shapes(row.shape, column.shape)
    both = jnp.stack([jnp.broadcast_to(x, shape).reshape(-1, 5).T for x in (row, column)])  # [player, 5, pairs]
    rewards = jnp.asarray(rewards, both.dtype)  # [player, whose payoffs, outcome]
    unit = 1.0 if rule.normalize else horizon.weight

    def ascent(payoffs, own, other):
        return rule.ascent(Stage(payoffs[0], payoffs[1], horizon, unit), own, other)

    over_pairs = jax.vmap(ascent, in_axes=(None, 1, 1), out_axes=1)
    moves = jax.vmap(over_pairs)(rewards, both, both[::-1])
    return tuple(move.T.reshape(shape) for move in moves)


@exact
def _direction(rule: Rule, game: MatrixGame, horizon: Any, joint: Any) -> Joint:
    rule.check(joint)
    rule.check_noise(game)
    row_view = payoffs(game), payoffs(game, 1)
    rewards = row_view, tuple(tuple(view[i] for i in (0, 2, 1, 3)) for view in row_view[::-1])
    return _ascents(*_apart(rule), *as_floats(*joint), rewards, traceable(horizon, game))


@exact
def _step(rule: Rule, game: MatrixGame, horizon: Any, joint: Any) -> Joint:
    rule.check(joint)
    joint = as_floats(*joint)
    moves = _direction(rule, game, horizon, joint)
    return tuple(rule.settle(x + rule.rate * move) for x, move in zip(joint, moves, strict=True))
