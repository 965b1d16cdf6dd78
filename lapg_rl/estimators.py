"""Policy-gradient estimators: `(rewards, values, *, gamma, gae_lambda) -> credits`, interchangeable, arrays only.

Every array has the axes `[b, m, t]` of *one* meta-episode: `b` parallel trajectories against one co-player, `m` inner
episodes in order, `t` steps in each. The gradient estimate of the shaping return is

    sum over b, m, t of  credits[b, m, t] * grad log pi(action[b, m, t] | history).

`jax.vmap` runs over independent meta-episodes, never over `b`: what trajectory b does changes the co-player that all
trajectories meet from the next inner episode on, and that is what the estimators differ in. With C the trajectory's own
return to the end of the current inner episode, F its return from all later ones, and the mean taken over b:

    lapg           C / B + mean(F)     unbiased against a co-player that learns from the whole minibatch
    batch_unaware  C / B + F / B       unbiased when the B games are independent (against another meta agent)
    mfos           C     + mean(F)     the present counts B times too much
    inner_episode  C / B               ignores learning altogether

Values enter as temporal-difference errors `r + gamma V' - V` (generalised advantage estimation); zero values, gamma = 1
and gae_lambda = 1 give the plain returns. The value after the last step of a meta-episode is 0. Inner-episode
boundaries end no return, except for `inner_episode`, whose horizon they are.

Where inner episodes may end before their T steps are over, the rest are steps without rewards (`lapg_rl.interfaces.Estimator`
has the contract). Estimators need not know: `through_ends` gives the values that let errors vanish there.

Source: Meulemans et al., "Multi-agent cooperation through learning-aware policy gradients", ICLR 2025, section 3.

Others credit what an action does to the co-player's *choices* instead of its learning. They take the co-player to act by a
softmax of its own action values, read its rewards (`Others`), and see each inner episode on its own. One rewards itself for
answering in kind (`Reciprocator`). docs/methods.md has them.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from lapg_rl.config import AlignmentConfig, tables
from lapg_rl.interfaces import Influences, Others

Signal = Float[Array, "b m t"]


def _td_errors(rewards: Signal, values: Signal, gamma: float, episodic: bool) -> Signal:
    """Errors `r + gamma V' - V`; V' is the value of the next history, 0 after the end (of each inner episode if episodic)."""
    rewards, values = jnp.asarray(rewards), jnp.asarray(values)
    shape = rewards.shape
    if len(shape) != 3 or values.shape != shape:
        raise ValueError(
            f"rewards and values need the same axes [b, m, t] of one meta-episode, got shapes {shape} and {values.shape}; "
            "use jax.vmap over independent meta-episodes"
        )
    rows = values if episodic else values.reshape(shape[0], -1)
    following = jnp.concatenate([rows[..., 1:], jnp.zeros_like(rows[..., :1])], axis=-1)
    return rewards + gamma * following.reshape(shape) - values


def discounted_sums(signal: Float[Array, "b n"], decay: float | Float[Array, ""]) -> Float[Array, "b n"]:
    """Sum over k >= n of decay^(k - n) signal[:, k], by one reverse scan."""

    def add(later, now):
        total = now + decay * later
        return total, total

    return jax.lax.scan(add, jnp.zeros_like(signal[:, 0]), signal.T, reverse=True)[1].T


def current_and_future(errors: Signal, decay: float | Float[Array, ""]) -> tuple[Signal, Signal]:
    """Split each trajectory's discounted sum of `errors` from a step on at the end of the step's inner episode.

    Returns:
        `(current, future)`, both `[b, m, t]`: the sum to the end of inner episode m, and the sum over the later inner
        episodes, each discounted by `decay` to the powers of their distance from step t.
    """
    b, m, t = errors.shape
    current = discounted_sums(errors.reshape(b * m, t), decay).reshape(b, m, t)
    totals = discounted_sums(current[:, :, 0], decay**t)  # from the first step of each inner episode to the very end
    later = jnp.concatenate([totals[:, 1:], jnp.zeros_like(totals[:, :1])], axis=1)
    return current, later[:, :, None] * decay ** (t - jnp.arange(t))


