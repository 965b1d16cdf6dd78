"""Evolutionary stability: textbook verdicts, Maynard Smith's definition by hand, the replicator dynamics, and groups."""

import numpy as np
import pytest

from lapg_theory import exact_returns
from lapg_theory.ess import is_ess, pure_strategies
from lapg_theory.evolution import Population
from lapg_theory.exact.gradients import returns_and_gradients
from lapg_theory.game import (
    NAMED,
    Discounted,
    FiniteHorizon,
    battle_of_the_sexes,
    chicken,
    prisoners_dilemma,
    public_goods,
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
