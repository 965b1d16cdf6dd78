"""The `lapg theory` command: a table of sub-commands, each in a module of its own that is imported when it is called."""

import argparse

#: name -> (module with `configure(parser)` and `run(arguments)`, one line of help)
COMMANDS = {
    "thresholds": ("lapg_theory.commands.thresholds", "when mutual defection stops being stable among naive learners"),
    "metagame": ("lapg_theory.commands.metagame", "fixed points of a mixed pool of aware agents and naive learners"),
    "basins": ("lapg_theory.commands.basins", "where pairs of learning agents end, from many starts or from one"),
    "basin": ("lapg_theory.commands.basin", "which end a mixed pool reaches, foretold: edge, window, folds, recipes"),
    "bifurcation": ("lapg_theory.commands.bifurcation", "where fixed points of a pool appear and vanish"),
    "evolution": ("lapg_theory.commands.evolution", "replicator dynamics of learning-aware types and naive learners"),
    "ess": ("lapg_theory.commands.ess", "is a strategy evolutionarily stable, and who breaks it"),
    "zd": ("lapg_theory.commands.zd", "zero-determinant strategies: what can be enforced, and fits"),
    "formulas": ("lapg_theory.commands.formulas", "the closed forms, as SymPy derives them"),
    "figures": ("lapg_theory.commands.figures", "the analytic figures and their numbers"),
    "phase": ("lapg_theory.commands.phase", "which pools extort, cooperate or defect"),
    "published": ("lapg_theory.commands.published", "published numbers of learning dynamics, recomputed"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands; `parser` is of the class that imports their modules when they are called."""
    commands = parser.add_subparsers(dest="theory", required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", **{"module": module})
