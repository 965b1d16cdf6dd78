"""Study trained agents: matches, evaluations, tournaments, comparisons over seeds, sweeps. Functions of run folders."""
