"""What a notebook shows of runs and results, progress on every kind of output, and frames of results."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from folders import TABULAR, metrics

import lapg_rl as rl
import lapg_theory as lt
from lapg_rl.runs import progress
from lapg_rl.runs.notebook import POINTS, curves, in_notebook, thinned
from lapg_rl.study.results import collect, summary

SMALL = ["updates=3", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3", "model.kind=tabular"]


@pytest.fixture(scope="module")
def small():
    return rl.override(rl.preset("ipd-shaping-small"), SMALL)


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    """A run, what its progress was told, and the settings and seeds beside it."""
    root, told = tmp_path_factory.mktemp("notebooks"), []
    rl.train(small, root / "run", progress=lambda *what: told.append(what))
    return root / "run", told


def test_a_function_is_told_the_progress(trained):
    folder, told = trained
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    expected = [
        (row["update"] + 1, 3, {"agent": row["reward_vs_naive"][0], "naive": row["naive_reward"][0]}) for row in rows
    ]
    assert told == expected and len(told) == 3


def test_an_interrupted_run_says_how_to_go_on_and_does(small, trained, tmp_path):
    def interrupt(done, total, values):
        if done == 2:
            raise KeyboardInterrupt

    every = rl.override(small, ["checkpoint_every=2"])
    with pytest.raises(KeyboardInterrupt) as stopped:
        rl.train(every, tmp_path / "run", progress=interrupt)
    (note,) = stopped.value.__notes__
    assert re.fullmatch(r"interrupted; 2 updates are saved, .* `lapg train --resume \S*run`", note)
    rl.train(every, tmp_path / "run", progress="none")
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == (trained[0] / "metrics.jsonl").read_text()


def test_a_progress_that_is_none_is_refused(small, tmp_path):
    with pytest.raises(ValueError, match=r"progress must be auto, line, notebook, none or a function .*, got 'bra'"):
        rl.train(small, tmp_path / "run", progress="bra")
    assert not (tmp_path / "run").exists()


class Terminal:
    encoding = "utf-8"
    closed = False

    def __init__(self, tty):
        self.text, self.tty = "", tty

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return self.tty


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_terminal_has_a_bar_and_a_log_plain_lines(encoding, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    terminal, log = Terminal(True), Terminal(False)
    terminal.encoding = encoding
    for stream in (terminal, log):
        monkeypatch.setattr(progress.sys, "stderr", stream)
        shown = progress.chosen("line", "train", False)
        shown.begin(0, 4)
        shown.first_step()
        for done in (1, 2, 4):
            shown.show(done, {"agent": 0.5})
        shown.done()
    lines = terminal.text.removesuffix("\n").split("\r\x1b[K")[1:]
    assert (lines.pop(0), log.text.splitlines()[0]) == ("train: 0/4  first step, which may compile",) * 2
    bars, full = [re.search(r"\|(.*)\|", line)[1] for line in lines], "█" if encoding == "utf-8" else "#"
    assert [len(bar) for bar in bars] == [25, 30, 30] and all(len(line) < 80 for line in lines)
    assert [bar.count(full) for bar in bars] == [25 // 4, 30 // 2, 30]
    assert "\r" not in log.text and "|" not in log.text and log.text.count("agent +0.50") == 2


def test_curves_are_sound_svg_of_a_few_points():
    series = {"a <b>": [(n, np.sin(n / 50)) for n in range(1, 1001)], "one": [(1, 2.0)]}
    root = ElementTree.fromstring(curves(series, 1000))
    (line,) = root.iter("polyline")
    points = [tuple(map(float, p.split(","))) for p in line.get("points").split()]
    assert len(points) == len(thinned(series["a <b>"])) == POINTS
    highest = min(points, key=lambda p: p[1])  # down is up
    assert highest[0] == pytest.approx(46 + (520 - 52) * 50 * (np.pi / 2) / 1000, abs=3)
    assert curves({}, 10) == curves({"one": [(1, 2.0)]}, 10) == ""


def test_a_notebook_has_a_bar_with_curves_that_is_redrawn(small, trained, tmp_path):
    """By IPython's own display, caught; `update` says that the output before is replaced."""
    shell = pytest.importorskip("IPython.core.interactiveshell", reason="needs IPython")
    capture = pytest.importorskip("IPython.utils.capture")
    shell.InteractiveShell.instance()
    try:
        assert not in_notebook()  # a terminal of IPython is none
        with capture.capture_output() as caught:
            rl.train(rl.override(small, ["updates=4"]), tmp_path / "run", progress="notebook")
        pages = [output.data["text/html"] for output in caught.outputs]
    finally:
        shell.InteractiveShell.clear_instance()
    assert len(pages) >= 2 and not caught.stderr
    assert 'value="0" max="4"' in pages[0] and "0/4  first step" in pages[0]
    assert 'value="4" max="4"' in pages[-1] and pages[-1].count("<polyline") == 2 and "4/4" in pages[-1]


def html(value):
    """The rows of the one table of what a notebook shows, as texts; the page has to be sound."""
    page = re.sub(r"<br>", "<br/>", value._repr_html_())
    root = ElementTree.fromstring(f"<page>{page}</page>")
    (table,) = root.iter("table")
    return root, [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]


