#!/usr/bin/env python3
"""Set lapg up and run it: `python3 run.py [--cuda12 | --cuda13] TASK [ARGUMENTS]`.

Tasks:
    demo       derive, train, compare, and write the report
    test       the tests that take minutes; test-all adds the slow ones
    lint       style and types
    docs       the documentation, into docs/_build/html
    -- ...     any lapg command, for example `python3 run.py -- doctor`

Needs only Python and pip. The first start makes `.venv` from the hashed `requirements.lock` (with uv where it can be
had, else with venv and pip) and adds the project itself; later starts go straight to work. On Colab it installs into
the current environment, whose JAX knows the GPU. LAPG_PYTHON names the interpreter to build on, LAPG_VENV another
folder for the environment. Where PYTHONDONTWRITEBYTECODE is set, as in many containers, bytecode is written into the
environment's own folder all the same: without it every start compiles eight hundred modules, for three CPU-seconds.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent
LOCK, PROJECT, TOOLS = ROOT / "requirements.lock", ROOT / "pyproject.toml", ROOT / ".tools"
COLAB = "COLAB_RELEASE_TAG" in os.environ
VENV = Path(sys.prefix if COLAB else os.environ.get("LAPG_VENV") or ROOT / ".venv").resolve()
OWNER = VENV / "lapg-root"
PYTHON = sys.executable if COLAB else str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
UV = "uv==0.13.9"
MINORS = (13, 12, 11)  # newest first: the versions that the tests run on
OLDEST = (3, min(MINORS))
EXTRAS = ("--cuda12", "--cuda13")
TYPES = ["--python-interpreter-path", PYTHON]
PYTEST = ["pytest", "-n", "2", "--dist", "loadfile"]
TASKS = {
    "demo": [["lapg_rl.commands.main", "demo"]],
    "test": [[*PYTEST, "-m", "not slow"]],
    "test-all": [PYTEST],
    "lint": [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["pyrefly", "check", *TYPES]],
    "docs": [["sphinx", "-W", "-q", "-b", "html", "docs", "docs/_build/html"]],
    "--": [["lapg_rl.commands.main"]],
}


def probe(python):
    """((major, minor), full path) of an interpreter; ((0, 0), None) where it doesn't run, as many a pyenv shim."""
    code = "import sys; print(*sys.version_info[:2], sys.executable)"
    try:
        out = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return (0, 0), None
    major, minor, path = out.strip().split(maxsplit=2)
    return (int(major), int(minor)), path


def interpreter(named):
    """The interpreter to build on: the one named, else the newest on the PATH or among pyenv's, this one, or None."""
    if named:
        version, path = probe(named)
        if version < OLDEST:
            sys.exit(f"run.py: LAPG_PYTHON={named} is no working Python >= {OLDEST[0]}.{OLDEST[1]}; name another one")
        return path
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for minor in MINORS:
        on_path = shutil.which(f"python3.{minor}")
        for candidate in ([on_path] if on_path else []) + sorted(pyenv.glob(f"versions/3.{minor}.*/bin/python3")):
            version, path = probe(candidate)
            if version == (3, minor):
                return path
    return sys.executable if sys.version_info >= OLDEST else None


