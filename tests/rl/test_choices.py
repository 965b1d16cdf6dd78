"""Estimators that read the co-players' rewards: literal sums, limits, and what training passes to whom."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl import config, estimators
from lapg_rl.config import AlignmentConfig, LearnerConfig
from lapg_rl.estimators import advantage_alignment, inner_episode, loqa, reciprocator
from lapg_rl.interfaces import Influences, Others
from lapg_rl.learn import beside, choices, credit, influence
from lapg_rl.learn.algorithms.policy_gradient import _fit
from lapg_rl.learn.training_step import initial_state, make_train_step, run_key
from lapg_rl.models import Tabular
from lapg_rl.play import company
from lapg_rl.play.rollout import Trajectory
from lapg_theory.exact.precision import float64

GAMMA, LAM, SCALE = 0.9, 0.7, 0.5
N, B, M, T = 2, 2, 2, 4
RNG = np.random.default_rng(0)
OWN = RNG.normal(size=(2, B, M, T))  # rewards, values
THEIRS = RNG.normal(size=(2, N, B, M, T))
CHANCES = RNG.uniform(0.1, 0.9, size=(N, B, M, T))
OTHERS = Others(*THEIRS, CHANCES)


def advantage(rewards, values, k, lam):
    """Of one inner episode [t] at step k."""
    after = np.append(values[1:], 0)
    delta = rewards + GAMMA * after - values
    return sum((GAMMA * lam) ** (n - k) * delta[n] for n in range(k, T))


def literal(past_weight, past_lambda, mean=False, lam=LAM):
    """The definitions as sums over steps; `past_weight(j, b, m, t, k)` is what own advantage t counts for j at step k."""
    found = np.zeros((B, M, T))
    for b, m, k in np.ndindex(found.shape):
        own = OWN[:, b, m]
        found[b, m, k] = advantage(*own, k, LAM)
        for j, t in itertools.product(range(N), range(k)):
            weight = past_weight(j, b, m, t, k) / (k if mean else 1)
            found[b, m, k] += weight * advantage(*own, t, past_lambda) * advantage(*THEIRS[:, j, b, m], k, lam)
    return found / B


def called(estimator, **settings):
    with float64():
        return estimator(
            *map(jnp.asarray, OWN), gamma=GAMMA, gae_lambda=LAM, reward_scale=SCALE, **settings,
            **{estimator.reads[0]: Others(*map(jnp.asarray, OTHERS))},
        )  # fmt: skip


@pytest.mark.parametrize("past_lambda", [0.0, 0.6])
def test_advantage_alignment_is_its_double_sum(past_lambda):
    found = called(advantage_alignment, alignment=AlignmentConfig(beta=3.0, past_lambda=past_lambda))
    expected = literal(lambda j, b, m, t, k: 3 / SCALE * GAMMA ** (k - t), past_lambda)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_undiscounted_past_advantages_are_what_an_inner_episode_brought_beyond_what_was_expected():
    """R_k + V(h_k) - V(h_0), of that inner episode alone; `past_lambda` 0."""
    with float64():
        settings = {"reward_scale": SCALE, "others": Others(*map(jnp.asarray, OTHERS)), "gamma": 1.0, "gae_lambda": 1.0}
        found, without = (
            advantage_alignment(*map(jnp.asarray, OWN), alignment=AlignmentConfig(beta=beta), **settings)
            for beta in (1.0, 0.0)
        )
    rewards, values = OWN
    beyond = np.cumsum(rewards, -1) - rewards + values - values[..., :1]
    theirs = (np.cumsum(THEIRS[0][..., ::-1], -1)[..., ::-1] - THEIRS[1]).sum(0)
    np.testing.assert_allclose(found - without, beyond * theirs / SCALE / B, atol=1e-12)


def test_the_form_for_many_players_takes_means_of_the_past():
    found = called(advantage_alignment, alignment=AlignmentConfig(beta=3.0, past="mean", past_lambda=LAM))
    np.testing.assert_allclose(found, literal(lambda *_: 3 / SCALE, LAM, mean=True), atol=1e-12)


def test_loqa_is_its_double_sum():
    settings = AlignmentConfig(temperature=2.0, decay=0.8, weight=3.0, past_lambda=0.6)

    def weight(j, b, m, t, k):
        return 1.5 / SCALE * (1 - CHANCES[j, b, m, t]) * GAMMA ** (k - t) * 0.8 ** (k - t - 1)

    np.testing.assert_allclose(called(loqa, alignment=settings), literal(weight, 0.6, lam=1.0), atol=1e-12)


def answered_in_kind(settings):
    """The intrinsic rewards of the first two arrays as influences, from the definition, in a loop."""
    mine, its = OWN
    found = np.zeros((B, M, T))
    for b, m in np.ndindex(B, M):
        balance = 0.0
        for t in range(T):
            found[b, m, t] = settings.reciprocity / SCALE * balance * mine[b, m, t]
            balance = GAMMA * settings.balance_decay * balance + its[b, m, t] - settings.debit * mine[b, m, t]
    return found


def reciprocal(settings):
    with float64():
        rewards, values, mine, its = map(jnp.asarray, (*THEIRS[:, 0], *OWN))
        seen = {"influences": Influences(mine, its), "reward_scale": SCALE, "alignment": settings}
        return reciprocator(rewards, values, gamma=GAMMA, gae_lambda=LAM, **seen), reciprocator.intrinsic(
            gamma=GAMMA, **seen
        )


def test_the_reciprocator_learns_from_the_balance_times_its_own_influence_besides():
    for settings in (
        AlignmentConfig(reciprocity=3.0, debit=0.7, balance_decay=0.8),
        AlignmentConfig(debit=0.0, balance_decay=0.0),
        AlignmentConfig(reciprocity=0.0),
    ):
        added = answered_in_kind(settings)
        credits, intrinsic = reciprocal(settings)
        np.testing.assert_allclose(intrinsic, added, atol=1e-12)
        with float64():
            expected = inner_episode(
                jnp.asarray(THEIRS[0, 0] + added), jnp.asarray(THEIRS[1, 0]), gamma=GAMMA, gae_lambda=LAM
            )
        np.testing.assert_allclose(credits, expected, atol=1e-12)


def test_values_learn_the_intrinsic_rewards_too():
    settings = LearnerConfig(estimator="reciprocator", reward_scale=SCALE, gamma=GAMMA)
    rewards, zeros = jnp.asarray(THEIRS[:1, 0], jnp.float32), jnp.zeros((1, B, M, T))
    seen = {"influences": Influences(*(jnp.asarray(x, jnp.float32)[None] for x in OWN))}
    played = Trajectory(zeros, zeros, rewards, zeros, zeros)
    total = SCALE * THEIRS[0, 0] + answered_in_kind(settings.alignment)
    expected = [sum(GAMMA ** (k - t) * total[..., k] for k in range(t, T)) for t in range(T)]
    _, targets = credit.credited(reciprocator, played, settings, True, seen)
    np.testing.assert_allclose(targets[0], np.stack(expected, axis=-1), atol=1e-4)


def test_without_shaping_they_are_independent_learning():
    with float64():
        expected = inner_episode(*map(jnp.asarray, OWN), gamma=GAMMA, gae_lambda=LAM)
    for estimator, off in ((advantage_alignment, {"beta": 0.0}), (loqa, {"weight": 0.0})):
        np.testing.assert_array_equal(called(estimator, alignment=AlignmentConfig(**off)), expected)


@pytest.mark.parametrize(
    "how",
    [{"past_lambda": 1.5}, {"past_lambda": float("nan")}, {"beta": -1.0}, {"temperature": 0.0}, {"reach": 2.0}],
)
def test_settings_that_make_no_sense_are_refused(how):
    (key,) = how
    with pytest.raises(ValueError, match=rf"learner.alignment.{key} must be"):
        config.from_dict({"learner": {"alignment": how}})


SMALL = ["updates=1", "meta_batch=4", "batch=2", "inner_episodes=2", "steps=3", "model.kind=tabular"]
POOL = ["pool.agents=2", "pool.coplayers=naive=0.5,fixed=0.25", "pool.fixed=tft"]
NAIVE = ["naive.reward_scale=0.25", "naive.learning_rate=0"]


def test_training_passes_the_co_players_rewards_to_those_that_read_them():
    """The credits of every kind of co-player are those of the recorded play; values in the scale of the agents."""
    cfg = config.override(config.preset("ipd-mixed"), [*SMALL, *POOL, *NAIVE, "estimator=advantage_alignment"])
    cfg = dataclasses.replace(cfg, learner=dataclasses.replace(cfg.learner, reward_scale=0.5))
    state = initial_state(cfg, run_key(cfg))
    agents = jax.tree.map(lambda x: x + 0.3, state.agents)  # values that are not 0
    met = company.Company(jnp.array(0), agents, jax.tree.map(lambda x: x + 0.3, state.naive_policies))
    play = eqx.filter_jit(lambda agent, key: company.play_pool(cfg, agent, met, key))
    played = play(jax.tree.map(lambda x: x[0], agents), jax.random.key(0))
    for kind, side in played.items():
        others = credit.others_of(side.others, cfg.learner, side.value_scales)
        found = credit.experience(side.own, side.learns, cfg.learner, 0, seen={"others": others})
        scale = {"naive": 2.0, "fixed": 0.0, "meta": 1.0}[kind]
        np.testing.assert_allclose(others.values, scale * 0.3 * np.ones(others.values.shape), rtol=1e-6)
        for k in range(len(side.own.rewards)):
            seen = Others(0.5 * side.other.rewards[k][None], others.values[k], others.chances[k])
            expected = advantage_alignment(
                0.5 * side.own.rewards[k], side.own.values[k], gamma=1.0, gae_lambda=1.0, reward_scale=0.5,
                others=seen, alignment=cfg.learner.alignment,
            )  # fmt: skip
            np.testing.assert_allclose(found.credits[k], 2 * expected.reshape(2, 6), rtol=1e-4, atol=1e-5)


def test_an_estimator_of_the_user_s_may_read_them_and_no_other_gets_them():
    class Kind:
        reads = ("others", "clip")

        def __call__(self, rewards, values, *, gamma, gae_lambda, others, clip):
            return rewards + clip * others.rewards.sum(0)

    def selfish(rewards, values, *, gamma, gae_lambda):
        return rewards

    shape = (3, 2, 2, 4)
    own, other = (
        Trajectory(
            jnp.zeros((*shape, 5)), jnp.zeros(shape, int), *jnp.asarray(RNG.normal(size=(3, *shape)), jnp.float32)
        )
        for _ in range(2)
    )
    table = {"mine:Kind": Kind(), "mine:selfish": selfish}
    settings = LearnerConfig(estimator="mine:Kind,mine:selfish", reward_scale=1.0, clip=0.2)
    others = credit.others_of([other], settings)
    for agent, shared in enumerate((0.2, 0.0)):
        found = credit.experience(own, True, settings, agent, table, {"others": others})
        expected = 2 * (own.rewards + shared * other.rewards).reshape(3, 2, 8)
        np.testing.assert_allclose(found.credits, expected, rtol=1e-5)


def test_the_model_learns_the_action_values_of_the_co_player_and_chooses_by_their_softmax():
    """All 16 histories of two steps, equally likely: Q2 after s0, and after each outcome, by averaging over them."""
    moves = np.array(list(itertools.product((0, 1), repeat=4))).reshape(1, 16, 1, 2, 2)
    mine, theirs = moves[..., 0], moves[..., 1]
    states = np.concatenate([np.zeros((1, 16, 1, 1), int), 1 + 2 * mine[..., :1] + theirs[..., :1]], axis=-1)
    rewards = np.array([[1.0, -1.0], [2.0, 0.0]])[theirs, mine]
    to_go = np.stack([rewards[..., 0] + 0.9 * rewards[..., 1], rewards[..., 1]], axis=-1)
    exact = np.array([[to_go[(states == s) & (theirs == b)].mean() for b in (0, 1)] for s in range(5)])
    settings = LearnerConfig(
        reward_scale=0.5, gamma=0.9, memory="inner_episode", epochs=400,
        alignment=AlignmentConfig(temperature=2.0, q_rate=0.05),
    )  # fmt: skip
    zeros = jnp.zeros(rewards.shape)
    own = Trajectory(jax.nn.one_hot(states, 5), jnp.asarray(mine), zeros, zeros, zeros)
    other = Trajectory(own.observations, jnp.asarray(theirs), jnp.asarray(rewards, jnp.float32), zeros, zeros)

    @eqx.filter_jit
    def learnt(model):
        start = beside.begin(settings, None, jax.tree.map(lambda x: x[None], model))
        _, model, state = jax.tree.map(lambda x: x[0], start)
        batch = choices.lessons(own, other, choices.modelled(model, own, other, settings), settings)
        model = _fit(model, state, batch, settings, choices.model_loss)[0]
        return model.logits, choices.modelled(model, own, other, settings)

    logits, seen = learnt(Tabular(5, 2, key=jax.random.key(0)))
    np.testing.assert_allclose(logits, 0.5 * exact, atol=2e-3)
    chances = np.exp(exact / 2) / np.exp(exact / 2).sum(1, keepdims=True)
    np.testing.assert_allclose(seen.chances[:, 0], chances[states, theirs], atol=2e-3)
    np.testing.assert_allclose(seen.values[:, 0], 0.5 * (chances * exact).sum(1)[states], atol=2e-3)
    np.testing.assert_allclose(seen.rewards[:, 0], 0.5 * rewards)


REACH = LearnerConfig(
    reward_scale=0.5, gamma=0.9, memory="inner_episode", epochs=1, alignment=AlignmentConfig(q_rate=0.05, reach=0.5)
)


def test_influences_are_what_steps_are_worth_above_the_baselines():
    """A table with random entries, and inner episodes that end early: the definition step by step."""
    rng = np.random.default_rng(1)
    table, seen, moves = (
        rng.normal(size=(5, 6)),
        rng.integers(5, size=(1, 2, 2, 4)),
        rng.integers(2, size=(2, 1, 2, 2, 4)),
    )
    alive = np.arange(4) < rng.integers(1, 5, size=(1, 2, 2, 1))
    rewards = rng.normal(size=moves.shape) * alive
    expected, goals = np.zeros((2, *seen.shape)), np.zeros((*seen.shape, 4))
    for at in np.ndindex(seen.shape):
        *game, t = at
        for player in (0, 1):
            value = lambda k, player=player, game=game: (  # noqa: E731
                table[seen[*game, k], 4 + player] if k < 4 and alive[*game, k] else 0.0
            )
            worth = 0.5 * rewards[player, *at] + 0.5 * 0.9 * value(t + 1)
            baseline = table[seen[at], 2 * player + moves[player, *at]]
            expected[player, *at] = (worth - baseline) * alive[at]
            goals[*at, player] = worth
            goals[*at, 2 + player] = sum(0.9 ** (k - t) * 0.5 * rewards[player, *game, k] for k in range(t, 4))
    with float64():
        model = eqx.tree_at(lambda m: m.logits, Tabular(5, 6, key=jax.random.key(0)), jnp.asarray(table))
        zeros = jnp.zeros(seen.shape)
        own, other = (
            Trajectory(
                jax.nn.one_hot(seen, 5),
                jnp.asarray(moves[i]),
                jnp.asarray(rewards[i]),
                zeros,
                zeros,
                jnp.asarray(alive),
            )
            for i in (0, 1)
        )
        found, lessons = influence.see(model, own, other, REACH)
        np.testing.assert_allclose(found.mine, expected[1], atol=1e-12)
        np.testing.assert_allclose(found.its, expected[0], atol=1e-12)
        kept = alive.reshape(-1, 4)
        np.testing.assert_allclose(lessons.targets[kept], goals.reshape(-1, 4, 4)[kept], atol=1e-12)
        off = table[
            seen[..., None], np.stack([moves[0], 2 + moves[1], np.full_like(seen, 4), np.full_like(seen, 5)], -1)
        ]
        errors = ((off - goals) ** 2).sum(-1)[alive].sum() / 2 / alive.size
        np.testing.assert_allclose(influence.baseline_loss(model, lessons, REACH)[0], errors, rtol=1e-12)


def test_baselines_become_conditional_means():
    """All 16 histories of two steps, equally likely: what to expect, given one's own action alone, by averaging over them."""
    moves = np.array(list(itertools.product((0, 1), repeat=4))).reshape(1, 16, 1, 2, 2)
    acts = np.moveaxis(moves, -1, 0)
    states = np.concatenate([np.zeros((1, 16, 1, 1), int), 1 + 2 * acts[0][..., :1] + acts[1][..., :1]], axis=-1)
    pay = np.array([[1.0, -1.0], [2.0, 0.0]])
    rewards = np.stack([pay[acts[0], acts[1]], pay[acts[1], acts[0]]])
    returns = np.stack([rewards[..., 0] + 0.9 * rewards[..., 1], rewards[..., 1]], axis=-1)
    values = np.array([[to_go[states == s].mean() for s in range(5)] for to_go in returns])
    later = np.stack([values[:, states[..., 1]], np.zeros((2, *states.shape[:-1]))], axis=-1)
    worth = rewards + 0.5 * 0.9 * later
    exact = np.concatenate(
        [[[worth[i][(states == s) & (acts[i] == a)].mean() for s in range(5)] for i in (0, 1) for a in (0, 1)], values]
    )
    zeros = jnp.zeros(rewards.shape[1:])
    own, other = (
        Trajectory(jax.nn.one_hot(states, 5), jnp.asarray(acts[i]), jnp.asarray(rewards[i], jnp.float32), zeros, zeros)
        for i in (0, 1)
    )

    @eqx.filter_jit
    def learnt(model):
        start = beside.begin(REACH, None, jax.tree.map(lambda x: x[None], model))

        def update(start, _):
            _, model, state = jax.tree.map(lambda x: x[0], start)
            model, state, _ = _fit(
                model, state, influence.see(model, own, other, REACH)[1], REACH, influence.baseline_loss
            )
            return jax.tree.map(lambda x: x[None], beside.Modelling(None, model, state)), None

        return jax.lax.scan(update, start, length=400)[0].model.logits[0]

    np.testing.assert_allclose(learnt(Tabular(5, 6, key=jax.random.key(0))), 0.5 * exact.T, atol=2e-3)


