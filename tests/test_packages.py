"""Wheel and source distribution: built, installed and used outside of the repository, on every Python that is supported."""

import importlib.util
import io
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import lapg_rl

ROOT = Path(__file__).parents[1]
VERSION = lapg_rl.__version__
TINY = ["updates=1", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3", "model.kind=tabular"]
USE = """
import lapg_theory as lt, lapg_rl as rl
assert rl.collect("run").updates == 1
print(round(float(lt.exact_returns(lt.prisoners_dilemma(), lt.TFT, lt.ALLD, lt.Discounted(0.9))[1]), 6))
"""


def setup():
    spec = importlib.util.spec_from_file_location("run", ROOT / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Both packages, built from what is committed: nothing that only lies in this folder gets into them."""
    folder, source = tmp_path_factory.mktemp("dist"), ROOT
    if (ROOT / ".git").exists():
        source = tmp_path_factory.mktemp("checkout")
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as committed:
            committed.extractall(source, filter="data")
    build = [sys.executable, "-m", "hatchling", "build", "-d", folder]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_they_hold_what_is_needed(built):
    names = zipfile.ZipFile(built / f"lapg-{VERSION}-py3-none-any.whl").namelist()
    needed = ["lapg_rl/py.typed", "lapg_theory/py.typed", "lapg_rl/__init__.pyi", "lapg_rl/reports/template.html"]
    assert set(needed) <= set(names) and {name.split("/")[0] for name in names} == {
        "lapg_rl", "lapg_theory", f"lapg-{VERSION}.dist-info"
    }  # fmt: skip
    with tarfile.open(built / f"lapg-{VERSION}.tar.gz") as source:
        files, size = source.getnames(), sum(member.size for member in source.getmembers())
    assert {f"lapg-{VERSION}/{name}" for name in ("pyproject.toml", "CHANGELOG.md", "docs/index.md")} <= set(files)
    assert size < 5e6


@pytest.mark.slow
@pytest.mark.parametrize("minor", [11, 12, 13])
@pytest.mark.parametrize("kind", ["whl", "tar.gz"])
def test_they_work_elsewhere(built, minor, kind, tmp_path, monkeypatch):
    """The source distribution is built into a wheel by the installer; it is tried on the oldest Python only."""
    if kind == "tar.gz" and minor != 11:
        pytest.skip("one Python is enough to build from source")
    module = setup()
    monkeypatch.setattr(module, "MINORS", (minor,))
    python = module.interpreter(None)
    if python is None or module.probe(python)[0] != (3, minor):
        pytest.skip(f"there is no Python 3.{minor} here")
    (package,) = built.glob(f"*.{kind}")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"JAX_PLATFORMS": "cpu"}

    def run(*command):
        done = subprocess.run([*map(str, command)], cwd=tmp_path, capture_output=True, text=True, env=clean)
        assert done.returncode == 0, done.stderr
        return done.stdout

    there, lock = tmp_path / "venv" / "bin" / "python", tmp_path / "lock.txt"
    pins = re.sub(r"( \\)?\n +--hash=\S+", "", (ROOT / "requirements.lock").read_text())
    lock.write_text(pins)
    run(python, "-m", "venv", "venv")
    run(there, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", lock, package)
    lapg = there.with_name("lapg")
    assert run(lapg, "--version").strip() == f"lapg {VERSION}"
    assert "ipd-shaping-small" in run(lapg, "list", "presets")
    assert '"feasible": true' in run(lapg, "theory", "zd", "--gamma", "0.9", "--chi", "3", "--json")
    run(lapg, "train", "ipd-shaping-small", *TINY, "--run", "run", "--quiet")
    run(lapg, "report", "run", "--quick")
    assert run(there, "-c", USE) == "2.0\n"
