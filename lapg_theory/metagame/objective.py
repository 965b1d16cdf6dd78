"""What a learning-aware agent earns in a mixed pool, and the slopes of that, for many policies at once.

Per step of the game: `shaping` is the mean over a naive learner's course of learning and over initial learners,
`partial` the return against another, fixed policy. One kernel of fixed width, compiled once, serves every size of problem.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from lapg_theory.exact.arrays import module, stacked
from lapg_theory.exact.chain import Discount, from_probabilities, payoffs
from lapg_theory.exact.slopes import slopes
from lapg_theory.game import MatrixGame
from lapg_theory.game.units import Scale, normalised
from lapg_theory.shaping.course import learning_path, path_returns, value_and_slope

Policies = Float[np.ndarray, "n 5"]
Values = Float[np.ndarray, " n"]

#: Elements (policies x learners) that the kernels take at once.
WIDTH = 256


class Setting(NamedTuple):
    """The numbers behind a pool; `gamma`, `share` and `eta` may be arrays with one entry for every policy.

    `eta` acts on returns per step; `share` is the effective share of naive learners; `learners` are initial logits.
    `compiled`: by JAX, in `dtype`; else by NumPy in float64: for the few policies for which loading JAX would take longer.
    """

    game: MatrixGame
    gamma: Any
    share: Any
    eta: Any
    updates: int
    learners: Float[np.ndarray, "nodes 5"]
    dtype: Any = np.float64
    compiled: bool = True

    def at(self, points: Any) -> "Setting":
        """The setting of these policies only."""
        each = {"gamma": self.gamma, "share": self.share, "eta": self.eta}
        return self._replace(**{name: value[points] for name, value in each.items() if np.ndim(value)})

    @property
    def own_units(self) -> tuple["Setting", Scale]:
        """The same pool with payoffs in units of their own, in which searches have their tolerances; and their scale."""
        game, scale, _ = normalised(self.game)
        return self._replace(game=game, eta=self.eta * scale.unit), scale


def _shape(p: Any, theta: Any, gamma: Any, eta: Any, *, rewards: Any, noise: Any, updates: int) -> Any:
    horizon = Discount(gamma, 1 / (1 - gamma), noise)
    value, slope = value_and_slope(from_probabilities(p), theta, rewards, horizon, eta, updates)
    return module(slope).concatenate([value[None], slope])


def _course(p: Any, theta: Any, gamma: Any, eta: Any, *, rewards: Any, noise: Any, updates: int) -> Any:
    ego, horizon = from_probabilities(p), Discount(gamma, 1 / (1 - gamma), noise)
    path = learning_path(ego, theta, rewards[1], horizon, eta, updates)
    return stacked([earned.mean(0) for earned in path_returns(ego, path, rewards, horizon)])


def _play(p: Any, q: Any, gamma: Any, *, reward: Any, noise: Any) -> Any:
    column = from_probabilities(q).mirrored()
    (found,) = slopes(from_probabilities(p), column, [reward], Discount(gamma, 1 / (1 - gamma), noise))
    return stacked([found.value, *found.row])


@functools.cache
def _compiled(kernel: Any) -> Any:
    import jax

    return jax.jit(kernel, static_argnames="updates" if kernel is not _play else None)


def _in_chunks(setting: Setting, kernel: Any, *arrays: np.ndarray, **rest: Any) -> np.ndarray:
    """`kernel` over the last axis of the arrays, as many elements at a time as suit NumPy, or WIDTH where it is compiled."""
    n = arrays[0].shape[-1]
    if not setting.compiled:
        parts = [slice(i, i + 16 * WIDTH) for i in range(0, n, 16 * WIDTH)]
        return np.concatenate([kernel(*(a[..., part] for a in arrays), **rest) for part in parts], -1)
    from lapg_theory.exact.precision import float64

    padded, kernel = -(-n // WIDTH) * WIDTH, functools.partial(_compiled(kernel), **rest)
    arrays = tuple(
        np.pad(a.astype(setting.dtype), [(0, 0)] * (a.ndim - 1) + [(0, padded - n)], mode="edge") for a in arrays
    )
    with float64():
        parts = [kernel(*(a[..., i : i + WIDTH] for a in arrays)) for i in range(0, padded, WIDTH)]
        return np.concatenate([np.asarray(part) for part in parts], -1)[..., :n]


def _over_learners(kernel: Any, setting: Setting, p: Policies) -> np.ndarray:
    """Mean over the initial learners of what the kernel returns, [row of the kernel, n]."""
    n, k = len(p), len(setting.learners)
    each = [np.repeat(np.broadcast_to(x, n), k) for x in (setting.gamma, setting.eta)]
    rewards = (payoffs(setting.game), payoffs(setting.game, 1))
    arrays = np.repeat(p.T, k, axis=1), np.tile(setting.learners.T, n), *each
    found = _in_chunks(setting, kernel, *arrays, rewards=rewards, noise=setting.game.noise, updates=setting.updates)
    return found.reshape(-1, n, k).mean(-1)


def shaping(setting: Setting, p: Policies) -> tuple[Values, Policies]:
    """Mean return of each policy over naive learners and their courses of learning, and its slopes in p."""
    found = _over_learners(_shape, setting, p)
    return found[0], found[1:].T


def against_naive(setting: Setting, p: Policies) -> tuple[Values, Values]:
    """Mean returns over the naive learners' courses of learning: of the policies, and of the learners."""
    found = _over_learners(_course, setting, p)
    return found[0], found[1]


def partial(setting: Setting, p: Policies, q: Policies) -> tuple[Values, Policies]:
    """Return of each policy p against the policy q beside it, and its slopes in p alone."""
    gamma = np.broadcast_to(setting.gamma, len(p))
    found = _in_chunks(setting, _play, p.T, q.T, gamma, reward=payoffs(setting.game), noise=setting.game.noise)
    return found[0], found[1:].T


def pooled(setting: Setting, p: Policies, q: Policies) -> tuple[Values, Policies]:
    """Return of p in a pool whose other agents play q, share * shaping + (1 - share) * partial, and its slopes in p."""
    share = np.broadcast_to(setting.share, len(p))
    own, by_own = shaping(setting, p) if share.any() else (np.zeros(len(p)), np.zeros_like(p))
    other, by_other = partial(setting, p, q)
    return share * own + (1 - share) * other, share[:, None] * by_own + (1 - share[:, None]) * by_other