@dataclasses.dataclass(frozen=True)
class Estimator:
    """An estimator whose credits are a sum of two parts; called as `(rewards, values, *, gamma, gae_lambda) -> credits`.

    Attributes:
        parts: makes the two parts of the current and the future return: those for the current, and for later inner episodes.
        off_learners: the estimator that stands for it against co-players that don't learn, whose B games are independent.
        episodic: whether its horizon is the inner episode; values then end there, too.

    Example:
        >>> import jax.numpy as jnp, lapg_rl as rl
        >>> rewards = jnp.array([[[1.0], [0.0]], [[0.0], [4.0]]])  # two games, two inner episodes, one step
        >>> rl.ESTIMATORS["lapg"](rewards, jnp.zeros((2, 2, 1)), gamma=1.0, gae_lambda=1.0)[:, 0, 0].tolist()
        [2.5, 2.0]
    """

    parts: Callable[[Signal, Signal], tuple[Signal, Signal]]
    off_learners: "Estimator | None" = None
    episodic: bool = False

    def credit_parts(
        self, rewards: Signal, values: Signal, *, gamma: float, gae_lambda: float
    ) -> tuple[Signal, Signal]:
        """The credits in two parts `[b, m, t]`: those for the current, and those for the later inner episodes."""
        errors = _td_errors(rewards, values, gamma, self.episodic)
        current, future = self.parts(*current_and_future(errors, gamma * gae_lambda))
        return current, jnp.broadcast_to(future, current.shape)

    def __call__(self, rewards: Signal, values: Signal, *, gamma: float, gae_lambda: float) -> Signal:
        """The credits `[b, m, t]` of one meta-episode."""
        current, future = self.credit_parts(rewards, values, gamma=gamma, gae_lambda=gae_lambda)
        return current if self.episodic else current + future


#: `(C + F) / B`: right against another meta agent, biased against a learner (it ignores the minibatch).
batch_unaware = Estimator(lambda current, future: (current / len(current), future / len(current)))
#: `C / B + mean(F)`: unbiased for the shaping return, without higher derivatives.
lapg = Estimator(
    lambda current, future: (current / len(current), future.mean(axis=0, keepdims=True)), off_learners=batch_unaware
)
#: `C + mean(F)` of M-FOS (Lu et al. 2022): the shaping signal vanishes like 1/B beside the present.
mfos = Estimator(lambda current, future: (current, future.mean(axis=0, keepdims=True)))
#: `C / B`, each inner episode on its own: what a naive learner uses, and the ablation without shaping.
inner_episode = Estimator(lambda current, future: (current / len(current), jnp.zeros_like(future)), episodic=True)


def _advantages(rewards: Signal, values: Signal, decay: tuple[float, float]) -> Signal:
    """Generalised advantages of single inner episodes; `decay` is gamma and lambda."""
    gamma, lam = decay
    return current_and_future(_td_errors(rewards, values, gamma, True), gamma * lam)[0]


def past_sums(signal: Signal, gamma: float, decay: float = 1.0) -> Signal:
    """Sum over t < k of gamma^(k - t) decay^(k - t - 1) signal[..., t], within each inner episode, by one scan."""

    def add(before, now):
        return gamma * (decay * before + now), before

    steps = jnp.moveaxis(signal, -1, 0)
    return jnp.moveaxis(jax.lax.scan(add, jnp.zeros_like(steps[0]), steps)[1], 0, -1)


def past_means(signal: Signal) -> Signal:
    """Mean over t < k of signal[..., t], within each inner episode; 0 at its first step."""
    return past_sums(signal, 1.0) / jnp.maximum(jnp.arange(signal.shape[-1]), 1)


