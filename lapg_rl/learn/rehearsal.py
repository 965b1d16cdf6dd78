"""A rehearsal of what is the user's, before a run has a folder: shapes, and whether the parts fit together.

Only runs that name something by address are rehearsed. Everything is traced, not computed, but for a model's agreement with
itself and an estimator's credits, which must be finite, also where all rewards are alike.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from lapg_rl import models
from lapg_rl.config import Config
from lapg_rl.config.loading import described, first_line
from lapg_rl.envs.build import bare_environment
from lapg_rl.estimators import estimator
from lapg_rl.interfaces import Influences, players_of
from lapg_rl.learn.credit import SEEN, credited, others_of
from lapg_rl.learn.training_step import TrainState, initial_state, make_train_step, run_key
from lapg_rl.play.company import Company, fixed_strategy, kind_of
from lapg_rl.play.rollout import Trajectory, as_arrays


def rehearse(config: Config) -> None:
    """Refuse a run whose own parts do not do what `lapg_rl.interfaces` says.

    Raises:
        ValueError: it names the part, and what it gave where what was due; whatever a part raises ends in it too.
    """
    if not config.addresses:
        return
    for name in config.pool.strategies:
        _tried("pool.fixed", name, lambda name=name: fixed_strategy(name, config.game.players))
    _tried("game.kind", config.game.factory or config.game.kind, lambda: _environment(config))
    for model in {config.model, config.naive_model}:
        _tried("model.kind", model.kind, lambda model=model: _model(config, model))
    for name in dict.fromkeys(config.estimators):
        _tried("learner.estimator", name, lambda name=name: _estimator(name, config))
    for name in dict.fromkeys(kind for members in config.groups.values() for kind in members):
        rehearse_coplayer(config, name)
    everything = ", ".join(config.addresses)
    key = run_key(config)
    state = _tried("the run that names", everything, lambda: eqx.filter_eval_shape(lambda: stand_in(config)))
    _tried("the run that names", everything, lambda: _update(config, state, key))


def rehearse_coplayer(config: Config, name: str, what: str = "pool.coplayers", can: str = "be trained with") -> None:
    """Refuse a kind of co-player that does not do what `lapg_rl.interfaces` says.

    Args:
        config: of the run that is to meet it.
        name: of the kind.
        what: the key, or the word, by which it was named.
        can: what it can't.

    Raises:
        ValueError: as `rehearse`.
    """
    _tried(what, name, lambda: _coplayer(config, name), can)


def _update(config: Config, state: TrainState, key: jax.Array) -> None:
    _, metrics = eqx.filter_eval_shape(make_train_step(config), state, key)
    for name, values in metrics.items():
        _due(f"the metric {name}, a number of each agent,", values, (config.pool.agents,))


def stand_in(config: Config) -> TrainState:
    """A fresh state; agents, which are the same in kind, stand for frozen ones that a run reads from their folder."""
    state = initial_state(config, run_key(config))
    return state._replace(frozen=state.agents) if config.pool.frozen else state


def _tried(field: str, name: str, attempt: Any, can: str = "be trained with") -> Any:
    if ":" not in name:
        return attempt()
    try:
        return attempt()
    except Exception as error:  # of any kind: it is the user's code
        reason = first_line(error)
        told = reason if isinstance(error, ValueError) and name in reason else described(error)
        raise ValueError(f"{field} = {name} can't {can} ({told}); see lapg_rl.interfaces") from error


def _due(what: str, got: Any, shape: tuple[int, ...]) -> None:
    if getattr(got, "shape", None) != shape:
        raise ValueError(f"{what} must have the shape {list(shape)}, got {getattr(got, 'shape', got)!r:.60}")


def _environment(config: Config) -> None:
    env = bare_environment(config.game)
    players = players_of(env)
    key, actions = jax.random.key(0), jnp.zeros(players, jnp.int32)
    state, seen = eqx.filter_eval_shape(env.reset, key)
    after, then, rewards, *done = eqx.filter_eval_shape(env.step, state, actions, key)
    if bool(done) != getattr(env, "ends", False) or (done and env.one_hot):
        raise ValueError(
            f"an environment whose step gives a fourth value, done, has ends = True and one_hot = False, and no other; got "
            f"{3 + len(done)} values, ends = {getattr(env, 'ends', False)}, one_hot = {env.one_hot}"
        )
    if done:
        _due("done of step", done[0], ())
    for when, observations in (("reset", seen), ("step", then)):
        _due(f"the observations of {when}", observations, (players, env.observation_size))
    _due("the rewards of step", rewards, (players,))
    if (one := _shapes(state)) != (other := _shapes(after)):
        raise ValueError(f"step must give a state like that of reset, {one!r:.80}, got {other!r:.80}")
    if env.one_hot:
        _check_one_hot(env, key, actions)
    if env.num_actions < 2:
        raise ValueError(f"num_actions must be at least 2, got {env.num_actions}")
    measured = eqx.filter_eval_shape(env.measures, then, actions)
    if missing := {*env.shared, *env.compared} - set(measured):
        raise ValueError(f"measures must give {', '.join(sorted(missing))}, which shared or compared name")
    for name, value in measured.items():
        _due(f"the measure {name} of {'two' if players == 2 else players} players", value, (players,))


def _check_one_hot(env: Any, key: Any, actions: Any) -> None:
    """Refuse an environment that says its observations are one-hot, of which one to begin with or after a step isn't."""
    state, first = env.reset(key)
    for when, seen in (("reset", first), ("step", env.step(state, actions, key)[1])):
        seen = np.asarray(seen)
        wrong = ~(np.isin(seen, (0, 1)).all(-1) & (seen.sum(-1) == 1))
        if wrong.any():
            told = f"{seen[wrong][0].tolist()!r:.60}"
            raise ValueError(f"one_hot = True, so each observation must hold one 1 and zeros; {when} gave {told}")


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda x: f"{x.dtype}{list(x.shape)}", tree)


