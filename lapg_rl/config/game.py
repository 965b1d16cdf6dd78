"""The section of a config that says which game is played."""

import dataclasses
from typing import Any, Literal

from lapg_rl.config import payoffs as tables_of
from lapg_rl.config import tables
from lapg_rl.config.checks import LARGE, check, check_counts, check_kinds, check_positive, clipped, unknown
from lapg_rl.config.tables import GAMES, ZOO
from lapg_theory.game import AnonymousGame, MatrixGame, NormalFormGame, prisoners_dilemma, public_goods

#: Of a group: every co-player is a policy that acts, and learns if it is naive.
MOST_PLAYERS = 16


@dataclasses.dataclass(frozen=True)
class CleanUpConfig:
    """CleanUp-lite (`lapg_rl.envs.CleanUp` has the rules); what the published text leaves open is a choice here.

    Attributes:
        rows: of the grid; the river and the orchard have as many cells.
        columns: of the grid; the river is the last, the orchard the first.
        initial_dirt: dirty river cells at the start of an inner episode.
        dirt_rate: probability of another dirty cell, each step.
        dirt_limit: with so many dirty cells or more no apple grows.
        hit_rate: probability that a zap within range hits.
        zap_range: how many cells away a zap reaches.
        distance: what that means: steps ("manhattan"), or the larger of both differences ("chebyshev").
        freeze_steps: how many steps after the one of the hit a player stays frozen.
        overlap: whether both players may be in one cell.
        alone: whether player 1 is absent: the one-player game.
    """

    rows: int = 5
    columns: int = 4
    initial_dirt: int = 3
    dirt_rate: float = 0.35
    dirt_limit: float = 3.0
    hit_rate: float = 0.9
    zap_range: int = 2
    distance: Literal["manhattan", "chebyshev"] = "manhattan"
    freeze_steps: int = 5
    overlap: bool = False
    alone: bool = False

    @property
    def grid(self) -> str:
        """The grid in words."""
        return f"{self.rows} x {self.columns} cells"

    def __post_init__(self):
        check_kinds("game.cleanup", self)
        check_counts("game.cleanup", self, 31, "rows")  # the river is the bits of one word
        check_counts("game.cleanup", self, 1000, "columns", least=2)
        check_counts("game.cleanup", self, 1_000_000, "initial_dirt", "zap_range", "freeze_steps", least=0)
        remedy = "the river has as many cells as the grid has rows"
        dirt = self.initial_dirt
        check(dirt <= self.rows, "game.cleanup.initial_dirt", dirt, f"at most game.cleanup.rows = {self.rows}", remedy)
        for field in ("dirt_rate", "hit_rate"):
            value = getattr(self, field)
            check(0 <= value <= 1, f"game.cleanup.{field}", value, "a probability", "it is that of one step")
        check_positive("game.cleanup", self, "the published value is 3", "dirt_limit")


@dataclasses.dataclass(frozen=True)
class CoinConfig:
    """The Coin Game (`lapg_rl.envs.CoinGame` has the rules).

    Attributes:
        size: the torus has `size` x `size` cells.
        start: whether players start on different cells ("distinct"), or each anywhere ("independent", as in POLA and LOQA).
    """

    size: int = 3
    start: Literal["distinct", "independent"] = "distinct"

    @property
    def grid(self) -> str:
        """The grid in words."""
        return f"{self.size} x {self.size} cells"

    def __post_init__(self):
        check_kinds("game.coin", self)
        check_counts("game.coin", self, 100, "size", least=2)


@dataclasses.dataclass(frozen=True)
class CommonsConfig:
    """The ecological public good (`lapg_theory.game.ecological_public_good`): what becomes of it under defection.

    Attributes:
        loss: what a step earns in which it collapses, or is degraded already.
        collapse: chance of a collapse in a step in which all defect; in proportion if fewer do.
        recovery: chance of recovering in a step.
    """

    loss: float = -1.0
    collapse: float = 0.2
    recovery: float = 0.01

    def __post_init__(self):
        check_kinds("game.commons", self)
        check(abs(self.loss) <= LARGE, "game.commons.loss", self.loss, f"at most {LARGE:g} in size", "rescale")
        for field in ("collapse", "recovery"):
            value = getattr(self, field)
            check(0 <= value <= 1, f"game.commons.{field}", value, "a probability", "it is that of one step")


