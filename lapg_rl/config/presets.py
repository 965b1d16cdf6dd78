"""Named configs."""

import dataclasses
from collections.abc import Iterator, Mapping

from lapg_rl.config.checks import shown, unknown
from lapg_rl.config.game import CleanUpConfig, CommonsConfig, GameConfig
from lapg_rl.config.pool import PoolConfig
from lapg_rl.config.sections import LearnerConfig, ModelConfig, NaiveConfig
from lapg_rl.config.whole import Config


def preset(name: str) -> Config:
    """The named preset. Raises ValueError for an unknown name, with near matches.

    Example:
        >>> import lapg_rl as rl
        >>> rl.preset("ipd-mixed-small").pool.agents
        4
    """
    if not isinstance(name, str):
        raise TypeError(f"a preset has a name, got {shown(name)}; `lapg list presets` shows them")
    if name not in PRESETS:
        raise ValueError(unknown(f"preset {name}", name, list(PRESETS)))
    return PRESETS[name]


class _Presets(Mapping[str, Config]):
    """A table that can be read, and copied as one can't copy a mapping proxy."""

    def __init__(self, table: dict[str, Config]):
        self._table = table

    def __getitem__(self, name: str) -> Config:
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


def _zoo(name: str) -> GameConfig:
    return GameConfig(kind="matrix", name=name)


def _matrix(name: str) -> Config:
    """A game of the zoo, with the company of ipd-mixed-small at a third of its length."""
    return Config(
        name=f"{name.replace('_', '-')}-small",
        updates=160,
        meta_batch=24,
        game=_zoo(name),
        learner=LearnerConfig(learning_rate=1e-3),
        pool=PoolConfig(p_naive=0.5, agents=2),
    )


CLEANUP = GameConfig(kind="cleanup")
SMALL_CLEANUP_LEARNER = LearnerConfig(learning_rate=3e-3, advantages="normalised", reward_scale=0.1)
#: Meulemans et al. (2025), appendix: the tables of CleanUp, shaping and mixed
SHAPING = {
    "learner": LearnerConfig(learning_rate=1e-3, advantages="normalised", reward_scale=0.1),
    "naive": NaiveConfig(reward_scale=0.1),
}
MIXED = {
    "learner": LearnerConfig(
        algorithm="a2c",
        epochs=1,
        minibatches=1,
        optimiser="sgd",
        learning_rate=0.1,
        advantages="normalised",
        reward_scale=0.1,
    ),
    "naive": NaiveConfig(optimiser="sgd", learning_rate=1.0, gamma=1.0, reward_scale=0.1),
}
COIN = GameConfig(kind="coin")
COIN_LEARNER = LearnerConfig(learning_rate=3e-3, gamma=0.96, advantages="normalised", reward_scale=0.1)
COIN_NAIVE = NaiveConfig(optimiser="sgd", learning_rate=0.1, gamma=0.96, reward_scale=0.1)

#: Three players, of which each earns two thirds of every contribution of 1.
GROUP = GameConfig(kind="public-goods", players=3, factor=2.0)
#: Memory-one learners that toss coins at first and take plain gradient steps, at rate 8 in log-odds on returns per step:
#: those of `lapg_theory.shaping.group`, but for the noise of 16 games.
GROUP_NAIVE = NaiveConfig(
    model="tabular",
    learning_rate=4.0,
    optimiser="sgd",
    clip_norm=1e9,
    gamma=1.0,
    value_coef=0.25,
    normalize_advantages=False,
    reward_scale=1.0,
)

#: The published numbers of the ecological public good, Barfuss et al. (2020).
COMMONS = GameConfig(kind="commons", factor=1.2, cost=5.0, commons=CommonsConfig(loss=-5.0))