def _model(config: Config, section: Any) -> None:
    env = bare_environment(config.game)
    size, actions, length = env.observation_size, env.num_actions, min(config.steps, 4)
    model = models.build(section, size, actions, length, jax.random.key(0), env.one_hot)
    seen = jax.nn.one_hot(jnp.arange(length) % size, size)
    logits, values = model(seen[:, None])
    _due("the logits of a sequence", logits, (length, 1, actions))
    _due("the values of a sequence", values, (length, 1))
    state = model.initial_state()
    for t in range(length):
        state, (one, value) = model.step(state, seen[t])
        _due("the logits of step", one, (actions,))
        _due("the value of step", value, ())
        if not np.allclose([*one, value], [*logits[t, 0], values[t, 0]], rtol=1e-3, atol=1e-4):
            raise ValueError(f"step and the call on a sequence must agree; at step {t} they give other numbers")


def _estimator(name: str, config: Config) -> None:
    chosen, drawn = estimator(name), jax.random.normal(jax.random.key(0), (1, 2, 3, 4))
    for what, rewards in (("random rewards", drawn), ("rewards that are all 0", jnp.zeros_like(drawn))):
        played = Trajectory(drawn, drawn, rewards, -jnp.abs(drawn), drawn)
        seen = dict.fromkeys(SEEN, others_of([played], config.learner)) | {"influences": Influences(drawn, -drawn)}
        for learns in (True, False):
            credit = jax.jit(lambda played, seen, learns=learns: credited(chosen, played, config.learner, learns, seen))
            credits, _ = credit(played, seen)
            _due("the credits for rewards of shape [2, 3, 4]", credits[0], (2, 3, 4))
            if not np.isfinite(credits).all():
                raise ValueError(f"the credits for {what} must be finite, got {np.ravel(credits)[:3]}")


def _coplayer(config: Config, name: str) -> None:
    kind = kind_of(config, name)
    if ":" not in name:
        return
    env, batch = bare_environment(config.game), 2

    def draw(count: int) -> Any:
        state = stand_in(config)
        company = Company(jnp.array(0), state.agents, state.naive_policies, state.frozen)
        return kind.draw(company, count, jax.random.key(0))

    for count in (2, 3):
        drawn = eqx.filter_eval_shape(lambda count=count: draw(count))
        identities = eqx.filter(drawn, lambda x: isinstance(x, jax.ShapeDtypeStruct))
        if (axes := {x.shape[:1] for x in jax.tree.leaves(identities)}) != {(count,)}:
            told = ", ".join(str(list(axis)) for axis in axes) or "no arrays"
            raise ValueError(f"draw must give identities with the leading axis count = {count}, got {told}")
    identity = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), identities)
    seen = jnp.zeros((batch, env.observation_size))

    def inner_episode(identity: Any) -> Any:
        before = as_arrays(kind.coplayer.init(identity, batch))
        acted = kind.coplayer.act(before, seen)
        if not (isinstance(acted, tuple) and len(acted) == 2 and isinstance(acted[1], tuple) and len(acted[1]) == 2):
            raise ValueError(f"act must give (state, (logits, values)), got {jax.tree.map(jnp.shape, acted)!r:.60}")
        after, (logits, values) = acted
        _due("the logits of act", logits, (batch, env.num_actions))
        _due("the values of act", values, (batch,))
        one = jnp.zeros((batch, 2))
        alive = one == 0 if getattr(env, "ends", False) else None
        episode = Trajectory(jnp.stack([seen, seen], axis=1), one.astype(jnp.int32), one, one, one, alive)
        return before, after, kind.coplayer.end_of_inner_episode(after, episode)

    before, *later = eqx.filter_eval_shape(inner_episode, identity)
    for when, state in zip(("act", "end_of_inner_episode"), later, strict=True):
        if _arrays(state) != _arrays(before):
            raise ValueError(
                f"{when} must give a state like that of init, {_arrays(before)!r:.80}, got {_arrays(state)!r:.80}"
            )


def _arrays(tree: Any) -> Any:
    return _shapes(eqx.filter(tree, lambda x: isinstance(x, jax.ShapeDtypeStruct)))
