"""Reports and findings: what is grouped and counted, which runs speak to which finding, and what damage is named."""

import dataclasses
import json
import re

import numpy as np
import pytest
from folders import TABULAR, metrics, run_of, with_estimator

from lapg_rl import config
from lapg_rl.commands.main import main
from lapg_rl.config import LearnerConfig, PoolConfig
from lapg_rl.reports import figures, findings
from lapg_rl.reports.findings import NO_RUN
from lapg_rl.reports.make import evaluate_run
from lapg_rl.runs.folder import RunFolder
from lapg_rl.runs.loop import open_run
from lapg_rl.study.records import compact
from lapg_rl.study.results import collect, runs_in, summary
from lapg_theory.game import ALLD, TFT, look

POOL = PoolConfig(p_naive=0.5, agents=2, naive_population=2)


def pool_run(folder, rewards, cooperation, estimator="lapg", seed=0, p_naive=0.5, schedule="", start="", **learner):
    """A run of two agents with constant metrics; `rewards` among agents, of each."""
    pool = dataclasses.replace(POOL, p_naive=p_naive)
    learner = LearnerConfig(estimator=estimator, **learner)
    cfg = dataclasses.replace(TABULAR, name="ipd-mixed", pool=pool, seed=seed, schedule=schedule, learner=learner)
    met = {"reward_vs_meta": list(rewards), "meta_reward": list(rewards), "cooperation_vs_meta": [cooperation] * 2}
    if p_naive:
        met |= {"reward_vs_naive": [0.9, 0.8], "naive_reward": [0.1, 0.2], "cooperation_vs_naive": [0.4, 0.5]}
    rows = [{"update": n, **met} for n in range(cfg.updates)]
    run = open_run(cfg, folder)
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config.save(dataclasses.replace(cfg, pool=dataclasses.replace(pool, agents_from=start)), run.config_file)
    return folder


def test_a_table_has_no_columns_that_mean_nothing(tmp_path):
    group = dataclasses.replace(TABULAR, game=config.GameConfig(kind="public-goods", players=3))
    dilemma, goods = (collect(metrics(tmp_path / str(n), cfg, 0.5, 0.2)) for n, cfg in enumerate((TABULAR, group)))
    words = {"verdict", "agents", "extortion_factor"}
    assert words < summary([dilemma])[0].keys() and words < summary([goods, dilemma])[0].keys()
    assert not words & summary([goods])[0].keys() and summary([goods])[0]["agent_cooperation"] is not None


def table(*folders, **options):
    return {(row.finding[1], row.setting): row for row in findings.rows(map(collect, folders), **options)}


def test_findings_wait_for_runs():
    rows = findings.rows([])
    assert [row.finding[1] for row in rows] == list("aabbcdddef")
    assert {row.ours for row in rows} == {NO_RUN}


def test_runs_are_sorted_into_findings_and_seeds_into_intervals(tmp_path):
    extorting = [
        metrics(tmp_path / f"e{n}", with_estimator(TABULAR, "lapg", seed=n), agent, 0.1)
        for n, agent in enumerate((0.88, 0.98, 1.08))
    ]
    defecting = metrics(tmp_path / "d", with_estimator(TABULAR, "mfos"), 0.3, -0.1, cooperation=0.05)
    mixed = [pool_run(tmp_path / f"m{n}", (r, r - 0.1), 0.9, seed=n) for n, r in enumerate((0.9, 0.75))]
    alone = pool_run(tmp_path / "alone", (0.05, 0.01), 0.02, p_naive=0.0)
    both = pool_run(tmp_path / "both", (0.9, 0.8), 0.9, estimator="lapg,mfos")
    rows = table(*extorting, defecting, *mixed, alone, both)
    last = np.mean(np.arange(21, 41) / 40)  # of what rises in 40 equal steps, the last 20
    half = 4.302653 * 0.1 * last / np.sqrt(3)
    a, mean = rows["a", "by-hand: lapg"], 0.98 * last
    assert a.ours.startswith(f"agent {mean:.3f} [{mean - half:.3f}, {mean + half:.3f}], naive learner {0.1 * last:.3f}")
    assert (a.seeds, a.folders) == ("3 (seeds 0, 1, 2)", extorting)
    assert rows["a", "by-hand: mfos"].holds == "1 of 1"
    b = next(row for (key, _), row in rows.items() if key == "b" and row.folders)
    assert b.ours.startswith("among agents 0.775 [")
    assert b.holds == "1 of 2"  # shares 0.85 and 0.7, of which 0.75 is needed
    assert "pool.p_naive=0.5 pool.agents=2" in b.command and b.command.endswith("--seeds 2")
    c = next(row for (key, _), row in rows.items() if key == "c")
    assert (c.ours, c.holds) == ("among agents 0.030, cooperation 0.020", "1 of 1")
    f = next(row for (key, _), row in rows.items() if key == "f")
    assert f.ours == "lapg 0.900, mfos 0.800"
    assert rows["d", ""].ours == NO_RUN


