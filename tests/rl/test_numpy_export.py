"""Exported agents: NumPy alone plays what the agent in JAX does."""

import dataclasses
import json
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from folders import TABULAR, run_of

import lapg_rl as rl
from lapg_rl.commands.main import main
from lapg_rl.config import ModelConfig, PoolConfig
from lapg_rl.interop.numpy_export import export_numpy
from lapg_rl.interop.numpy_player import Player
from lapg_rl.runs import checkpoint, trust
from lapg_rl.runs.loop import fresh_state, open_run

PLAY = """
import json, sys
import numpy as np
from numpy_player import Player
agent = Player("agent.npz")
state, logits = agent.initial_state(), []
for seen in json.loads(sys.argv[1]):
    state, (found, value) = agent.step(state, np.eye(5)[seen])
    logits.append([*map(float, found), float(value)])
assert not {"jax", "lapg_rl"} & set(sys.modules)
print(json.dumps(logits))
"""


@pytest.fixture(params=["tabular", "gru", "hawk", "transformer"])
def run(request, tmp_path):
    """A run of two agents whose parameters are all away from their initial values."""
    model = ModelConfig(kind=request.param, width=8)
    cfg = dataclasses.replace(TABULAR, model=model, pool=PoolConfig(p_naive=0.5, agents=2))
    state, folder = fresh_state(cfg), open_run(cfg, tmp_path / "run")
    keys = iter(jax.random.split(jax.random.key(1), 100))
    agents = jax.tree.map(
        lambda x: x + 0.3 * jax.random.normal(next(keys), x.shape) if eqx.is_inexact_array(x) else x, state.agents
    )
    checkpoint.save(
        folder.checkpoints, cfg.updates, state._replace(agents=agents, update=jnp.array(cfg.updates)), keep=1
    )
    return folder.path


def test_logits_and_values_agree_with_jax_and_nothing_but_numpy_is_needed(run, tmp_path):
    export_numpy(run, tmp_path / "alone" / "agent.npz", agent=1)
    seen = [0, *np.random.default_rng(0).integers(1, 5, 11).tolist()]
    command = [sys.executable, "-c", PLAY, json.dumps(seen)]
    done = subprocess.run(command, cwd=tmp_path / "alone", capture_output=True, text=True, check=True)
    agent = rl.load(run, 1)
    state, ours = agent.initial_state(), []
    for one in seen:
        state, (logits, value) = agent.step(state, jax.nn.one_hot(one, 5))
        ours.append([*map(float, logits), float(value)])
    np.testing.assert_allclose(json.loads(done.stdout), ours, atol=1e-5)
    assert np.ptp(np.array(ours)[:, 0]) > 1e-2  # what it sees matters


MINE = """
import equinox as eqx, jax, jax.numpy as jnp
class Cell(eqx.Module):  # Equinox cuts its gates with integers of NumPy
    cell: eqx.nn.GRUCell
    def __init__(self, observation_size, num_actions, *, config, context, one_hot, key):
        self.cell = eqx.nn.GRUCell(observation_size, num_actions + 1, key=key)
    def initial_state(self): return jnp.zeros(3)
    def step(self, state, seen): return (state := self.cell(seen, state)), (state[:2], state[2])
    def __call__(self, seen): raise NotImplementedError
"""


def test_a_model_of_ones_own_is_exported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(trust.VARIABLE, "mine_cell:Cell")
    (tmp_path / "mine_cell.py").write_text(MINE)
    cfg = dataclasses.replace(TABULAR, model=ModelConfig(kind="mine_cell:Cell"))
    state, folder = fresh_state(cfg), open_run(cfg, tmp_path / "run")
    checkpoint.save(folder.checkpoints, cfg.updates, state._replace(update=jnp.array(cfg.updates)), keep=1)
    export_numpy("run", "agent.npz")
    agent, alone = rl.load("run", 0), Player("agent.npz")
    seen = np.eye(5)[3]
    ours, theirs = agent.step(agent.initial_state(), jnp.asarray(seen)), alone.step(alone.initial_state(), seen)
    np.testing.assert_allclose(theirs[1][0], ours[1][0], atol=1e-6)


def test_the_command_and_what_it_refuses(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_of(tmp_path / "run", [(0.3, 0.9, 0.2, 0.6, 0.1)])
    assert main(["export", "run", "--out", "agent.npz", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["written"] == ["agent.npz", "numpy_player.py"]
    assert (tmp_path / "numpy_player.py").read_text().startswith('"""Plays an exported agent')
    with pytest.raises(ValueError, match=r"must end with \.npz, got agent\.zip"):
        export_numpy("run", "agent.zip")
    assert main(["export", "run", "--agent", "1"]) == 2
    assert "agent must be an integer from 0 to 0, got 1" in capsys.readouterr().err
