"""Schedules: what is read and refused, when a stage starts, and that the run is the one made by hand, killed or not."""

import argparse
import dataclasses
import math
import re
import shlex
import shutil
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest
from folders import leaves_equal

from lapg_rl import config
from lapg_rl.commands import train, training
from lapg_rl.commands.main import main
from lapg_rl.config import Config, ModelConfig, PoolConfig
from lapg_rl.config.checks import FOLDER
from lapg_rl.config.schedule import NUMBERS, Ramp, check_metric, parse, stage_configs
from lapg_rl.config.tables import ALGORITHMS
from lapg_rl.learn.algorithms import policy_gradient
from lapg_rl.learn.training_step import initial_state, make_train_step, run_key
from lapg_rl.runs import checkpoint, loop
from lapg_rl.runs.course import Course, outstanding
from lapg_rl.runs.loop import RunFolder
from lapg_rl.runs.state import fresh_state
from lapg_rl.study.comparison import compare
from lapg_rl.study.results import collect
from lapg_rl.study.sweep import plan

TINY = Config(
    name="tiny",
    updates=8,
    meta_batch=4,
    batch=2,
    inner_episodes=2,
    steps=3,
    checkpoint_every=1,
    keep_checkpoints=20,
    model=ModelConfig(kind="tabular", spread=0.5),
    pool=PoolConfig(agents=2, naive_population=3),
)
REFUSED = {
    "no stage": ("x", r"takes stages WHEN: key=value .* got 'x'"),
    "no change": ("3:", r"takes stages WHEN"),
    "no value": ("3: p_naive=", r"takes stages WHEN"),
    "nothing but signs": (";;", r"1 to 100 stages, or empty"),
    "many stages": (";".join(f"{n}: p_naive=1" for n in range(1, 102)), r"1 to 100 stages"),
    "an update that is none": ("2.5: p_naive=0.5", r"must be an integer above 0, got 2.5"),
    "no update before it": ("0: p_naive=0.5", r"must be an integer above 0"),
    "infinite update": ("1e400: p_naive=0.5", r"'1e400' holds no finite number"),
    "infinite threshold": ("entropy>=1e400: p_naive=0.5", r"holds no finite number"),
    "two signs": ("entropy>=--1: p_naive=0.5", r"holds no finite number"),
    "back in time": ("9: p_naive=0.5; 9: p_naive=0", r"integer above 9, got 9"),
    "unknown key": ("9: updates=3", r"can't change 'updates'; it changes pool.p_naive.* agents$"),
    "copies of a number": ("9: agents=3", r"schedule: agents must be max\(METRIC\).*got '3'; as in agents=max"),
    "copies of nothing": ("9: agents=max()", r"schedule: agents must be max\(METRIC\)"),
    "copies twice": ("9: agents=max(entropy) agents=min(entropy)", r"gives agents twice"),
    "ambiguous key": ("9: learning_rate=1", r"write learner.learning_rate or naive.learning_rate"),
    "a key twice": ("9: p_naive=0.5 pool.p_naive=1", r"gives pool.p_naive twice"),
    "no number": ("9: p_naive=half", r"pool.p_naive must be a finite number, got 'half'"),
    "not a number": ("9: learner.clip=nan", r"learner.clip must be a finite number"),
    "no probability": ("9: p_naive=1.5", r"pool.p_naive must be a probability, got 1.5"),
    "no whole share": ("9: p_naive=0.3", r"p_naive \* meta_batch must be an integer.* 0.25 or 0.5"),
    "an odd kind": ("9: coplayers=naive=0.5,foo=0.5", r"unknown name 'foo' in pool.coplayers"),
    "nobody named": ("9: p_naive=0.5 p_fixed=0.5", r"p_fixed = 0.5 and pool.fixed = '' don't fit"),
    "a ramp of a share": ("9: p_naive=0..1@10", r"pool.p_naive must be a ramp of one of learner.learning_rate"),
    "a ramp without an end": ("9: learner.clip=0.1..0.2", r"write LOW..HIGH@UPDATES"),
    "a ramp in no time": ("9: learner.clip=0.1..0.2@0", r"a ramp over 1 to"),
    "a ramp from below": ("9: learner.entropy_coef=-1..0@9", r"entropy_coef must be a finite number >= 0, got -1"),
    "a ramp from nowhere": ("9: learner.entropy_coef=nan..0@9", r"is no ramp"),
    "a ramp for ever": ("9: learner.clip=1..2@" + "9" * 5000, r"is no ramp"),
}  # fmt: skip


