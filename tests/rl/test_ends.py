"""Inner episodes that end before their T steps are over: by enumeration of a game that collapses and stops at random."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl import config
from lapg_rl.config import Config, GameConfig, LearnerConfig, ModelConfig, NaiveConfig, PoolConfig
from lapg_rl.envs import FromGymnax, IteratedMatrixGame, Reveal, Stopping, ToGymnax, ToPettingZoo
from lapg_rl.envs.build import bare_environment, environment
from lapg_rl.estimators import ESTIMATORS, current_and_future, through_ends
from lapg_rl.learn.credit import credited
from lapg_rl.learn.rehearsal import rehearse
from lapg_rl.learn.training_step import initial_state, make_train_step, run_key
from lapg_rl.models import memory_one
from lapg_rl.play.coplayers import FixedStrategy
from lapg_rl.play.coplayers.naive import a2c_loss
from lapg_rl.play.rollout import Trajectory, meta_batch
from lapg_rl.study.balance import weigh
from lapg_theory.exact.precision import float64
from lapg_theory.game import prisoners_dilemma

B = M = T = 2
STOP = 0.3
PAYOFFS = np.array([[2.0, 0.5], [3.0, 1.0]])  # an episode is worth having: an end costs


def one_episode():
    """(own, other, alive, chance) of all 16 inner episodes: mutual defection ends them, and after others a coin may."""
    found = []
    for a, b in itertools.product((0, 1), repeat=2):
        collapse = a == b == 1
        found.append(([a, 0], [b, 0], [True, False], 1.0 if collapse else STOP))
        if not collapse:
            found += [([a, c], [b, d], [True, True], 1 - STOP) for c, d in itertools.product((0, 1), repeat=2)]
    return [np.array(x) for x in zip(*found, strict=True)]


def joint_histories():
    """All 16^(B M) = 65,536 histories, `[history, b, m, t]`, and how likely the coins fall so."""
    drawn = np.array(list(itertools.product(range(16), repeat=B * M))).reshape(-1, B, M)
    own, other, alive, chance = (x[drawn] for x in one_episode())
    return own, other, alive, np.log(chance).sum((1, 2))


OWN, OTHER, ALIVE, LOG_ENDS = joint_histories()
REWARDS = PAYOFFS[OWN, OTHER] * ALIVE


def states(first, second):
    after = 1 + 2 * first + second
    return np.concatenate([np.zeros_like(after[..., :1]), after[..., :-1]], axis=-1)


CONTEXTS = states(OWN, OTHER) + 5 * np.arange(M)[:, None]


def log_coplayer():
    """Log-probability of the co-player, a memory-one learner that makes one step from the minibatch after inner episode 1."""
    seen, payoff = states(OTHER, OWN), PAYOFFS[OTHER, OWN] * ALIVE
    policy, total = np.tile([0.5, 0.6, 0.4, 0.3, 0.25], (len(OWN), 1)), np.zeros(len(OWN))
    for m in range(M):
        chance = np.take_along_axis(policy[:, None, None], seen[:, :, m : m + 1], axis=-1)[:, :, 0]
        total += (np.log(np.where(OTHER[:, :, m] == 0, chance, 1 - chance)) * ALIVE[:, :, m]).sum((1, 2))
        score = np.where(OTHER[:, :, m] == 0, 1 / chance, -1 / (1 - chance)) * ALIVE[:, :, m]
        to_go = np.cumsum(payoff[:, :, m, ::-1], axis=-1)[..., ::-1]
        step = np.zeros_like(policy)
        for b, t in itertools.product(range(B), range(T)):
            step[np.arange(len(OWN)), seen[:, b, m, t]] += score[:, b, t] * to_go[:, b, t] / B
        policy = np.clip(policy + 0.05 * step, 0.02, 0.98)
    return total


LOG_OTHERS = LOG_ENDS + log_coplayer()


def log_policy(theta):
    logits = theta[CONTEXTS]
    return jnp.where(OWN == 0, jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)) * ALIVE


def theta():
    return jnp.asarray(np.random.default_rng(0).normal(size=5 * M))


@jax.jit
def exact_gradient():
    def objective(theta):
        chance = jnp.exp(log_policy(theta).sum((1, 2, 3)) + LOG_OTHERS)
        return jnp.sum(chance * REWARDS.sum((2, 3)).mean(1)), chance.sum()

    return jax.grad(objective, has_aux=True)(theta())


@jax.jit
def expected_estimate(credits):
    weight = jnp.exp(log_policy(theta()).sum((1, 2, 3)) + LOG_OTHERS)[:, None, None, None]
    return jax.grad(lambda th: jnp.sum(weight * credits * log_policy(th)))(theta())


def gap(credits):
    """The expected estimate less the gradient: sum over histories of P(history) * sum over b, m, t of credit * score."""
    gradient, total = exact_gradient()
    assert abs(total - 1) < 1e-12
    return expected_estimate(credits) - gradient


PLAIN = LearnerConfig(reward_scale=1.0)


def credits_of(name, values):
    rewards, alive, none = jnp.asarray(REWARDS), jnp.asarray(ALIVE), jnp.zeros(0)
    credit = jax.jit(lambda played: credited(ESTIMATORS[name], played, PLAIN, learns=True)[0])
    return credit(Trajectory(none, none, rewards, none, values, alive))


def test_expected_lapg_gradient_is_the_gradient_whatever_the_values():
    with float64():
        for values in (jnp.zeros(REWARDS.shape), jnp.asarray(np.random.default_rng(1).normal(size=5 * M))[CONTEXTS]):
            credits = credits_of("lapg", values)
            assert float(jnp.abs(gap(credits)).max()) < 1e-12
            assert not np.asarray(credits)[~ALIVE].any()
        assert float(jnp.abs(gap(credits_of("batch_unaware", values))).max()) > 1e-2


def test_an_end_that_cuts_the_return_is_wrong():
    """What flags mean in single-agent code: nothing after the end counts. The episodes after it are lost, however."""
    with float64():
        current, future = jax.vmap(lambda r: current_and_future(r, 1.0))(jnp.asarray(REWARDS))
        future = jnp.where(ALIVE.all(-1, keepdims=True), future, 0)
        assert float(jnp.abs(gap(current / B + future.mean(1, keepdims=True))).max()) > 1e-2


@pytest.mark.parametrize("name", ["inner_episode", "lapg"])
def test_what_ends_an_episode_that_is_worth_having_is_blamed(name):
    """One game, D ends it; by one-step errors, whose sign would turn if values of the rest were what a model says there."""
    alive = jnp.array([[[[True, False], [True, True]]], [[[True, True], [True, True]]]])  # ended; not ended
    trajectory = Trajectory(None, None, 1.0 * alive, None, jnp.where(alive, 1.0, 5.0), alive)
    learner = LearnerConfig(reward_scale=1.0, gae_lambda=1e-9, gamma=0.9)
    ended, went_on = credited(ESTIMATORS[name], trajectory, learner, learns=True)[0][:, 0, 0, 0]
    blind, best = credited(ESTIMATORS[name], trajectory._replace(alive=None), learner, learns=True)[0][:, 0, 0, 0]
    assert (ended < went_on) and (blind > best)


@pytest.mark.parametrize("episodic", [False, True])
def test_values_of_the_rest_are_those_of_what_is_played_next(episodic):
    rng = np.random.default_rng(2)
    length, values = rng.integers(1, 5, size=(3, 4)), rng.normal(size=(3, 4, 4))
    alive = np.arange(4) < length[..., None]
    expected = np.where(alive, values, 0).reshape(3, -1)
    for b, n in itertools.product(range(3), range(16)):
        if not alive.reshape(3, -1)[b, n] and not episodic:
            later = [k for k in range(n, 16) if alive.reshape(3, -1)[b, k]]
            expected[b, n] = 0.9 ** (later[0] - n) * values.reshape(3, -1)[b, later[0]] if later else 0
    found = through_ends(jnp.asarray(values), jnp.asarray(alive), 0.9, episodic)
    np.testing.assert_allclose(found.reshape(3, -1), expected, rtol=1e-5)


def test_the_balance_gives_both_parts_of_the_credits():
    values = jnp.asarray(np.random.default_rng(1).normal(size=5 * M), jnp.float32)[CONTEXTS[:64]]
    rewards, alive = jnp.asarray(REWARDS[:64], jnp.float32), jnp.asarray(ALIVE[:64])
    parts = jax.vmap(lambda *x: weigh(ESTIMATORS["lapg"], *x, {"gamma": 1.0, "gae_lambda": 1.0}))(
        rewards, values, alive
    )
    none = jnp.zeros(0)
    whole, _ = credited(ESTIMATORS["lapg"], Trajectory(none, none, rewards, none, values, alive), PLAIN, learns=True)
    np.testing.assert_allclose(parts.sum(1), whole, atol=1e-5)


def test_naive_learners_learn_from_what_was_played_alone():
    """Against the loss of each game on its own, cut where it ended."""
    rng = np.random.default_rng(3)
    length, policy = [1, 3, 4], memory_one(rng.uniform(size=5))
    policy = eqx.tree_at(lambda p: p.values, policy, jnp.asarray(rng.normal(size=5), jnp.float32))
    alive = np.arange(4) < np.array(length)[:, None]
    seen = np.eye(5)[rng.integers(5, size=(3, 4))] * alive[..., None]
    rewards, actions = rng.normal(size=(3, 4)) * alive, rng.integers(2, size=(3, 4))
    how = NaiveConfig(normalize_advantages=False, entropy_coef=0.3, gae_lambda=0.7, td_lambda=0.8)
    batch = [jnp.asarray(x, jnp.float32) for x in (seen, rewards, np.zeros((3, 4)))]
    whole = Trajectory(batch[0], jnp.asarray(actions), batch[1], batch[2], batch[2], jnp.asarray(alive))
    each = [
        jax.tree.map(lambda x, n=n, k=k: x[n : n + 1, :k], whole._replace(alive=None)) for n, k in enumerate(length)
    ]
    loss = jax.jit(lambda part: a2c_loss(policy, part, how))
    expected = sum(k / 12 * float(loss(part)) for k, part in zip(length, each, strict=True))
    assert float(loss(whole)) == pytest.approx(expected, rel=1e-5)


def test_episodes_stop_at_random_and_the_rest_is_nothing():
    env = Stopping(IteratedMatrixGame(prisoners_dilemma(5, 3, 1, 0.5)), 0.25)
    met, sizes = jnp.full((64, 5), 0.5), {"batch": 8, "inner_episodes": 2, "steps": 6}
    own, other = meta_batch(env, memory_one(np.full(5, 0.5)), FixedStrategy(), met, jax.random.key(0), **sizes)
    alive = np.asarray(own.alive)
    assert alive[..., 0].all() and not (alive[..., 1:] & ~alive[..., :-1]).any()
    assert alive.sum(-1).mean() == pytest.approx((1 - 0.75**6) / 0.25, abs=0.25)  # 4 sigma
    for side in (own, other):
        np.testing.assert_array_equal(np.asarray(side.rewards) != 0, alive)
        np.testing.assert_array_equal(np.asarray(side.observations).sum(-1), alive)


ONES = GameConfig(kind="matrix", payoffs="[[1,1],[1,1]]", stop=0.4)
SMALL = {"meta_batch": 8, "batch": 2, "inner_episodes": 2, "steps": 4, "model": ModelConfig(kind="tabular")}


def test_metrics_are_per_step_that_was_played():
    cfg = Config(
        **SMALL,
        game=ONES,
        pool=PoolConfig(p_naive=0.5, agents=2, reveal=True),
        learner=LearnerConfig(advantages="normalised"),
    )
    _, told = make_train_step(cfg)(initial_state(cfg, run_key(cfg)), run_key(cfg))
    for name in ("reward_vs_naive", "naive_reward", "naive_reward_last_episode", "reward_vs_meta"):
        np.testing.assert_allclose(told[name], 1, rtol=1e-6)
    np.testing.assert_allclose(
        told["entropy"], np.log(2), rtol=0.02
    )  # over the steps played, of agents that toss coins
    assert (told["length_vs_naive"] > 1).all() and (told["length_vs_naive"] < 4).all()
    assert all(np.isfinite(value).all() for value in told.values())


class Collapse:
    """An environment of the user's that ends when both take action 1."""

    num_actions, observation_size, one_hot, ends = 2, 1, False, True
    shared, compared = (), ()

    def reset(self, key):
        return jnp.zeros(()), jnp.ones((2, 1))

    def step(self, state, actions, key):
        return state, jnp.ones((2, 1)), 1.0 + actions, (actions == 1).all()

    def measures(self, observations, actions):
        return {"one": actions == 1}


