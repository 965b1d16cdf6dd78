"""The commands of the theory, one module each: `configure(parser)` and `run(arguments)`; nothing is computed here."""