def test_runs_show_themselves(trained, tmp_path):
    folder, _ = trained
    root, rows = html(rl.RunFolder(folder))
    assert ["updates", "3 of 3"] in rows and len(list(root.iter("polyline"))) == 2
    found = dict(rows)
    assert float(found["reward vs naive"]) == pytest.approx(collect(folder).last["reward_vs_naive"], rel=1e-3)
    assert (
        rl.RunFolder(tmp_path / "<none>")._repr_html_().startswith("<p>")
        and "&lt;none&gt;" in rl.RunFolder(tmp_path / "<none>")._repr_html_()
    )
    half = metrics(tmp_path / "half", TABULAR, 1.0, -0.5)
    (half / "config.toml").write_text((half / "config.toml").read_text().replace("updates = 40", "updates = 50"))
    assert "lapg train --resume" in rl.collect(half)._repr_html_()


def test_results_show_themselves(trained, tmp_path):
    runs = [metrics(tmp_path / str(seed), rl.override(TABULAR, [f"seed={seed}"]), 1.0 + seed, 0.0) for seed in (0, 1)]
    _, rows = html(rl.compare(runs, ["reward_vs_naive"]))
    assert rows[0] == ["", "lapg (2)"] and rows[1][0] == "reward_vs_naive"
    certificate = lt.defection_certificate(lt.prisoners_dilemma(), gamma=0.95, eta=1.0, updates=20, nodes=64)
    _, rows = html(certificate)
    assert rows[1][1] == {True: "yes", False: "no"}[certificate.local.stable]
    assert [float(rows[n][1]) for n in (3, 4)] == pytest.approx(certificate.window, rel=1e-3)
    assert "nash" not in certificate.__dict__  # which takes seconds


def test_frames_hold_every_update_of_every_run(trained, tmp_path):
    polars = pytest.importorskip("polars", reason='needs the extra "polars"')
    sweep = []
    for gamma in (0.9, 1.0):
        for seed in (0, 1):
            cfg = rl.override(TABULAR, [f"seed={seed}", f"learner.gamma={gamma}", "updates=3"])
            sweep.append(metrics(tmp_path / f"{gamma}-{seed}", cfg, gamma + seed, 0.0))
    found = rl.frame(tmp_path)
    assert found.shape[0] == 12 and isinstance(found, polars.DataFrame)
    last = found.filter((polars.col("update") == 2) & (polars.col("seed") == 1) & (polars.col("learner.gamma") == 0.9))
    assert last["reward_vs_naive"].to_list() == [1.9]
    assert rl.frame(summary([rl.collect(run) for run in sweep]))["seed"].to_list() == [0, 1, 0, 1]
    compared = rl.frame(rl.compare(sweep, ["reward_vs_naive"]))
    assert compared["difference_value"].to_list() == pytest.approx([0.0, 0.1 * 2 / 3])
    with pytest.raises(ValueError, match='to must be "polars" or "pandas"'):
        rl.frame(tmp_path, "excel")

    pytest.importorskip("xarray", reason='needs the extra "xarray"')
    data = rl.dataset(tmp_path)
    assert dict(data.sizes) == {"learner.gamma": 2, "seed": 2, "agent": 1, "update": 3}
    at = data.reward_vs_naive.sel({"learner.gamma": 0.9, "seed": 1, "agent": 0})
    assert at.values.tolist() == pytest.approx([1.9 / 3, 2 * 1.9 / 3, 1.9])
    assert np.isnan(rl.dataset(sweep[:1] + sweep[3:]).reward_vs_naive).sum() == 6
    with pytest.raises(ValueError, match="have the same setting and seed"):
        rl.dataset([sweep[0], rl.collect(sweep[0])])
    pandas = pytest.importorskip("pandas", reason='needs the extra "xarray"')
    assert isinstance(rl.frame(sweep, "pandas"), pandas.DataFrame)


INTERRUPTED = """
old = Notebook.show
def show(self, done, values=None):
    old(self, done, values)
    if done == 3:
        _thread.interrupt_main()
Notebook.show = show
rl.train(cfg, 'run')
"""


@pytest.mark.slow
def test_a_real_kernel_shows_progress_and_survives_an_interrupt(tmp_path):
    """The whole of it in Jupyter: an interrupt from inside, the message beneath the cell, and the run goes on."""
    nbformat = pytest.importorskip("nbformat", reason="needs nbclient and ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="needs nbclient and ipykernel")
    cells = [
        "import _thread, lapg_rl as rl\nfrom lapg_rl.runs.notebook import Notebook",
        f"cfg = rl.override(rl.preset('ipd-shaping-small'), {[*SMALL[1:], 'updates=6', 'checkpoint_every=1']})",
        INTERRUPTED,
        "Notebook.show = old\nrl.train(cfg, 'run').update",
        "rl.RunFolder('run')",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    nbclient.NotebookClient(
        book, timeout=240, resources={"metadata": {"path": str(tmp_path)}}, allow_errors=True
    ).execute()
    told = [[output.get("data", {}).get("text/html", "") for output in cell.outputs] for cell in book.cells]
    assert "interrupted; 3 updates are saved" in told[2][0] and "lapg train --resume run" in told[2][0]
    assert any(output.get("ename") == "KeyboardInterrupt" for output in book.cells[2].outputs)
    assert 'value="6" max="6"' in told[3][0] and "6 of 6" in told[4][0]
