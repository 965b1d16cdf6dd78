"""The environment of a config."""

import dataclasses
from typing import Any

from lapg_rl.config import Config, GameConfig, tables
from lapg_rl.config.loading import load, made
from lapg_rl.envs.cleanup import CleanUp
from lapg_rl.envs.coin import CoinGame
from lapg_rl.envs.group_game import IteratedGroupGame
from lapg_rl.envs.matrix_game import IteratedMatrixGame
from lapg_rl.envs.reveal import Reveal
from lapg_rl.envs.stochastic_game import IteratedStochasticGame
from lapg_rl.envs.stopping import Stopping
from lapg_rl.interfaces import Environment, check_protocol, players_of
from lapg_theory.game import MatrixGame, NormalFormGame, ecological_public_good


def repeated(game: GameConfig) -> IteratedMatrixGame | IteratedGroupGame:
    """The repeated game with the payoffs of the section."""
    if game.group is not None:
        return IteratedGroupGame(game.group.noisy(game.execution, game.perception))
    assert game.repeated is not None
    return IteratedMatrixGame(game.repeated.noisy(game.execution, game.perception))


def cleanup(game: GameConfig) -> CleanUp:
    """CleanUp-lite as the section `cleanup` says."""
    return CleanUp(game.cleanup)


def coin(game: GameConfig) -> CoinGame:
    """The Coin Game as the section `coin` says."""
    return CoinGame(game.coin.size, game.coin.start)


def commons(game: GameConfig) -> IteratedStochasticGame:
    """The ecological public good as the keys of the game and its section `commons` say."""
    payoffs = (game.players, game.factor, game.cost, *dataclasses.astuple(game.commons))
    return IteratedStochasticGame(ecological_public_good(*payoffs).noisy(game.execution), first="cooperation")


def custom(game: GameConfig) -> Environment:
    """The environment that `game.factory`, or `game.kind` if it is an address, returns.

    Raises:
        ValueError: where there is no such function, or it returns no environment.
    """
    field, address = ("game.factory", game.factory) if game.factory else ("game.kind", game.kind)
    if not tables.is_address(address):
        raise ValueError(
            f"{field} must name a function without arguments that returns an environment, as package.module:function, got "
            f"{address!r}"
        )
    env = check_protocol(f"what {address!r} returned", made(field, address, load(field, address)), Environment)
    if (there := players_of(env)) != game.players:
        raise ValueError(
            f"what {address!r} returned has {there} players, but game.players = {game.players}; set game.players={there}"
        )
    return env


def bare_environment(game: GameConfig) -> Environment:
    """The environment of a game, which tells nobody whom it meets; its episodes end at random where the config says so."""
    env = custom(game) if game.is_custom else tables.find("game.kind", game.kind, tables.GAMES)(game)
    return Stopping(env, game.stop) if game.stop else env


def environment(config: Config, kind: str = "naive") -> Environment:
    """The environment in which co-players of that kind are met; the kinds differ if they are revealed."""
    env = bare_environment(config.game)
    if not config.pool.reveal:
        return env
    kinds = config.pool.reveal_kinds.split(",")
    if kind not in kinds:
        raise ValueError(
            f"the agents are told whom they meet (pool.reveal), which {kind} is not among: pool.reveal_kinds = "
            f"{config.pool.reveal_kinds}; a run that is to meet it names it there"
        )
    return Reveal(env, kinds.index(kind), kinds.index("meta"), len(kinds))


def repeated_game(game: GameConfig) -> MatrixGame | NormalFormGame:
    """The game of two players that is repeated. Raises ValueError for other environments, which have no such strategies."""
    found = matrix_game(game)
    if found is None:
        more = f", game.players = {game.players}" if game.players > 2 else ""
        raise ValueError(f"this needs a run of a repeated game of two players, but here game.kind = {game.kind}{more}")
    return found


def matrix_game(game: GameConfig) -> MatrixGame | NormalFormGame | None:
    """The game that is repeated, which is what fixed strategies and exact theory speak of; None for other environments.

    It is without noise, which is the environment's.
    """
    env: Any = bare_environment(game)
    found = getattr(env, "game", None)
    return found if found is None or found.noise is None else found.noisy()
