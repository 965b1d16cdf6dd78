"""The section of a config that says whom the agents meet, and what a run begins from."""

import dataclasses
from typing import Literal

from lapg_rl.config import tables
from lapg_rl.config.checks import check, check_counts, check_kinds, check_run
from lapg_rl.config.tables import COPLAYERS, KEYED
from lapg_theory.game import NAMED


def _lower(names: str) -> str:
    """Names in small letters; addresses stay as they are."""
    return ",".join(name if tables.is_address(name.strip()) else name.lower() for name in names.split(","))


def _share(entry: str) -> tuple[str, float]:
    """(kind, share) of an entry of `pool.coplayers`."""
    kind, _, share = entry.strip().rpartition("=")
    try:
        return kind, float(share)
    except ValueError:
        remedy = "as in naive=0.5,package.module:kind=0.25"
        raise ValueError(f"pool.coplayers takes kind=share,kind=share, {remedy}, got {entry!r}") from None


def also_given(key: str, text: str) -> list[str]:
    """The keys that a value gives besides its own: shares in `pool.coplayers` of kinds that have a key."""
    kinds = [entry.rpartition("=")[0].strip() for entry in text.split(",")] if key == "pool.coplayers" else []
    return [f"pool.p_{kind}" for kind in kinds if kind in KEYED and kind != "meta"]


#: The shares with a key of their own.
SHARES = ("p_naive", "p_fixed", "p_memory_one", "p_frozen")
#: The keys that name a run whose parameters this one begins with.
PARENTS = ("agents_from", "naive_from", "frozen")
#: Kinds of co-players of which a key says which ones they are, and an example.
NAMES = {"fixed": "tft,alld", "frozen": "runs/extorters"}