def test_agents_that_were_given_what_they_know_are_no_evidence(tmp_path):
    """A schedule of company leaves each to learn for itself; copies, and agents of another run, don't."""
    given = {"schedule": "9: agents=max(entropy)"}, {"start": "elsewhere"}, {"start": "elsewhere:0"}
    for n, (kind, estimator) in enumerate((kind, e) for kind in given for e in ("lapg", "mfos", "lapg,mfos")):
        pool_run(tmp_path / f"given{n}", (0.9, 0.8), 0.9, estimator=estimator, **kind)
    own = [
        pool_run(tmp_path / e, (0.9, 0.8), 0.9, e, schedule="9: p_naive=1; 20: p_naive=0.5")
        for e in ("lapg", "lapg,mfos")
    ]
    counted = [row for row in findings.rows(map(collect, runs_in([tmp_path]))) if row.folders]
    assert [(row.finding[1], row.folders) for row in counted] == [("b", own[:1]), ("f", own[1:])]


def test_lola_dice_is_no_lapg_and_is_to_cooperate_with_few_look_aheads_only(tmp_path):
    dice = {"algorithm": "lola_dice", "memory": "inner_episode", "epochs": 1, "minibatches": 1}
    runs = [pool_run(tmp_path / name, (r, r), r, p_naive=0.0, **dice) for name, r in (("one", 0.9), ("two", 0.1))]
    found = [row for row in findings.rows(map(collect, runs)) if row.folders]
    assert [(row.finding[:3], row.holds) for row in found] == [("(d)", "1 of 2")]
    assert found[0].setting.startswith("ipd-mixed: lola_dice")


