"""Rules about the project itself: who may import whom, what is documented, how long code may be, what is installed."""

import ast
import graphlib
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jax.numpy as jnp
import jaxtyping
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lapg_rl
import lapg_theory
from lapg_rl import estimators
from lapg_theory import game
from lapg_theory._backend import WRONG_JAXLIBS

ROOT = Path(__file__).parents[1]
SOURCES = {
    path.relative_to(ROOT).as_posix(): path
    for side in ("lapg_theory", "lapg_rl")
    for path in ROOT.glob(f"{side}/**/*.py")
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()
CROSSVAL, ITS_CALLERS = "lapg_rl/crossval/", ("lapg_rl/commands/", "lapg_rl/reports/make.py")


def imported(path):
    """The modules that a file imports; `from a import b` counts as `a.b`, which may be a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(module, *packages):
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("name", SOURCES)
def test_the_two_sides_share_only_the_game(name):
    modules = set(imported(SOURCES[name]))
    assert not any(inside(module, ".", "None") for module in modules), "imports are absolute"
    if name.startswith("lapg_theory/"):
        assert not [module for module in modules if inside(module, "lapg_rl")]
    elif not name.startswith(CROSSVAL):
        theory = [module for module in modules if inside(module, "lapg_theory")]
        assert not [module for module in theory if not inside(module, "lapg_theory.game")]
        if not name.startswith(ITS_CALLERS):
            assert not [module for module in modules if inside(module, "lapg_rl.crossval")]


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("lapg_theory", ["jax", "sympy", "optax", "matplotlib", "equinox", "lapg_rl"]),
        ("lapg_theory.exact.returns", ["sympy", "optax", "matplotlib", "equinox", "lapg_rl"]),
        ("lapg_theory.game", ["jax", "sympy", "scipy", "lapg_rl"]),
        ("lapg_rl", ["jax", "numpy", "lapg_theory"]),
        ("lapg_rl.config", ["jax", "scipy", "sympy"]),
        ("lapg_rl.commands.main", ["jax", "numpy", "lapg_theory"]),
        (
            "lapg_rl.commands.train, lapg_rl.commands.sweep",
            ["jax", "numpy", "lapg_theory"],
        ),  # so that help is there at once
    ],
)
def test_light_imports(module, absent):
    code = f"import sys, {module}; print(*set({absent}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_training_loads_the_game_and_nothing_else_of_the_theory():
    code = "import sys, lapg_rl; [getattr(lapg_rl, n) for n in dir(lapg_rl)]; print(*(m for m in sys.modules if 'lapg_' in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    theory = [module for module in done.stdout.split() if inside(module, "lapg_theory")]
    assert "lapg_rl.learn.training_step" in done.stdout
    assert [m for m in theory if not inside(m, "lapg_theory.game")] == ["lapg_theory._backend", "lapg_theory"]


def test_no_package_takes_a_private_name_of_another():
    for name, path in SOURCES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                private = [alias.name for alias in node.names if re.match("_[^_]", alias.name)]
                package = name.removesuffix(".py").removesuffix("/__init__").split("/")[:2]
                home = node.module.split(".")[:2] == package
                assert not private or home, f"{name} imports {private} of {node.module}"


def test_the_roots_hold_what_the_map_names():
    """docs/architecture.md has the map."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    for side in ("lapg_theory", "lapg_rl"):
        for path in (ROOT / side).iterdir():
            name = path.stem if path.suffix == ".py" else path.name
            if not name.startswith("_") and path.suffix not in (".pyi", ".typed"):
                assert re.search(rf"\b{name}\b", text), f"{side}/{path.name} is not on the map"


def imports_at_the_top(path):
    """The modules whose import runs when the module at `path` is imported."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_import_runs_in_a_circle():
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): p for name, p in SOURCES.items()}
    graph = {m: {i for i in imports_at_the_top(p) if i in modules and i != m} for m, p in modules.items()}
    graph = {m: {i for i in found if not m.startswith(f"{i}.")} for m, found in graph.items()}  # a table of contents
    try:
        order = tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")
    assert {*order} == graph.keys()


def exported():
    """(package, name) of every public name in the table of contents of a package or subpackage."""
    for side in (lapg_theory, lapg_rl):
        packages = [module.name for module in pkgutil.walk_packages(side.__path__, f"{side.__name__}.") if module.ispkg]
        for package in [side.__name__, *packages]:
            source = Path(importlib.import_module(package).__file__)
            tree = ast.parse(next(path for path in (source.with_suffix(".pyi"), source) if path.exists()).read_text())
            aliases = [alias for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
            yield from ((package, alias.asname) for alias in aliases if alias.asname and alias.asname[0] != "_")


@pytest.mark.parametrize(("package", "name"), list(exported()))
def test_exported_names_are_documented(package, name):
    value = getattr(importlib.import_module(package), name)
    if callable(value) and not hasattr(value, "__args__"):  # a union of types cannot carry a docstring
        doc = value.__doc__ or ""
        assert doc
        assert not doc.startswith(f"{name}("), "the dataclass wrote this docstring itself"


def test_functions_of_four_parameters_say_what_each_is():
    found = {
        inspect.unwrap(value)
        for value in (getattr(importlib.import_module(p), n) for p, n in exported())
        if callable(value)
    }
    functions = [f for f in found if inspect.isfunction(f) and len(inspect.signature(f).parameters) >= 4]
    assert len(functions) > 40
    assert not [f.__qualname__ for f in functions if "Args:" not in f.__doc__]


def test_array_shapes_are_checked_in_both_packages():
    with pytest.raises(jaxtyping.TypeCheckError, match="least"):
        game.check_count("steps", 3, least="one")
    with pytest.raises(jaxtyping.TypeCheckError, match="values"):
        estimators.lapg(jnp.zeros((2, 3, 4)), jnp.zeros((2, 3, 5)), gamma=1.0, gae_lambda=1.0)


def requirements():
    groups = PROJECT["dependency-groups"].values()
    return [Requirement(line) for group in (PROJECT["project"]["dependencies"], *groups) for line in group]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_the_lock_meets_the_requirements(requirement):
    name = re.escape(canonicalize_name(requirement.name))
    versions = re.findall(rf"^{name}==(\S+)", LOCK, re.MULTILINE)
    assert versions
    assert all(version in requirement.specifier for version in versions)


def test_the_lock_is_hashed_and_names_no_host():
    assert "://" not in LOCK
    for pin in re.split(r"\n(?! )", LOCK.strip()):
        assert re.match(r"[a-z0-9-]+==\S+( ; .+)? \\\n +--hash=sha256:", pin)


def test_releases_of_jax_that_compute_wrong_are_excluded():
    (jax_range,) = (requirement.specifier for requirement in requirements() if requirement.name == "jax")
    assert not [version for version in WRONG_JAXLIBS if version in jax_range]
    warned = f"import jaxlib; jaxlib.__version__ = '{WRONG_JAXLIBS[0]}'; import lapg_rl.estimators, lapg_theory.game"
    done = subprocess.run([sys.executable, "-c", warned], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "lapg doctor" in done.stderr


def test_one_version_everywhere():
    assert f"\nversion: {lapg_rl.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## [{lapg_rl.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("name", [*SOURCES, "run.py"])
def test_modules_and_functions_are_short(name):
    text = (ROOT / name).read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            assert not body or node.end_lineno - body[0].lineno < 60, node.name


@pytest.mark.parametrize("name", sorted(SOURCES.keys() - {"lapg_rl/machine/canaries.py"}))
def test_no_array_is_shifted_in_place(name):
    found = re.search(r"\.at\[[^\]]*\d:[^\]]*\]\s*\.set\([^)]*:\s*-\d", SOURCES[name].read_text())
    assert not found, f"{found[0]}: XLA on CPU gets this wrong; shift with jnp.concatenate"


def test_files_of_tests_have_names_of_their_own():
    """Or nothing can be collected: pytest imports them by these names."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py")]
    assert [name for name in set(names) if names.count(name) > 1] == []
