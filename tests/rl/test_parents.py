"""Runs that begin where others ended: what they take, that they need it only once, and what doesn't fit."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from folders import leaves_equal, logits, run_of

from lapg_rl import config
from lapg_rl.commands.main import main
from lapg_rl.config import Config, GameConfig, LearnerConfig, ModelConfig, PoolConfig
from lapg_rl.learn.training_step import make_train_step, run_key
from lapg_rl.models import GRU
from lapg_rl.play import company
from lapg_rl.play.rollout import log_prob
from lapg_rl.runs import checkpoint, loop, parents
from lapg_rl.runs.loop import RunFolder
from lapg_rl.runs.state import fresh_state
from lapg_theory.game import ALLC, ALLD, TFT

TINY = Config(
    name="tiny",
    updates=4,
    meta_batch=4,
    batch=2,
    inner_episodes=2,
    steps=3,
    checkpoint_every=1,
    keep_checkpoints=20,
    model=ModelConfig(kind="tabular"),
    pool=PoolConfig(agents=2, naive_population=3),
)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """A run of two agents after 4 updates, who defect and who cooperate."""
    return run_of(tmp_path_factory.mktemp("parents") / "parent", [ALLD, ALLC], TINY)


def begun(cfg=TINY, **pool):
    return dataclasses.replace(cfg, pool=dataclasses.replace(cfg.pool, **pool))


def started(folder, cfg):
    return RunFolder(folder).state_at(cfg, 0)


def test_agents_start_as_a_run_ended_and_everything_else_is_new(parent, tmp_path):
    cfg = begun(agents_from=str(parent), naive_start="static")
    state = loop.train(cfg, tmp_path, quiet=True)
    first, fresh = started(tmp_path, cfg), fresh_state(cfg)
    np.testing.assert_array_equal(first.agents.logits, jnp.stack([logits(ALLD), logits(ALLC)]))
    assert leaves_equal(first._replace(agents=fresh.agents), fresh)
    by_hand, step = fresh._replace(agents=first.agents), make_train_step(TINY)
    for n in range(4):
        by_hand, _ = step(by_hand, jax.random.fold_in(run_key(cfg), n))
    assert leaves_equal(by_hand, state)


def test_one_agent_is_copied_to_all_and_naive_learners_take_turns(parent, tmp_path):
    cfg = begun(agents_from=f"{parent}:1", naive_from=str(parent), agents=3)
    loop.train(dataclasses.replace(cfg, updates=1), tmp_path / "three", quiet=True)
    first = started(tmp_path / "three", cfg)
    np.testing.assert_array_equal(first.agents.logits, jnp.stack([logits(ALLC)] * 3))
    np.testing.assert_array_equal(first.naive_policies.logits, jnp.stack([logits(p) for p in (ALLD, ALLC, ALLD)]))
    alone = begun(agents=1, agents_from=f"{parent}:0")
    one = run_of(tmp_path / "one", [TFT], begun(agents=1))
    loop.train(dataclasses.replace(alone, updates=1), tmp_path / "from", quiet=True)
    np.testing.assert_array_equal(started(tmp_path / "from", alone).agents.logits[0], logits(ALLD))
    both = dataclasses.replace(begun(agents_from=str(one), naive_from=f"{parent}:1"), updates=1)
    loop.train(both, tmp_path / "both", quiet=True)
    np.testing.assert_array_equal(started(tmp_path / "both", both).agents.logits, jnp.stack([logits(TFT)] * 2))
    np.testing.assert_array_equal(started(tmp_path / "both", both).naive_policies.logits, jnp.stack([logits(ALLC)] * 3))


def test_provenance_names_every_parent_by_folder_update_and_hash(parent, tmp_path):
    cfg = dataclasses.replace(
        begun(agents_from=f"{parent}:1", frozen=str(parent), p_naive=0.5, p_frozen=0.5), updates=1
    )
    loop.train(cfg, tmp_path, quiet=True)
    rows = [json.loads(line) for line in (tmp_path / "provenance.jsonl").read_text().splitlines()]
    arrays = (parent / "checkpoints" / "step_000000004" / "arrays.npz").read_bytes()
    same = {"run": str(parent.resolve()), "update": 4, "sha256": hashlib.sha256(arrays).hexdigest()}
    wanted = [{"role": "agents_from", **same, "agent": 1}, {"role": "frozen", **same, "agent": None}]
    assert [row["parents"] for row in rows if "parents" in row] == [wanted]


WITH_FROZEN = {"p_naive": 0.5, "p_frozen": 0.5}


def test_frozen_agents_are_met_equally_often_and_learn_nothing(parent, tmp_path):
    cfg = begun(frozen=str(parent), **WITH_FROZEN)
    state = loop.train(cfg, tmp_path, quiet=True)
    rows = RunFolder(tmp_path).metrics()
    assert [row["frozen_cooperation"] for row in rows] == [[0.5, 0.5]] * 4  # one defects, one cooperates: 2 each
    np.testing.assert_array_equal(state.frozen.logits, jnp.stack([logits(ALLD), logits(ALLC)]))
    assert not leaves_equal(state.agents, started(tmp_path, cfg).agents)
    stored = np.load(tmp_path / "checkpoints" / "step_000000004" / "arrays.npz")
    assert not [name for name in stored.files if "frozen" in name]


def test_frozen_agents_remember_the_whole_meta_episode():
    """What they did token by token is what their policies say of the whole sequence."""
    make = eqx.filter_vmap(lambda key: GRU(5, 2, width=3, key=key))
    policies = eqx.filter_jit(make)(jax.random.split(jax.random.key(0)))
    policies = eqx.tree_at(lambda m: m.readout.weight, policies, jax.random.normal(jax.random.key(2), (2, 3, 3)))
    cfg = begun(p_naive=0.0, p_frozen=1.0, frozen="runs/any:0", agents=1)
    everyone = company.Company(jnp.array(0), None, None, jax.tree.map(lambda x: x[:1], policies))
    ego = jax.tree.map(lambda x: x[1], policies)
    played = eqx.filter_jit(company.play_pool)(cfg, ego, everyone, jax.random.key(1))["frozen"]
    one = jax.tree.map(lambda x: x[0], policies)
    seen = played.other.observations.reshape(8, 6, 5)
    found, values = eqx.filter_jit(lambda policy, seen: jax.vmap(policy)(seen))(one, seen)
    np.testing.assert_allclose(played.other.values.reshape(8, 6), values, atol=1e-5)
    np.testing.assert_allclose(
        played.other.log_probs.reshape(8, 6), log_prob(found, played.other.actions.reshape(8, 6)), atol=1e-5
    )
    assert not played.learns


@pytest.fixture
def own_parent(parent, tmp_path):
    shutil.copytree(parent, tmp_path / "parent")
    return tmp_path / "parent"


def test_a_run_goes_on_when_its_parents_have_changed_or_are_gone(own_parent, tmp_path):
    cfg = begun(agents_from=str(own_parent), naive_from=f"{own_parent}:0", frozen=str(own_parent), **WITH_FROZEN)
    whole = loop.train(cfg, tmp_path / "whole", quiet=True)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    checkpoint.drop_after(tmp_path / "cut" / "checkpoints", 1)
    (tmp_path / "cut" / "provenance.jsonl").write_text("")
    shutil.copytree(tmp_path / "cut", tmp_path / "later")
    run_of(own_parent, [TFT, TFT], TINY)
    assert leaves_equal(loop.train(cfg, tmp_path / "cut", quiet=True), whole)
    shutil.rmtree(own_parent)
    assert leaves_equal(loop.train(cfg, tmp_path / "later", quiet=True), whole)
    metrics = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "cut", "later")]
    assert metrics[0] == metrics[1] == metrics[2]


def test_a_copy_of_frozen_agents_that_is_gone_or_damaged_is_refused(parent, tmp_path):
    cfg = dataclasses.replace(begun(frozen=f"{parent}:1", **WITH_FROZEN), updates=1)
    loop.train(cfg, tmp_path / "run", quiet=True)
    longer = dataclasses.replace(cfg, updates=2)
    (copy,) = (tmp_path / "run" / "frozen").iterdir()
    arrays = (copy / "arrays.npz").read_bytes()
    (copy / "arrays.npz").write_bytes(arrays[:-1] + b"x")
    with pytest.raises(ValueError, match=r"frozen.step_000000004 is damaged: arrays.npz does not match its SHA-256"):
        loop.train(longer, tmp_path / "run", quiet=True)
    shutil.rmtree(copy)
    with pytest.raises(ValueError, match="frozen holds 0 copies of the frozen agents, not 1; restore it"):
        loop.train(longer, tmp_path / "run", quiet=True)


def test_a_start_that_was_cut_off_begins_again_from_what_its_parent_is_then(own_parent, tmp_path):
    cfg = dataclasses.replace(begun(frozen=f"{own_parent}:0", **WITH_FROZEN), updates=1)
    whole = loop.train(cfg, tmp_path / "run", quiet=True)
    for name in ("metrics.jsonl", "provenance.jsonl"):
        (tmp_path / "run" / name).unlink()
    shutil.rmtree(tmp_path / "run" / "checkpoints")  # it had its copy, but no checkpoint yet
    later = RunFolder(own_parent).final_state()._replace(update=jnp.array(6))
    checkpoint.save(own_parent / "checkpoints", 6, later, keep=1)
    assert leaves_equal(loop.train(cfg, tmp_path / "run", quiet=True), whole)
    assert [folder.name for folder in (tmp_path / "run" / "frozen").iterdir()] == ["step_000000006"]


def told(parent, folder, rows):
    """A copy of the parent with these entropies of its agents."""
    shutil.copytree(parent, folder)
    lines = [json.dumps({"update": n, "entropy": row}) for n, row in enumerate(rows)]
    RunFolder(folder).metrics_file.write_text("\n".join(lines) + "\n")
    return folder


def test_the_agent_that_stands_out_is_copied_to_all(parent, tmp_path):
    """By the mean of a metric over five updates, those that the checkpoint has seen: 4 of 5 rows, later ones don't count."""
    run = told(parent, tmp_path / "parent", [[0.0, 0.5], [0.0, 0.5], [0.7, 0.1], [0.7, 0.1], [0.0, 9.0]])
    for which, agent, policy in (("max", 0, ALLD), ("min", 1, ALLC)):
        cfg = dataclasses.replace(begun(agents_from=f"{run}:{which}(entropy)"), updates=1)
        loop.train(cfg, tmp_path / which, quiet=True)
        np.testing.assert_array_equal(started(tmp_path / which, cfg).agents.logits, jnp.stack([logits(policy)] * 2))
        (record,) = next(row["parents"] for row in RunFolder(tmp_path / which).provenance() if "parents" in row)
        assert (record["agent"], record["by"]) == (agent, f"{which}(entropy)")


