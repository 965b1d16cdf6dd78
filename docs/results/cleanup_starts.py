"""What naive learners of CleanUp-lite can be moved to by scripts, by their start and rate: a table, and cleanup/starts.svg.

    python docs/results/cleanup_starts.py

Each of 48 scripts meets learners who learn and the same who don't; ten minutes.
"""

import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import lapg_rl as rl
from lapg_rl.envs.build import bare_environment, environment
from lapg_rl.envs.cleanup import ZAP
from lapg_rl.machine import compiling
from lapg_rl.play.company import naive_copies, naive_learner, sizes
from lapg_rl.play.coplayers.as_ego import AsEgo
from lapg_rl.play.coplayers.cleanup import CleanUpScript
from lapg_rl.play.coplayers.unlearning import NEVER
from lapg_rl.play.metrics import measure
from lapg_rl.play.rollout import meta_batch
from lapg_rl.runs import parents
from lapg_rl.study.results import opened
from lapg_theory.game import look

RESULTS = Path(__file__).parent
NAMES = ("cleans from", "zaps from", "leaves", "while dirty <=")
SCRIPTS = [
    (cleans, zaps, leaves, while_)
    for cleans, zaps in itertools.product((1, 2, 32), (0, 1, 2, 32))
    for leaves, while_ in ((0, 0), (1, 0), (1, 1), (1, 3))
]
SMALL, WIDE = (
    ["game.cleanup.rows=3", "game.cleanup.columns=2", "steps=16"],
    ["game.cleanup.rows=3", "game.cleanup.columns=3", "steps=32"],
)
#: Inner episodes, parallel games, meta-episodes of a script.
SHORT, LONG = (20, 8, 16), (100, 32, 2)
RATES = ("sgd:0.5", "adam:0.003", "adam:0.02")


class Script(CleanUpScript):
    """Cleans and harvests as CleanUpScript does, and zaps and leaves apples; its identity is what `NAMES` says of it.

    It zaps whom it can reach outside the river while so many cells are dirty, and steps out of the orchard unless more
    apples hang than it leaves.
    """

    def act(self, state, observations):
        """(state, (logits, values))."""
        cleans, zaps, leaves, while_ = state
        _, (logits, values) = super().act(cleans, observations)
        seen, columns = self.env.look(observations), self.env.columns
        dirty, apples = seen.things[:, :, -1, 1].sum(1), seen.things[:, :, 0, 0].sum(1)
        (row, column), (other_row, other_column) = (
            jnp.divmod(cells.reshape(len(cells), -1).argmax(1), columns) for cells in (seen.own, seen.other)
        )
        yields = (dirty < cleans) & (dirty <= while_) & (apples <= leaves) & (leaves > 0)
        aside = jnp.where(column < 1, 0, 5)  # right, or nothing
        far = abs(row - other_row) + abs(column - other_column)
        hits = (far <= self.env.zap_range) & (seen.frozen[:, 1] == 0) & (dirty >= zaps) & (other_column < columns - 1)
        action = jnp.where(hits, ZAP, jnp.where(yields, aside, logits.argmax(1)))
        return state, (jnp.where(jax.nn.one_hot(action, self.env.num_actions, dtype=bool), 0.0, NEVER), values)


def met(game: list[str], size: tuple[int, int, int], start: str, rate: str) -> np.ndarray:
    """Rewards per step of every script and of its learners, and how often those clean, first and last: [script, 4]."""
    episodes, games, count = size
    optimiser, speed = rate.split(":")
    changes = [*game, f"inner_episodes={episodes}", f"batch={games}", f"naive.optimiser={optimiser}", "naive.gamma=1"]
    cfg = rl.override(rl.preset("cleanup-shaping-small"), [*changes, f"naive.learning_rate={speed}"])
    env, policies = bare_environment(cfg.game), rl.fresh_state(cfg).naive_policies
    if start != "untrained":
        named = rl.override(cfg, [f"pool.naive_from={opened(RESULTS / 'cleanup-starts' / 'runs.zip' / start)}"])
        policies = naive_copies(policies, parents.read(named, "naive_from").policies)
    there = len(jax.tree.leaves(policies)[0])
    policies = jax.tree.map(lambda x: x[jnp.arange(count) % there], policies)

    def play(script, key):
        agent, learner = AsEgo(Script(env), script), naive_learner(cfg.naive)
        own, other = meta_batch(environment(cfg), agent, learner, policies, key, **sizes(cfg))
        cleaning = measure(env, other)["cleaning"].mean((0, 1, 3))
        return jnp.array([own.rewards.mean(), other.rewards.mean(), cleaning[:2].mean(), cleaning[-2:].mean()])

    play = compiling.jitted(play)
    return np.array([play(jnp.array(script), jax.random.key(1)) for script in SCRIPTS])


def told(where: str, start: str, rate: str, still: np.ndarray, moved: np.ndarray) -> None:
    """Print a row: the best script without and with learning, and what learning added at most to what a script earns."""
    gain = moved[:, 0] - still[:, 0]
    best, later, most = still[:, 0].argmax(), moved[:, 0].argmax(), gain.argmax()
    cells = [
        f"{still[best, 0]:.3f} {SCRIPTS[best]}",
        f"{moved[best, 0]:.3f}",
        f"{moved[later, 0]:.3f} {SCRIPTS[later]}",
    ]
    cells += [f"{gain[most]:+.3f} {SCRIPTS[most]}", f"{moved[most, 2]:.2f} to {moved[most, 3]:.2f}"]
    print(f"| {where}, {start}, {rate} | " + " | ".join(cells) + " |", flush=True)


def draw(found: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]) -> Figure:
    """What each script earns from learners over what it earns from the same if they don't learn."""
    figure, (axes,) = look.panels(1, 2, 8.4, 3.8)
    for ax, rows in zip(axes, ("3 x 2", "3 x 3"), strict=True):
        for n, ((where, start, rate), (still, moved)) in enumerate(found.items()):
            if where.startswith(rows):
                ax.plot(still[:, 0], moved[:, 0], "osv^DPX*"[n % 8], ms=3, mew=0, label=f"{start}, {rate}")
        ax.plot([0, 0.35], [0, 0.35], color=look.SOFT, lw=1, zorder=0)
        ax.set(xlabel="reward of a script, nobody learns", ylabel="reward, the others learn", title=f"{rows} cells")
        ax.legend(fontsize=7)
    return figure


if __name__ == "__main__":
    columns = (
        "cells, steps x episodes, start, rate",
        "best script, nobody learns",
        "the same, they learn",
        "best, they learn",
    )
    print("| " + " | ".join((*columns, "most that learning adds", "its learners clean")) + " |\n" + "|---" * 6 + "|")
    found = {}
    for game, size, starts, rates in (
        (SMALL, SHORT, ("untrained", "alone-small", "two-small"), RATES),
        (SMALL, LONG, ("alone-small",), ("adam:0.005",)),
        (WIDE, SHORT, ("alone-wide",), RATES[1:2]),
    ):
        where = f"3 x {game[1][-1]}, {game[2][6:]} x {size[0]}"
        for start in starts:
            still = met(game, size, start, "sgd:0.0")
            for rate in rates:
                found[where, start, rate] = still, met(game, size, start, rate)
                told(where, start, rate, *found[where, start, rate])
    rl.plot.save(look.drawn(lambda: draw(found)), RESULTS / "cleanup" / "starts.svg")
