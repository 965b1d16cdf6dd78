"""The whole config of a run, and what its sections must agree on."""

import dataclasses

from lapg_rl.config.checks import LAST_SEED, MANY, check, check_counts, check_folder_name, check_kinds
from lapg_rl.config.sections import GameConfig, LearnerConfig, ModelConfig, NaiveConfig, PoolConfig

#: The kinds of co-players, in the order in which they are played, reported and revealed.
KINDS = ("naive", "meta", "fixed", "memory_one")

#: Below this, what an action does to the next inner episode is invisible beside what it does in the current one.
LEAST_SHAPING_SIGNAL = 0.01


@dataclasses.dataclass(frozen=True)
class Config:
    """A run: sizes, sections, seed. The run is a pure function of this object.

    The newest `keep_checkpoints` checkpoints are kept, and for ever those after every `keep_every` updates (0: none).
    """

    name: str = "custom"
    updates: int = 3000
    meta_batch: int = 128
    batch: int = 16
    inner_episodes: int = 20
    steps: int = 10
    seed: int = 0
    checkpoint_every: int = 20
    keep_checkpoints: int = 3
    keep_every: int = 0
    game: GameConfig = dataclasses.field(default_factory=GameConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    naive: NaiveConfig = dataclasses.field(default_factory=NaiveConfig)
    learner: LearnerConfig = dataclasses.field(default_factory=LearnerConfig)
    pool: PoolConfig = dataclasses.field(default_factory=PoolConfig)

    def __post_init__(self):
        check_kinds("", self)
        check_folder_name("name", self.name)
        check_counts("", self, MANY, "updates", "checkpoint_every", "keep_checkpoints")
        check_counts("", self, 100_000_000, "meta_batch", "batch", "inner_episodes", "steps")
        check_counts("", self, LAST_SEED, "seed", least=0)
        check_counts("", self, MANY, "keep_every", least=0)
        written = self.keep_every % self.checkpoint_every == 0
        bound = f"a multiple of checkpoint_every = {self.checkpoint_every}"
        check(written, "keep_every", self.keep_every, bound, "only checkpoints that are written can be kept")
        remedy = "change meta_batch, learner.minibatches or pool.p_naive"
        check(
            self.meta_batch % self.learner.minibatches == 0,
            "meta_batch", self.meta_batch, f"a multiple of learner.minibatches = {self.learner.minibatches}", remedy,
        )  # fmt: skip
        self._check_shares()
        if self.game.kind != "ipd" and self.pool.p_fixed + self.pool.p_memory_one > 0:
            raise ValueError(
                "pool.p_fixed and pool.p_memory_one are shares of strategies for matrix games, but game.kind = "
                f"{self.game.kind}; set both to 0"
            )
        names = self.learner.estimators
        if len(names) not in (1, self.pool.agents):
            raise ValueError(
                f"learner.estimator names {len(names)} estimators for pool.agents = {self.pool.agents}; give one for all, "
                "or one an agent"
            )
        alike = self.naive.model in ("same", self.model.kind)
        remedy = "dynamic naive learners are copies of agents: set naive.model=same, or pool.naive_start=static"
        check(alike or self.pool.naive_start == "static", "naive.model", self.naive.model, "the agents' own", remedy)
        self._check_look_ahead()
        self._check_signal()

    def _check_shares(self):
        """Every share is a whole number of meta-episodes; that of the other agents is what the others leave."""
        for kind in ("naive", "fixed", "memory_one"):
            share = getattr(self.pool, f"p_{kind}")
            games = share * self.meta_batch
            if abs(games - round(games)) > 1e-9 * self.meta_batch or (share > 0 and not round(games)):
                near = sorted({max(int(games), 0), min(int(games) + 1, self.meta_batch)})
                raise ValueError(
                    f"pool.p_{kind} * meta_batch must be an integer, got {games:.9g}; change meta_batch, or take a share that "
                    f"fits meta_batch = {self.meta_batch}: {' or '.join(repr(n / self.meta_batch) for n in near)}"
                )

    def _check_look_ahead(self):
        if self.learner.algorithm != "lola_dice" or not self.pool.p_naive:
            return
        got = (self.naive.optimiser, self.naive.normalize_advantages, min(self.inner_episodes, 2))
        if got != ("sgd", False, 2):
            raise ValueError(
                "lola_dice differentiates through plain gradient steps between at least 2 inner episodes, got naive.optimiser "
                f"= {self.naive.optimiser}, naive.normalize_advantages = {self.naive.normalize_advantages}, inner_episodes = "
                f"{self.inner_episodes}; set naive.optimiser=sgd naive.normalize_advantages=false inner_episodes=2 or more"
            )

    def _check_signal(self):
        signal = (self.learner.gamma * self.learner.gae_lambda) ** self.steps
        credited = self.learner.algorithm in ("ppo", "a2c") and set(self.learner.estimators) != {"inner_episode"}
        shaping = credited and self.inner_episodes > 1
        if shaping and signal < LEAST_SHAPING_SIGNAL:
            raise ValueError(
                f"(gamma * gae_lambda)^steps = ({self.learner.gamma} * {self.learner.gae_lambda})^{self.steps} = {signal:.2g} "
                f"is below {LEAST_SHAPING_SIGNAL}: the next inner episode would not count and the agent could not learn to "
                "shape; raise learner.gamma or learner.gae_lambda (published: 1), or choose learner.estimator=inner_episode"
            )

    @property
    def shares(self) -> dict[str, int]:
        """How many of the `meta_batch` meta-episodes are played against each kind of co-player that is met at all."""
        shares = {kind: round(getattr(self.pool, f"p_{kind}") * self.meta_batch) for kind in KINDS}
        return {kind: count for kind, count in shares.items() if count}

    @property
    def estimators(self) -> tuple[str, ...]:
        """The estimator of each agent."""
        names = self.learner.estimators
        return names if len(names) == self.pool.agents else names * self.pool.agents

    @property
    def method(self) -> str:
        """What tells runs apart: the estimator of PPO and A2C, else the algorithm."""
        return self.learner.estimator if self.learner.algorithm in ("ppo", "a2c") else self.learner.algorithm

    @property
    def naive_model(self) -> ModelConfig:
        """The naive learners' architecture."""
        return self.model if self.naive.model == "same" else dataclasses.replace(self.model, kind=self.naive.model)