def test_only_those_that_say_so_read_of_the_co_players():
    found = {name: set(credit.reads(one)) & {*credit.SEEN} for name, one in estimators.ESTIMATORS.items()}
    assert {name: what for name, what in found.items() if what} == {
        "advantage_alignment": {"others"},
        "loqa": {"modelled"},
        "reciprocator": {"influences"},
    }


@pytest.mark.slow
def test_alignment_stays_at_unconditional_defection_but_leaves_what_defects_only_where_it_is_seen():
    """As the theory has it for exact play near defection: what is added there is in proportion to the chances of C."""
    cfg = config.preset("ipd-aa-small")
    key, step = run_key(cfg), make_train_step(cfg)
    ends = []
    for chances in ([0.001] * 5, [0.001, 0.5, 0.3, 0.5, 0.001]):
        odds = np.log(chances) - np.log1p(-np.array(chances))
        state = initial_state(cfg, key)
        agents = eqx.tree_at(
            lambda m: m.logits, state.agents, jnp.asarray([np.stack([odds, 0 * odds], 1)] * 2, jnp.float32)
        )
        state = state._replace(agents=agents)
        for n in range(60):
            state, metrics = step(state, jax.random.fold_in(key, n))
        ends.append(np.asarray(metrics["cooperation_vs_meta"]))
    assert (ends[0] < 0.01).all() and (ends[1] > 0.5).all()