class Undeclared(Collapse):
    ends = False


def test_environments_say_that_they_end():
    rehearse(Config(**SMALL, game=GameConfig(kind=f"{__name__}:Collapse"), learner=LearnerConfig(epochs=1)))
    with pytest.raises(ValueError, match=r"gives a fourth value, done, has ends = True .* got 4 values, ends = False"):
        rehearse(Config(**SMALL, game=GameConfig(kind=f"{__name__}:Undeclared")))
    both = bare_environment(GameConfig(kind=f"{__name__}:Collapse", stop=0.5))
    keys = jax.random.split(jax.random.key(0), 200)
    ended = [
        jax.vmap(lambda k, a=a: both.step(jnp.zeros(()), jnp.array(a), k)[3])(keys).mean() for a in ([1, 1], [0, 1])
    ]
    assert ended[0] == 1 and 0.3 < ended[1] < 0.7


def test_without_a_chance_of_an_end_nothing_is_wrapped():
    assert isinstance(environment(Config()), IteratedMatrixGame)
    told = environment(Config(game=GameConfig(stop=0.5), pool=PoolConfig(reveal=True)))
    assert isinstance(told, Reveal) and told.ends and not told.one_hot


def test_adapters_hand_ends_on():
    to = ToGymnax(Collapse(), steps=3)
    state = to.reset(jax.random.key(0))[1]
    for actions, over in ([1, 1], True), ([0, 1], False):
        assert bool(to.step_env(jax.random.key(0), state, jnp.array(actions), to.default_params)[3]) == over
    back = FromGymnax(to, ends=True)
    assert back.ends and bool(back.step(back.reset(jax.random.key(0))[0], jnp.array([1, 1]), jax.random.key(0))[3])
    assert len(FromGymnax(to).step(back.reset(jax.random.key(0))[0], jnp.array([1, 1]), jax.random.key(0))) == 3
    zoo = ToPettingZoo(Collapse(), steps=3)
    zoo.reset(seed=0)
    _, _, terminated, truncated, _ = zoo.step(dict.fromkeys(zoo.agents, 1))
    assert (set(terminated.values()), set(truncated.values()), zoo.agents) == ({True}, {False}, [])


REFUSED = {
    "a certain end": (["game.stop=1"], r"game.stop must be in \[0, 1\), got 1.0"),
    "no number": (["game.stop=NaN"], r"game.stop must be in \[0, 1\), got nan"),
    "look-ahead": (
        ["algorithm=lola_dice", "learner.memory=inner_episode", "epochs=1", "minibatches=1", "naive.optimiser=sgd",
         "normalize_advantages=false", "game.stop=0.1"], r"needs game.stop = 0 .*full length.*got 0.1; set game.stop=0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    assignments, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        config.override(config.preset("ipd-shaping-small"), assignments)
