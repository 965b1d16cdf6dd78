"""The backend computes right here: the same canaries as `lapg doctor`."""

import argparse
import math

import jax
import pytest

from lapg_rl.commands import doctor, main
from lapg_rl.machine import canaries

pytestmark = pytest.mark.optimised


@pytest.mark.parametrize("name", canaries.CANARIES)
def test_canary(name):
    canary = canaries.CANARIES[name]
    assert canary.measure() <= canary.limit


@pytest.mark.xfail(reason="XLA on CPU reads what it has just overwritten: write shifts with concatenate", strict=False)
def test_forward_shift_in_place():
    assert canaries.forward_shift_in_place() == 0


def fail():
    raise RuntimeError("the device is gone\nand more")


@pytest.mark.parametrize("measure", [lambda: 2.0, lambda: math.nan, fail])
def test_doctor_reports_a_dead_canary_and_what_to_do(measure, monkeypatch, capsys):
    sound = canaries.Canary(lambda: 0.5, 1.0)
    monkeypatch.setattr(doctor, "CANARIES", {"sound": sound, "dead": canaries.Canary(measure, 1.0, "s")})
    assert doctor.run(argparse.Namespace(json=False)) == 1
    out = capsys.readouterr().out
    assert "ok    sound" in out
    assert "FAIL  dead" in out
    assert "jax!=0.10.2" in out


def test_doctor_command_succeeds_where_all_is_sound(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CANARIES", {"sound": canaries.Canary(lambda: 1.0, 1.0)})
    assert main.main(["doctor"]) == 0
    assert f"devices: {jax.devices()[0].platform}:0" in capsys.readouterr().out
