"""What was computed before stays what it was: three updates of every preset, and the numbers of every figure, in small.

`python tests/test_numbers_stay.py` records them anew, for a change that is meant to move numbers; the CHANGELOG then says
which. With names it records those runs alone, each in a file of its own. Bytes are compared on the kind of machine that
recorded them; elsewhere XLA may add in another order, so there only the first update and the figures are compared, to a
tolerance.
"""

import gzip
import json
import os
import platform
import shutil
import sys
from pathlib import Path

os.environ.setdefault("NPROC", "1")

import jax
import jaxlib
import numpy as np
import pytest

from lapg_rl import config
from lapg_rl.learn.training_step import initial_state, make_train_step, run_key
from lapg_rl.runs.loop import RunFolder, train
from lapg_rl.study.evaluation import evaluate
from lapg_rl.study.results import collect
from lapg_theory.figures import FIGURES

RECORDED = Path(__file__).parent / "recorded" / "numbers.json.gz"
SMALL = ["updates=3", "meta_batch=4", "batch=2", "inner_episodes=2", "steps=3"]
WIDE = ["learner.memory=inner_episode", "learner.epochs=1", "learner.minibatches=1"]
#: preset and changes of each run; the presets first, then what no preset uses
RUNS = {name: [name] for name in config.PRESETS} | {
    "estimators": ["ipd-mixed", "learner.estimator=lapg,batch_unaware,mfos,inner_episode", "advantages=normalised"],
    "company": ["ipd-mixed", "p_naive=0.25", "p_fixed=0.25", "fixed=tft,alld", "p_memory_one=0.25", "reveal=true"],
    "gru": ["ipd-shaping", "model.kind=gru", "naive.model=tabular"],
    "transformer": ["ipd-shaping", "model.kind=transformer"],
    "lola_dice": ["ipd-shaping", "algorithm=lola_dice", *WIDE, "naive.optimiser=sgd", "normalize_advantages=false"],
    "shaper": ["ipd-shaping", "algorithm=shaper", "learner.epochs=1", "learner.minibatches=1", "population=4"],
}
TINY = {
    "seeds": 2, "steps": 4, "every": 2, "batch": 2, "nodes": 4, "points": 3, "runs": 2, "random_policies": 20,
    "phases": (2,), "optima": ((1.0, 3), (5.0, 3)), "shares": (0.05, 0.9), "look_aheads": (1, 3), "inner_rates": (10.0, 5.0),
    "mixes": (1.0, 0.6), "starts": 1, "etas": (0.3, 2.0), "outside": (0.2, 100.0),
}  # fmt: skip
#: Figures that were recorded on another machine than the rest, so that their bytes say nothing on either.
ELSEWHERE = ("noise", "groups")
TINY_UPDATES = {"window": (1, 3)}


def machine():
    """What bytes depend on: versions, and the kind of processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    flags = next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])
    vector = [flag for flag in flags if flag.startswith("avx")]
    return {"jaxlib": jaxlib.__version__, "machine": platform.machine(), "vector": " ".join(sorted(vector))}


def run(name):
    """The metrics of three updates."""
    preset, *changes = RUNS[name]
    cfg = config.override(config.preset(preset), [*SMALL, *changes])
    key, step = run_key(cfg), make_train_step(cfg)
    state, rows = initial_state(cfg, key), []
    for update in range(cfg.updates):
        state, metrics = step(state, jax.random.fold_in(key, update))
        rows.append({name: value.tolist() for name, value in sorted(jax.device_get(metrics).items())})
    return rows


def drawn(name):
    """The numbers of a figure in its smallest version."""
    figure = FIGURES[name]
    settings = figure.settings(quick=True)
    small = {key: value for key, value in TINY.items() if key in settings}
    if "look_aheads" in small and not isinstance(settings["look_aheads"], tuple):
        small["look_aheads"] = 3
    updates = {} if "updates" not in settings else {"updates": TINY_UPDATES.get(name, 3)}
    return {key: np.asarray(x).tolist() for key, x in figure.numbers(**settings | small | updates).items()}


def compare(found, recorded, exact):
    """Refuse figures that are not those recorded; gives how many there are."""
    found = json.loads(json.dumps(found))
    if exact:
        assert found == recorded
        return len(found)
    assert found.keys() == recorded.keys()
    for key, value in found.items():
        np.testing.assert_allclose(np.array(value, float), np.array(recorded[key], float), rtol=1e-3, atol=1e-4)
    return len(found)


@pytest.fixture(autouse=True)
def compiled_as_recorded():
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def recorded():
    return json.loads(gzip.decompress(RECORDED.read_bytes()))


#: Cheap ones that between them pass through every kind of co-player, estimator and boundary; the rest on demand.
FAST = ("company", "lola_dice")


def fast_first(names):
    return [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in names]


def recorded_run(name, recorded):
    """(rows, machine); what came after the first record is a file of its own."""
    if name in recorded["runs"]:
        return recorded["runs"][name], recorded["machine"]
    later = json.loads((RECORDED.parent / f"{name}.json").read_text())
    return later["rows"], later["machine"]


@pytest.mark.parametrize("name", fast_first(RUNS))
def test_training_computes_what_it_did(name, recorded):
    rows, (before, where) = run(name), recorded_run(name, recorded)
    exact = machine() == where
    for row, earlier in zip(rows, before, strict=True) if exact else [(rows[0], before[0])]:
        assert compare(row, earlier, exact) > 0


def test_every_preset_is_recorded(recorded):
    assert all(len(recorded_run(name, recorded)[0]) == 3 for name in RUNS)


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_figures_show_what_they_did(name, recorded):
    exact = machine() == recorded["machine"] and name not in ELSEWHERE
    assert compare(drawn(name), recorded["figures"][name], exact) > 0


def test_a_run_of_an_earlier_version_is_read_and_goes_on_as_it_would_have(tmp_path, recorded):
    """The folder holds two updates; the metrics beside it four, all made by version 0.1.0."""
    folder = shutil.copytree(RECORDED.parent / "run-0.1.0", tmp_path / "run")
    assert collect(folder).updates == 2
    train(config.override(RunFolder(folder).config(), ["updates=4"]), folder, quiet=True)
    there = [json.loads(line) for line in (RECORDED.parent / "run-0.1.0-metrics.jsonl").read_text().splitlines()]
    exact = machine() == recorded["machine"]
    for row, before in zip(RunFolder(folder).metrics(), there, strict=True):
        compare(row, before, exact)
    assert len(evaluate(folder, ["naive", "tft"], meta_batch=2).matches) == 4


if __name__ == "__main__":
    jax.config.update("jax_disable_most_optimizations", True)  # as in the tests
    for name in sys.argv[1:]:  # these only, each in a file of its own
        rows = {"machine": machine(), "rows": run(name)}
        (RECORDED.parent / f"{name}.json").write_text(json.dumps(rows) + "\n")
    if sys.argv[1:]:
        sys.exit(0)
    numbers = {"machine": machine(), "runs": {n: run(n) for n in RUNS}, "figures": {n: drawn(n) for n in FIGURES}}
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_bytes(gzip.compress(json.dumps(numbers).encode(), mtime=0))
    sys.exit(0)