def scheduled(schedule, cfg=TINY, **changes):
    return dataclasses.replace(cfg, schedule=schedule, **changes)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_schedule_is_refused_in_one_short_line(name):
    text, says = REFUSED[name]
    with pytest.raises(ValueError, match=says) as refused:
        scheduled(text)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 600


def test_stages_keep_what_they_do_not_change():
    cfg = scheduled(
        "2: p_naive=0.5 learner.entropy_coef=0.3; entropy<=-1e-1: coplayers=naive=0.25,fixed=0.25 ;9:p_naive=0 p_fixed=0",
        pool=PoolConfig(agents=2, fixed="tft"),
    )
    found = [(c.shares, c.learner.entropy_coef, c.pool.fixed, c.schedule) for c in stage_configs(cfg)]
    assert found == [
        ({"naive": 4}, 0.0, "", ""),
        ({"naive": 2, "meta": 2}, 0.3, "", ""),
        ({"naive": 1, "meta": 2, "fixed": 1}, 0.3, "tft", ""),
        ({"meta": 4}, 0.3, "", ""),
    ]
    with pytest.raises(ValueError, match=r"pool.p_fixed = 0.0 and pool.fixed = 'tft' don't fit"):
        scheduled("2: p_naive=0.5", pool=PoolConfig(agents=2, fixed="tft"))


def test_a_schedule_survives_the_file_and_the_command_line(tmp_path):
    text = "entropy>=0.1: p_naive=0.5 learner.clip=0.1..0.2@5; 7: p_naive=1"
    cfg = config.override(TINY, [f"schedule={text}"])
    config.save(cfg, tmp_path / "config.toml")
    assert config.load(tmp_path / "config.toml") == cfg == scheduled(text)


def test_a_ramp_is_a_straight_line_that_ends():
    assert [Ramp(1.0, 0.0, 4).at(n) for n in (0, 1, 4, 9)] == [1, 0.75, 0, 0]
    ((stage,), text) = parse("3: learner.entropy_coef=1e-3..0.5@20"), {"learner.entropy_coef": Ramp(0.001, 0.5, 20)}
    assert stage.ramps == text


def stages_of(schedule, rewards):
    """The stage before each update when an agent's reward runs through `rewards`, the other's being 0."""
    course, found = Course(scheduled(schedule)), []
    for reward in rewards:
        found.append(course.stage)
        course.see({"update": len(found) - 1, "reward_vs_naive": [2 * reward, 0.0]})
    return [*found, course.stage]


def test_stages_start_at_updates_and_at_means_over_agents_and_five_updates_of_the_stage_before():
    assert stages_of("2: p_naive=0.5; 4: p_naive=1", [0] * 5) == [0, 0, 1, 1, 2, 2]
    assert stages_of("reward_vs_naive>=0.6: p_naive=0.5", [0, 0, 1, 1, 1, 0, 0]) == [0, 0, 0, 0, 0, 1, 1, 1]  # 3 of 5
    assert stages_of("reward_vs_naive>=0.7: p_naive=0.5", [0, 0, 1, 1, 1, 0, 0]) == [0] * 8  # never 4 of 5
    assert stages_of("reward_vs_naive<=-1: p_naive=0.5", [-1] * 6) == [0, 0, 0, 0, 0, 1, 1]
    twice = "reward_vs_naive>=0.5: p_naive=0.5; reward_vs_naive>=0.5: p_naive=1"
    assert stages_of(twice, [1] * 11) == [0] * 5 + [1] * 5 + [2, 2]  # five rows of its own for each
    assert stages_of("reward_vs_naive>=1: p_naive=0.5; 3: p_naive=1", [1] * 6) == [0] * 5 + [2, 2]  # 3 waits
    course = Course(scheduled("2: learner.clip=0.1..0.3@4; 5: learner.clip=0.5"))
    seen = []
    for n in range(7):
        seen.append((course.numbers.get("learner.clip", course.config.learner.clip), course.config.learner.clip)[0])
        course.see({"update": n})
    np.testing.assert_allclose(seen, [0.2, 0.2, 0.1, 0.15, 0.2, 0.5, 0.5], rtol=1e-6)


