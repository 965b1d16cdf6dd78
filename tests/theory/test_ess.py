"""Evolutionary stability: textbook verdicts, Maynard Smith's definition by hand, the replicator dynamics, and groups."""

import numpy as np
import pytest

from lapg_theory import exact_returns
from lapg_theory.ess import gains, is_ess, pure_strategies
from lapg_theory.evolution import Population
from lapg_theory.exact.gradients import returns_and_gradients
from lapg_theory.game import (
    NAMED,
    Discounted,
    FiniteHorizon,
    NormalFormGame,
    battle_of_the_sexes,
    chicken,
    graded_dilemma,
    prisoners_dilemma,
    public_goods,
    rock_paper_scissors,
    symmetric_game,
)

PD, LONG = prisoners_dilemma(), Discounted(0.96)


def test_textbook_verdicts():
    """Defection is stable against tit-for-tat's rivals; tit-for-tat lets cooperators drift in, and they let defectors in."""
    assert is_ess("tft", ["alld"], game=PD, horizon=LONG)
    drift = is_ess("tft", ["alld", "allc", "grim"], game=PD, horizon=LONG)
    assert not drift
    assert drift.neutral == ("allc", "grim")
    assert drift.invader is None
    assert str(drift) == "neutrally stable, no ESS: allc, grim drift in"
    broken = is_ess("allc", ["tft", "alld"], game=PD, horizon=LONG)
    assert (broken.invader, broken.neutral) == ("alld", ("tft",))
    assert broken.gain == pytest.approx(1)  # T - R
    assert is_ess("alld", ["allc", "tft", "wsls", "gtft"], game=PD, horizon=LONG)
    assert not is_ess("tft", "alld", game=PD, horizon=Discounted(0.4))  # too short a shadow: T - R against R - P
    assert not is_ess("tft", ["alld"], game=PD, horizon=FiniteHorizon(1))


def test_games_of_more_actions():
    """Verdicts by hand, and a prisoner's dilemma as a table of two actions says what it says as a 2x2 game."""
    rps = rock_paper_scissors()
    assert is_ess("random", ["always-0", "always-2"], game=rps, horizon=LONG).neutral == ("always-0", "always-2")
    beaten = is_ess("always-0", ["always-1", "always-2"], game=rps, horizon=LONG)
    assert beaten.invader == "always-1" and beaten.gain == pytest.approx(1)  # paper beats rock, rock ties with itself
    assert is_ess("always-2", ["always-0", "always-1", "random"], game=graded_dilemma(), horizon=LONG)
    table = NormalFormGame([[[1, -1], [2, 0]], [[1, 2], [-1, 0]]])
    both = lambda p: np.stack([p, 1 - np.asarray(p)], axis=-1)  # noqa: E731
    others = {"alld": NAMED["alld"], "mixed": np.array([0.3, 0.9, 0.2, 0.6, 0.1])}
    one = gains(NAMED["tft"], others, game=PD, horizon=LONG, shares=0.25)
    other = gains(both(NAMED["tft"]), {k: both(p) for k, p in others.items()}, game=table, horizon=LONG, shares=0.25)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9)
    shown = is_ess(both(NAMED["alld"]), [both(NAMED["tft"])], game=table, horizon=LONG).tested
    assert shown == ("(1, 0; 1, 0; 0, 1; 1, 0; 0, 1)",)


def test_groups_told_apart_are_the_anonymous_ones():
    """Three players: the table of all joint actions against counts of cooperators."""
    goods = public_goods(3, 2.0)
    kept = [np.array([goods.cooperator[j], goods.defector[j]]) for j in range(3)]  # [others who cooperate][own action]
    own = np.array([[[kept[2 - b - c][a] for c in (0, 1)] for b in (0, 1)] for a in (0, 1)])
    table = NormalFormGame([own, own.transpose(1, 0, 2), own.transpose(1, 2, 0)])
    always = {"alld": "always-1", "allc": "always-0"}
    for resident, invader in (("alld", "allc"), ("allc", "alld")):
        one = is_ess(resident, [invader], game=goods, horizon=LONG)
        other = is_ess(always[resident], [always[invader]], game=table, horizon=LONG)
        assert bool(one) == bool(other) == (resident == "alld") and one.gain == pytest.approx(other.gain, rel=1e-12)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"against": ["alld"]}, "unknown strategy 'alld'; known here: random, always-0 to always-2"),
        ({"against": ["always-3"]}, "unknown strategy 'always-3'"),
        ({}, "against must name strategies in games of 3 actions: the deterministic ones are too many"),
        ({"against": [np.full((4, 3), 1 / 3)]}, r"must have the shape \[..., 10, 3\]"),
    ],
)
def test_what_can_t_be_asked_of_more_actions(what, message):
    with pytest.raises(ValueError, match=message):
        is_ess("always-0", **{"game": rock_paper_scissors(), "horizon": LONG, **what})


def test_equality_at_home_is_decided_abroad():
    """One round with T = R: an invader does as well against residents, and the second condition decides."""
    game, once = symmetric_game(2, 2, 0, 1), FiniteHorizon(1)
    assert is_ess("allc", ["alld"], game=game, horizon=once)
    game = symmetric_game(2, 2, 1, 0)
    assert is_ess("allc", ["alld"], game=game, horizon=once).invader == "alld"


