"""Other projects' players and formats; each needs its package (an extra) and none is imported before it is asked for."""
