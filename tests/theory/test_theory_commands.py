"""The `lapg theory` commands about pools, populations and lines of payoffs: what they print, and what they refuse."""

import functools
import inspect
import json

import numpy as np
import pytest

from lapg_rl.commands.main import main
from lapg_theory import MetaGame, defection_certificate, zd
from lapg_theory.commands.theory import COMMANDS
from lapg_theory.evolution import population
from lapg_theory.game import Discounted, stag_hunt, symmetric_game
from lapg_theory.metagame import attractor_map, bifurcation
from lapg_theory.symbolic import thresholds as derived

PD = symmetric_game(2.0, 1.0, 0.0, -1.0)  # as the commands name it, so that nothing is sought twice
POOL = ["--eta", "4", "--updates", "5", "--nodes", "32"]
SMALL = {"gamma": 0.99, "eta": 4.0, "updates": 5, "nodes": 32}


def once(function):
    """The function, which computes what it was asked before from its memory."""
    signature, made = inspect.signature(function), {}

    @functools.wraps(function)
    def remembered(*arguments, **given):
        bound = signature.bind(*arguments, **given)
        bound.apply_defaults()
        key = repr(bound.arguments)
        if key not in made:
            made[key] = function(*arguments, **given)
        return made[key]

    return remembered


@pytest.fixture(autouse=True, scope="module")
def searched_once():
    """What a command prints is compared with what the library finds, which need not be sought anew each time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fixed_points", "cooperation", "errors"):
            patch.setattr(MetaGame, name, once(getattr(MetaGame, name)))
        yield


def ask(capsys, *arguments):
    """What a command prints as JSON."""
    assert main(["theory", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["theory", "--help"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)


@pytest.mark.optimised
def test_metagame(capsys):
    printed = ask(capsys, "metagame", "--p-naive", "0.95", *POOL)
    atlas = MetaGame(PD, p_naive=0.95, **SMALL).fixed_points()
    assert [point["label"] for point in printed["fixed_points"]] == [point.label for point in atlas]
    for written, point in zip(printed["fixed_points"], atlas, strict=True):
        assert written["policy"] == point.policy.tolist() and written["nash"] == point.nash
    assert printed["p_critical"] == MetaGame(PD, p_naive=0.95, **SMALL).p_critical()
    assert main(["theory", "metagame", "--p-naive", "0.95", *POOL, "--no-nash"]) == 0
    assert f"up to p_naive = {printed['p_critical']:.4f}" in capsys.readouterr().out


@pytest.mark.optimised
def test_evolution(capsys):
    types = {"K": (1, 1, 0, 0.293, 0), "E": (0, 0.97, 0, 0.301, 0)}
    options = [word for name, p in types.items() for word in ("--type", f"{name}={','.join(map(str, p))}")]
    printed = ask(capsys, "evolution", *POOL, *options)
    expected = population(MetaGame(PD, p_naive=0.5, **SMALL), types)
    np.testing.assert_allclose(printed["payoffs"], expected.payoffs, rtol=1e-12)
    assert printed["against_naive"] == {name: expected.verdict(name, "naive") for name in types}
    assert main(["theory", "evolution", *POOL]) == 0  # the stable fixed points
    printed = capsys.readouterr().out
    assert "cooperate 1 dominates" in printed and "rest point" in printed


@pytest.mark.optimised
def test_bifurcation(capsys):
    printed = ask(capsys, "bifurcation", "--values", "0.9,0.95,0.995", *POOL)
    found = bifurcation(MetaGame(PD, p_naive=0.5, **SMALL), over="p_naive", values=[0.9, 0.95, 0.995])
    assert printed["stable_range"]["cooperate"] == list(found.range("cooperate")) == [0.9, 0.95]
    assert printed["stable_range"]["defect"] is None
    assert len(printed["points"]) == sum(map(len, found.points))
    assert main(["theory", "bifurcation", "--values", "0.9,0.95", *POOL]) == 0
    assert "stable extort: from 0.9 to 0.95" in capsys.readouterr().out


@pytest.mark.optimised
def test_basins(capsys):
    budget = ["--p-naive", "0", "--runs", "4", "--steps", "400", "--rate", "0.05"]
    printed = ask(capsys, "basins", *budget, *POOL)
    assert len(printed["ends"]) == 4 and sum(share for share, *_ in printed["shares"].values()) == pytest.approx(1)
    found = MetaGame(PD, p_naive=0.0, **SMALL).basins(4, steps=400, rate=0.05, nodes=32)
    assert [end["label"] for end in printed["ends"]] == list(found.labels)
    assert main(["theory", "basins", "--p-naive", "0", "--start", "tft", "--steps", "50", *POOL]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("cooperate")


@pytest.mark.optimised
def test_phase(capsys):
    grid = ["--p-naive", "0,0.5,0.995", "--over", "tau", "--values", "4,20"]
    printed = ask(capsys, "phase", *grid, *POOL)
    expected = attractor_map(MetaGame(PD, p_naive=0.5, **SMALL), p_naive=[0, 0.5, 0.995], over="tau", values=[4, 20])
    assert printed["cells"] == expected.names.tolist()
    assert main(["theory", "phase", *grid, *POOL]) == 0
    assert "D defection, E extortion, C cooperation" in capsys.readouterr().out
    sample = ["--simulate", "--runs", "3", "--steps", "60", "--rate", "0.1", "--scramblings", "2"]
    printed = ask(capsys, "phase", *grid, *POOL, *sample)
    assert np.array(printed["labels"]).shape == (2, 3, 2, 3)
    cooperation = {name: np.array(printed["cooperation"][name]) for name in ("low", "share", "high", "quadrature")}
    assert (cooperation["low"] <= cooperation["share"]).all() and (cooperation["share"] <= cooperation["high"]).all()
    assert cooperation["quadrature"].shape == (2, 3)


def test_zd(capsys):
    printed = ask(capsys, "zd", "--gamma", "0.9", "--chi", "3")
    np.testing.assert_allclose(printed["policy"], zd.extortionate(PD, 0.9, 3))
    assert printed["gamma_min"] == pytest.approx(5 / 7, abs=1e-9)
    np.testing.assert_allclose([3 * y for _, y in printed["corners"]], [x for x, _ in printed["corners"]], atol=1e-9)
    assert main(["theory", "zd", "--gamma", "0.7", "--chi", "3"]) == 1
    assert "for gamma >= 0.714286; at gamma 0.7 none does" in capsys.readouterr().out
    assert main(["theory", "zd", "--gamma", "0.9", "--slope", "0.5", "--baseline", "R"]) == 0
    assert "policy s0 CC CD DC DD:  1.000  1.000" in capsys.readouterr().out


def test_zd_fit(capsys):
    printed = ask(capsys, "zd", "--gamma", "0.99", "--fit", "0,0.97,0,0.3,0")
    assert printed["line"]["residual"] == pytest.approx(0.33165, abs=1e-5)  # gamma / 2 |.97 - .3|
    assert printed["extortion_family"]["loss"] == zd.extortion_fit(PD, (0, 0.97, 0, 0.3, 0)).loss
    corners = zd.payoff_polygon(PD, (0, 0.97, 0, 0.3, 0), Discounted(0.99)).hull
    np.testing.assert_allclose(printed["corners"], corners)
    assert main(["theory", "zd", "--gamma", "0.99", "--fit", "tft"]) == 0
    assert "distance" in capsys.readouterr().out
    assert ask(capsys, "zd", "--gamma", "1", "--fit", "tft")["line"]["baseline"] == "nan"
    assert main(["theory", "zd", "--gamma", "1", "--fit", "tft"]) == 0
    assert "slope 1 (chi 1) on which both earn the same, phi 0.3333" in capsys.readouterr().out


def test_formulas(capsys):
    printed = ask(capsys, "formulas")["statements"]
    by_name = {x["name"]: x["expression"] for x in printed}
    time = derived.linearised_time("logit")
    assert by_name[time.name] == str(time.expression)
    assert main(["theory", "formulas", "--latex"]) == 0
    assert r"\gamma" in capsys.readouterr().out


def test_thresholds_of_any_two_by_two_game(capsys):
    cheap = ["--gamma", "0.9", "--updates", "3", "--nodes", "64"]
    printed = ask(capsys, "thresholds", "--payoffs", "2,3,1,0", *cheap)
    given = {"gamma": 0.9, "eta": 1.0, "updates": 3, "nodes": 64}
    assert printed["window"] == list(defection_certificate(stag_hunt(2.0, 3.0, 1.0, 0.0), **given).window)
    printed = ask(capsys, "thresholds", "--payoffs", "5,3,1,0", "--column-payoffs=2,1,0,-1", *cheap)
    row, column = symmetric_game(5.0, 3.0, 1.0, 0.0), symmetric_game(2.0, 1.0, 0.0, -1.0)
    both = type(row)(row.row, column.column)
    assert printed["batch_star"] == defection_certificate(both, **given).batch_star
    assert main(["theory", "thresholds", "--payoffs", "5,3,1,0", "--column-payoffs=2,1,0,-1", *cheap]) == 0
    assert "(5, 3, 1, 0), of the naive learners (2, 1, 0, -1), gamma 0.9" in capsys.readouterr().out
    printed = ask(capsys, "thresholds", "--payoffs=2,1,0,-1", *cheap, "--space", "probability")
    assert printed["nash"] is None and printed["window"]
    assert main(["theory", "thresholds", "--payoffs=3,2,1,-5", *cheap]) == 0
    assert "no window; of the rates from" in capsys.readouterr().out


REFUSALS = {
    "gamma of a pool": (["metagame", "--p-naive", "0.5", "--gamma", "1"], "gamma must lie in [0, 1), got 1.0"),
    "share": (["metagame", "--p-naive", "1.5"], "p_naive must lie in [0, 1], got 1.5"),
    "no reward for cooperating": (
        ["basins", "--p-naive", "0.5", "--payoffs", "2,0,1,-1"],
        "R > P, got R = 0.0, P = 1.0",
    ),
    "no type": (["evolution", "--updates", "3", "--nodes", "16", "--gamma", "0.5"], "name policies with --type"),
    "nobody": (["ess", "tft", "--against", ""], "--against: unknown strategy ''"),
    "two games": (["ess", "tft", "--players", "3", "--payoffs", "2,1,0,-1"], "got --payoffs as well; give one"),
    "a factor for two": (["ess", "tft", "--factor", "2"], "say of how many with --players"),
    "a strategy for two": (["ess", "wsls", "--players", "3"], "or give 7 probabilities"),
    "a policy for two": (["ess", "1,1,0,0,0", "--players", "3"], "7 probabilities in [0, 1]"),
    "policy": (["basins", "--p-naive", "0.5", "--start", "1,1,0,2,0"], "five probabilities in [0, 1]"),
    "no steps": (["basins", "--p-naive", "0.5", "--steps", "-1"], "steps must be an integer >= 0, got -1"),
    "start on the boundary": (["phase", "--simulate", "--start", "1,2,0,0,0"], "--start takes the name of a strategy"),
    "nodes": (["phase", "--nodes", "100"], "must be a power of two"),
    "grid": (["phase", "--values", "1:2"], "--values takes numbers like"),
    "no points in a grid": (["phase", "--p-naive", "0:1:0"], "--p-naive takes numbers like"),
    "rising values": (["bifurcation", "--values", "0.5,0.1"], "rising order"),
    "share in a grid": (["phase", "--p-naive", "0,2"], "p_naive must lie in [0, 1], got 2"),
    "gamma on an axis": (["phase", "--over", "gamma", "--values", "0.9,1.2"], "gamma must lie in [0, 1), got 1.2"),
    "a type that is none": (["evolution", "--type", "x=1,2"], "--type takes"),
    "the name naive": (["evolution", "--type", "naive=tft"], 'the name "naive" is taken'),
    "no search": (["metagame", "--p-naive", "0.5", "--starts", "0"], "starts must be an integer >= 1, got 0"),
    "no convergence": (
        [
            "metagame",
            "--p-naive",
            "0.95",
            "--eta",
            "4",
            "--updates",
            "5",
            "--nodes",
            "256",
            "--iterations",
            "1",
            "--quiet",
        ],
        "no fixed point settled within 1 iterations (smallest residual",
    ),
    "gamma of a line": (["zd", "--gamma", "1.5", "--chi", "2"], "gamma must lie in [0, 1), or be 1"),
    "no line": (["zd", "--gamma", "0.9"], "give either slope or chi"),
    "phi": (["zd", "--gamma", "0.9", "--chi", "3", "--phi", "5"], "phi = 5 cannot enforce"),
    "baseline": (["zd", "--gamma", "0.9", "--chi", "3", "--baseline", "Q"], "--baseline takes P, R or a number"),
    "game of a fit": (["zd", "--gamma", "0.9", "--fit", "tft", "--payoffs", "1,1,1,1"], "lie on one line"),
    "nobody to test with": (["ess", "tft", "--against", "tft"], "--against names nobody but the resident, got 'tft'"),
    "an invader by numbers": (["ess", "tft", "--against", "1,1,0,0,1"], "unknown strategy '1'"),
    "no dilemma": (["thresholds", "--gamma", "0.9", "--payoffs", "3,2,0,1"], "is no dilemma: it needs P > S"),
}


@pytest.mark.optimised
@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_one_line_and_status_2(case, capsys):
    arguments, message = REFUSALS[case]
    assert main(["theory", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_ess_says_who_breaks_a_strategy(capsys):
    found = ask(capsys, "ess", "tft", "--against", "alld,allc", "--gamma", "0.9")
    assert (found["stable"], found["invader"], found["neutral"]) == (False, None, ["allc"])
    assert found["tested"] == ["alld", "allc"]
    found = ask(capsys, "ess", "allc", "--against", "alld", "--gamma", "0.9", "--payoffs", "5,3,1,0")
    assert (found["invader"], found["gain"]) == ("alld", pytest.approx(2))  # T - R
    assert main(["theory", "ess", "alld", "--noise", "0.1"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "game (T, R, P, S) = (2, 1, 0, -1), gamma 0.99, execution error 0.1, perception error 0",
        "evolutionarily stable against 31 others",
    ]


def test_ess_takes_and_gives_names_and_letters(capsys):
    found = ask(capsys, "ess", "allc", "--payoffs", "4,3,1,0", "--gamma", "0.9")
    # all that defect against a cooperator gain T - R = 1; the one with a name is told
    assert (found["invader"], found["gain"]) == ("DDDDD", pytest.approx(1))
    assert found["verdict"].startswith("not stable: DDDDD (alld) invades")
    letters = ask(capsys, "ess", "CCDCD", "--against", "DDDDD,CCCCC", "--gamma", "0.9")
    names = ask(capsys, "ess", "tft", "--against", "alld,allc", "--gamma", "0.9")
    assert letters["policy"] == names["policy"] and letters["neutral"] == ["CCCCC"] and names["neutral"] == ["allc"]
    assert main(["theory", "ess", "tft", "--players", "4", "--factor", "5"]) == 0
    assert capsys.readouterr().out.startswith("public goods (no dilemma: factor 5.0 of 4 players), 4 players, factor 5")


def test_each_axis_has_values_of_its_own(capsys):
    for over, first, last in (("gamma", 0.5, 0.99), ("eta", 0.05, 5)):
        found = ask(capsys, "phase", "--over", over, "--p-naive", "0.5", "--updates", "3", "--nodes", "16")
        assert (found["values"][0], found["values"][-1], len(found["values"])) == (first, pytest.approx(last), 12)


def test_ess_in_groups(capsys):
    group = ["--players", "3", "--factor", "2", "--gamma", "0.2"]
    found = ask(capsys, "ess", "tft", "--against", "alld", *group)
    # two proportional tit-for-tats cooperate with chances 1, 1/2, 1/4, ... beside a defector, who gets 2/3 from each
    assert (found["invader"], found["gain"]) == ("alld", pytest.approx(0.8 * (4 / 3) / (1 - 0.2 / 2) - 1))
    assert (found["players"], found["factor"]) == (3, 2)
    assert ask(capsys, "ess", "tft", *group[:-1], "0.9")["neutral"] == ["allc", "grim"]
    assert main(["theory", "ess", "alld", "--players", "4", "--noise", "0.1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "public goods, 4 players, factor 1.6, gamma 0.99, execution error 0.1, perception error 0",
        "evolutionarily stable against 4 others",
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("metagame --no-nash --starts 1", "naive learners: 5 updates of rate 4 on returns per step, 0.5 of the pool"),
        (
            "basins --runs 1 --agent-updates 1",
            "naive learners: 5 updates of rate 4 on returns per step, 0.5 of the pool",
        ),
        ("evolution --type tft", "naive learners: 5 updates of rate 4 on returns per step, 0.9 of the pool"),
        pytest.param(
            *("bifurcation --over eta --values 4,5", "naive learners: 5 updates, 0.5 of the pool"),
            marks=pytest.mark.slow,
        ),
        ("phase --values 2 --p-naive 0.5", "naive learners: 5 updates"),
        ("phase --over gamma --values 0.9 --p-naive 0.5", "naive learners: 5 updates of rate 4 on returns per step"),
        ("phase --over gamma --raw --values 0.9 --p-naive 0.5", "naive learners: 5 updates"),
    ],
)
def test_a_table_says_what_it_is_of_but_for_what_varies(line, says, capsys):
    asked = ["theory", *line.split(), *POOL, "--payoffs", "5,3,1,0"]
    assert main(asked) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    gamma = "" if "--over gamma" in line else ", gamma 0.99"
    assert (first, second) == (f"game (T, R, P, S) = (5, 3, 1, 0){gamma}", says)
    assert main([*asked, "--json"]) == 0
    setting = json.loads(capsys.readouterr().out)["setting"]
    assert [name in setting for name in ("gamma", "rate", "p_naive")] == [bool(gamma), "rate" in says, "pool" in says]