def by_hand(cfg, configs):
    """The rows of a run whose update n is made by configs[n], and its last state."""
    state, key, rows = fresh_state(cfg), run_key(cfg), []
    for n, now in enumerate(configs):
        state, metrics = made(now)(state, jax.random.fold_in(key, n))
        rows.append({name: np.asarray(x) for name, x in metrics.items()})
    return rows, state


@pytest.fixture(scope="module")
def steps():
    return {}


@pytest.fixture(autouse=True)
def compile_once(steps, monkeypatch):
    """Compile the step of a config once for all tests of this file."""

    def make(cfg, *how):
        if (cfg, how) not in steps:
            steps[cfg, how] = make_train_step(cfg, *how)
        return steps[cfg, how]

    monkeypatch.setattr(loop, "step_of", make)
    global made
    made = make


def with_share(share, updates=8, **learner):
    pool = dataclasses.replace(TINY.pool, p_naive=share)
    return dataclasses.replace(TINY, updates=updates, pool=pool, learner=dataclasses.replace(TINY.learner, **learner))


def assert_rows(folder, rows, **near):
    """The rows in a folder are those: bit for bit, or `near`."""
    found = RunFolder(folder).metrics()
    assert len(found) == len(rows)
    for one, other in zip(found, rows, strict=True):
        assert one.keys() - {"update"} == other.keys()
        for name, value in other.items():
            if near:
                np.testing.assert_allclose(one[name], value, **near)
            else:
                assert one[name] == value.tolist(), name


def test_a_change_of_share_is_the_two_runs_made_by_hand(tmp_path):
    state = loop.train(scheduled("3: p_naive=0.5; 6: p_naive=1"), tmp_path, quiet=True)
    rows, expected = by_hand(TINY, [with_share(1.0)] * 3 + [with_share(0.5)] * 3 + [with_share(1.0)] * 2)
    assert_rows(tmp_path, rows)
    assert leaves_equal(state, expected)
    assert ["reward_vs_meta" in row for row in rows] == [False] * 3 + [True] * 3 + [False] * 2
    other = by_hand(TINY, [with_share(1.0)] * 8)[1]
    assert not leaves_equal(state.agents, other.agents)


def test_a_ramp_is_a_constant_config_at_every_update(tmp_path):
    loop.train(
        scheduled("1: learner.entropy_coef=0.8..0@2; 4: learner.entropy_coef=0.1", updates=5), tmp_path, quiet=True
    )
    rows, _ = by_hand(TINY, [with_share(1.0, 5, entropy_coef=c) for c in (0.0, 0.8, 0.4, 0.0, 0.1)])
    assert_rows(tmp_path, rows, rtol=2e-5, atol=1e-6)
    without, _ = by_hand(TINY, [with_share(1.0, 5)] * 5)
    assert abs(without[4]["entropy"] - rows[4]["entropy"]).max() > 1e-4  # the coefficient is felt


def traced(cfg, agent, optimiser, company, key):
    traced.count += 1
    return policy_gradient(cfg, agent, optimiser, company, key)


