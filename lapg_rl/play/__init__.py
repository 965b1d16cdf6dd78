"""Play: meta-episodes of an ego against co-players, and whom it meets. No gradients of the ego here."""