def test_hawks_and_doves_mix():
    """In chicken neither pure strategy is stable, the mixture is: S - P over S - P + T - R is its share of C."""
    game, once = chicken(), FiniteHorizon(1)
    mixed = [(1 - 0) / (1 - 0 + 3 - 2)] * 5
    others = {"C": NAMED["allc"], "D": NAMED["alld"], "less": [0.3] * 5, "more": [0.7] * 5}
    assert is_ess(mixed, others, game=game, horizon=once)
    assert is_ess("allc", others, game=game, horizon=once).invader == "D"
    assert is_ess("alld", others, game=game, horizon=once).invader == "C"


@pytest.mark.parametrize("resident", ["tft", "wsls", "gtft", "grim", "alld"])
def test_a_verdict_against_all_is_the_definition_by_hand(resident):
    game = prisoners_dilemma(5, 3, 1, 0)
    verdict, S = is_ess(resident, game=game, horizon=LONG), NAMED[resident]
    best, neutral = {}, set()
    for name, rival in pure_strategies().items():
        at_home = exact_returns(game, S, S, LONG)[0] - exact_returns(game, rival, S, LONG)[0]
        abroad = exact_returns(game, S, rival, LONG)[0] - exact_returns(game, rival, rival, LONG)[0]
        lead = next((x for x in (at_home, abroad) if abs(x) > 1e-7), 0)
        if rival != S:
            best[name] = lead * 0.04
            neutral |= {name} if lead == 0 else set()
    assert set(verdict.neutral) == neutral
    assert verdict.gain == pytest.approx(max(0, -min(best.values())), rel=1e-6)
    assert len(verdict.tested) == 32 - (resident != "gtft")


def test_no_mixture_replies_better_than_the_pure_ones():
    """At the best pure reply no logit can be improved: its gradient points out of the square of probabilities."""
    q = np.random.default_rng(1).uniform(0.1, 0.9, size=5)
    verdict = is_ess(q, game=PD, horizon=LONG)
    reply = np.array(pure_strategies()[verdict.invader])
    slope = returns_and_gradients(PD, reply, q, LONG).row_by_p
    assert (np.where(reply == 1, slope, -slope) > -1e-9).all()


def test_replicator_dynamics_agree():
    """A few invaders among residents, integrated: they die out, spread, or stay."""
    names = ("tft", "allc", "alld", "wsls")
    payoffs = [[exact_returns(PD, NAMED[a], NAMED[b], LONG)[0] * 0.04 for b in names] for a in names]
    for i, resident in enumerate(names):
        for j, invader in enumerate(names):
            if i != j:
                pair = Population((resident, invader), np.array(payoffs)[np.ix_([i, j], [i, j])])
                share = pair.run([0.99, 0.01], 5)[1][-1, 1]
                verdict = is_ess(resident, [invader], game=PD, horizon=LONG)
                expected = 0 if verdict.neutral else (1 if verdict.invader else -1)
                assert np.sign(np.round(share - 0.01, 9)) == expected


def test_groups():
    """Grim in public goods from (N - r) / (r (N - 1)) on; tft drifts there too."""
    game = public_goods(3, 2.0)
    edge = 1 / 4
    assert is_ess("grim", ["alld"], game=game, horizon=Discounted(edge + 0.01))
    broken = is_ess("grim", ["alld", "tft"], game=game, horizon=Discounted(edge - 0.01))
    assert (broken.invader, broken.neutral) == ("alld", ("tft",))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: is_ess("tft", [], game=PD, horizon=LONG), "at least one strategy"),
        (lambda: is_ess("tit", ["alld"], game=PD, horizon=LONG), "unknown strategy 'tit'; did you mean tft"),
        (lambda: is_ess("tft", ["alld"], game=battle_of_the_sexes(), horizon=LONG), "is not symmetric"),
        (lambda: is_ess("tft", game=public_goods(3, 2), horizon=LONG), "against must name strategies in groups of 3"),
        (lambda: is_ess([0.5] * 4, ["alld"], game=PD, horizon=LONG), "must have the shape"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_tit_for_tat_does_not_win_where_actions_slip():
    """Those who strike back by mistake earn less than those who never do; grim, which trusts nobody again, stays."""
    noisy = PD.noisy(execution=0.01)
    found = is_ess("tft", ["allc", "alld"], game=noisy, horizon=LONG)
    earn = [exact_returns(noisy, NAMED[name], NAMED["tft"], LONG)[0] / LONG.weight for name in ("allc", "tft")]
    assert (found.invader, found.neutral) == ("allc", ())
    assert found.gain == pytest.approx(earn[0] - earn[1], rel=1e-9)
    assert is_ess("grim", game=noisy, horizon=LONG)


def test_extortioners_have_names_and_words_of_letters_say_their_order():
    assert is_ess("zd-extort-3", ["alld", "zd-extort-3"], game=PD, horizon=LONG).tested == ("alld",)
    assert str(is_ess("allc", game=PD, horizon=LONG)).endswith(" more per step (letters: in s0, CC, CD, DC, DD)")
    with pytest.raises(ValueError, match="unknown strategy 'grimm'; did you mean grim"):
        is_ess("grimm", game=PD, horizon=LONG)
