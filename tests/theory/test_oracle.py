"""The exact oracle against literal enumeration, rational differences, hand calculation and published identities."""

import dataclasses
import itertools
import json
from fractions import Fraction as Q

import numpy as np
import pytest

from lapg_rl.commands.main import main
from lapg_theory import oracle
from lapg_theory.game import MatrixGame, prisoners_dilemma
from lapg_theory.oracle.rationals import Rationals

GAME = prisoners_dilemma()
EGO = (Q(1, 3), Q(2, 3), Q(1, 4), Q(1, 2), Q(1, 5))
NAIVE = (Q(1, 2), Q(3, 5), Q(2, 5), Q(1, 3), Q(1, 4))
LOPSIDED = MatrixGame(((Q(3), Q(-2)), (Q(5, 2), Q(1, 3))), ((Q(1), Q(4)), (Q(-1), Q(1, 2))))


def sizes(steps, inner_episodes, batch):
    return {"steps": steps, "inner_episodes": inner_episodes, "batch": batch}


def copycat(q, minibatch):
    """A rule that is no gradient step: lean towards the share of cooperation met, more so after own defection."""
    met = [other for episode in minibatch for own, other in episode for _ in range(1 + own)]
    share = 1 - Q(sum(met), len(met))
    return [(value + 2 * share + Q(k, 9)) / 4 for k, value in enumerate(q)]


RULES = [
    pytest.param(GAME, oracle.Reinforce(GAME, Q(1, 20)), id="reinforce"),
    pytest.param(GAME, oracle.Reinforce(GAME, Q(1), Q(1, 5)), id="reinforce-clipped"),
    pytest.param(LOPSIDED, oracle.Reinforce(LOPSIDED, Q(1, 10)), id="bimatrix"),
    pytest.param(LOPSIDED, copycat, id="copycat"),
]


def test_known_values():
    # From an independent implementation in four ways: product rule, all leaves, interpolation, multisets.
    result = oracle.expectations(GAME, EGO, NAIVE, **sizes(2, 2, 2), update=oracle.Reinforce(GAME, Q(1, 20)))
    assert Q(63797, 32400) == result.J
    known = (-0.3591553498, -0.0573251029, -0.0770486111, -0.1295370370, -0.1318518519)
    assert [round(float(x), 10) for x in result.gradient] == list(known)


@pytest.mark.parametrize(("game", "rule"), RULES)
@pytest.mark.parametrize("size", [(1, 2, 2), (2, 2, 1), (1, 2, 3), (3, 1, 1)], ids=str)
def test_multisets_equal_all_histories(game, rule, size):
    """J, gradient, and mean and variance of every estimator, as identities between rationals."""
    arguments = {**sizes(*size), "update": rule}
    assert oracle.expectations(game, EGO, NAIVE, **arguments) == oracle.enumerate_histories(
        game, EGO, NAIVE, **arguments
    )


def test_multisets_equal_all_histories_over_three_episodes():
    arguments = {**sizes(1, 3, 2), "update": copycat}
    fast = oracle.expectations(LOPSIDED, EGO, NAIVE, **arguments)
    assert fast == oracle.enumerate_histories(LOPSIDED, EGO, NAIVE, **arguments)


@pytest.mark.slow
def test_multisets_equal_all_65536_histories():
    arguments = {**sizes(2, 2, 2), "update": oracle.Reinforce(LOPSIDED, Q(1, 10))}
    fast = oracle.expectations(LOPSIDED, EGO, NAIVE, **arguments)
    assert fast == oracle.enumerate_histories(LOPSIDED, EGO, NAIVE, **arguments)


@pytest.mark.parametrize(("game", "rule"), RULES)
def test_identities(game, rule):
    B = 3
    result = oracle.expectations(game, EGO, NAIVE, **sizes(2, 2, B), update=rule)
    assert result.lapg == result.gradient
    assert result.mfos == tuple(B * x for x in result.batch_unaware)
    cross = [full - own for full, own in zip(result.gradient, result.batch_unaware, strict=True)]
    own = [own - now for own, now in zip(result.batch_unaware, result.inner_episode, strict=True)]
    assert cross == [
        (B - 1) * x for x in own
    ]  # no memory across episodes: each other stream counts as much as one's own
    assert all(x != 0 for x in cross)  # so the two baselines are biased in every component


