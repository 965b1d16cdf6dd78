"""The whole config of a run, and what its sections must agree on."""

import dataclasses

from lapg_rl.config import tables
from lapg_rl.config.checks import LAST_SEED, MANY, check, check_counts, check_folder_name, check_kinds
from lapg_rl.config.game import GameConfig
from lapg_rl.config.groups import Members, least_multiple, name_of, shares_of_groups
from lapg_rl.config.pool import NAMES, PoolConfig
from lapg_rl.config.schedule import parse, stage_configs
from lapg_rl.config.sections import LearnerConfig, ModelConfig, NaiveConfig, check_required
from lapg_rl.config.tables import ALGORITHMS, COPLAYERS, ESTIMATORS, KEYED

#: Below this, what an action does to the next inner episode is invisible beside what it does in the current one.
LEAST_SHAPING_SIGNAL = 0.01


@dataclasses.dataclass(frozen=True)
class Config:
    """A run: sizes, sections, seed. The run is a pure function of this object, and of the runs it begins from, if any.

    Attributes:
        name: what folders of its runs are called, before the method and the seed.
        updates: updates of the agents; each plays `meta_batch` meta-episodes with each agent.
        meta_batch: meta-episodes of an agent in an update.
        batch: B, trajectories of a meta-episode: games played side by side, which feed one update of a naive learner.
        inner_episodes: M, inner episodes of a meta-episode; naive learners learn after each.
        steps: T, steps of an inner episode.
        schedule: keys that change in the course of the run, in stages (`lapg_rl.config.schedule.parse`): "300: p_naive=0.5".
        seed: of everything random; runs on other seeds are other draws of the same experiment.
        checkpoint_every: updates between checkpoints.
        keep_checkpoints: how many of the newest checkpoints are kept.
        keep_every: keep those after every so many updates for ever; 0: none.
        game: which game is played.
        model: the policies' architecture.
        naive: the naive learners.
        learner: the learning-aware agents.
        pool: whom the agents meet.

    Example:
        >>> import lapg_rl as rl
        >>> rl.Config(meta_batch=8, seed=3).shares
        {'naive': 8}
    """

    name: str = "custom"
    updates: int = 3000
    meta_batch: int = 128
    batch: int = 16
    inner_episodes: int = 20
    steps: int = 10
    schedule: str = ""
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
        self._check_groups()
        self._check_seats()
        names = self.learner.estimators
        if len(names) not in (1, self.pool.agents):
            raise ValueError(
                f"learner.estimator names {len(names)} estimators for pool.agents = {self.pool.agents}; give one for all, "
                "or one an agent; to train with one after the other: `lapg sweep`"
            )
        alike = self.naive.model in ("same", self.model.kind)
        remedy = "dynamic naive learners are copies of agents: set naive.model=same, or pool.naive_start=static"
        check(alike or self.pool.naive_start == "static", "naive.model", self.naive.model, "the agents' own", remedy)
        self._check_look_ahead()
        self._check_signal()
        stages = stage_configs(self) if self.schedule else (self,)
        copied = next((stage.copied for stage in parse(self.schedule) if stage.copied), "")
        several = f"2 or more with agents={copied} in the schedule"
        check(self.pool.agents > 1 or not copied, "pool.agents", self.pool.agents, several, "one has no copies")
        for kind in NAMES:
            if getattr(self.pool, kind) and not any(getattr(stage.pool, f"p_{kind}") for stage in stages):
                raise ValueError(self.pool.unmet(kind))

    def _check_shares(self):
        """Every share is a whole number of meta-episodes; that of the other agents is what the others leave."""
        for kind, share in self.pool.shares.items():
            if kind == "meta":
                continue
            field = f"pool.p_{kind}" if kind in KEYED else f"pool.coplayers: {kind}"
            by_states = self.game.matrix is not None or self.game.group is not None
            if share and tables.row(kind, COPLAYERS).matrix and not by_states and not self.game.is_custom:
                what = f"game.kind = {self.game.kind}" + (f" ({self.game.title})" if self.game.repeated else "")
                raise ValueError(f"{field} is a share of strategies for 2x2 matrix games, but {what}; set it to 0")
            of_game = tables.row(kind, COPLAYERS).game
            if share and of_game and self.game.kind != of_game:
                raise ValueError(
                    f"{field} is a share of a script for game.kind = {of_game}, but game.kind = {self.game.kind}; set it to 0 "
                    f"or game.kind={of_game}"
                )
            if self.game.players > 2:
                continue  # groups are counted, see `_check_groups`
            games = share * self.meta_batch
            if abs(games - round(games)) > 1e-9 * self.meta_batch or (share > 0 and not round(games)):
                near = sorted({max(int(games), 0), min(int(games) + 1, self.meta_batch)})
                raise ValueError(
                    f"{field} * meta_batch must be an integer, got {games:.9g}; change meta_batch, or take a share that "
                    f"fits meta_batch = {self.meta_batch}: {' or '.join(repr(n / self.meta_batch) for n in near)}"
                )

    def _check_groups(self):
        """Every group of co-players is met in a whole number of meta-episodes, and what is for two players is left out."""
        if self.game.players == 2:
            return
        if self.pool.reveal:
            raise ValueError(
                f"pool.reveal tells an agent the kind of its one co-player, but game.players = {self.game.players}; set "
                "pool.reveal=false"
            )
        if pairs := [name for name in self.learner.estimators if tables.row(name, ESTIMATORS).pairs]:
            raise ValueError(
                f"learner.estimator = {pairs[0]} models the one co-player of a game of two, but game.players = "
                f"{self.game.players}; choose another estimator"
            )
        shares = shares_of_groups(self.pool.shares, self.game.players - 1)
        for members, share in shares.items():
            if (share * self.meta_batch).denominator != 1:
                least = least_multiple(list(shares.values()))
                raise ValueError(
                    f"seats drawn by the shares in pool make the group {name_of(members)} {share} of the meta-episodes, "
                    f"which is no whole number of meta_batch = {self.meta_batch}; take a multiple of {least}, or other shares"
                )

    def _check_seats(self):
        """Agents learn in the row player's seat; refuse to put them into the column player's where that is another game."""
        if self.game.repeated is None or self.game.repeated.is_symmetric:
            return
        seated = {
            "pool.p_meta": self.pool.p_meta > 0,
            "pool.p_frozen": self.pool.p_frozen > 0,
            "pool.naive_start": self.pool.naive_start == "dynamic",
            "pool.naive_from": bool(self.pool.naive_from),
        }
        if found := next((field for field, is_so in seated.items() if is_so), None):
            raise ValueError(
                f"{found} = {getattr(self.pool, found.removeprefix('pool.'))} puts agents into the column player's seat, but "
                f"they learn in the row player's, and {self.game.title} is not symmetric; let them meet naive learners "
                "(pool.p_naive=1), fixed or memory-one strategies"
            )

    def _check_look_ahead(self):
        check_required(self.learner.algorithm, {"game.stop": self.game.stop, "game.players": self.game.players})
        if tables.row(self.learner.algorithm, ALGORITHMS).repeated and self.game.repeated is None:
            raise ValueError(
                f"learner.algorithm = {self.learner.algorithm} is for repeated games of two players, but game.kind = "
                f"{self.game.kind}; set game.kind=ipd or matrix, or learner.algorithm=ppo"
            )
        if not self.pool.p_naive:
            return
        naive = {f"naive.{f.name}": getattr(self.naive, f.name) for f in dataclasses.fields(self.naive)}
        check_required(self.learner.algorithm, naive)
        if tables.row(self.learner.algorithm, ALGORITHMS).least_episodes > self.inner_episodes:
            raise ValueError(
                f"learner.algorithm = {self.learner.algorithm} looks from one inner episode ahead to the next, got "
                f"inner_episodes = {self.inner_episodes}; set inner_episodes=2 or more"
            )

    def _check_signal(self):
        signal = (self.learner.gamma * self.learner.gae_lambda) ** self.steps
        credited = self.learner.credited and not all(
            tables.row(n, ESTIMATORS).episodic for n in self.learner.estimators
        )
        shaping = credited and self.inner_episodes > 1
        if shaping and signal < LEAST_SHAPING_SIGNAL:
            raise ValueError(
                f"(gamma * gae_lambda)^steps = ({self.learner.gamma} * {self.learner.gae_lambda})^{self.steps} = {signal:.2g} "
                f"is below {LEAST_SHAPING_SIGNAL}: the next inner episode would not count and the agent could not learn to "
                "shape; raise learner.gamma or learner.gae_lambda (published: 1), or choose learner.estimator=inner_episode"
            )

    @property
    def groups(self) -> dict[str, Members]:
        """The kinds of those whom an agent meets at once, by what metrics call them; one each in a game of two players."""
        if self.game.players == 2:
            return {kind: (kind,) for kind in self.shares}
        return {name_of(members): members for members in shares_of_groups(self.pool.shares, self.game.players - 1)}

    @property
    def shares(self) -> dict[str, int]:
        """How many of the `meta_batch` meta-episodes are played against each kind of co-player that is met at all.

        In games of more players against each of `groups`.
        """
        if self.game.players > 2:
            found = shares_of_groups(self.pool.shares, self.game.players - 1)
            return {name_of(members): int(share * self.meta_batch) for members, share in found.items()}
        shares = {kind: round(share * self.meta_batch) for kind, share in self.pool.shares.items()}
        return {kind: count for kind, count in shares.items() if count}

    @property
    def estimators(self) -> tuple[str, ...]:
        """The estimator of each agent."""
        names = self.learner.estimators
        return names if len(names) == self.pool.agents else names * self.pool.agents

    @property
    def method(self) -> str:
        """What tells runs apart: the estimator, or the algorithm that has none."""
        return self.learner.estimator if self.learner.credited else self.learner.algorithm

    @property
    def methods(self) -> tuple[str, ...]:
        """The method of each agent: its estimator, or the algorithm, which all share."""
        return self.estimators if self.learner.credited else (self.learner.algorithm,) * self.pool.agents

    @property
    def addresses(self) -> list[str]:
        """The addresses `package.module:name` of the user's code that the run depends on."""
        named = [self.game.kind, self.game.factory, self.model.kind, self.naive.model, self.learner.algorithm]
        pools = [stage.pool for stage in stage_configs(self)]  # what a schedule names is loaded, too
        named += [*self.learner.estimators, *self.pool.strategies, *(kind for pool in pools for kind in pool.shares)]
        return list(dict.fromkeys(name for name in named if tables.is_address(name)))

    @property
    def naive_model(self) -> ModelConfig:
        """The naive learners' architecture."""
        return self.model if self.naive.model == "same" else dataclasses.replace(self.model, kind=self.naive.model)