def find_uv():
    """An installed uv, or one put into `.tools` (allowed even where Python is externally managed), or None."""
    own = TOOLS / "bin" / ("uv.exe" if os.name == "nt" else "uv")
    if not shutil.which("uv") and not own.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(TOOLS), UV]
        subprocess.run(pip, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return shutil.which("uv") or (str(own) if own.exists() else None)


def routes(python, extra):
    """The ways to make the environment, best first, each a list of commands."""
    project = ["--quiet", "-e", f"{ROOT}[{extra}]" if extra else str(ROOT)]
    if COLAB:
        import tomllib

        groups = tomllib.loads(PROJECT.read_text())["dependency-groups"].values()
        tools = [name for group in groups for name in group]
        yield [[PYTHON, "-m", "pip", "install", *tools, *project]]
        return

    def install(*pip):
        locked = [*pip, "--quiet", "--require-hashes", "-r", str(LOCK)]
        return [locked, [*pip, "--no-build-isolation", *([] if extra else ["--no-deps"]), *project]]

    uv = find_uv()
    if uv:
        make = [uv, "venv", "--quiet", "--clear", "--python", python or f"3.{max(MINORS)}", str(VENV)]
        yield [make, *install(uv, "pip", "install", "--python", PYTHON)]
    if python:
        yield [[python, "-m", "venv", "--clear", str(VENV)], *install(PYTHON, "-m", "pip", "install")]


def spare():
    """End where the folder of the environment is not of this clone's making: setting up would clear it."""
    if not (VENV / "pyvenv.cfg").exists():
        sys.exit(f"run.py: LAPG_VENV={VENV} holds something other than an environment; name an empty or a new folder")
    owners = [OWNER.read_text()] if OWNER.exists() else []
    for note in VENV.glob("[Ll]ib/**/lapg-*.dist-info/direct_url.json"):  # of an environment made by an earlier run.py
        owners.append(unquote(urlsplit(json.loads(note.read_text())["url"]).path))
    if str(ROOT) not in owners:
        whose = f"was made for {owners[0]}" if owners else "was not made by run.py"
        sys.exit(f"run.py: LAPG_VENV={VENV} {whose}, and setting up would clear it; name a new folder, or delete it")


def ensure(extra=""):
    """Make the environment, unless its stamp, which is written last, says that it is complete and up to date."""
    stamp = VENV / "lapg-stamp"
    old = stamp.read_text().split("\n") if stamp.exists() and Path(PYTHON).exists() else ["", "", ""]
    inputs = LOCK.read_bytes() + PROJECT.read_bytes() + str(ROOT).encode()
    # An interpreter or an extra that was asked for once stays until another one is asked for.
    new = [hashlib.sha256(inputs).hexdigest(), os.environ.get("LAPG_PYTHON") or old[1], extra or old[2]]
    if new == old:
        return
    if os.environ.get("LAPG_VENV") and VENV.exists() and any(VENV.iterdir()):
        spare()
    python = interpreter(new[1])
    print(f"run.py: setting up {VENV} with {python or 'a Python that uv fetches'} ...", file=sys.stderr, flush=True)
    stamp.unlink(missing_ok=True)
    for steps in routes(python, new[2]):
        failed = next((step for step in steps if carry_out(step)), None)
        if failed is None:
            stamp.write_text("\n".join(new))
            return
        print(f"run.py: this step failed: {' '.join(failed)}", file=sys.stderr, flush=True)
    sys.exit("run.py: no way of setting up worked. Mend the cause (network, disk, Python >= 3.11) and start again.")


def variables():
    """The environment variables of a task."""
    found = dict(os.environ)
    if found.pop("PYTHONDONTWRITEBYTECODE", ""):
        found.setdefault("PYTHONPYCACHEPREFIX", str(VENV / "bytecode"))
    return found


def carry_out(step):
    """Run a step of setting up; the exit status. An environment that was just made is marked as this clone's."""
    status = subprocess.run(step, cwd=ROOT).returncode
    if not status and (VENV / "pyvenv.cfg").exists():
        OWNER.write_text(str(ROOT))
    return status


def main(arguments):
    """Run the task named on the command line inside the environment; returns its exit status."""
    extra = ""
    if arguments and arguments[0] in EXTRAS:
        extra, *arguments = arguments[0][2:], *arguments[1:]
    task, *rest = arguments or ["--help"]
    if task not in TASKS:
        print(__doc__, file=sys.stderr)
        return 0 if task in ("-h", "--help", "help") else 2
    ensure(extra)
    commands = [[PYTHON, "-m", *command] for command in TASKS[task]]
    commands[-1] += rest
    ends = (subprocess.run(command, cwd=ROOT, env=variables()).returncode for command in commands)
    return next(filter(None, ends), 0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
