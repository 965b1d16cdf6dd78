"""Learn: credits to losses, the training step, and the algorithms."""
