"""The explorer: what it shows is what the commands compute, what it copies is the setting, and nobody else is served."""

import contextlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest

import lapg_theory as lt
from lapg_rl.commands.main import main, parsed
from lapg_theory.commands.thresholds import certificate
from lapg_theory.explorer import views
from lapg_theory.explorer.views import Asked

SMALL = Asked(T=3.0, R=2.0, gamma=0.9, eta=2.0, updates=2, p_naive=0.3)
NEEDS_MARIMO = pytest.mark.skipif(importlib.util.find_spec("marimo") is None, reason='needs the extra "explore"')


@pytest.fixture(autouse=True)
def coarser(monkeypatch):
    monkeypatch.setattr(views, "STEPS", 20)
    monkeypatch.setattr(views, "PAIRS", 2)
    monkeypatch.setattr(views, "SHARES", (0.2, 0.8))
    monkeypatch.setattr(views, "TIMES", (0.5, 1.0))
    for view in (views.window, views.phase, views.ends, views.fixed_points):
        view.cache_clear()


def cells(page):
    """The rows of a table, as texts."""
    return [re.findall(r"<t[dh]>(.*?)</t[dh]>", row) for row in re.findall("<tr>(.*?)</tr>", page)]


@pytest.mark.parametrize("asked", [SMALL, Asked(S=-1.5, noise=0.02, eta=0.3, p_naive=0.0)])
def test_what_is_copied_is_the_setting(asked):
    found = certificate(parsed(shlex.split(views.command(asked).splitlines()[0])[1:])).setting
    names = {}
    exec(views.python(asked).replace("ends = pool.basins()", ""), names)
    mine, pool = names["certificate"].setting, names["pool"]
    for s in (found, mine):
        assert (s.game.trps, s.game.noise) == (asked.game.trps, asked.game.noise)
        assert (s.gamma, s.eta, s.updates, s.p_naive) == (asked.gamma, asked.eta, asked.updates, asked.p_naive)
    assert (pool.gamma, pool.eta, pool.updates, pool.p_naive) == (asked.gamma, asked.eta, asked.updates, asked.p_naive)
    assert len(views.command(asked).splitlines()) == (2 if asked.noise else 3)


def test_the_window_is_that_of_the_command(capsys):
    told = dict(cell[:2] for cell in cells(views.window(SMALL)))
    assert main([*shlex.split(views.command(SMALL).splitlines()[0])[1:], "--json", "--nodes", "512"]) == 0
    fine = json.loads(capsys.readouterr().out)
    edges = float(told["window of naive rates in which any share undoes it: from"]), float(told["to"])
    assert edges == pytest.approx(fine["window"], rel=0.03)
    assert float(told["least total learning time, tau*"]) == pytest.approx(fine["tau_star"], rel=0.03)
    assert told["mutual defection is stable in this pool"] == {True: "yes", False: "no"}[fine["local"]]


def test_what_everybody_earns_is_what_play_gives(monkeypatch):
    """By rolling out the probabilities of states, step by step, instead of solving for them."""
    found = SMALL.pool().basins(2, steps=20, rate=views.RATE, nodes=views.FEW)
    rows = [row for row in cells(views.ends(SMALL)) if row[0] in found.labels]
    assert sum(int(row[1].split()[0]) for row in rows) == 2
    for name, _, _, among, *_ in rows:
        (pairs,) = np.nonzero(np.array(found.labels) == name)
        assert float(among) == pytest.approx(np.mean([rolled_out(*found.policies[n]) for n in pairs]), abs=2e-3)


def rolled_out(p, q):
    q, state, total = q[[0, 1, 3, 2, 4]], np.eye(5)[0], 0.0
    for t in range(400):
        joint = sum(w * np.outer([p[s], 1 - p[s]], [q[s], 1 - q[s]]).ravel() for s, w in enumerate(state))
        total += (
            (1 - SMALL.gamma)
            * SMALL.gamma**t
            * joint
            @ np.array([2 * SMALL.R, SMALL.S + SMALL.T, SMALL.T + SMALL.S, 2 * SMALL.P])
            / 2
        )
        state = np.append(0.0, joint)
    return total


