"""How two agents of a run open and answer in each inner episode: with each other, and with naive learners; half a minute.

python docs/results/whom_they_face.py FOLDER [AGENT OTHER], or FILE.zip/NAME of runs that were exported with their agents.
"""

import sys

import jax
import numpy as np

from lapg_rl.envs.build import environment
from lapg_rl.machine import compiling
from lapg_rl.models import over_sequences
from lapg_rl.play.company import sizes
from lapg_rl.play.rollout import meta_batch
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study import entrants
from lapg_rl.study.matches import coplayer_of
from lapg_rl.study.results import opened
from lapg_theory.game import STATES

GAMES = 8  # meta-episodes, of B games each


def courses(cfg, agent, other, key):
    """The agent's chance of cooperating and where it is, [games, inner episode, step], and both players' rewards a step."""
    meeting = entrants.meeting(agent, other, GAMES, key)
    env, coplayer = environment(cfg, other.kind), coplayer_of(cfg, meeting.kind)

    @compiling.jitted
    def play(policy, identities):
        own, theirs = meta_batch(env, policy, coplayer, identities, key, **sizes(cfg))
        seen = own.observations.reshape(-1, cfg.inner_episodes * cfg.steps, own.observations.shape[-1])
        return jax.nn.softmax(over_sequences(policy, seen)[0])[..., 0], seen.argmax(-1), own.rewards, theirs.rewards

    chances, states, *rewards = play(meeting.policy, meeting.identities)
    shape = (-1, cfg.inner_episodes, cfg.steps)
    return np.reshape(chances, shape), np.reshape(states, shape), [float(np.mean(r)) for r in rewards]


def show(title, chances, states, rewards):
    """Mean chances by state (own action first) in some inner episodes, with how often the state is met there."""
    print(f"{title}: {rewards[0]:.3f} a step, the other {rewards[1]:.3f}")
    last = chances.shape[1]
    for first, end in ((0, 1), (1, 5), (5, last)):
        cells = []
        for n, name in enumerate(STATES):
            there = states[:, first:end] == n
            chance = f"{chances[:, first:end][there].mean():.3f}" if there.any() else "-"
            cells.append(f"{name} {chance} ({there.mean():.3f})")
        print(f"  inner episodes {first + 1} to {end}: {', '.join(cells)}")


if __name__ == "__main__":
    place, *pair = sys.argv[1:]
    mine, theirs = map(int, pair or (0, 1))
    folder = opened(place)
    run, pool = RunFolder(folder), entrants.agents(folder)
    cfg = run.trusted_config()
    naive = entrants.naive_of(cfg, run.final_state(), mine)
    for title, other in ((f"agent {mine} with agent {theirs}", pool[theirs]), ("with naive learners", naive)):
        show(title, *courses(cfg, pool[mine], other, jax.random.key(0)))