def test_the_agent_that_stands_out_in_a_sum_is_copied(parent, tmp_path):
    run = told(parent, tmp_path / "parent", [[0.5, 0.2]] * 5)
    rows = [
        json.loads(line) | {"reward_vs_naive": [0.1, 0.6]}
        for line in RunFolder(run).metrics_file.read_text().splitlines()
    ]
    RunFolder(run).metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for which, policy in (("max( entropy + reward_vs_naive )", ALLC), ("max(entropy)", ALLD)):
        cfg = dataclasses.replace(begun(agents_from=f"{run}:{which}"), updates=1)
        loop.train(cfg, tmp_path / which, quiet=True)
        np.testing.assert_array_equal(started(tmp_path / which, cfg).agents.logits, jnp.stack([logits(policy)] * 2))


def test_a_metric_that_came_late_is_not_read_from_fewer_updates(parent, tmp_path):
    run = told(parent, tmp_path / "parent", [[0.5, 0.2]] * 4)
    *lines, last = RunFolder(run).metrics_file.read_text().splitlines()
    late = json.dumps(json.loads(last) | {"reward_vs_meta": [0.1, 0.6]})
    RunFolder(run).metrics_file.write_text("\n".join([*lines, late]) + "\n")
    says = (
        rf"only 1 of its last 4 updates have reward_vs_meta; train it on, as in `lapg train --resume {run} updates=7`"
    )
    with pytest.raises(ValueError, match=says):
        loop.train(begun(agents_from=f"{run}:max(reward_vs_meta)"), tmp_path / "run", quiet=True)
    RunFolder(run).metrics_file.write_text("\n".join([*lines[:2], late.replace(": 3", ": 2"), last]) + "\n")
    with pytest.raises(ValueError, match=r"only 1 of its last 4 updates have reward_vs_meta; name another metric$"):
        loop.train(begun(agents_from=f"{run}:max(reward_vs_meta)"), tmp_path / "run", quiet=True)


