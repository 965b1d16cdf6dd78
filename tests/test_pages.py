"""The pages of the documentation: their examples print what they say, and their command lines are sound."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

import lapg_rl as rl
from lapg_rl.commands import main as root
from lapg_rl.commands.training import named_config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("[ld]*/*.md"))]
TOLD = [page for page in PAGES if ">>> " in page.read_text() and page.name != "games.md"]  # which has a test of its own
SLOW = {"load", "lola", "others", "paper", "phase", "pool", "seeds"}
EXTRAS = {"others": ("axelrod", "nashpy", "pyspiel"), "winner": ("pyspiel",)}
TINY = ["model.kind=tabular", "updates=2", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run folder of the pages, runs/mine; a page's working folder is the one above."""
    folder = tmp_path_factory.mktemp("pages")
    rl.train(rl.override(rl.preset("ipd-shaping-small"), TINY), folder / "runs" / "mine", quiet=True)
    return folder


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.stem, marks=[pytest.mark.slow] * (page.stem in SLOW)) for page in TOLD]
)
def test_examples_print_what_the_page_says(page, request, tmp_path, monkeypatch):
    for package in EXTRAS.get(page.stem, ()):
        pytest.importorskip(package, reason=f"the page needs {package}, which the group `test` installs")
    monkeypatch.chdir(request.getfixturevalue("run") if "runs/mine" in page.read_text() else tmp_path)
    examples = doctest.DocTestParser().get_doctest(page.read_text(), {}, page.name, str(page), 0)
    report = []
    doctest.DocTestRunner(verbose=False).run(examples, out=report.append)
    assert not report, "".join(report)


def lines(page):
    """The command lines of a page: indented, or after a $, also those in loops and with a line that goes on."""
    text = re.sub(r"\\\n\s*", "", page.read_text())
    for line in re.findall(r"^(?:    +|\$ )(lapg .+)$", text, re.MULTILINE):
        yield shlex.split(line.partition(";")[0] if "lapg" in line.partition(";")[2] else line, comments=True)[1:]


@pytest.mark.parametrize("page", [page for page in PAGES if any(lines(page))], ids=lambda page: page.stem)
def test_command_lines_are_sound(page):
    """They are parsed, and configs are made; what they do has tests elsewhere."""
    for line in lines(page):
        found = root.parsed(line)
        assert callable(found.function), line
        if (
            line[0] in ("train", "config")
            and "=" not in line[1]
            and not (getattr(found, "resume", None) or found.config)
        ):
            rl.override(named_config(found), [text for text in found.settings if "=" in text])