@dataclasses.dataclass(frozen=True)
class AdvantageAlignment:
    """Credits `[A_k + beta (sum over t < k of gamma^(k-t) A_t) sum over co-players j of A_jk] / B`; see docs/methods.md.

    A are generalised advantages, own ones of the past with a lambda of their own. With exact values, and lambda 0 of the past,
    its mean is the direction of `lapg_theory.learning.AdvantageAlignment`; beta = 0 is `inner_episode`.

    Source: Duque et al., "Advantage Alignment algorithms", ICLR 2025 (arXiv 2406.14662).
    """

    reads: tuple[str, ...] = ("others", "reward_scale", "alignment")
    episodic: bool = True

    def __call__(
        self,
        rewards: Signal,
        values: Signal,
        *,
        gamma: float,
        gae_lambda: float,
        others: Others,
        reward_scale: float,
        alignment: AlignmentConfig,
    ) -> Signal:
        """The credits `[b, m, t]` of one meta-episode.

        Args:
            rewards: own, scaled.
            values: own.
            gamma: the discount.
            gae_lambda: lambda of the present advantages, own and others'.
            others: what the co-players got, in the same scale.
            reward_scale: that scale; beta is for rewards as the game gives them.
            alignment: beta, and how the past is summed.
        """
        past = _advantages(rewards, values, (gamma, alignment.past_lambda))
        past = past_means(past) if alignment.past == "mean" else past_sums(past, gamma)
        theirs = sum(_advantages(r, v, (gamma, gae_lambda)) for r, v in zip(others.rewards, others.values, strict=True))
        own = _advantages(rewards, values, (gamma, gae_lambda))
        return (own + alignment.beta / reward_scale * past * theirs) / len(rewards)


@dataclasses.dataclass(frozen=True)
class Loqa:
    """Credits `[A_k + w / tau (sum over t < k of d_t (1 - pi_2(b_t)) A_t) (G2_k - V2_k)] / B`, d_t = gamma^(k-t) kappa^(k-t-1).

    G2 is the co-player's return to the end of the inner episode, V2 and pi_2(b_t) are by the ego's model of it: the mean of its
    action values, and how often it takes what it took. With exact ones, and lambda 0 of the past, the mean is the direction of
    `lapg_theory.learning.Loqa`; weight = 0 is `inner_episode`.

    Source: Aghajohari et al., "LOQA: learning with opponent Q-learning awareness", ICLR 2024 (arXiv 2405.01035).
    """

    reads: tuple[str, ...] = ("modelled", "reward_scale", "alignment")
    episodic: bool = True

    def __call__(
        self,
        rewards: Signal,
        values: Signal,
        *,
        gamma: float,
        gae_lambda: float,
        modelled: Others,
        reward_scale: float,
        alignment: AlignmentConfig,
    ) -> Signal:
        """The credits `[b, m, t]` of one meta-episode.

        Args:
            rewards: own, scaled.
            values: own.
            gamma: the discount.
            gae_lambda: lambda of the own present advantages.
            modelled: what the co-players got, in the same scale, and what the model expected of them.
            reward_scale: that scale; the temperature is for rewards as the game gives them.
            alignment: temperature, decay kappa, weight w, and lambda of the past.
        """
        past = _advantages(rewards, values, (gamma, alignment.past_lambda))
        shaping = sum(
            past_sums(past * (1 - chance), gamma, alignment.decay) * _advantages(r, v, (gamma, 1.0))
            for r, v, chance in zip(*modelled, strict=True)
        )
        strength = alignment.weight / (alignment.temperature * reward_scale)
        return (_advantages(rewards, values, (gamma, gae_lambda)) + strength * shaping) / len(rewards)