@pytest.mark.parametrize(("game", "rule"), RULES)
def test_gradient_is_the_derivative_of_the_return(game, rule):
    """Central differences of the polynomial J in p, in rational arithmetic: truncation of order h^2 = 1e-24."""
    h = Q(1, 10**12)

    def shifted(k, shift):
        ego = [p + (k == j) * shift for j, p in enumerate(EGO)]
        return oracle.expectations(game, ego, NAIVE, **sizes(2, 2, 2), update=rule).J

    gradient = oracle.expectations(game, EGO, NAIVE, **sizes(2, 2, 2), update=rule).gradient
    for k, p in enumerate(EGO):
        in_logit = (shifted(k, h) - shifted(k, -h)) / (2 * h) * p * (1 - p)
        assert abs(in_logit - gradient[k]) < 1e-20


def remembers(history):
    """Seven observations: the five states of the first episode; later, the ego's last action in the first."""
    return oracle.literal.current_state(history) if len(history) == 1 else 5 + history[0][-1][0]


def test_ego_with_memory_across_episodes():
    """LAPG stays exact; the bias of batch-unaware is minus the cross-stream part, here summed from its definition."""
    ego, B = (*EGO, Q(1, 7), Q(5, 6)), 2
    result = oracle.enumerate_histories(GAME, ego, NAIVE, **sizes(1, 2, B), update=copycat, observe=remembers)
    assert result.lapg == result.gradient
    assert result.mfos != tuple(B * x for x in result.batch_unaware)
    reward = {(0, 0): 1, (0, 1): -1, (1, 0): 2, (1, 1): 0}
    cross = [Q(0)] * 7
    pairs = list(itertools.product((0, 1), repeat=2))
    for first in itertools.product(pairs, repeat=B):
        q0 = copycat(NAIVE, [((other, own),) for own, other in first])[0]
        for last in itertools.product(pairs, repeat=B):
            chance = Q(1)
            for (a, o), (a2, o2) in zip(first, last, strict=True):
                late = ego[5 + a]
                chance *= (1 - ego[0] if a else ego[0]) * (1 - NAIVE[0] if o else NAIVE[0])
                chance *= (1 - late if a2 else late) * (1 - q0 if o2 else q0)
            for b, (a, _) in enumerate(first):
                cross[0] += chance * ((1 - a) - ego[0]) * reward[last[1 - b]]
    bias = [own - full for own, full in zip(result.batch_unaware, result.gradient, strict=True)]
    assert bias == [-x / B for x in cross]
    assert bias[0] != 0


def test_reinforce_by_hand():
    # Two episodes of two steps in the learner's view; payoffs CC 1, CD -1, DC 2, DD 0.
    minibatch = (((0, 1), (1, 0)), ((1, 1), (0, 0)))
    # first: s0 plays C with to-go -1 + 2 = 1, then in CD plays D with 2; second: s0 plays D with 1, then in DD C with 1
    expected = [
        NAIVE[0] + Q(1, 100) / 2 * (1 / NAIVE[0] - 1 / (1 - NAIVE[0])),
        NAIVE[1],
        NAIVE[2] - Q(1, 100) / 2 * 2 / (1 - NAIVE[2]),
        NAIVE[3],
        NAIVE[4] + Q(1, 100) / 2 / NAIVE[4],
    ]
    assert oracle.Reinforce(GAME, Q(1, 100))(NAIVE, minibatch) == tuple(expected)
    assert oracle.Reinforce(GAME, 10)(NAIVE, minibatch)[2:] == (Q(1, 50), NAIVE[3], Q(49, 50))
    # the column player of the lopsided game gets -1 when it alone cooperates, 4 when it alone defects
    assert oracle.Reinforce(LOPSIDED, Q(1, 10))(NAIVE, (((0, 1),),))[0] == NAIVE[0] - Q(1, 10) / NAIVE[0]
    assert oracle.Reinforce(LOPSIDED, Q(1, 100))(NAIVE, (((1, 0),),))[0] == NAIVE[0] - Q(4, 100) / (1 - NAIVE[0])


