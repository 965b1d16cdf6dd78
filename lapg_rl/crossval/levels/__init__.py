"""The levels, one file each: `level(setting, simulation, ...) -> Level`. `lapg_rl.crossval.ladder` has their order."""