@dataclasses.dataclass(frozen=True)
class PoolConfig:
    """Whom the agents meet, by shares of their meta-episodes; the share that is left goes to the other meta agents.

    Where a run is named, its newest checkpoint is meant, as it is when this run begins; `{seed}` in its path stands for this
    run's seed.

    Attributes:
        p_naive: share of naive learners.
        agents: P, the meta agents; all learn at once.
        naive_population: how many initial policies there are for naive learners.
        naive_start: "static": that fixed population; "dynamic": copies of the other meta agents as they are now.
        p_fixed: share of the strategies in `fixed`, each met equally often.
        fixed: names of memory-one strategies: "tft,alld", or addresses `package.module:name` of five probabilities.
        p_memory_one: share of memory-one strategies drawn uniformly from the cube, a new one each meta-episode.
        coplayers: shares by kind of co-player: "naive=0.5,package.module:kind=0.25"; kinds with a key of their own above are
            put there, the others, such as the scripts of a game, stay here (see `lapg_rl.interfaces.Kind`).
        p_frozen: share of the agents of `frozen`, each met equally often.
        frozen: trained agents that learn no more, of the run RUN or of its agent RUN:0; a copy is kept in the run folder.
        agents_from: where agents start: the trained agents of a run, one each, or for all of them the one of RUN:0 or
            RUN:max(METRIC+METRIC), which has the most of a metric or of a sum of them (min: the least) over the last 5 updates.
        naive_from: what naive learners start from: the trained agents of a run in turn, or the one of RUN:0.
        reveal: tell the agents, by a one-hot beside every observation, which kind of co-player they face (an ablation).
        reveal_kinds: what the entries of that one-hot stand for; stored, so that it stays what it was when kinds are added.
    """

    p_naive: float = 1.0
    agents: int = 1
    naive_population: int = 10
    naive_start: Literal["static", "dynamic"] = "static"
    p_fixed: float = 0.0
    fixed: str = ""
    p_memory_one: float = 0.0
    coplayers: str = ""
    p_frozen: float = 0.0
    frozen: str = ""
    agents_from: str = ""
    naive_from: str = ""
    reveal: bool = False
    reveal_kinds: str = "naive,meta,fixed,memory_one"

    @property
    def others(self) -> dict[str, float]:
        """The shares of the kinds in `coplayers`."""
        return dict(_share(entry) for entry in self.coplayers.split(",")) if self.coplayers else {}

    @property
    def p_meta(self) -> float:
        """Share of the other meta agents: what the other shares leave."""
        return round(1 - sum(getattr(self, field) for field in SHARES) - sum(self.others.values()), 9)

    @property
    def shares(self) -> dict[str, float]:
        """The share of every kind of co-player, in the order in which they are played."""
        return {kind: getattr(self, f"p_{kind}") for kind in KEYED} | self.others

    @property
    def parents(self) -> dict[str, str]:
        """The keys that name a run to begin from, and the names."""
        return {key: name for key in PARENTS if (name := getattr(self, key))}

    @property
    def strategies(self) -> tuple[str, ...]:
        """The names in `fixed`."""
        return tuple(self.fixed.split(",")) if self.fixed else ()

    def __post_init__(self):
        check_kinds("pool", self)
        check_counts("pool", self, 10_000, "agents")
        check_counts("pool", self, 100_000_000, "naive_population")
        self._sort_coplayers()
        shares = {f"pool.{field}": getattr(self, field) for field in SHARES}
        for field, value in (
            shares | {f"pool.coplayers: {kind}": share for kind, share in self.others.items()}
        ).items():
            check(0 <= value <= 1, field, value, "a probability", "it is a share of the meta-episodes")
        shares = " + ".join(f"pool.{field}" for field in SHARES) + " + pool.coplayers" * bool(self.coplayers)
        check(
            self.p_meta >= 0, shares, 1 - self.p_meta, "at most 1", "lower one of them (pool.p_naive is 1 by default)"
        )
        if self.fixed:
            object.__setattr__(self, "fixed", tables.check_names("pool.fixed", _lower(self.fixed), NAMED))
        for key, name in self.parents.items():
            check_run(f"pool.{key}", name)
        for kind in NAMES:
            if getattr(self, f"p_{kind}") and not getattr(self, kind):
                raise ValueError(self.unmet(kind))
        if self.naive_from and self.naive_start == "dynamic":
            raise ValueError(
                "pool.naive_from is of no use with pool.naive_start = dynamic, whose naive learners are copies of the agents; "
                "leave one out"
            )
        revealed = tables.check_names("pool.reveal_kinds", self.reveal_kinds, COPLAYERS)
        object.__setattr__(self, "reveal_kinds", revealed)
        met = [kind for kind, share in self.shares.items() if share]
        unseen = [kind for kind in [*met, "meta"] if kind not in revealed.split(",")]  # a co-player meets an agent
        if self.reveal and unseen:
            raise ValueError(
                f"pool.reveal tells apart pool.reveal_kinds = {revealed}, but {unseen[0]} is met, too; set "
                f"pool.reveal_kinds={','.join([revealed, *unseen])}"
            )
        for what, needed in (("p_meta", self.p_meta > 0), ("naive_start", self.naive_start == "dynamic")):
            if needed and self.agents < 2:
                raise ValueError(
                    f"pool.{what} = {getattr(self, what)} needs other agents, but pool.agents = {self.agents}; set "
                    "pool.agents >= 2, or pool.p_naive=1 pool.naive_start=static"
                )

    def unmet(self, kind: str) -> str:
        """What is wrong where there is a share of a kind that needs names, but none are given, or the other way round."""
        return (
            f"pool.p_{kind} = {getattr(self, f'p_{kind}')} and pool.{kind} = {getattr(self, kind)!r} don't fit; give both, "
            f"as in pool.p_{kind}=0.5 pool.{kind}={NAMES[kind]}, or neither"
        )

    def met(self) -> "PoolConfig":
        """The same pool, without the names of those that are not met."""
        unmet = {kind: "" for kind in NAMES if not getattr(self, f"p_{kind}")}
        return dataclasses.replace(self, **unmet) if any(getattr(self, kind) for kind in unmet) else self

    def _sort_coplayers(self):
        """Put the shares of kinds that have a key of their own there. Raises ValueError for unknown kinds and repeated ones."""
        kinds = [_share(entry)[0] for entry in self.coplayers.split(",")] if self.coplayers else []
        for kind in kinds:
            tables.check_name("pool.coplayers", kind, COPLAYERS)
            if kinds.count(kind) > 1:
                raise ValueError(f"pool.coplayers names {kind} twice; give its share once")
        short = [kind.rpartition(":")[2] for kind in kinds if kind not in COPLAYERS] + list(COPLAYERS)
        if same := [kind for kind in kinds if short.count(kind.rpartition(":")[2]) > 1]:
            raise ValueError(
                f"pool.coplayers names {same[0]}, whose metrics would be called like those of another kind, "
                f"reward_vs_{same[0].rpartition(':')[2]}; give your function another name"
            )
        shares = self.others
        for kind in (kind for kind in KEYED if kind in shares):
            if kind != "meta":
                object.__setattr__(self, f"p_{kind}", shares[kind])
        rest = {kind: share for kind, share in shares.items() if kind not in KEYED}
        object.__setattr__(self, "coplayers", ",".join(f"{kind}={share!r}" for kind, share in rest.items()))
        if "meta" in shares and abs(shares["meta"] - self.p_meta) > 1e-9:
            raise ValueError(
                f"pool.coplayers gives other agents {shares['meta']:g}, but the other shares leave {self.p_meta:g}; "
                "make them 1 in all"
            )
