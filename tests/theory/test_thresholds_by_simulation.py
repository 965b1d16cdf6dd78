"""Every threshold is crossed: learning on both sides of it ends in different places.

No quantity here is random: learners are Sobol points with a fixed seed, so there is no false alarm to speak of.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from metagame_reference import pool, small
from scipy.special import expit, logit
from shaping_reference import returns

from lapg_theory import defection_certificate, exact_returns, float64, zd
from lapg_theory.certificate.closed_form import DefectionFace, learn
from lapg_theory.game import DC, TFT, Discounted, prisoners_dilemma
from lapg_theory.learning import sobol_logits

PD = prisoners_dilemma()
NEAR_DEFECTION = np.full((1, 2, 5), 0.01)


def escapes(steps=500, rate=0.05, **given):
    """Whether agents near defection come to reward cooperation, by AdamW in logits: P(C | DC) rises from .01 or sinks."""
    end = pool(**({"p_naive": 1.0, "gamma": 0.95} | given)).basins(NEAR_DEFECTION, steps=steps, rate=rate, nodes=32)
    return left(end.policies[0, 0, DC])


def left(chance):
    """P(C | DC) at the end: far above where it started, or below it; anything between has not been decided."""
    assert chance < 0.01 or chance > 0.05, chance
    return bool(chance > 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("eta", "out"), [(0.2, False), (0.3, False), (0.5, True), (1, True), (50, True), (100, False)])
def test_naive_learning_rate(eta, out):
    """Predicted window at gamma .95 and 20 updates: .39 to 66.8."""
    lower, upper = defection_certificate(PD, gamma=0.95, eta=1.0, updates=20, nodes=256).window
    assert out == (lower < eta < upper)
    assert escapes(eta=eta) == out


@pytest.mark.slow
@pytest.mark.parametrize(("gamma", "out"), [(0.92, False), (0.965, True)])
def test_discount_at_a_raw_learning_rate(gamma, out):
    """A raw rate of .02 crosses the lower edge at gamma* = .949."""
    critical, _ = defection_certificate(
        PD, gamma=0.95, eta=0.02, updates=20, normalize_returns=False, nodes=256
    ).gamma_window
    assert out == (gamma > critical) and 0.945 < critical < 0.953
    assert escapes(gamma=gamma, eta=0.02, normalize=False) == out


@pytest.mark.slow
@pytest.mark.parametrize(("updates", "out"), [(10, False), (30, True)])
def test_total_learning_time(updates, out):
    """eta 0.4: tau* = 7.73 is passed between 10 and 30 updates."""
    critical = defection_certificate(PD, gamma=0.95, eta=0.4, updates=updates, nodes=256).tau_star
    assert out == (0.4 * updates > critical)
    assert escapes(eta=0.4, updates=updates) == out


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "out"), [(1, True), (3, True), (5, False), (16, False)])
def test_batch_size_of_a_biased_estimator(batch, out):
    """AdamW along direct + via / B, the expected direction of batch-unaware and M-FOS, leaves below B* = 3.64 alone."""
    critical = defection_certificate(PD, gamma=0.95, eta=2.0, updates=20, nodes=256).batch_star
    assert out == (batch < critical)
    assert biased_ascent(batch) == out


def biased_ascent(batch, steps=500, rate=0.05):
    """Whether ascent along the direct part of the gradient plus 1 / batch of what goes through learning escapes."""
    row, column = np.array([1.0, -1, 2, 0]), np.array([1.0, 2, -1, 0])

    def course(p, learner):
        def update(theta, _):
            return theta + 2.0 * jax.grad(lambda x: returns(row, column, 0.95, p, jax.nn.sigmoid(x))[1])(theta), theta

        last, before = jax.lax.scan(update, learner, length=20)
        return jnp.concatenate([before, last[None]])

    def value(p, path):
        return jax.vmap(lambda x: returns(row, column, 0.95, p, jax.nn.sigmoid(x))[0])(path).mean()

    @jax.jit
    def gradient(theta, learners):
        p = jax.nn.sigmoid(theta)

        def parts(learner):
            whole = jax.jacfwd(lambda p: value(p, course(p, learner)))(p)
            direct = jax.grad(value)(p, course(p, learner))
            return direct + (whole - direct) / batch

        return jax.vmap(parts)(learners).mean(0) * p * (1 - p)

    theta, first, second = np.full(5, logit(0.01)), np.zeros(5), np.zeros(5)
    with float64():
        learners = jnp.array(sobol_logits(32))
        for t in range(1, steps + 1):
            slope = np.asarray(gradient(theta, learners))
            first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
            theta = theta + rate * first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    return left(expit(theta)[DC])


def test_without_a_window_the_component_is_negative_for_every_learner_time_and_rate():
    """(3, 2, 1, -5): updates up to 300 and rates over five decades."""
    game = prisoners_dilemma(3, 2, 1, -5)
    learners = expit(sobol_logits(64, seed=5))
    for updates in (1, 20, 300):
        for rate in np.geomspace(1e-3, 100, 11):
            assert learn(DefectionFace(game, 0.95, learners, states=(DC,)), rate, updates).sum(0).mean() < 0


@pytest.mark.slow
@pytest.mark.parametrize(("side", "label"), [(-0.02, "cooperate"), (0.009, "extort")])
def test_share_of_naive_learners_up_to_which_cooperation_lasts(side, label):
    """Both agents start near K; below p_K* they stay, above it they drift to extortion."""
    meta = small()
    share = meta.p_critical() + side
    start = np.tile(np.clip(meta.cooperation().policy, 0.01, 0.99), (1, 2, 1))
    assert small(share).basins(start, steps=4000, rate=0.02, nodes=32).labels == (label,)


@pytest.mark.optimised
@pytest.mark.parametrize(("factor", "cooperates"), [(0.8, False), (1.2, True)])
def test_opening_from_which_cooperation_is_reached(factor, cooperates):
    """Projected ascent of both agents on K's edge, 20% below and above x* = .267 (share .95)."""
    meta = small(0.95)
    opening = factor * meta.basin_boundary()
    p = np.array([opening, *meta.cooperation().policy[1:]])
    for _ in range(4000):
        p[0] += 0.02 * meta.field(p, p)[0]
        if not 0 < p[0] < 1:
            break
    assert p[0] >= 1 if cooperates else p[0] <= 0


@pytest.mark.slow
@pytest.mark.parametrize(("share", "label"), [(0.25, "cooperate"), (1.0, "extort")])
def test_tit_for_tat_becomes_an_extorter_of_strangers(share, label):
    """From TFT both come to reward cooperation half-heartedly (DC falls); cooperation among themselves lasts below p_K*."""
    start = np.tile(np.clip(TFT, 0.01, 0.99), (1, 2, 1))
    end = pool(p_naive=share, nodes=64).basins(start, steps=4000, rate=0.02)
    assert end.labels == (label,) and (end.policies[0, :, DC] < 0.45).all()


@pytest.mark.parametrize("chi", [1.5, 3.0])
def test_least_discount_of_an_extortioner(chi):
    """Just above gamma_min the policy holds every co-player to the ratio chi; just below none exists."""
    least = zd.gamma_min(PD, chi=chi)
    p = zd.extortionate(PD, least + 1e-3, chi)
    horizon, others = Discounted(least + 1e-3), np.random.default_rng(0).uniform(size=(50, 5))
    own, other = (x / horizon.weight for x in exact_returns(PD, p, others, horizon))
    np.testing.assert_allclose(own, chi * other, atol=1e-9)
    with pytest.raises(ValueError, match="it needs gamma >= "):
        zd.extortionate(PD, least - 1e-3, chi)
