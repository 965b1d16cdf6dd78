"""Learning rules: one file each, one signature."""
