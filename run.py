#!/usr/bin/env python3
"""Set lapg up and run it: `python3 run.py demo`, `test`, `test-all`, `lint`, `docs`, or `-- COMMAND` for any lapg command.

Standard library only. Makes `.venv` from the hashed `requirements.lock` (with uv where it can be had, else by venv and
pip) and adds the project itself; a second start finds the environment up to date and goes straight to work.
Environment variables: LAPG_PYTHON names the interpreter to build on; LAPG_VENV another folder for the environment.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("LAPG_VENV", ROOT / ".venv")).resolve()
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
LOCK = ROOT / "requirements.lock"
MINORS = (13, 12, 11)  # newest first: the versions the tests run on
TASKS = {
    "demo": [["python", "-m", "lapg_rl.cli", "demo"]],
    "test": [["python", "-m", "pytest", "-n", "2", "--dist", "loadfile", "-m", "not slow"]],
    "test-all": [["python", "-m", "pytest", "-n", "2", "--dist", "loadfile"]],
    "lint": [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["pyrefly", "check"]],
    "docs": [["python", "-m", "sphinx", "-W", "-q", "-b", "html", "docs", "docs/_build/html"]],
    "--": [["python", "-m", "lapg_rl.cli"]],
}


def version(python):
    """(major, minor) of an interpreter, or None where it doesn't run."""
    code = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    try:
        out = subprocess.run([str(python), "-c", code], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return tuple(map(int, out.stdout.split())) if out.returncode == 0 else None


def interpreter():
    """The newest suitable interpreter present: LAPG_PYTHON, the PATH, pyenv's versions, then this one."""
    if named := os.environ.get("LAPG_PYTHON"):
        return named
    for minor in MINORS:
        pyenv = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3"))
        found = shutil.which(f"python3.{minor}")
        for python in [*([found] if found else []), *map(str, reversed(pyenv))]:
            if version(python) == (3, minor):
                return python
    if sys.version_info >= (3, MINORS[-1]):
        return sys.executable
    return None  # uv can fetch one


def find_uv(python):
    """An installed uv, or one put into `.tools` (allowed even where Python is externally managed), or None."""
    tools = ROOT / ".tools"
    for candidate in (shutil.which("uv"), tools / "bin" / "uv", tools / "bin" / "uv.exe"):
        if candidate and Path(candidate).exists():
            return str(candidate)
    command = [python or sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tools), "uv"]
    if subprocess.run(command, capture_output=True).returncode == 0 and (tools / "bin" / "uv").exists():
        return str(tools / "bin" / "uv")
    return None


def ensure():
    """Make or update the environment; do nothing when its stamp matches the lock and the project file."""
    text = LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()
    stamp, wanted = VENV / "lapg-stamp", hashlib.sha256(text).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    python = interpreter()
    uv = find_uv(python)
    print(f"run.py: setting up {VENV} with {python or 'a Python that uv fetches'} ...", file=sys.stderr, flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    if uv:
        env = {**os.environ, "VIRTUAL_ENV": str(VENV)}
        pin = python or f"{sys.version_info[0]}.{MINORS[0]}"
        pip = [uv, "pip", "install", "--quiet"]
        steps = [[uv, "venv", "--quiet", "--python", pin, str(VENV)]]
    elif python:
        env = None
        pip = [str(BIN / "python"), "-m", "pip", "install", "--quiet"]
        steps = [[python, "-m", "venv", str(VENV)]]
    else:
        sys.exit(
            f"run.py: no Python 3.{MINORS[-1]} or newer and no uv found. Install one, or name it: LAPG_PYTHON=/path"
        )
    steps += [[*pip, "--require-hashes", "-r", str(LOCK)], [*pip, "--no-deps", "-e", str(ROOT)]]
    for step in steps:
        if subprocess.run(step, env=env, cwd=ROOT).returncode:
            sys.exit(
                f"run.py: this step failed: {' '.join(step)}\nMend its cause (network, disk, Python) and start again."
            )
    stamp.write_text(wanted)


def main():
    """Run the task named on the command line inside the environment."""
    task, *rest = sys.argv[1:] or ["help"]
    if task not in TASKS:
        print(__doc__ + "\nTasks: " + ", ".join(TASKS), file=sys.stderr)
        sys.exit(0 if re.fullmatch("-?-?h(elp)?", task) else 2)
    ensure()
    for program, *args in TASKS[task]:
        if code := subprocess.run([str(BIN / program), *args, *rest], cwd=ROOT).returncode:
            sys.exit(code)


if __name__ == "__main__":
    main()
