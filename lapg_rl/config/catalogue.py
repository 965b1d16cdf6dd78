"""What there is to choose from, by kind, with a line on each: for people. What a config accepts, `tables` says."""

from collections.abc import Mapping

from lapg_rl.config import presets, tables
from lapg_theory.game import strategies


def _about(table: Mapping[str, tables.Row]) -> dict[str, str]:
    return {name: ": ".join(filter(None, (row.label, row.about))) for name, row in table.items()}


#: kind -> what has names of that kind, as `name: what it is`
CATALOGUE: Mapping[str, Mapping[str, str]] = {
    "presets": presets.ABOUT,
    "games": _about(tables.GAMES),
    "matrix games": _about(tables.ZOO),
    "strategies": strategies.ABOUT,
    "co-players": _about(tables.COPLAYERS),
    "estimators": _about(tables.ESTIMATORS),
    "algorithms": _about(tables.ALGORITHMS),
    "models": _about(tables.MODELS),
    "loggers": _about(tables.LOGGERS),
    "metrics": tables.METRICS,
}
