"""One module a sub-command of `lapg`, each with `configure(parser)` and `run(arguments) -> int`."""
