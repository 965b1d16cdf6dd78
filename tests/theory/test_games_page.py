"""docs/games.md, docs/noise.md: every example prints what the page says, and the table of learning rules is what they do."""

import doctest
from pathlib import Path

import numpy as np
import pytest

from lapg_theory import MetaGame, defection_certificate, exact_returns
from lapg_theory.dynamics import iterate
from lapg_theory.game import Discounted, prisoners_dilemma
from lapg_theory.learning import AdvantageAlignment, Loqa, Naive

PAGE = Path(__file__).parents[2] / "docs" / "games.md"


TITLE, *SECTIONS = PAGE.read_text().split("\n## ")
IMPORTS = "import numpy as np\nfrom lapg_theory import exact_returns, general_returns\nfrom lapg_theory.game import *\n"


@pytest.mark.parametrize("section", [s for s in SECTIONS if ">>>" in s], ids=lambda section: section.split("\n")[0])
def test_examples_print_what_the_page_says(section):
    """Each section by itself, after the imports of the first one."""
    known = {}
    exec(IMPORTS, known)
    examples = doctest.DocTestParser().get_doctest(section, known, PAGE.name, str(PAGE), 0)
    assert doctest.DocTestRunner().run(examples).failed == 0


def test_examples_of_noise_print_what_the_page_says():
    found = doctest.DocTestParser().get_doctest((PAGE.parent / "noise.md").read_text(), {}, "noise.md", None, 0)
    assert doctest.DocTestRunner().run(found).failed == 0 < len(found.examples)


def tabled(first):
    """The table of docs/noise.md whose first cell begins so: {error: [cells of its column]}."""
    lines = (PAGE.parent / "noise.md").read_text().split(f"| {first}")[1].split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    errors = [float(cell.removeprefix("e = ")) for cell in rows[0][1:]]
    return dict(zip(errors, zip(*(row[1:] for row in rows[2:]), strict=True), strict=True))


def close(cell, *values):
    """Whether a cell says so, to the digits that it gives."""
    if cell == "none":
        return values == (None,)
    said = cell.split(" to ")
    return all(
        abs(float(one) - value) <= 0.51 * 10.0 ** -len(one.partition(".")[2])
        for one, value in zip(said, values, strict=True)
    )


FIRST, SECOND = "gamma 0.95, 20 updates", "gamma 0.99, rate 1, 20 updates"
ERRORS = sorted({*tabled(FIRST), *tabled(SECOND)})


@pytest.mark.parametrize("error", [pytest.param(e, marks=[pytest.mark.slow] * (e != 0.05)) for e in ERRORS])
def test_tables_of_noise_say_what_is_computed(error):
    game = prisoners_dilemma().noisy(execution=error)
    leave, keep = tabled(FIRST).get(error), tabled(SECOND).get(error)
    if leave:
        found = defection_certificate(game, gamma=0.95, eta=1, updates=20)
        assert close(leave[0], found.tau_star)
        assert close(leave[1], *(found.window or (None,)))
        assert close(leave[2], found.local.p_critical)
    if keep:
        meta = MetaGame(game, gamma=0.99, eta=1, updates=20, p_naive=0.25)
        K = meta.cooperation().policy
        assert close(keep[0], meta.forgiving_below())
        assert close(keep[1], meta.p_critical())
        assert close(keep[2], meta.earnings(K)["self_play"])


def test_the_page_begins_with_those_imports():
    first = next(section for section in SECTIONS if ">>>" in section)
    assert all(f">>> {line}\n" in first for line in IMPORTS.splitlines())
    assert ">>>" not in TITLE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("naive", Naive(rate=0.1, normalize=False)),
        ("Advantage Alignment, beta 0.1", AdvantageAlignment(rate=0.1, beta=0.1, normalize=False)),
        ("beta 0.3", AdvantageAlignment(rate=0.1, beta=0.3, normalize=False)),
        ("beta 1", AdvantageAlignment(rate=0.1, beta=1, normalize=False)),
        ("beta 3", AdvantageAlignment(rate=0.1, beta=3, normalize=False)),
        ("LOQA, decay 0.9", Loqa(rate=0.1, decay=0.9, normalize=False)),
        ("LOQA, decay 1", Loqa(rate=0.1, decay=1.0, normalize=False)),
    ],
)
def test_the_table_of_rivals(row, rule):
    (line,) = (line for line in PAGE.read_text().splitlines() if line.startswith(f"| {row} |"))
    cooperate, defect, median, forgiving = (cell.strip() for cell in line.split("|")[2:6])
    game, horizon = prisoners_dilemma(), Discounted(0.96)
    starts = np.random.default_rng(0).normal(size=(2, 256, 5))
    joint = iterate(rule, game, horizon, tuple(starts), 10_000).last
    p, q = (1 / (1 + np.exp(-np.asarray(x))) for x in joint)
    earned = np.mean(exact_returns(game, p, q, horizon), 0) * 0.04
    kind = p[earned > 0.9]
    for said, share in ((cooperate, earned > 0.9), (defect, earned < 0.1), (forgiving, kind[:, 3] > 0.5)):
        assert float(said.rstrip("%")) == pytest.approx(100 * share.mean(), abs=1)
    np.testing.assert_allclose([float(x) for x in median.split(",")], np.median(kind, 0), atol=0.006)
