"""Every example and every benchmark runs, as a script, in its smallest size."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


FAST = ("train_a_shaper.py", "when_does_defection_end.py")
EXAMPLES = [
    pytest.param(path, id=path.name, marks=[pytest.mark.slow] * (path.name not in FAST))
    for path in sorted((ROOT / "examples").glob("*.py"))
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_run(example, tmp_path):
    """With an argument more, as a notebook's kernel has it."""
    runs = ["--runs", str(tmp_path)] if "--runs" in example.read_text() else []
    done = subprocess.run(
        [sys.executable, "-W", "error", example, "--smoke", *runs, "-f", "kernel.json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


BENCHMARKS = [
    path for path in sorted((ROOT / "benchmarks").glob("*.py")) if path.name not in ("peers.py", "plain_ppo.py")
]
ARGUMENTS = {"environment_speed.py": ["coin"]}


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda path: path.name)
def test_benchmarks_run(benchmark, tmp_path):
    """Those that need nothing but this library, in their smallest size."""
    done = subprocess.run(
        [sys.executable, "-W", "error", benchmark, *ARGUMENTS.get(benchmark.name, []), "--smoke"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