def test_one_compilation_for_each_distinct_stage_however_long_its_ramp(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "rehearse", lambda cfg: None)  # which traces what is the user's once more
    own = dataclasses.replace(TINY, learner=dataclasses.replace(TINY.learner, algorithm=f"{__name__}:traced"), seed=77)
    traced.count = 0
    ramp = "2: p_naive=0.5; 3: p_naive=1; 5: learner.clip=0.1..0.2@2"
    loop.train(scheduled(ramp, own), tmp_path, quiet=True)
    assert traced.count == 3  # before update 2 and from 3 on it is one; the ramp makes another


#: Rewards of a tiny run are noise, so this threshold is passed as soon as there are five rows.
WAITS = "reward_vs_naive>=-2: p_naive=0.5 agents=max(entropy+reward_vs_naive) learner.entropy_coef=0.1..0@4"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, loop.train(scheduled(WAITS), folder, quiet=True)


@pytest.mark.parametrize("done", [0, 4, 5, 7])
def test_a_run_that_is_killed_in_any_stage_ends_as_the_uninterrupted_one(whole, done, tmp_path):
    reference, expected = whole
    rows = [set(row) for row in RunFolder(reference).metrics()]
    assert ["reward_vs_meta" in row for row in rows] == [False] * 5 + [True] * 3
    folder = tmp_path / "run"
    shutil.copytree(reference, folder)
    checkpoint.drop_after(folder / "checkpoints", done)
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[: done + 1])[: -9 if done < 8 else None])  # torn
    provenance = (folder / "provenance.jsonl").read_text().splitlines(keepends=True)
    (folder / "provenance.jsonl").write_text(provenance[0])  # it did not live to tell its end
    state = loop.train(scheduled(WAITS), folder, quiet=True)
    assert leaves_equal(state, expected)
    assert (folder / "metrics.jsonl").read_bytes() == (reference / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize("which", ["max(entropy+gradient_norm)", "min(entropy)"])
def test_agents_become_copies_of_the_one_that_stands_out_over_five_updates(which, tmp_path):
    """From update 5 on, not 2: five are looked at. The next update is the one made by hand of a state copied by NumPy."""
    state = loop.train(scheduled(f"2: agents={which}", updates=6), tmp_path, quiet=True)
    _, before = by_hand(TINY, [with_share(1.0)] * 5)
    rows = RunFolder(tmp_path).metrics()[:5]
    sums = [sum(row["entropy"][n] + ("+" in which) * row["gradient_norm"][n] for row in rows) for n in (0, 1)]
    chosen = sums.index(max(sums) if which[:3] == "max" else min(sums))
    twice = lambda x: np.stack([np.asarray(x)[chosen]] * 2) if eqx.is_array(x) else x  # noqa: E731
    copied = before._replace(**{name: jax.tree.map(twice, getattr(before, name)) for name in ("agents", "optimisers")})
    ended = loop.train(scheduled(f"2: agents={which}", updates=5), tmp_path / "ends there", quiet=True)
    assert leaves_equal(ended, copied) and not leaves_equal(copied, before)  # who starts from it gets copies
    expected, _ = made(with_share(1.0))(copied, jax.random.fold_in(run_key(TINY), 5))
    assert leaves_equal(state, expected)
    assert {"update": 5, "agents_are_copies_of": chosen}.items() <= RunFolder(tmp_path).provenance()[-2].items()


def test_metrics_of_mixed_groups_are_looked_at_and_summed():
    group = "reward_vs_naive+2meta"
    text = f"{group}>=0.5: agents=max( entropy + {group}+reward_vs_naive ) p_naive=0.5"
    cfg = dataclasses.replace(TINY, pool=PoolConfig(agents=2, p_naive=0.5))
    (stage,) = parse(scheduled(text, cfg).schedule)
    known = [group, "entropy", "reward_vs_naive"]
    assert (stage.metric, stage.metrics(known)) == (group, [group, *known[1:2], group, "reward_vs_naive"])
    check_metric(stage, known)
    with pytest.raises(ValueError, match=r"unknown metric reward_vs_naive\+2meta; did you mean reward_vs_naive\+meta"):
        check_metric(stage, ["reward_vs_naive+meta", *known[1:]])
    rows = [{group: [1.0, 3.0], "entropy": [0.9, 0.1], "reward_vs_naive": [2.0, 1.0]}]
    assert outstanding(stage.copied, rows) == 1  # 4.1 for 3.9
    assert outstanding("max(entropy+reward_vs_naive)", rows) == 0


def test_one_agent_has_no_copies():
    with pytest.raises(
        ValueError, match=r"pool.agents must be 2 or more with agents=max\(entropy\) in the schedule, got 1"
    ):
        scheduled("9: agents=max(entropy)", pool=PoolConfig(agents=1))


def test_seeds_together_change_at_updates_but_not_at_metrics(tmp_path):
    pair = lambda text: [(scheduled(text, seed=n, updates=3), tmp_path / str(n)) for n in (0, 1)]  # noqa: E731
    for text in (WAITS, "2: agents=max(entropy)"):
        with pytest.raises(ValueError, match=r"the schedule looks at metrics, .* train the runs one by one"):
            loop.train_together(pair(text), quiet=True)
    assert not list(tmp_path.iterdir())
    loop.train_together(pair("2: p_naive=0.5"), quiet=True)
    rows, _ = by_hand(dataclasses.replace(TINY, seed=1), [with_share(1.0)] * 2 + [with_share(0.5)])
    assert_rows(tmp_path / "1", rows, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("reward_vs_nave>=0: p_naive=0.5", "unknown metric reward_vs_nave; did you mean reward_vs_naive"),
        ("reward_vs_meta>=0: p_naive=0.5", "unknown metric reward_vs_meta; .*: the stage could never start"),
        ("2: p_naive=0.5; update>=5: p_naive=1", "unknown metric update"),
        ("2: agents=max(entropy+reward_vs_meta)", "unknown metric reward_vs_meta"),
    ],
)
def test_a_stage_that_could_never_start_is_refused_before_there_is_a_folder(text, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        loop.train(scheduled(text), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
    assert scheduled("2: p_naive=0.5; reward_vs_meta>=0: p_naive=1").schedule  # it is met by then


def test_a_run_that_ends_before_its_last_stage_says_what_it_waited_for(tmp_path, capsys):
    loop.train(scheduled("reward_vs_naive>=9: p_naive=0.5", updates=1), tmp_path)
    assert "ended after 0 of 1 stages: it waited for reward_vs_naive>=9" in capsys.readouterr().err
    loop.train(scheduled("2: agents=max(entropy)", updates=3), tmp_path / "copies")
    assert "ended after 0 of 1 stages: it waited for update 5" in capsys.readouterr().err


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_number_may_be_traced_by_every_algorithm(name):
    needed = [f"{key}={str(value).lower()}" for key, (value, _) in ALGORITHMS[name].requires.items()]
    cfg = config.override(TINY, [f"learner.algorithm={name}", "learner.population=2", *needed])
    state = eqx.filter_eval_shape(lambda: initial_state(cfg, run_key(cfg)))
    numbers = {key: jax.ShapeDtypeStruct((), jax.numpy.float32) for key in NUMBERS}
    after, metrics = eqx.filter_eval_shape(make_train_step(cfg), state, run_key(cfg), numbers)
    assert jax.tree.structure(after) == jax.tree.structure(state) and metrics["gradient_norm"].shape == (2,)


def test_what_a_schedule_names_must_be_trusted_too(tmp_path):
    cfg = scheduled("2: coplayers=naive=0.5,elsewhere:kind=0.5")
    assert cfg.addresses == ["elsewhere:kind"]


def test_results_of_a_scheduled_run_are_means_over_what_was_measured(whole, tmp_path, capsys):
    folder, _ = whole
    rows = RunFolder(folder).metrics()
    result = collect(folder)
    met = [np.mean(row["reward_vs_meta"]) for row in rows if "reward_vs_meta" in row]
    assert len(met) == 3 and math.isclose(result.last["reward_vs_meta"], np.mean(met), rel_tol=1e-12)
    np.testing.assert_allclose(result.last_of_agents("reward_vs_meta").mean(), np.mean(met), rtol=1e-12)
    assert math.isclose(result.last["naive_reward"], np.mean([row["naive_reward"] for row in rows]), rel_tol=1e-12)
    assert result.pool_verdict != "met no agents"
    (row,) = compare([folder], ["reward_vs_meta"]).rows
    assert math.isclose(row.means[0].value, np.mean(met), rel_tol=1e-12)
    early = compare([folder], upto=4)  # among agents nothing was measured by then
    assert "naive_reward" in {row.metric for row in early.rows} and "reward_vs_meta" not in str(early)
    with pytest.raises(ValueError, match="not every run measured 'reward_vs_meta' in its last 20 updates of 4"):
        compare([folder], ["reward_vs_meta"], upto=4)


def test_commands_take_a_scheduled_run(whole, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(whole[0], folder)
    assert main(["evaluate", str(folder), "naive", "tft", "--meta-batch", "3"]) == 0, capsys.readouterr().err
    assert main(["report", str(folder), "--quick", "--out", str(tmp_path / "page.html")]) == 0, capsys.readouterr().err
    assert main(["compare", str(folder)]) == 0, capsys.readouterr().err
    assert main(["balance", str(folder), "--batches", "2", "--meta-batch", "3"]) == 0, capsys.readouterr().err
    page = (tmp_path / "page.html").read_text()
    assert "company changes on a schedule" in page
    assert not re.search(r"(?<![A-Za-z0-9+/])nan(?![A-Za-z0-9+/])", page)


def test_schedules_are_swept_apart_by_bars_into_folders_of_sound_names(tmp_path):
    long = "; ".join(f"{n}: p_naive=0.5 learner.entropy_coef=0.01..0@50" for n in range(1, 9))
    texts = ["", "reward_vs_naive>=0.6: p_naive=0.5; 30: p_naive=1", long, long.replace("@50", "@60")]
    runs = plan(TINY, ["schedule=" + "|".join(texts), "meta_batch=4,8"], 1, tmp_path)
    assert [run.config.schedule for run in runs[::2]] == texts
    names = [run.folder.name for run in runs]
    assert len(set(names)) == 8 and all(FOLDER.fullmatch(name) and len(name) < 120 for name in names)
    assert names[2] == "schedule=reward_vs_naive-=0.6-p_naive=0.5-30-p_naive=1_meta_batch=4_seed0"
    (alone,) = plan(TINY, ["schedule=3: p_naive=0.5; 5: p_naive=1"], 1, tmp_path)
    assert alone.folder.name == "seed0" and alone.config.schedule == "3: p_naive=0.5; 5: p_naive=1"


DOCS = Path(__file__).parents[2] / "docs"
PAGE = "".join((DOCS / name).read_text() for name in ("steering.md", "results/steering.md"))
COMMANDS = [shlex.split(line) for line in re.findall(r"^    lapg train (.+)$", PAGE, re.MULTILINE)]


def test_the_commands_of_the_page_on_steering_are_sound():
    parser = argparse.ArgumentParser()
    train.configure(parser)
    made = [training.fresh(parser.parse_args(command))[0][0] for command in COMMANDS]
    assert len(made) == 33 and sum(bool(cfg.schedule) for cfg in made) == 17
    assert [cfg.shares for cfg in stage_configs(made[1])] == [{"naive": 24}] + [{"naive": 6, "meta": 18}] * 2
    assert [cfg.learner.entropy_coef for cfg in stage_configs(made[1])] == [0, 0.01, 0]
    tried = [dataclasses.replace(cfg, name=made[0].name, seed=0) for cfg in made if cfg.seed == 56]
    assert made[0] in tried  # the preset is what was tried
    named = {key for cfg in made for key in cfg.pool.parents}
    assert named == {"agents_from", "naive_from", "frozen"}
