"""Play meta-episodes: an ego against co-players that may learn at every inner-episode boundary. No ego gradients.

Among more than two players the co-players are one `lapg_rl.play.coplayers.Group`, which sees and acts along an axis of seats.
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num, Shaped

from lapg_rl.interfaces import players_of
from lapg_rl.machine import devices
from lapg_rl.native import draws
from lapg_theory.game.show import brief


class Trajectory(NamedTuple):
    """What one player saw and did; leading axes `[..., b, m, t]`. Rewards are the game's own (not rescaled).

    Observations are bytes if the environment is `binary`. Where inner episodes may end early, `alive` tells the steps that were
    played; in the others, the rest of the T steps, observations and rewards are 0 and actions have no effect. Else it is None.
    """

    observations: Num[Array, "... o"]
    actions: Int[Array, "..."]
    rewards: Float[Array, "..."]
    log_probs: Float[Array, "..."]
    values: Float[Array, "..."]
    alive: Any = None  # Bool[Array, "..."]

    __repr__ = brief


def choose(
    logits: Float[Array, "... a"], uniform: Float[Array, "..."]
) -> tuple[Int[Array, "..."], Float[Array, "..."]]:
    """Draw actions by inverting the categorical distribution at `uniform` in [0, 1): `(actions, log-probabilities)`."""
    log_probs = jax.nn.log_softmax(logits)
    below = jnp.cumsum(jnp.exp(log_probs), axis=-1)[..., :-1]
    actions = jnp.sum(uniform[..., None] >= below, axis=-1)
    return actions, log_prob(logits, actions)


def log_prob(logits: Float[Array, "... a"], actions: Int[Array, "..."]) -> Float[Array, "..."]:
    """Return log pi(action) under categorical logits, by a one-hot product (a gather is slow to differentiate on CPU)."""
    chosen = jax.nn.one_hot(actions, logits.shape[-1], dtype=logits.dtype)
    return jnp.sum(jax.nn.log_softmax(logits) * chosen, axis=-1)


def mean_of_played(values: Shaped[Array, "..."], alive: Any, axis: Any = None) -> Float[Array, "..."]:
    """The mean over the steps that were played, along some axes; `alive` is None where all were."""
    return values.mean(axis=axis) if alive is None else (values * alive).sum(axis=axis) / alive.sum(axis=axis)


def broadcast_state(tree: Any, *axes: int) -> Any:
    """Every array of `tree` repeated along new leading axes."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (*axes, *x.shape)), tree)


def meta_episode(
    env: Any,
    ego: Any,
    coplayer: Any,
    identity: Any,
    key: Array,
    *,
    batch: int,
    inner_episodes: int,
    steps: int,
    forget: bool = False,
) -> tuple[Trajectory, ...]:
    """One meta-episode: `batch` parallel runs of inner episodes, one after the other, against one co-player or a group.

    Args:
        env: an environment (see `lapg_rl.envs`); the ego is player 0, in a game of two the row player.
        ego: the ego's policy; its memory runs through the whole meta-episode, unless it is to `forget`.
        coplayer: an object with `init(identity, batch)`, `act(state, observations)` and
            `end_of_inner_episode(state, trajectory)`; see `lapg_rl.play.coplayers`. Among more than two players a `Group`.
        identity: which co-player it is: a pytree that `coplayer.init` understands (initial parameters, say).
        key: a PRNG key.
        batch: B, the number of parallel runs.
        inner_episodes: M, inner episodes in a meta-episode.
        steps: T, steps in an inner episode.
        forget: clear the ego's memory at the start of each inner episode.

    Returns:
        `(ego trajectory, co-player trajectory)`, both with leading axes `[b, m, t]`; in a group one a player.

    Example:
        >>> import jax, jax.numpy as jnp, lapg_rl as rl, lapg_theory as lt
        >>> from lapg_rl.play.coplayers import FixedStrategy
        >>> env, sizes = rl.IteratedMatrixGame(lt.prisoners_dilemma()), {"batch": 2, "inner_episodes": 3, "steps": 4}
        >>> own, other = rl.meta_episode(env, rl.load(run), FixedStrategy(), jnp.array(lt.ALLC), jax.random.key(0), **sizes)
        >>> own.rewards.shape, int(other.actions.sum())
        ((2, 3, 4), 0)
    """
    one = jax.tree.map(lambda x: x[None] if eqx.is_array(x) else x, as_arrays(identity))
    sizes = {"batch": batch, "inner_episodes": inner_episodes, "steps": steps, "forget": forget}
    return jax.tree.map(lambda x: x[0], _side_by_side(env, ego, coplayer, one, key[None], **sizes))


