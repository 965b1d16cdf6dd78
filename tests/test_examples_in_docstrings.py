"""Every name of the flat interfaces has an example in its docstring, which is executed here."""

import doctest
import inspect
import types

import numpy as np
import pytest

import lapg_rl
import lapg_theory
from lapg_theory.game import look
from lapg_theory.learning import Naive

#: What functions return, or what only declares an interface: it is not made by hand.
RETURNED = {
    "Comparison",
    "DefectionCertificate",
    "Evaluation",
    "Population",
    "Result",
    "Shaper",
    "Tournament",
    "TrainState",
    "Trajectory",
}
DECLARED = {
    "Algorithm",
    "CoPlayer",
    "Environment",
    "Kind",
    "Logger",
    "Model",
}  # docs/extending.md and docs/do/logs.md, which are executed, have one of each
#: Examples that train or plot for long; what they show has tests of its own.
SLOW = (lapg_rl.in_context, lapg_rl.league, lapg_rl.exploit, lapg_rl.train_together, lapg_theory.plot.bifurcation)
#: What is not installed with the tests.
NEEDS = {"dataset": "xarray", "frame": "polars"}


def example(value, name):
    return pytest.param(value, id=name, marks=[pytest.mark.slow] if value in SLOW else [])


def names():
    for package in (lapg_rl, lapg_theory):
        for name in dir(package):
            value = getattr(package, name)
            if callable(value) and not isinstance(value, types.ModuleType) and name not in RETURNED | DECLARED:
                yield example(value, f"{package.__name__}.{name}")
    for module in (lapg_rl.plot, lapg_theory.plot):
        for name, value in inspect.getmembers(module, inspect.isfunction):
            if value.__module__ in (module.__name__, look.__name__) and not name.startswith("_"):
                yield example(value, f"{module.__name__}.{name}")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    small = ["model.kind=tabular", "updates=2", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3"]
    folder = tmp_path_factory.mktemp("docs") / "run"
    lapg_rl.train(lapg_rl.override(lapg_rl.preset("ipd-shaping-small"), small), folder, quiet=True)
    return folder


@pytest.mark.parametrize("value", list(names()))
def test_the_example_is_right(value, run, tmp_path):
    if needs := NEEDS.get(value.__name__):
        pytest.importorskip(needs, reason=f'needs the extra "{needs}"')
    source = inspect.getdoc(value)
    parser = doctest.DocTestParser()
    test = parser.get_doctest(source, {"run": run, "folder": tmp_path}, value.__name__, None, None)
    assert test.examples, "no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL * 0, verbose=False)
    report = []
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


def test_what_is_returned_shows_itself_on_a_screen(run):
    game = lapg_theory.prisoners_dilemma()
    start = (np.zeros(5), np.zeros(5))
    shown = [
        lapg_rl.Config(),
        lapg_rl.RunFolder(run),
        lapg_rl.collect(run),
        lapg_rl.evaluate(run, ["tft"], meta_batch=2),
        lapg_rl.tournament([run], ["tft"], meta_batch=2),
        lapg_rl.RunFolder(run).final_state(),
        lapg_theory.defection_certificate(game, gamma=0.95, eta=1.0, updates=20, nodes=64),
        lapg_theory.iterate(Naive(), game, lapg_theory.Discounted(0.9), start, 50),
    ]
    for value in shown:
        assert 10 < len(repr(value)) < 1500, type(value)
    assert "rewards=float64[" in repr(shown[-1])