def test_what_the_theory_refuses_is_said():
    for view in (views.window, views.phase, views.ends):
        assert view(Asked(P=2.0)).startswith("<p>Not for this setting: ")
    assert "R &gt; P" in views.ends(Asked(P=2.0))


def test_the_map_marks_the_setting():
    page = views.phase(SMALL)
    assert page.startswith("<svg") and "share of naive learners" in page


@NEEDS_MARIMO
@pytest.mark.filterwarnings("ignore")
def test_the_page_runs_without_a_browser():
    from lapg_theory.explorer.app import app

    outputs, defs = app.run(defs={"asked": SMALL})
    pages = [output.text for output in outputs if hasattr(output, "text")]
    assert views.Asked(**defs["sliders"].value) == Asked()
    for part in (
        views.window(SMALL),
        views.phase(SMALL)[:2000],
        views.ends(SMALL)[-500:],
        "lapg theory thresholds --payoffs=3,2,0,-1",
    ):
        assert any(part in page for page in pages)


def test_what_cannot_be_served_is_refused(capsys, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        if importlib.util.find_spec("marimo"):
            assert main(["explore", "--port", str(taken.getsockname()[1])]) == 2
            assert "cannot be used (Address already in use); leave it out" in capsys.readouterr().err
            assert main(["explore", "--port", "70000"]) == 2
            assert "--port must be from 0 to 65535, got 70000" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "marimo", None)
    assert main(["explore"]) == 2
    assert 'needs marimo, which is not installed; pip install ".[explore]"' in capsys.readouterr().err


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of an explorer; an interrupt ends it well."""
    line = [sys.executable, "-m", "lapg_rl.commands.main", "explore", "--no-browser", "--json"]
    where = {"cwd": tmp_path_factory.mktemp("served"), "env": os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}}
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, **where) as server:
        try:
            yield json.loads(server.stdout.readline())["address"]
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 130


@pytest.mark.slow
@NEEDS_MARIMO
def test_only_this_machine_is_served_and_only_with_the_token(served):
    port = int(re.search(r"^http://127\.0\.0\.1:(\d+)/\?access_token=\S{22}$", served)[1])
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", port))  # would be taken by a server that listens at every address
    commands = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "app.py --headless --host 127.0.0.1" in commands and served.partition("=")[2] not in commands
    bare = served.partition("?")[0]
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(bare, timeout=60) as answer:
        assert "/auth/login" in answer.url
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{bare}api/status", timeout=60)
    with_cookies = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with with_cookies.open(served, timeout=60) as answer:
        assert answer.status == 200 and "/auth/login" not in answer.url


@pytest.mark.slow
@NEEDS_MARIMO
def test_a_slider_moves_everything_in_a_real_browser(served, tmp_path):
    """LAPG_SCREENSHOT=docs/explorer.png takes the picture of the documentation anew."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no chromium here")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    asked = []
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 1750})
        page.set_default_timeout(300_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(served)
        page.get_by_text("share of pairs").wait_for()
        page.get_by_text("import lapg_theory as lt").wait_for()
        before = page.locator("table").first.inner_text()
        slider = page.get_by_role("slider").nth(4)  # gamma
        slider.focus()
        slider.press("ArrowLeft")
        page.get_by_text("--gamma 0.9 ").first.wait_for()
        page.wait_for_function("before => document.querySelector('table').innerText !== before", arg=before)
        edges = [
            float(row.split("\t")[1]) for row in page.locator("table").first.inner_text().splitlines() if "from" in row
        ]
        found = lt.defection_certificate(lt.prisoners_dilemma(), gamma=0.9, eta=1.0, updates=20, p_naive=0.5).window
        assert edges[-1] == pytest.approx(found[0], rel=0.05)
        if "LAPG_SCREENSHOT" in os.environ:
            page.wait_for_timeout(20_000)  # until the last part follows
        page.screenshot(path=os.environ.get("LAPG_SCREENSHOT", tmp_path / "explorer.png"))
        browser.close()
    assert asked and all(
        url.startswith((served.partition("?")[0], "data:", "blob:", served[:20].replace("http", "ws"))) for url in asked
    )
