"""docs/theory.md: every command it shows exists, and its worked example prints what the page says."""

import re
import shlex
from pathlib import Path

import pytest

from lapg_rl.commands.main import main
from lapg_theory.commands.theory import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "theory.md").read_text()
EXAMPLES = re.findall(r"```console\n\$ lapg (.*)\n((?:.*\n)*?)```", PAGE)
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def test_every_command_is_on_the_page():
    shown = set(re.findall(r"lapg theory (\w+)", PAGE))
    assert shown == COMMANDS.keys()


@pytest.mark.optimised
@pytest.mark.parametrize(("command", "output"), EXAMPLES, ids=[command.split()[1] for command, _ in EXAMPLES])
def test_the_worked_example_prints_what_the_page_says(command, output, capsys):
    assert main(shlex.split(command)) == 0
    printed = capsys.readouterr().out
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", output).split()
    for found, shown in zip(NUMBER.findall(printed), NUMBER.findall(output), strict=True):
        assert float(found) == pytest.approx(float(shown), rel=0.02, abs=2e-3)