def test_gradient_balance_and_figures_are_read_from_their_files(tmp_path):
    folder = metrics(tmp_path / "r", TABULAR, 0.9, 0.1)
    ratios = {"lapg": (2.0, 1.5), "mfos": (2.0, 0.1), "batch_unaware": (2.0, 0.2), "inner_episode": (0.0, 0.0)}
    rows = [
        {"estimator": n, "batch": b, "ratio": r} for n, rs in ratios.items() for b, r in zip((1, 64), rs, strict=True)
    ]
    (folder / "balance.json").write_text(json.dumps(rows))
    figure = tmp_path / "4A.json"
    reward = np.ones((2, 3, 4)) * np.array([0.9, 0.2])[:, None, None]
    content = {"figure": "4A", "settings": {"look_aheads": [1, 20], "seeds": 4}, "numbers": {"reward": reward.tolist()}}
    figure.write_text(json.dumps(content))
    found = {row.finding[1]: row for row in findings.rows([collect(folder)], {"4A": figure}) if row.folders}
    assert found["e"].holds == "1 of 1"
    assert found["e"].ours.startswith("lapg B=1 2.000, lapg B=64 1.500, mfos B=1 2.000, mfos B=64 0.100")
    assert (found["d"].ours[:19], found["d"].holds) == ("1 look-aheads 0.900", "holds")
    for path in (figure, folder / "balance.json"):
        path.write_text('{"figure": 3}')
        with pytest.raises(ValueError, match=re.escape(str(path))):
            findings.rows([collect(folder)], {"4A": figure})


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A mixed pool with metrics and an evaluation, beside a run of another company."""
    root = tmp_path_factory.mktemp("report")
    cfg = dataclasses.replace(
        TABULAR,
        name="ipd-mixed",
        pool=POOL,
        learner=LearnerConfig(estimator="lapg,mfos"),
        inner_episodes=2,
        steps=2,
        updates=3,
    )
    folder = run_of(root / "pool", [TFT, ALLD], cfg)
    names = ("reward_vs_naive", "naive_reward", "cooperation_vs_naive", "reward_vs_meta", "cooperation_vs_meta")
    row = {name: [0.5, 0.4] for name in names}
    rows = [{"update": n, **row} for n in range(3)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    evaluate_run(folder, meta_batch=4)
    metrics(root / "single", TABULAR, 0.9, 0.1)
    return root


def test_a_report_of_different_companies_has_chapters_findings_and_cross_play(evaluated, tmp_path, capsys):
    out, page = tmp_path / "r.html", tmp_path / "deep" / "findings.md"
    assert main(["report", str(evaluated), "--quick", "--out", str(out), "--findings", str(page)]) == 0
    text = out.read_text()
    company = "2 learning-aware agents in a mixed pool (50% naive learners)"
    alone, crossplay = "Learning-aware agents against naive learners", "Who earns how much from whom"
    assert "A finding <em>holds</em> in a run" in text and "<code>lapg train by-hand" not in text
    assert "*" not in re.sub(r"<(svg|style|script).*?</\1>", "", text, flags=re.DOTALL) and "`" not in text
    for expected in ("<h2>Findings</h2>", company, alone, "M-FOS", crossplay, "zd-extort-3"):
        assert expected in text
    assert "$" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)
    assert re.search(r"\]\(\.\./.*report.*/pool/config\.toml\)", page.read_text())
    assert page.read_text().count(NO_RUN) == 8
    assert runs_in([evaluated]) == [evaluated / "pool", evaluated / "single"]


def damage(text):
    """Edits that leave valid JSON of another shape."""
    data = json.loads(text)
    yield compact([])
    yield compact({"matches": 3})
    for change in (
        lambda d: d.update(matches=[]),
        lambda d: d.update(lines=[]),
        lambda d: d["matches"][0]["own"].update(reward="much"),
        lambda d: d["matches"][0]["own"]["signature"].pop(),
        lambda d: d["matches"][3]["own"]["reward_curve"].pop(),
        lambda d: d["matches"][0].update(opponent="nobody"),
        lambda d: d["lines"][0].update(points=[[1.0]]),
    ):
        edited = json.loads(text)
        change(edited)
        assert edited != data
        yield json.dumps(edited)


def test_edited_evaluations_are_named(evaluated, tmp_path, capsys):
    file = evaluated / "pool" / "evaluation.json"
    whole = file.read_text()
    try:
        for edited in damage(whole):
            file.write_text(edited)
            assert main(["report", str(evaluated / "pool"), "--quick", "--out", str(tmp_path / "r.html")]) == 2
            error = capsys.readouterr().err
            assert "evaluation.json is unreadable" in error and error.count("\n") == 1
    finally:
        file.write_text(whole)


EDITS = {
    "config.toml": ["", "# nothing\n", "game = 3\n", "name = 'x'\n[game]\nT = 2.0\n", "[[game]]\nT = 2.0\n"],
    "metrics.jsonl": ["3\n", "[1]\n", '{"update": 0}\n{"update": 1, "more": [1]}\n', '{"update": 0, "a": [1, 2]}\n',
                      '{"update": 0, "a": "b"}\n', '{"a": [1]}\n', '{"update": 1, "a": [1]}\n{"update": 1, "a": [1]}\n'],
    "provenance.jsonl": ["3\n", '{"started": 4}\n', '{"started": "x", "versions": []}\n', '{"finished_after_s": "x"}\n'],
}  # fmt: skip


@pytest.mark.parametrize(("name", "edited"), [(name, edited) for name, texts in EDITS.items() for edited in texts])
def test_other_edited_files_are_named(tmp_path, capsys, name, edited):
    folder = metrics(tmp_path / "run", TABULAR, 0.9, 0.1)
    (folder / name).write_text(edited)
    assert main(["report", str(folder), "--quick", "--out", str(tmp_path / "r.html")]) == 2
    error = capsys.readouterr().err
    assert name in error and error.count("\n") == 1


def test_curves_of_agents_that_met_neither_learners_nor_each_other(tmp_path):
    run = collect(metrics(tmp_path / "run", TABULAR, 1.0, 0.1))
    run = dataclasses.replace(run, metrics={"update": np.arange(3), "reward_vs_memory_one": np.arange(3.0)})
    (panel,) = look.drawn(figures.training, {"lapg": [run]}, None).axes
    assert panel.get_title(loc="left") == "reward vs memory one"
    np.testing.assert_array_equal(panel.lines[0].get_ydata(), [0, 1, 2])


def test_runs_that_only_went_on_for_longer_count_with_the_others_at_the_others_length(tmp_path):
    """A miss that is trained on, and then holds, is a miss; the same seed at another length is another experiment."""
    runs = [pool_run(tmp_path / f"s{n}", (r, r), 0.9, seed=n) for n, r in enumerate((0.9, 0.5))]
    longer = RunFolder(runs[1])
    cfg = longer.config()
    longer.config_file.write_text(config.dumps(dataclasses.replace(cfg, updates=2 * cfg.updates)))
    more = [{**row, "update": row["update"] + cfg.updates, "reward_vs_meta": [0.9, 0.9]} for row in longer.metrics()]
    rows = [*longer.metrics(), *more]
    longer.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (b,) = [row for (key, _), row in table(*runs).items() if key == "b" and row.folders]
    assert (b.holds, b.seeds) == ("1 of 2", "2 (seeds 0, 1)")
    assert b.ours.startswith("among agents 0.700 [") and f"updates={cfg.updates} " in f"{b.command} "
    thinned = [row for row in rows if row["update"] % 4 == 0 or row["update"] >= len(rows) - 20]
    longer.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in thinned))
    apart = [(row.seeds, row.holds) for (key, _), row in table(*runs).items() if key == "b" and row.folders]
    assert apart == [("1 (seed 0)", "1 of 1"), ("1 (seed 1)", "1 of 1")]  # its last 20 at that length aren't there
    longer.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    again = pool_run(tmp_path / "again", (0.5, 0.5), 0.9, seed=1)
    held = [(row.seeds, row.holds) for (key, _), row in table(runs[1], again).items() if key == "b" and row.folders]
    assert sorted(held) == [("1 (seed 1)", "0 of 1"), ("1 (seed 1)", "1 of 1")]
