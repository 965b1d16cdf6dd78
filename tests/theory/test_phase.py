"""Maps over two parameters, bifurcations and basins: against single pools, plain counting and known intervals."""

import dataclasses

import numpy as np
import optax
import pytest
from metagame_reference import PD, pool, reference_field, small, small_atlas
from scipy.special import expit
from scipy.stats import beta

from lapg_theory import defection_certificate, float64
from lapg_theory.game import ALLD
from lapg_theory.metagame import PhaseDiagram, attractor_map, bifurcation, phase_diagram, project
from lapg_theory.metagame.ascent import learn

SHARES, TIMES = (0.0, 0.25, 0.95, 0.995), (2.0, 20.0)


@pytest.mark.optimised
def test_attractor_map_cell_by_cell():
    """Defection by the projected reference field; K by its critical share; extortion as the fixed points have it."""
    found = attractor_map(small(), p_naive=SHARES, over="tau", values=TIMES)
    critical = [dataclasses.replace(small(), eta=time / 5).p_critical() for time in TIMES]
    for i, j in np.ndindex(2, 4):
        time, share = TIMES[i], SHARES[j]
        cell = dataclasses.replace(small(share), eta=time / 5)
        F = reference_field(cell, ALLD, ALLD)[0]
        assert found.defect[i, j] == (np.abs(project(ALLD, F)).max() < 1e-7)
        assert found.cooperate[i, j] == (share < critical[i])
        if found.cooperate[i, j]:
            assert found.boundary[i, j] == pytest.approx(cell.basin_boundary(), rel=1e-4, abs=1e-6)
        else:
            assert np.isnan(found.boundary[i, j])
    assert found.names.tolist()[0] == ["DC", "DC", "DC", "D"]  # too little naive learning to leave defection
    assert found.names[1, 2] == "EC" and {x.label for x in small_atlas(0.95) if x.stable} == {"extort", "cooperate"}
    assert found.names[1, 3] == "E"


@pytest.mark.optimised
def test_defection_leaves_the_map_where_the_certificate_says():
    time = defection_certificate(PD, gamma=0.99, eta=1.0, updates=5).tau_lower
    meta = pool(updates=5, nodes=1024)
    found = attractor_map(meta, p_naive=[0.5], over="tau", values=[0.95 * time, 1.05 * time])
    assert found.defect[:, 0].tolist() == [True, False]


@pytest.mark.optimised
def test_three_commands_have_one_verdict_on_defection():
    """What the certificate calls stable and the map D is for the bifurcation stable, or neutral: unreached states are free."""
    values, found = [2.0, 20.0], bifurcation(small(0.5), over="tau", values=[2.0, 20.0])
    there = [
        any(p.label == "defect" and p.stability in ("stable", "neutral") for p in points) for points in found.points
    ]
    mapped = attractor_map(small(0.5), p_naive=[0.5], over="tau", values=values).defect[:, 0].tolist()
    given = {"gamma": small().gamma, "updates": 5, "p_naive": 0.5, "nodes": 128}
    certified = [defection_certificate(PD, eta=value / 5, **given).local.stable for value in values]
    assert there == mapped == certified == [True, False]


@pytest.mark.optimised
def test_bifurcation_over_the_share_brackets_the_critical_one():
    critical = small().p_critical()
    values = [0.9, critical - 2e-3, critical + 2e-3]
    found = bifurcation(small(), over="p_naive", values=values)
    assert found.range("cooperate") == pytest.approx((0.9, critical - 2e-3))
    assert found.range("extort") == pytest.approx((0.9, critical + 2e-3))
    assert found.range("defect") is None


@pytest.mark.optimised
@pytest.mark.parametrize(("over", "values"), [("tau", (10.0, 20.0)), ("gamma", (0.97, 0.99))])
def test_bifurcation_over_time_and_discount_meets_the_pool_at_its_end(over, values):
    found = bifurcation(small(0.95), over=over, values=values)
    expected = np.array(sorted(point.policy.tolist() for point in small_atlas(0.95)))
    np.testing.assert_allclose(sorted(point.policy.tolist() for point in found.points[-1]), expected, atol=1e-6)


