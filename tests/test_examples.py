"""Every example runs, as a script, in its smallest size."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
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
