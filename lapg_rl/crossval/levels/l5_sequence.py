"""Level L5 with agents that have a memory: small recurrent agents in mixed pools, by the ordinary training loop.

Beside them stand the exact dynamics of memory-one agents, at the naive rate that is calibrated for the config: the phase in
which nearly all of many random pairs end. An agent with a memory need not follow; whether it does is the question.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from lapg_rl.config import Config, GameConfig, LearnerConfig, ModelConfig, PoolConfig
from lapg_rl.crossval import ascent
from lapg_rl.crossval.phases import MARGIN, PHASES, at_odds, phases, tallied
from lapg_rl.crossval.prediction import predict
from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.verdict import Level, Majority
from lapg_rl.runs.loop import train_together
from lapg_rl.study.results import Result, collect
from lapg_theory.game.words import words

KINDS = ("gru", "hawk")
SHARES = (0.0, 0.25, 0.75, 1.0)
#: Random pairs of the exact dynamics, their step size and steps, and the share of them that makes theory sure.
PAIRS, RATE, STEPS, SURE = 16, 5.0, 400, 0.9


def config_of(kind: str, setting: Setting, share: float, seed: int = 0) -> Config:
    """A pool of two small agents that meet each other and a share of naive learners."""
    T, R, P, S = map(float, setting.game.trps)
    return Config(
        name=f"outcome-{kind}", updates=200, meta_batch=16, inner_episodes=10, seed=seed, checkpoint_every=50,
        keep_checkpoints=1, game=GameConfig(T=T, R=R, P=P, S=S),
        model=ModelConfig(kind=kind, width=8, heads=2, mlp_width=8),  # type: ignore
        learner=LearnerConfig(learning_rate=2e-3), pool=PoolConfig(p_naive=share, agents=2),
    )  # fmt: skip


def outcome_of(run: Result, defection: float) -> str:
    """The phase of a trained run, from its last updates; `defection` is what a defector earns from naive learners."""
    game, last = run.config.game.build(), run.last
    gain = last.get("reward_vs_naive", defection) - defection
    return words(game, last.get("reward_vs_meta", game.trps[2]), gain=gain).item()


def told(cfg: Config, rate: float) -> list[np.ndarray]:
    """Phases in which random memory-one pairs end, at the share and at MARGIN times smaller and larger odds."""
    game, updates = cfg.game.build(), cfg.inner_episodes - 1
    start = np.random.default_rng(0).standard_normal((PAIRS, 2, 5))
    odds, eta = np.array([1.0, 1 / MARGIN, MARGIN])[:, None], np.full(3 * PAIRS, rate)
    share = np.broadcast_to(at_odds(cfg.pool.p_naive, odds), (3, PAIRS))
    end = ascent.ascend(
        game, np.tile(start, (3, 1, 1)), share.ravel(), eta, rate=RATE, steps=cfg.steps, naive_updates=updates,
        updates=STEPS, every=STEPS,
    )[-1]  # fmt: skip
    return np.split(phases(1 / (1 + np.exp(-end)), game, eta, steps=cfg.steps, naive_updates=updates), 3)


def level(setting: Setting, kind: str, seeds: int, place: Path, *, quiet: bool = False) -> Level:
    """Train seeds of every share side by side (or carry on) and compare their phases with the exact ones."""
    cells, made, rates = [], [], set()
    for share in SHARES:
        configs = [config_of(kind, setting, share, setting.seed + n) for n in range(seeds)]
        folders = [place / f"{kind}-{share:g}-seed{cfg.seed}" for cfg in configs]
        theory = predict(configs[0])
        rate, defection = theory.best[1].rate, theory.simulated_defection.reward
        rates.add(f"{rate:.2f}")
        expected = told(configs[0], rate)
        train_together(list(zip(configs, folders, strict=True)), label=f"L5 {kind} share {share:g}", quiet=quiet)
        seen = [outcome_of(collect(folder), defection) for folder in folders]
        counts = [Counter(part.tolist()) for part in expected]
        name = counts[0].most_common(1)[0][0]
        outcomes = tallied(seen, {phase: counts[0][phase] * seeds / PAIRS for phase in PHASES})
        cells.append({"share": share, "start": f"random, {kind}", "runs": seeds, "outcomes": outcomes, "told": name})
        if min(count[name] for count in counts) >= SURE * PAIRS:
            made.append(Majority(f"{kind}, share {share:g}: {name}", seen.count(name), seeds))
    notes = (
        f"Agents: {kind} of width 8, two in a pool, trained by the ordinary loop at learning rate 2e-3 for 200 updates. The "
        f"predictions are of memory-one agents, from {PAIRS} random pairs at the calibrated naive rate "
        f"{', '.join(sorted(rates))}; a share counts where {SURE:.0%} of them end alike, also at {MARGIN} times smaller and "
        "larger odds. The phase of a run is that of its last 20 updates.",
    )
    return Level("L5", tuple(made), {"windows": [], "pool": cells}, notes, setting.false_alarms)
