"""Exact returns, occupancies and gradients of memory-one pairs in 2x2 games, in closed form."""