OTHER = {
    "no part of a sum": ({"agents_from": "PARENT:max(entropy+entropi)"}, {}, r"parent: unknown metric of agents"),
    "no metric": ({"agents_from": "PARENT:max(entropi)"}, {}, r"parent: unknown metric of agents"),
    "no run": ({"agents_from": "nowhere"}, {}, r"nowhere holds no run"),
    "no such agent": ({"naive_from": "PARENT:2"}, {}, r"names agent 2 of .*, which has 2; count from 0"),
    "another number": ({"agents_from": "PARENT", "agents": 3}, {}, r"has 2 agents, this run 3; name one"),
    "another game": ({"agents_from": "PARENT"}, {"game": GameConfig(T=3.0)}, r"differs in game.T \(2.0 there, 3.0 here\)$"),
    "another kind": ({"naive_from": "PARENT"}, {"model": ModelConfig(kind="gru")},
                     r"pool.naive_from = .* differs in model.kind \(tabular there, gru here\)"),
    "told whom it meets": ({"agents_from": "PARENT", "reveal": True}, {}, r"pool.reveal \(False there, True here\)"),
    "forgetful": ({"frozen": "PARENT", "p_naive": 0.5, "p_frozen": 0.5}, {"learner": LearnerConfig(memory="inner_episode")},
                  r"learner.memory \(meta_episode there, inner_episode here\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_what_does_not_fit_is_refused_before_there_is_a_folder(name, parent, tmp_path):
    pool, changes, says = OTHER[name]
    named = {
        key: value.replace("PARENT", str(parent)) if isinstance(value, str) else value for key, value in pool.items()
    }
    cfg = dataclasses.replace(begun(**named), **changes)
    with pytest.raises(ValueError, match=says) as refused:
        loop.train(cfg, tmp_path / "run", quiet=True)
    assert "\n" not in str(refused.value) and not (tmp_path / "run").exists()


def test_networks_of_other_sizes_are_named_and_idle_sizes_are_not(tmp_path):
    narrow = dataclasses.replace(TINY, model=ModelConfig(kind="gru", width=4))
    run = loop.open_run(narrow, tmp_path / "gru")
    state = fresh_state(narrow)
    checkpoint.save(run.checkpoints, 4, state._replace(update=jnp.array(4)), keep=1)
    wide = dataclasses.replace(begun(agents_from=str(run.path)), model=ModelConfig(kind="gru", width=8))
    with pytest.raises(ValueError, match=r"differs in model.width \(4 there, 8 here\)$"):
        loop.train(wide, tmp_path / "run", quiet=True)
    untrained = run_of(
        tmp_path / "wide", [ALLD, ALLC], dataclasses.replace(TINY, model=ModelConfig(kind="tabular", width=8))
    )
    loop.train(dataclasses.replace(begun(agents_from=str(untrained)), updates=1), tmp_path / "run", quiet=True)


def test_who_has_played_cleanup_alone_may_meet_others_on_that_grid(tmp_path):
    small = ["model.kind=gru", "model.width=2", "game.cleanup.rows=2", "game.cleanup.initial_dirt=1"]
    alone = config.override(config.preset("cleanup-alone"), [*small, "game.cleanup.columns=2"])
    run, state = loop.open_run(alone, tmp_path / "alone"), fresh_state(alone)
    checkpoint.save(run.checkpoints, 4, state._replace(update=jnp.array(4)), keep=1)
    taught = [*small, f"pool.naive_from={run.path}"]
    among = config.override(config.preset("cleanup-shaping-small"), [*taught, "game.cleanup.columns=2"])
    assert leaves_equal(parents.read(among, "naive_from").policies, state.agents)
    with pytest.raises(ValueError, match=r"differs in game.cleanup.columns \(2 there, 3 here\)$"):
        parents.read(config.override(among, ["game.cleanup.columns=3"]), "naive_from")


@pytest.mark.parametrize("text", ["", " ", ":0", "a\nb", "x" * 1001])
def test_what_names_no_run_is_refused(text):
    with pytest.raises(ValueError, match=r"pool.frozen"):
        PoolConfig(frozen=text, **WITH_FROZEN)


def test_names_and_shares_go_together():
    with pytest.raises(ValueError, match=r"pool.frozen = 'runs/x' don't fit; give both, as in pool.p_frozen=0.5"):
        begun(frozen="runs/x")
    with pytest.raises(ValueError, match=r"pool.naive_from is of no use with pool.naive_start = dynamic"):
        begun(naive_from="runs/x", naive_start="dynamic")
    assert config.override(TINY, ["coplayers=naive=0.5,frozen=0.5", "pool.frozen=runs/x:0"]).shares == {
        "naive": 2,
        "frozen": 2,
    }


def test_frozen_agents_may_come_on_a_schedule(parent, tmp_path):
    pool = dataclasses.replace(TINY.pool, frozen=f"{parent}:0")
    cfg = dataclasses.replace(TINY, pool=pool, updates=2, schedule="1: p_naive=0.5 p_frozen=0.5")
    loop.train(cfg, tmp_path, quiet=True)
    rows = RunFolder(tmp_path).metrics()
    assert [row.get("frozen_cooperation") for row in rows] == [None, [0.0, 0.0]]


def test_a_new_row_of_the_table_moves_no_key_of_a_kind_of_the_users(tmp_path):
    cfg = begun(p_naive=0.5, coplayers="mine:one=0.25,mine:two=0.25")
    key, keys = jax.random.key(5), company._keys(cfg, jax.random.key(5))
    for name, place in {"fixed": 2, "memory_one": 3, "mine:one": 4, "mine:two": 5}.items():
        expected = jax.random.split(jax.random.fold_in(key, place))
        assert [bool(jnp.all(a == b)) for a, b in zip(keys[name], expected, strict=True)] == [True, True]
    data = {name: tuple(jax.random.key_data(k).ravel().tolist()) for name, pair in keys.items() for k in pair[:1]}
    assert len(set(data.values())) == len(data)


SMALL = ["model.kind=tabular", "updates=1", "meta_batch=4", "batch=2", "inner_episodes=2", "steps=3", "pool.agents=2"]


PARENTS = ["--from", "first/seed{seed}", "--naive-from", "first/seed1:0"]
FROZEN = ["coplayers=naive=0.5,frozen=0.5", "pool.frozen=first/seed0:1"]


@pytest.fixture
def first_stage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = lambda *more: main(["train", "ipd-shaping-small", *SMALL, "--quiet", *more])  # noqa: E731
    assert train("--seeds", "2", "--run", "first") == 0
    return train


def test_the_command_line_starts_the_second_stage_of_a_pipeline(first_stage, capsys):
    assert first_stage(*PARENTS, *FROZEN, "--seeds", "2", "--run", "second") == 0, capsys.readouterr().err
    for seed in (0, 1):
        cfg = RunFolder(f"second/seed{seed}").config()
        assert cfg.pool.agents_from == "first/seed{seed}"
        (row,) = [row for row in RunFolder(f"second/seed{seed}").provenance() if "parents" in row]
        assert [p["run"].rsplit("/", 1)[1] for p in row["parents"]] == [f"seed{seed}", "seed1", "seed0"]
        ours = started(f"second/seed{seed}", cfg).agents
        assert leaves_equal(ours, RunFolder(f"first/seed{seed}").final_state().agents)
    assert main(["train", "--resume", "second/seed0", "--from", "first/seed1"]) == 2
    assert "give no preset" in capsys.readouterr().err
    assert first_stage("--from", "") == 2
    assert "--from must be a run folder, or folder:agent, got ''" in capsys.readouterr().err
    assert main(["balance", "ipd-shaping-small", "pool.naive_from=first/seed0"]) == 2
    assert "pool.naive_from is of no use here" in capsys.readouterr().err


@pytest.mark.slow
def test_seeds_together_take_their_parents_too_and_commands_take_such_runs(first_stage, capsys):
    assert first_stage(*PARENTS, *FROZEN, "--seeds", "2", "--run", "alone") == 0, capsys.readouterr().err
    assert first_stage(*PARENTS, *FROZEN, "--seeds", "2", "--together", "--run", "both") == 0, capsys.readouterr().err
    for seed in (0, 1):
        one, other = (RunFolder(f"{name}/seed{seed}").metrics()[0] for name in ("alone", "both"))
        np.testing.assert_allclose(one["reward_vs_frozen"], other["reward_vs_frozen"], atol=1e-5)
    assert main(["evaluate", "both/seed0", "naive", "first/seed0", "--meta-batch", "2"]) == 0
    assert main(["report", "both", "--quick", "--out", "page.html"]) == 0
    assert "frozen agents" in Path("page.html").read_text()
