"""The commons as an environment: what a step pays, shows and changes, and what is refused."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lapg_rl as rl
from lapg_rl.commands.main import main
from lapg_rl.config import CommonsConfig, GameConfig
from lapg_rl.envs.build import bare_environment
from lapg_theory.game import StochasticGame, ecological_public_good

COMMONS = {"kind": "commons", "factor": 1.2, "cost": 5.0}


def test_a_step_pays_and_shows_what_the_table_says():
    """Three players; each of 16 shares of collapses or recoveries within 5 standard errors: by chance once in 100,000 keys."""
    game = ecological_public_good(3, 1.2, 5.0, -5.0)
    cfg = GameConfig(**COMMONS, players=3, commons=CommonsConfig(loss=-5.0))
    env, keys = bare_environment(cfg), jax.random.split(jax.random.key(0), 4000)
    assert env.stochastic == game
    step = jax.jit(jax.vmap(env.step, (None, None, 0)))
    for state, joint in itertools.product((0, 1), itertools.product((0, 1), repeat=3)):
        after, seen, rewards = map(np.asarray, step(jnp.array(state), jnp.array(joint), keys))
        np.testing.assert_array_equal(seen, np.eye(2)[after][:, None].repeat(3, 1))
        for to in np.unique(after):
            d = sum(joint)
            pays = [-5 if state or to else 1.2 * 5 * (3 - d) / 3 - 5 * (a == 0) for a in joint]
            np.testing.assert_allclose(rewards[after == to], np.tile(pays, ((after == to).sum(), 1)), rtol=1e-6)
        chance = 0.99 if state else 0.2 * sum(joint) / 3
        assert abs((after == 1).mean() - chance) <= 5 * np.sqrt(chance * (1 - chance) / 4000)


def test_any_stochastic_game_is_an_environment():
    """Rock, paper, scissors at two stakes: the winner's action says which comes next."""
    wins = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    T = np.zeros((2, 3, 3, 2))
    T[..., 0], T[..., 1] = wins == 0, wins != 0
    R = np.stack([wins, -wins])[:, None, :, :, None] * np.array([1.0, 5.0])[None, :, None, None, None] * np.ones(2)
    env = rl.IteratedStochasticGame(StochasticGame(T, R, start=[0.0, 1.0], names=("low", "high")))
    state, seen = env.reset(jax.random.key(0))
    assert (int(state), seen.tolist()) == (1, [[0, 1], [0, 1]])
    after, seen, rewards = env.step(state, jnp.array([1, 1]), jax.random.key(0))
    assert (int(after), seen[0].tolist(), rewards.tolist()) == (0, [1, 0], [0, 0])
    after, _, rewards = env.step(state, jnp.array([0, 2]), jax.random.key(0))
    assert (int(after), rewards.tolist()) == (1, [5, -5])
    assert list(env.measures(seen, jnp.array([0, 1]))) == ["action_0", "low"]
    with pytest.raises(ValueError, match="must have the same number of actions"):
        rl.IteratedStochasticGame(StochasticGame(T[:, :, :2], R[:, :, :, :2]))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"factor": 2.0}, "game.factor must be between 1 and game.players = 2, exclusive, got 2.0"),
        ({"perception": 0.1}, "game.perception = 0.1 is noise of a repeated game, but game.kind = commons"),
        ({"T": 3.0}, "game.T = 3.0 is of no use with game.kind = commons; set game.factor and game.cost"),
        ({"payoffs": [[1, 2], [3, 4]]}, "says which matrix game is played, but game.kind = commons"),
        ({"kind": "coin"}, "game.factor = 1.2 is of a public good, but game.kind = coin"),
    ],
)
def test_what_is_no_commons_is_refused_in_one_line(changes, says):
    with pytest.raises(ValueError) as raised:
        GameConfig(**COMMONS | changes)
    assert says in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("given", [{"collapse": 1.5}, {"recovery": -0.1}, {"loss": float("nan")}])
def test_chances_and_losses_are_checked(given):
    with pytest.raises(ValueError, match=f"game.commons.{next(iter(given))} must be"):
        CommonsConfig(**given)


@pytest.mark.slow
def test_a_run_in_the_commons_is_evaluated(tmp_path, capsys):
    tiny = ["updates=1", "meta_batch=2", "batch=2", "inner_episodes=2", "model.kind=tabular"]
    rl.train(rl.override(rl.preset("commons-small"), tiny), tmp_path / "run", quiet=True)
    assert main(["evaluate", str(tmp_path / "run"), "--meta-batch", "2", "--json"]) == 0
    (match, *_) = json.loads(capsys.readouterr().out)["matches"]
    assert set(match["own"]["measures"]) == {"cooperation", "prosperous"}
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "report.html")]) == 0
    assert "commons of a public good" in (tmp_path / "report.html").read_text().lower()
