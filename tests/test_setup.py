"""The set-up by run.py, with the commands it gives recorded instead of run."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[1] / "run.py"


def load():
    spec = importlib.util.spec_from_file_location("run", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def setup(tmp_path, monkeypatch):
    """run.py as a module that builds in a temporary folder, on this interpreter, with an `uv` that is never run."""
    module = load()
    lock = tmp_path / "requirements.lock"
    lock.write_text("some pins")
    for name, value in {
        "LOCK": lock,
        "VENV": tmp_path / "venv",
        "PYTHON": str(tmp_path / "venv/python"),
        "OWNER": tmp_path / "venv/lapg-root",
    }.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "find_uv", lambda: "/bin/uv")
    monkeypatch.setattr(module, "interpreter", lambda named: named or sys.executable)
    for name in ("LAPG_PYTHON", "LAPG_VENV", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    module.steps = []
    module.broken = None  # a word whose commands fail, or an exception to raise at the first install

    def record(step, cwd=None, env=None):
        module.steps.append(" ".join(step))
        module.variables_of_last_step = env
        if "install" in step and isinstance(module.broken, BaseException):
            raise module.broken
        if "venv" in step:
            module.VENV.mkdir(exist_ok=True)
            Path(module.PYTHON).touch()
            (module.VENV / "pyvenv.cfg").touch()
        failed = isinstance(module.broken, str) and module.broken in module.steps[-1]
        return subprocess.CompletedProcess(step, int(failed))

    monkeypatch.setattr(module.subprocess, "run", record)
    return module


def test_sets_up_once_from_the_hashed_lock(setup):
    setup.ensure()
    make, locked, project = setup.steps
    assert make.startswith(f"/bin/uv venv --quiet --clear --python {sys.executable}")
    assert f"--require-hashes -r {setup.LOCK}" in locked
    assert "--no-build-isolation --no-deps" in project
    setup.ensure()
    assert len(setup.steps) == 3


def test_sets_up_anew_when_the_lock_changes(setup):
    setup.ensure()
    setup.LOCK.write_text("other pins")
    setup.ensure()
    assert len(setup.steps) == 6


def test_falls_back_to_venv_and_pip_where_uv_fails(setup):
    setup.broken = "/bin/uv"
    setup.ensure()
    uv, make, locked, project = setup.steps
    assert uv.startswith("/bin/uv venv")
    assert make == f"{sys.executable} -m venv --clear {setup.VENV}"
    assert all(step.startswith(f"{setup.PYTHON} -m pip install") for step in (locked, project))
    assert "--require-hashes" in locked


def test_needs_no_uv(setup, monkeypatch):
    monkeypatch.setattr(setup, "find_uv", lambda: None)
    setup.ensure()
    assert setup.steps[0] == f"{sys.executable} -m venv --clear {setup.VENV}"
    assert len(setup.steps) == 3


def test_an_interrupted_set_up_is_made_anew(setup):
    setup.broken = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        setup.ensure()
    setup.broken = None
    setup.ensure()
    assert [" venv " in step for step in setup.steps] == [True, False, True, False, False]


def test_says_so_when_nothing_works(setup):
    setup.broken = "install"
    with pytest.raises(SystemExit, match="no way of setting up worked"):
        setup.ensure()
    with pytest.raises(SystemExit, match="no way"):
        setup.ensure()


def test_what_was_asked_for_once_stays(setup, monkeypatch):
    monkeypatch.setenv("LAPG_PYTHON", "/opt/python")
    setup.ensure("cuda12")
    assert "--python /opt/python" in setup.steps[0]
    assert setup.steps[2].endswith("[cuda12]")
    assert "--no-deps" not in setup.steps[2]
    monkeypatch.delenv("LAPG_PYTHON")
    setup.ensure()
    assert len(setup.steps) == 3
    setup.ensure("cuda13")
    assert "--python /opt/python" in setup.steps[3]
    assert setup.steps[5].endswith("[cuda13]")


def test_bytecode_that_may_not_lie_beside_its_source_is_kept_in_the_environment(setup, monkeypatch):
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert setup.main(["--", "doctor"]) == 0
    env = setup.variables_of_last_step
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert env["PYTHONPYCACHEPREFIX"] == str(setup.VENV / "bytecode")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE")
    assert setup.main(["--", "doctor"]) == 0
    assert "PYTHONPYCACHEPREFIX" not in setup.variables_of_last_step


def test_spares_a_folder_that_holds_something_else(setup, monkeypatch):
    monkeypatch.setenv("LAPG_VENV", str(setup.VENV))
    setup.VENV.mkdir()
    (setup.VENV / "thesis.tex").touch()
    with pytest.raises(SystemExit, match="holds something other than an environment"):
        setup.ensure()
    assert not setup.steps


def test_spares_an_environment_of_somebody_else(setup, monkeypatch):
    monkeypatch.setenv("LAPG_VENV", str(setup.VENV))
    packages = setup.VENV / "lib/python3.13/site-packages/lapg-0.1.0.dist-info"
    packages.mkdir(parents=True)
    (setup.VENV / "pyvenv.cfg").touch()
    with pytest.raises(SystemExit, match=r"was not made by run\.py, and setting up would clear it"):
        setup.ensure()
    note = packages / "direct_url.json"
    note.write_text('{"url": "file:///home/else%20where/lapg"}')
    with pytest.raises(SystemExit, match="was made for /home/else where/lapg"):
        setup.ensure()
    assert not setup.steps
    note.write_text(f'{{"url": "file://{setup.ROOT}"}}')
    setup.ensure()  # this clone's, by an earlier version
    note.unlink()
    setup.LOCK.write_text("other pins")
    setup.ensure()  # this clone's, by this version
    assert len(setup.steps) == 6


def test_colab_keeps_its_own_environment(setup, monkeypatch):
    monkeypatch.setattr(setup, "COLAB", True)
    (install,) = next(setup.routes(sys.executable, ""))
    assert install[:4] == [setup.PYTHON, "-m", "pip", "install"]
    assert any(word.startswith("pytest") for word in install)


def test_refuses_an_interpreter_that_is_too_old_or_missing(monkeypatch):
    module = load()
    assert module.interpreter(sys.executable) == sys.executable
    with pytest.raises(SystemExit, match="LAPG_PYTHON=/nowhere is no working Python"):
        module.interpreter("/nowhere")
    monkeypatch.setattr(module, "probe", lambda python: ((3, 10), python))
    with pytest.raises(SystemExit, match="LAPG_PYTHON"):
        module.interpreter("/usr/bin/python3.10")


@pytest.mark.parametrize(("task", "status"), [("--help", 0), ("nonsense", 2)])
def test_usage(setup, task, status, capsys):
    assert setup.main([task]) == status
    assert "Tasks:" in capsys.readouterr().err
    assert not setup.steps
