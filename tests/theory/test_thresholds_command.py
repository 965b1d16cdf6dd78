"""`lapg theory thresholds` against the certificate, and its refusals."""

import json

import pytest

from lapg_rl.commands.main import main
from lapg_theory import defection_certificate
from lapg_theory.game import prisoners_dilemma


def test_the_command_prints_what_the_certificate_says(capsys):
    arguments = ["theory", "thresholds", "--payoffs=2,1,0,-1", "--gamma", "0.95", "--updates", "20", "--eta", "2"]
    arguments += ["--nodes", "256"]
    assert main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    expected = defection_certificate(prisoners_dilemma(2.0, 1.0, 0.0, -1.0), gamma=0.95, eta=2.0, updates=20, nodes=256)
    assert printed["window"] == list(expected.window)
    assert printed["components"]["DC"] == expected.components["DC"].value
    assert (printed["batch_star"], printed["tau_star"]) == (expected.batch_star, expected.tau_star)
    assert (printed["local"], printed["nash"]) == (False, False)
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert f"{expected.window[0]:.4g} to {expected.window[1]:.4g}" in printed
    assert f"tau*, for many small updates: {expected.tau_star:.4g}" in printed
    assert f"at these updates: {20 * expected.window[0]:.4g}" in printed


def test_a_dilemma_without_a_window_is_answered_with_the_scan(capsys):
    assert main(["theory", "thresholds", "--payoffs=3,2,1,-5", "--gamma", "0.95", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["window"] is None
    assert printed["local"] is True
    assert printed["window_scan"]


REFUSALS = {
    "gamma": (["--gamma", "1.5"], "gamma must lie in [0, 1), got 1.5"),
    "three payoffs": (["--gamma", "0.9", "--payoffs", "2,1,0"], "four numbers T,R,P,S, got '2,1,0'"),
    "no dilemma": (["--gamma", "0.9", "--payoffs", "3,1,0,0.5"], "is no dilemma"),
    "no updates": (["--gamma", "0.9", "--updates", "0"], "updates must be an integer >= 1, got 0"),
    "negative seed": (["--gamma", "0.9", "--seed", "-1"], "seed must be an integer >= 0, got -1"),
    "negative rate": (["--gamma", "0.9", "--eta", "-1"], "eta"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_one_line_and_status_2(case, capsys):
    arguments, message = REFUSALS[case]
    assert main(["theory", "thresholds", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