@dataclasses.dataclass(frozen=True)
class Reciprocator:
    """Independent learning from the own reward and w g_t v_t, a reward for answering in kind; see docs/methods.md.

    v_t is the ego's influence on the co-player in step t, u_t the co-player's on the ego (`Influences`), g the balance of what
    is to be answered: g_0 = 0, g_(t+1) = gamma decay g_t + u_t - debit v_t in each inner episode. Given all before a step and
    what the co-player does in it, influences and so these rewards have mean 0, if the baselines are exact; their slope in the
    ego's policy is g_t times that of what the co-player gets. reciprocity = 0 is `inner_episode`.

    Source: Zhou et al., "Reciprocal reward influence encourages cooperation from self-interested agents", NeurIPS 2024
    (arXiv 2406.01641).
    """

    reads: tuple[str, ...] = ("influences", "reward_scale", "alignment")
    episodic: bool = True

    def intrinsic(
        self, *, gamma: float, influences: Influences, reward_scale: float, alignment: AlignmentConfig
    ) -> Signal:
        """The intrinsic rewards `[b, m, t]`, in the agents' scale; for the arguments see the call."""
        answered = influences.its - alignment.debit * influences.mine
        balance = past_sums(answered, 1.0, gamma * alignment.balance_decay)
        return alignment.reciprocity / reward_scale * balance * influences.mine

    def __call__(
        self,
        rewards: Signal,
        values: Signal,
        *,
        gamma: float,
        gae_lambda: float,
        influences: Influences,
        reward_scale: float,
        alignment: AlignmentConfig,
    ) -> Signal:
        """The credits `[b, m, t]` of one meta-episode.

        Args:
            rewards: own, scaled, without the intrinsic ones.
            values: own, of both kinds of rewards.
            gamma: the discount, of rewards and of the balance.
            gae_lambda: lambda of the advantages.
            influences: of both on each other, in the scale of the rewards.
            reward_scale: that scale; the weight is for rewards as the game gives them.
            alignment: the weight, and how the balance is kept.
        """
        added = self.intrinsic(gamma=gamma, influences=influences, reward_scale=reward_scale, alignment=alignment)
        return inner_episode(rewards + added, values, gamma=gamma, gae_lambda=gae_lambda)


#: `[A + beta (sum of past A) A_other] / B` of Duque et al. (2025): aligns own with the co-player's advantages.
advantage_alignment = AdvantageAlignment()
#: The same with weights `1 - pi_2`, a decay, and action values of the co-player that the ego learns (Aghajohari et al. 2024).
loqa = Loqa()
#: `A / B` of rewards and w g v: the own influence on the co-player times the balance of what it did (Zhou et al. 2024).
reciprocator = Reciprocator()


def through_ends(
    values: Signal, alive: Bool[Array, "b m t"], gamma: float | Float[Array, ""], episodic: bool = False
) -> Signal:
    """`values`, and after the early end of an inner episode the discounted value of the next step that is played.

    0 after the last such step, of the inner episode if `episodic`. Together with rewards of 0, errors then vanish there.
    """
    if episodic:
        return values * alive

    def back(later, now):
        value, played = now
        value = jnp.where(played, value, gamma * later)
        return value, value

    rows = (x.reshape(len(x), -1).T for x in (values, alive))
    _, found = jax.lax.scan(back, jnp.zeros_like(values[:, 0, 0]), tuple(rows), reverse=True)
    return found.T.reshape(values.shape)


def centred(credits: Float[Array, "..."], alive: Any = None) -> Float[Array, "..."]:
    """Credits less their mean over the steps that were played (`alive`, None: all), 0 at the others."""
    if alive is None:
        return credits - credits.mean()
    return (credits - (credits * alive).sum() / alive.sum()) * alive


def normalised(credits: Float[Array, "..."], alive: Any = None) -> Float[Array, "..."]:
    """Centred credits, over the deviation of those of the steps that were played."""
    middle = centred(credits, alive)
    spread = credits.std() if alive is None else jnp.sqrt((middle**2).sum() / alive.sum())
    return middle / (spread + 1e-8)


def estimator(name: str) -> Any:
    """The estimator of a name in a config, or of an address `package.module:name`. Raises ValueError as `tables.find`."""
    return tables.find("learner.estimator", name, tables.ESTIMATORS)


#: The estimators of this library by name, in the order of `lapg_rl.config.tables.ESTIMATORS`.
ESTIMATORS: dict[str, Any] = {name: estimator(name) for name in tables.ESTIMATORS}


def value_targets(rewards: Signal, values: Signal, *, gamma: float, td_lambda: float, episodic: bool = False) -> Signal:
    """TD(lambda) targets of the value function: each trajectory's own return, the same against every co-player.

    With td_lambda = 1: the discounted returns to the end of the meta-episode, or of the inner episode if `episodic`.
    """
    current, future = current_and_future(_td_errors(rewards, values, gamma, episodic), gamma * td_lambda)
    return values + (current if episodic else current + future)