def _side_by_side(
    env: Any,
    ego: Any,
    coplayer: Any,
    identities: Any,
    keys: Array,
    *,
    batch: int,
    inner_episodes: int,
    steps: int,
    forget: bool = False,
) -> tuple[Trajectory, ...]:
    """Meta-episodes side by side, k of them, of `identities` and `keys` [k]: trajectories `[k, b, m, t]`.

    Every body of a loop is vectorised over k, not the loops: those would be traced again and again to find out what in them
    depends on k, which took most of the time before a first update.
    """
    ends, players = getattr(env, "ends", False), players_of(env)
    # one co-player has no axis of seats; what is recorded of a group has one after that of the games
    group = players > 2
    rest = slice(1, None) if group else 1

    def by_seat(alive):
        return jnp.broadcast_to(alive[:, None], (batch, players - 1)) if group and ends else alive

    @jax.vmap
    def one_step(carry, inputs):
        env_state, seen, ego_state, co_state, alive = carry
        uniforms, env_key = inputs
        ego_state, (logits, values) = jax.vmap(lambda s, o: ego.step(s, o))(ego_state, seen[:, 0])
        own, own_log_prob = choose(logits, uniforms[0])
        co_state, (co_logits, co_values) = coplayer.act(co_state, seen[:, rest])
        other, other_log_prob = choose(co_logits, uniforms[rest].T)
        actions = jnp.concatenate([jnp.expand_dims(x, 1) if x.ndim == 1 else x for x in (own, other)], axis=1)
        env_state, following, rewards, *done = jax.vmap(env.step)(env_state, actions, draws.split(env_key, batch))
        after = alive
        if ends:  # what an environment says after its end does not matter
            after = alive & ~done[0]
            rewards = jnp.where(alive[:, None], rewards, 0)
            following = jnp.where(after[:, None, None], following, 0)
        kept = seen.astype(jnp.uint8) if getattr(env, "binary", False) else seen
        record = (
            Trajectory(kept[:, 0], own, rewards[:, 0], own_log_prob, values, alive),
            Trajectory(kept[:, rest], other, rewards[:, rest], other_log_prob, co_values, by_seat(alive)),
        )
        return (env_state, following, ego_state, co_state, after), record

    @jax.vmap
    def begin(ego_state, key):
        ego_state = broadcast_state(ego.initial_state(), batch) if forget else ego_state
        reset_key, action_key, step_key = draws.split(key, 3)
        env_state, seen = jax.vmap(env.reset)(draws.split(reset_key, batch))
        uniforms = draws.uniform(action_key, (steps, players, batch))
        alive = jnp.ones(batch, bool) if ends else None
        return (env_state, seen, ego_state, alive), (uniforms, draws.split(step_key, steps))

    def one_inner_episode(carry, keys):
        ego_state, co_state = carry
        (env_state, seen, ego_state, alive), inputs = begin(ego_state, keys)
        carry = (env_state, seen, ego_state, co_state, alive)
        carry, record = jax.lax.scan(one_step, carry, jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), inputs))
        record = jax.tree.map(lambda x: jnp.moveaxis(x, 0, 2), record)  # t k b ... -> k b t ...
        _, _, ego_state, co_state, _ = carry
        return (ego_state, jax.vmap(coplayer.end_of_inner_episode)(co_state, record[1])), record

    start = (
        broadcast_state(ego.initial_state(), len(keys), batch),
        eqx.filter_vmap(lambda identity: as_arrays(coplayer.init(identity, batch)))(identities),
    )
    episodes = jax.vmap(lambda key: draws.split(key, inner_episodes))(keys)
    _, record = jax.lax.scan(one_inner_episode, start, jnp.moveaxis(episodes, 0, 1))
    own, others = jax.tree.map(lambda x: jnp.moveaxis(x, 0, 2), record)  # m k b t ... -> k b m t ...
    return own, *(
        [jax.tree.map(lambda x, n=n: x[:, :, :, :, n], others) for n in range(players - 1)] if group else [others]
    )


def as_arrays(tree: Any) -> Any:
    """The same, with arrays in the place of numbers."""
    return jax.tree.map(lambda x: jnp.asarray(x) if eqx.is_array_like(x) else x, tree)


def meta_batch(env: Any, ego: Any, coplayer: Any, identities: Any, key: Array, **sizes: Any) -> tuple[Trajectory, ...]:
    """Independent meta-episodes against each of `identities` (leading axis k): trajectories `[k, b, m, t]`, one a player.

    In a step that is spread over devices each of them plays its part, and all get the trajectories of all.

    Args:
        env: see `meta_episode`, as for `ego` and `coplayer`.
        ego: the ego's policy.
        coplayer: how the co-players play.
        identities: who they are, a pytree with the leading axis k.
        key: a PRNG key.
        **sizes: `batch`, `inner_episodes`, `steps` and `forget` of `meta_episode`.

    Example:
        >>> import jax, jax.numpy as jnp, lapg_rl as rl, lapg_theory as lt
        >>> from lapg_rl.play.coplayers import FixedStrategy
        >>> env, sizes = rl.IteratedMatrixGame(lt.prisoners_dilemma()), {"batch": 2, "inner_episodes": 3, "steps": 4}
        >>> met = jnp.array([lt.TFT, lt.ALLD])
        >>> own, _ = rl.meta_batch(env, rl.load(run), FixedStrategy(), met, jax.random.key(0), **sizes)
        >>> own.rewards.shape
        (2, 2, 3, 4)
    """
    count = len(jax.tree.leaves(eqx.filter(identities, eqx.is_array))[0])
    play = partial(_side_by_side, env, ego, coplayer, **sizes)
    return devices.gathered(play(*devices.own((identities, draws.split(key, count)), "games")), "games")
