"""Zero-determinant strategies in groups: the line holds against everyone, and the published entries come out."""

import numpy as np
import pytest

from lapg_theory import general_returns, zd
from lapg_theory.game import AnonymousGame, Discounted, group_strategy, prisoners_dilemma, public_goods

RANDOM = np.random.default_rng(2)


@pytest.mark.parametrize(("slope", "baseline", "p0"), [(0.6, 0.0, 0.0), (0.7, 1.0, 1.0), (0.55, 0.5, 0.6)])
def test_the_line_holds_against_everyone(slope, baseline, p0):
    """Extortion, generosity and in between; a random game of four besides."""
    game = public_goods(4, 2.0, 1.0)
    policy = zd.enforce_in_group(game, 0.95, baseline=baseline, slope=slope, phi=0.2, p0=p0)
    others = RANDOM.uniform(size=(3, 20, 9))
    own, *rest = general_returns(game, [policy, *others], Discounted(0.95)) * 0.05
    assert own.std() > 0.01
    np.testing.assert_allclose(np.mean(rest, 0) - baseline, slope * (own - baseline), atol=1e-12)


def test_any_anonymous_game():
    game = AnonymousGame([0.0, 0.5, 1.0], [0.6, 0.8, 1.1])
    policy = zd.enforce_in_group(game, 0.99, baseline=0.7, slope=0.5, phi=0.5, p0=0.5)
    own, *rest = general_returns(game, [policy, *RANDOM.uniform(size=(2, 7))], Discounted(0.99)) * 0.01
    assert np.mean(rest) - 0.7 == pytest.approx(0.5 * (own - 0.7), abs=1e-12)


def test_the_published_entries():
    n, r, c, s, level, phi = 3, 2.0, 1.5, 0.7, 0.2, 0.3
    policy = zd.enforce_in_group(public_goods(n, r, c), 1, baseline=level, slope=s, phi=phi, p0=0.2)
    others = np.arange(n - 1, -1, -1)
    after_c = 1 + phi * ((1 - s) * (level - r * c * (others + 1) / n) - s * c + c * others / (n - 1))
    after_d = phi * ((1 - s) * (level - r * c * others / n) + c * others / (n - 1))
    np.testing.assert_allclose(policy, [0.2, *after_c, *after_d], atol=1e-12)


def test_special_cases():
    two = zd.enforce_in_group(public_goods(2, 4 / 3, 3), 0.9, baseline=0, slope=1 / 3, phi=0.2, p0=0)
    np.testing.assert_allclose(two, zd.enforce(prisoners_dilemma(), 0.9, baseline=0, chi=3, phi=0.2, p0=0), atol=1e-12)
    fair = zd.enforce_in_group(public_goods(5, 2), 1, baseline=0, slope=1, phi=1, p0=1)
    np.testing.assert_allclose(fair, group_strategy("tft", 5), atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phi": 5.0}, r"entry \d would be .* outside \[0, 1\]; try"),
        ({"phi": 0.0}, "phi and gamma not 0"),
        ({"slope": float("nan")}, "must be finite"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(ValueError, match=message):
        zd.enforce_in_group(public_goods(3, 2), 0.9, **{"baseline": 0, "slope": 0.5, "phi": 0.2, "p0": 0} | change)
