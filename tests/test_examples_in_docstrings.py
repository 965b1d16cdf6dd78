"""Every name of the flat interfaces has an example in its docstring, which is executed here."""

import doctest
import inspect
import types

import pytest

import lapg_rl
import lapg_theory

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
    "Model",
}  # docs/extending.md, which is executed, has one of each


def names():
    for package in (lapg_rl, lapg_theory):
        for name in dir(package):
            value = getattr(package, name)
            if callable(value) and not isinstance(value, types.ModuleType) and name not in RETURNED | DECLARED:
                yield pytest.param(value, id=f"{package.__name__}.{name}")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    small = ["model.kind=tabular", "updates=2", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3"]
    folder = tmp_path_factory.mktemp("docs") / "run"
    lapg_rl.train(lapg_rl.override(lapg_rl.preset("ipd-shaping-small"), small), folder, quiet=True)
    return folder


@pytest.mark.parametrize("value", list(names()))
def test_the_example_is_right(value, run, tmp_path):
    source = inspect.getdoc(value)
    parser = doctest.DocTestParser()
    test = parser.get_doctest(source, {"run": run, "folder": tmp_path}, value.__name__, None, None)
    assert test.examples, "no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL * 0, verbose=False)
    report = []
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)