#: What each preset is; "published": a table in the appendix of Meulemans et al. (2025).
ABOUT = {
    "ipd-shaping": "published: an agent against naive learners",
    "ipd-mixed": "published: four agents among naive learners",
    "ipd-shaping-small": "ipd-shaping in minutes on two CPU cores: the demo's",
    "ipd-mixed-small": "ipd-mixed in half an hour on a core: LAPG cooperates",
    "ipd-steered-small": "the same on a schedule that leads to cooperation",
    "ipd-aa-small": "Advantage Alignment in seconds: two memory-one agents",
    "stag-hunt-small": "in minutes on a core: a risky meeting, mixed pool",
    "chicken-small": "in minutes on a core: who gives way, mixed pool",
    "battle-of-sexes-small": "in minutes on a core: whose place, naive learners",
    "ipd-loqa-small": "LOQA in seconds on a core: two memory-one agents",
    "ipd-reciprocator-small": "Reciprocator in seconds: two memory-one agents",
    "ipd-in-context-small": "in minutes: two agents among random memory-one ones",
    "ipd-ppi-small": "PPI in minutes: as ipd-in-context-small, 20 steps",
    "cleanup-shaping": "published: CleanUp, an agent against naive learners",
    "cleanup-mixed": "published: CleanUp; baselines take learning_rate=0.03",
    "cleanup-shaping-small": "in minutes on a core: 3 x 2 cells, 16 steps",
    "cleanup-mixed-small": "in minutes on a core: 3 x 3 cells, 32 steps, PPO",
    "cleanup-alone": "the one-player game by plain PPO, the rest rests on it",
    "public-goods-small": "in minutes on a core: three players, two naive",
    "public-goods-mixed-small": "the same in mixed groups: each seat naive or aware",
    "commons-small": "in minutes on a core: a resource that defection ruins",
    "coin": "as in the leagues of POLA and LOQA, 3 x 3, 16 steps",
    "coin-small": "coin in five minutes on a core: two agents, few games",
}

#: Two agents that meet each other alone, in single inner episodes, by memory-one policies.
SELF_PLAY = {
    "updates": 600,
    "meta_batch": 8,
    "inner_episodes": 1,
    "steps": 32,
    "model": ModelConfig(kind="tabular"),
    "pool": PoolConfig(p_naive=0.0, agents=2),
}
SELF_PLAY_LEARNER = LearnerConfig(
    memory="inner_episode", minibatches=1, learning_rate=0.02, gamma=0.96, gae_lambda=0.95, reward_scale=1.0
)