def test_gap_to_large_batches_shrinks_like_the_inverse_batch():
    rule = oracle.Reinforce(GAME, Q(1, 20))
    J1, J2, J3 = (oracle.expectations(GAME, EGO, NAIVE, **sizes(2, 2, B), update=rule).J for B in (1, 2, 3))
    assert abs((J1 - J2) / (J2 - J3) - 3) < Q(1, 50)  # (1 - 1/2) / (1/2 - 1/3) = 3


def test_single_precision_inputs_are_taken_exactly():
    half = np.array([0.5] * 5, dtype=np.float32)
    result = oracle.expectations(GAME, half, half.tolist(), **sizes(1, 1, 1), update=copycat)
    assert result.gradient == (Q(-1, 4), 0, 0, 0, 0)  # p (1 - p) times minus the cost of cooperating


def test_rationals_agree_with_fractions():
    a = [[Q(1, 3), Q(-2, 7)], [Q(5), Q(0)]]
    b = [[Q(3, 4), Q(1, 7)]]
    x, y, A, B = Rationals.of(a), Rationals.of(b), np.array(a), np.array(b)
    for got, want in [
        (x + y, A + B),
        (x - y, A - B),
        (x * y, A * B),
        (x * 3 / 6, A / 2),
        (x @ x, A @ A),
        (x.sum(1), A.sum(1)),
        (x[:, 1], A[:, 1]),
        (Rationals.stack([x, x / 5]), np.stack([A, A / 5])),
    ]:
        assert np.array_equal(got.numbers(), want)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 400}, "max_leaves = 1000000; choose fewer"),
        ({"batch": 400, "steps": 50}, r"takes 10\^\d+ leaves"),
        ({"steps": 10**9}, "steps = 1000000000 times inner_episodes = 2 must be at most 500"),
        ({"inner_episodes": 10**9}, "inner_episodes = 1000000000 must be at most 500"),
        ({"steps": 0}, "steps must be an integer >= 1"),
        ({"inner_episodes": 0}, "inner_episodes must be an integer >= 1"),
        ({"ego": (0, 0, 0, 0, 1.5)}, "ego holds 3/2, which is no probability"),
        ({"naive": (Q(1, 2),) * 4}, "naive needs five probabilities"),
        ({"naive": (1, *NAIVE[1:])}, "strictly between 0 and 1"),
        ({"naive": ("1/0", *NAIVE[1:])}, "'1/0' is no number"),
        ({"ego": (float("inf"), *EGO[1:])}, "is no number"),
        ({"update": lambda q, batch: [2] * 5}, "the update holds 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_refusals(change, message):
    arguments = {"ego": EGO, "naive": NAIVE, **sizes(1, 2, 2), "update": oracle.Reinforce(GAME, Q(1, 20)), **change}
    with pytest.raises(ValueError, match=message):
        oracle.expectations(GAME, **arguments)


def test_clip_is_checked():
    for clip in (0, Q(1, 2), -1):
        with pytest.raises(ValueError, match="clip must lie strictly between 0 and 1/2"):
            oracle.Reinforce(GAME, 1, clip)


COMMAND = (
    "oracle --steps 1 --inner-episodes 2 --batch 2 --ego 1/3,2/3,0.25,1/2,1/5 --naive 0.5,3/5,2/5,1/3,1/4 --alpha 0.05"
)


def test_command_prints_rationals(capsys):
    assert main([*COMMAND.split(), "--payoffs", "3,1,0,-1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    game = prisoners_dilemma(T=3)
    expected = oracle.enumerate_histories(game, EGO, NAIVE, **sizes(1, 2, 2), update=oracle.Reinforce(game, Q(1, 20)))
    for name, value in dataclasses.asdict(expected).items():
        assert report[name] == json.loads(json.dumps(value, default=str))
    assert report["leaves"] == 40
    assert main(COMMAND.split()) == 0
    assert "lapg, equal to the gradient" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--payoffs", "1,2"], "--payoffs needs the four numbers"),
        (["--naive", "0,1/2,1/2,1/2,1/2"], "strictly between 0 and 1"),
        (["--clip", "0.7"], "clip must lie strictly between"),
        (["--max-leaves", "39"], "this takes 40 leaves"),
    ],
)
def test_command_refuses_in_one_line(option, message, capsys):
    assert main([*COMMAND.split(), *option]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