@pytest.mark.optimised
def test_random_pairs_end_in_defection_without_naive_learners_and_extort_among_many():
    budget = {"runs": 6, "steps": 500, "rate": 0.05, "nodes": 16, "scramblings": 2}
    found = phase_diagram(small(), p_naive=[0.0, 1.0], over="tau", values=[20.0], **budget)
    assert found.labels.shape == (1, 2, 2, 6)
    assert found.share("defect", "extort")[0, 0] >= 5 / 6 and found.share("extort")[0, 1] == 1
    one = phase_diagram(small(), p_naive=[1.0], over="tau", values=[20.0], start=(0.01,) * 5, **budget)
    assert one.majority.tolist() == [["extort"]] and one.labels.shape == (1, 1, 2, 1)
    pair = small(1.0).basins(np.full((1, 2, 5), 0.01), steps=500, rate=0.05, nodes=16)
    assert pair.labels == ("extort",) and pair.residuals[0] < 0.05


@pytest.mark.parametrize("given", [{}, {"decay": 0.1}])
def test_learning_is_adamw(given):
    """Six steps of optax's on the reference field."""
    meta, theta = small(0.5), np.random.default_rng(2).normal(size=(1, 2, 5))
    optimiser, logits = optax.adamw(0.05, weight_decay=given.get("decay", 1e-4)), theta[0]
    with float64():
        state = optimiser.init(logits)
        for _ in range(6):
            p = expit(logits)
            downhill = -reference_field(meta, p, p[::-1]) * p * (1 - p)
            updates, state = optimiser.update(downhill, state, logits)
            logits = np.asarray(optax.apply_updates(logits, updates))
    np.testing.assert_allclose(learn(meta.setting(), theta, 6, 0.05, **given)[0], logits, rtol=1e-10)


def test_error_bars():
    """Jeffreys interval of 3 in 8 for the draw of pairs; spread over scramblings for the quadrature."""
    labels = np.array(["cooperate"] * 3 + ["defect"] * 5 + ["cooperate"] * 5 + ["defect"] * 3, dtype=object)
    found = PhaseDiagram("tau", np.array([1.0]), np.array([0.5]), labels.reshape(1, 1, 2, 8))
    assert found.share("cooperate") == [[0.5]]
    low, high = found.sampling("cooperate")
    assert (low[0, 0], high[0, 0]) == pytest.approx(tuple(beta.ppf((0.025, 0.975), 4.5, 4.5)))
    assert found.quadrature("cooperate")[0, 0] == pytest.approx(np.std([3 / 8, 5 / 8], ddof=1) / np.sqrt(2))
    assert found.sampling("extort")[0] == [[0.0]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"over": "spread"}, 'over must be "eta", "tau" or "gamma", got'),
        ({"runs": 0}, "runs must be an integer >= 1, got 0"),
        ({"steps": 1.5}, "steps must be an integer >= 1, got 1.5"),
        ({"start": (0, 0.5, 0.5, 0.5, 0.5)}, "strictly between 0 and 1"),
        ({"start": (0.5, 0.5)}, "start needs five probabilities"),
        ({"p_naive": [1.2]}, r"p_naive must lie in \[0, 1\], got 1.2"),
        ({"over": "gamma", "values": [1.0]}, r"gamma must lie in \[0, 1\)"),
    ],
)
def test_refusals(given, message):
    with pytest.raises(ValueError, match=message):
        phase_diagram(small(), **({"p_naive": [0.5], "over": "tau", "values": [20.0]} | given))


def test_refusals_of_bifurcations():
    with pytest.raises(ValueError, match="rising order"):
        bifurcation(small(), over="p_naive", values=[0.5, 0.2])
    with pytest.raises(ValueError, match="over must be"):
        bifurcation(small(), over="spread", values=[0.2, 0.5])
    with pytest.raises(ValueError, match="with updates = 0 it is 0"):
        bifurcation(dataclasses.replace(small(), updates=0), over="tau", values=[1, 2])