PRESETS: Mapping[str, Config] = _Presets(
    {
        "ipd-shaping": Config(name="ipd-shaping"),
        "ipd-mixed": Config(name="ipd-mixed", pool=PoolConfig(p_naive=0.75, agents=4)),
        "ipd-shaping-small": Config(name="ipd-shaping-small", updates=160, meta_batch=32),
        "ipd-mixed-small": Config(
            name="ipd-mixed-small",
            updates=500,
            meta_batch=24,
            learner=LearnerConfig(learning_rate=1e-3),
            pool=PoolConfig(p_naive=0.5, agents=4),
        ),
        "ipd-steered-small": Config(
            name="ipd-steered-small",
            updates=300,
            meta_batch=24,
            schedule="reward_vs_naive>=0.6: p_naive=0.25 learner.entropy_coef=0.01; 150: p_naive=0.25; reward_vs_meta>=0.5: "
            "agents=max(reward_vs_naive+cooperation_vs_meta) learner.entropy_coef=0 learner.learning_rate=3e-4",
            learner=LearnerConfig(learning_rate=1e-3),
            pool=PoolConfig(p_naive=1.0, agents=4),
        ),
        "ipd-aa-small": Config(
            name="ipd-aa-small",
            learner=dataclasses.replace(SELF_PLAY_LEARNER, estimator="advantage_alignment"),
            **SELF_PLAY,
        ),
        "stag-hunt-small": _matrix("stag_hunt"),
        "chicken-small": _matrix("chicken"),
        "battle-of-sexes-small": Config(
            name="battle-of-sexes-small", updates=160, meta_batch=32, game=_zoo("battle_of_the_sexes")
        ),
        "ipd-loqa-small": Config(
            name="ipd-loqa-small",
            learner=dataclasses.replace(SELF_PLAY_LEARNER, estimator="loqa", entropy_coef=0.05),
            **SELF_PLAY,
        ),
        "ipd-reciprocator-small": Config(
            name="ipd-reciprocator-small",
            learner=dataclasses.replace(SELF_PLAY_LEARNER, estimator="reciprocator"),
            **SELF_PLAY,
        ),
        "ipd-in-context-small": Config(
            name="ipd-in-context-small",
            updates=500,
            meta_batch=256,
            batch=1,
            inner_episodes=1,
            steps=100,
            schedule="1: learner.entropy_coef=0.05..0.01@450",
            learner=LearnerConfig(
                estimator="inner_episode",
                memory="inner_episode",
                minibatches=4,
                learning_rate=3e-3,
                gamma=0.99,
                td_lambda=0.99,
                gae_lambda=0.95,
                entropy_coef=0.05,
                advantages="normalised",
                reward_scale=0.1,
            ),
            pool=PoolConfig(p_naive=0.0, p_memory_one=0.5, agents=2, naive_population=1),
        ),
        "ipd-ppi-small": Config(
            name="ipd-ppi-small",
            updates=150,
            meta_batch=32,
            batch=1,
            inner_episodes=1,
            steps=20,
            model=ModelConfig(kind="gru", width=16),
            learner=LearnerConfig(
                algorithm="ppi", memory="inner_episode", minibatches=1, learning_rate=3e-3, inverse_temperature=0.5
            ),
            pool=PoolConfig(p_naive=0.0, p_memory_one=0.5, agents=2, naive_population=1),
        ),
        "cleanup-shaping": Config(
            name="cleanup-shaping", game=CLEANUP, meta_batch=512, batch=32, inner_episodes=100, steps=64, **SHAPING
        ),
        "cleanup-mixed": Config(
            name="cleanup-mixed",
            game=CLEANUP,
            updates=30000,
            meta_batch=512,
            batch=64,
            inner_episodes=5,
            steps=64,
            pool=PoolConfig(p_naive=0.75, agents=3, naive_population=3, naive_start="dynamic"),
            **MIXED,
        ),
        "cleanup-shaping-small": Config(
            name="cleanup-shaping-small",
            game=GameConfig(kind="cleanup", cleanup=CleanUpConfig(rows=3, columns=2)),
            updates=150,
            meta_batch=64,
            batch=4,
            inner_episodes=10,
            steps=16,
            learner=SMALL_CLEANUP_LEARNER,
            naive=NaiveConfig(learning_rate=0.04, reward_scale=0.1),
        ),
        "cleanup-mixed-small": Config(
            name="cleanup-mixed-small",
            game=GameConfig(kind="cleanup", cleanup=CleanUpConfig(rows=3, columns=3)),
            updates=300,
            meta_batch=16,
            batch=8,
            inner_episodes=5,
            steps=32,
            learner=SMALL_CLEANUP_LEARNER,
            naive=NaiveConfig(optimiser="sgd", learning_rate=0.1, gamma=1.0, reward_scale=0.1),
            pool=PoolConfig(p_naive=0.75, agents=3, naive_start="dynamic"),
        ),
        "cleanup-alone": Config(
            name="cleanup-alone",
            game=GameConfig(kind="cleanup", cleanup=CleanUpConfig(alone=True)),
            updates=500,
            meta_batch=32,
            batch=4,
            inner_episodes=1,
            steps=64,
            learner=LearnerConfig(
                estimator="inner_episode",
                memory="inner_episode",
                learning_rate=5e-3,
                gamma=0.98,
                gae_lambda=0.95,
                advantages="normalised",
                reward_scale=0.1,
            ),
            naive=NaiveConfig(learning_rate=0.0, reward_scale=0.1),
        ),
        "public-goods-small": Config(
            name="public-goods-small",
            game=GROUP,
            updates=160,
            meta_batch=24,
            learner=LearnerConfig(learning_rate=1e-3),
            naive=GROUP_NAIVE,
        ),
        "public-goods-mixed-small": Config(
            name="public-goods-mixed-small",
            game=GROUP,
            updates=300,
            meta_batch=16,
            learner=LearnerConfig(learning_rate=1e-3),
            naive=GROUP_NAIVE,
            pool=PoolConfig(p_naive=0.5, agents=3),
        ),
        "commons-small": Config(
            name="commons-small",
            game=COMMONS,
            updates=1000,
            meta_batch=16,
            batch=64,
            steps=5,
            learner=LearnerConfig(learning_rate=3e-4, reward_scale=0.01),
            naive=dataclasses.replace(GROUP_NAIVE, learning_rate=1.0),
        ),
        "coin": Config(
            name="coin",
            game=COIN,
            meta_batch=128,
            inner_episodes=10,
            steps=16,
            learner=dataclasses.replace(COIN_LEARNER, learning_rate=1e-3),
            naive=COIN_NAIVE,
            pool=PoolConfig(p_naive=0.5, agents=4, naive_start="dynamic"),
        ),
        "coin-small": Config(
            name="coin-small",
            game=COIN,
            updates=1000,
            meta_batch=32,
            batch=8,
            inner_episodes=5,
            steps=16,
            learner=COIN_LEARNER,
            naive=COIN_NAIVE,
            pool=PoolConfig(p_naive=0.5, agents=2, naive_start="dynamic"),
        ),
    }
)