@dataclasses.dataclass(frozen=True)
class GameConfig:
    """Which game is played.

    Attributes:
        kind: "ipd", the iterated prisoner's dilemma; "matrix", any repeated game of two players, by `name` or `payoffs`;
            "public-goods", that of `players`; "commons", one that defection may ruin; "cleanup", CleanUp-lite; "coin", the
            Coin Game; or the address
            `package.module:function` of a function without arguments that returns an environment (`lapg_rl.interfaces`).
        T: temptation, of a player who defects against a cooperator; T > R > P > S.
        R: reward of mutual cooperation.
        P: punishment of mutual defection.
        S: the sucker's payoff, of a player who cooperates against a defector.
        name: with kind "matrix": of a game with the payoffs that it has by default: stag_hunt, chicken, ...
        payoffs: with kind "matrix": a table as JSON, `[[4,0],[3,2]]`, own action down and the other's across; or two, the row
            player's and the column player's, both with the row player's action down. In Python and TOML they may be lists.
        factory: with kind "custom": that address.
        stop: probability that an inner episode ends after a step, before its T steps are over; 0: never.
        players: N, of a public good and of an environment of yours: an agent meets N - 1 co-players at once.
        factor: of a public good: by which contributions are multiplied before all share them; 1 < factor < players.
        cost: of a public good: what a contribution costs.
        execution: of a repeated game: chance that an action is not the one intended, in [0, 1/2).
        perception: of a repeated game: chance that a player sees a co-player's last action wrongly, in [0, 1/2).
        cleanup: of CleanUp-lite.
        coin: of the Coin Game.
        commons: of the commons.
    """

    kind: str = "ipd"
    T: float = 2.0
    R: float = 1.0
    P: float = 0.0
    S: float = -1.0
    name: str = ""
    payoffs: Any = ""  # text, once it is checked
    factory: str = ""
    stop: float = 0.0
    players: int = 2
    factor: float = 1.6
    cost: float = 1.0
    execution: float = 0.0
    perception: float = 0.0
    cleanup: CleanUpConfig = dataclasses.field(default_factory=CleanUpConfig)
    coin: CoinConfig = dataclasses.field(default_factory=CoinConfig)
    commons: CommonsConfig = dataclasses.field(default_factory=CommonsConfig)

    def __repr__(self) -> str:
        """Without the sections of other games."""
        parts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        shown = [f"{k}={v!r}" for k, v in parts.items() if not dataclasses.is_dataclass(v) or k == self.kind]
        return f"GameConfig({', '.join(shown)})"

    def __post_init__(self):
        object.__setattr__(self, "payoffs", tables_of.canonical(self.payoffs))
        check_kinds("game", self)
        tables.check_name("game.kind", self.kind, GAMES)
        check(
            0 <= self.stop < 1, "game.stop", self.stop, "in [0, 1)", "it is the probability of an end after each step"
        )
        self._check_noise()
        self._check_group()
        self._check_dilemma()
        self._check_free()
        if (self.kind == "custom") != bool(self.factory):
            raise ValueError(
                f"game.kind = {self.kind} and game.factory = {self.factory!r} don't fit; give both, as in game.kind=custom "
                "game.factory=package.module:function, or neither"
            )
        parts = self.factory.replace(":", ".", 1).split(".")
        named = not self.factory or (self.factory.count(":") == 1 and all(part.isidentifier() for part in parts))
        how = "the name of a function, as package.module:function"
        check(named, "game.factory", self.factory, how, "the module is installed or in the working folder")

    def _check_noise(self):
        for field in ("execution", "perception"):
            value = getattr(self, field)
            check(
                0 <= value < 0.5,
                f"game.{field}",
                value,
                "in [0, 1/2)",
                "at 1/2 nothing depends on what is done or seen",
            )
            row = tables.row(self.kind, GAMES)
            if value and not (row.matrix or (row.slips and field == "execution")):
                raise ValueError(
                    f"game.{field} = {value} is noise of a repeated game, but game.kind = {self.kind}; set it to 0"
                )

    @property
    def noisy(self) -> bool:
        """Whether actions slip or observations err."""
        return bool(self.execution or self.perception)

    def _check_group(self):
        check_counts("game", self, MOST_PLAYERS, "players", least=2)
        row, given = tables.row(self.kind, GAMES), type(self)
        if not (row.goods or self.is_custom or self.players == 2):
            raise ValueError(
                f"game.kind = {self.kind} is a game of two players, got game.players = {self.players}; set "
                "game.kind=public-goods for a group, or name an environment of yours"
            )
        if not row.goods:
            if other := [field for field in ("factor", "cost") if getattr(self, field) != getattr(given, field)]:
                raise ValueError(
                    f"game.{other[0]} = {getattr(self, other[0])} is of a public good, but game.kind = {self.kind}; set "
                    "game.kind=public-goods, or leave it out"
                )
            return
        check_positive("game", self, "it is what a contribution costs", "cost")
        bound = f"between 1 and game.players = {self.players}, exclusive"
        remedy = (
            "from 1 down all are worse off if all contribute, from the number of players up contributing pays at once"
        )
        check(
            1 < self.factor < self.players, "game.factor", self.factor, bound, f"it is no dilemma otherwise: {remedy}"
        )

    def _check_dilemma(self):
        for field in "TRPS":
            value = getattr(self, field)
            bound = f"a finite number between -{LARGE:g} and {LARGE:g}"
            check(abs(value) <= LARGE, f"game.{field}", value, bound, "rescale")
        T, R, P, S = self.T, self.R, self.P, self.S
        row = tables.row(self.kind, GAMES)
        given = [field for field in "TRPS" if getattr(self, field) != getattr(type(self), field)]
        if given and (row.goods or row.free):
            at_once = "give all payoffs at once, own action first: game.name= game.payoffs=[[R,S],[T,P]]"
            remedy = "set game.factor and game.cost, or game.kind=ipd" if row.goods else at_once
            raise ValueError(
                f"game.{given[0]} = {getattr(self, given[0])} is of no use with game.kind = {self.kind}; {remedy}"
            )
        if not T > R > P > S:
            table = tables_of.canonical([[R, S], [T, P]])
            raise ValueError(
                f"(T, R, P, S) = ({T}, {R}, {P}, {S}) is no prisoner's dilemma: it needs T > R > P > S; change the payoffs, or "
                f"play this game as it is: game.kind=matrix game.payoffs={table}"
            )

    def _check_free(self):
        """Refuse a name or payoffs of another kind of game, and both or neither of one that takes them."""
        if not tables.row(self.kind, GAMES).free:
            for field in ("name", "payoffs"):
                if value := getattr(self, field):
                    raise ValueError(
                        f"game.{field} = {clipped(value)} says which matrix game is played, but game.kind = {self.kind}; set "
                        "game.kind=matrix, or leave it out"
                    )
            return
        if bool(self.name) == bool(self.payoffs):
            raise ValueError(
                f"game.kind = {self.kind} takes one of game.name and game.payoffs, got {self.name!r} and "
                f"{clipped(repr(self.payoffs))}; as in game.name=stag_hunt game.payoffs='', or game.name='' "
                "game.payoffs=[[4,0],[3,2]]"
            )
        if self.name and self.name not in ZOO:
            raise ValueError(unknown(f"name {self.name!r} in game.name", self.name, list(ZOO)))

    @property
    def repeated(self) -> MatrixGame | NormalFormGame | None:
        """The game of two players that is repeated, a `MatrixGame` if it has two actions; None for another kind of game."""
        row = tables.row(self.kind, GAMES)
        if not row.matrix:
            return None
        if row.group:
            return _of_two(public_goods(2, self.factor, self.cost)) if self.players == 2 else None
        if not row.free:
            return prisoners_dilemma(self.T, self.R, self.P, self.S)
        if self.payoffs:
            return tables_of.game_of(self.payoffs)
        return tables.find("game.name", self.name, ZOO)()

    @property
    def group(self) -> AnonymousGame | None:
        """The game of three or more players that is repeated, in which the number of cooperators counts; or None."""
        if not tables.row(self.kind, GAMES).group or self.players == 2:
            return None
        return public_goods(self.players, self.factor, self.cost)

    @property
    def matrix(self) -> MatrixGame | None:
        """The 2x2 game that is repeated, which has states, fixed strategies and exact theory; or None."""
        return game if isinstance(game := self.repeated, MatrixGame) else None

    @property
    def dilemma(self) -> MatrixGame | None:
        """The prisoner's dilemma that is repeated, of which alone its words speak (cooperate, extort, defect); or None."""
        return game if (game := self.matrix) is not None and game.is_dilemma else None

    @property
    def title(self) -> str:
        """What reports call the game."""
        row = tables.row(self.kind, GAMES)
        if row.free:
            return ZOO[self.name].label if self.name else f"{row.label} {clipped(self.payoffs)}"
        if row.group:
            return f"{row.label} of {self.players} players (factor {self.factor:g}, cost {self.cost:g})"
        if row.goods:
            return f"{row.label}, {self.players} players"
        if not row.section:
            return row.label or self.factory
        return f"{row.label} on {getattr(self, row.section).grid}"

    @property
    def is_custom(self) -> bool:
        """Whether the environment is the user's."""
        return self.kind == "custom" or tables.is_address(self.kind)

    def build(self) -> MatrixGame:
        """The prisoner's dilemma that is repeated. Raises ValueError for another game."""
        if (game := self.dilemma) is None:
            told = f"{self.kind} ({self.title})" if self.matrix else self.kind
            raise ValueError(f"this needs a run of the iterated prisoner's dilemma, but here game.kind = {told}")
        return game


def _of_two(game: AnonymousGame) -> MatrixGame:
    """A group of two as the prisoner's dilemma that it is."""
    return prisoners_dilemma(game.defector[1], game.cooperator[1], game.defector[0], game.cooperator[0])
