"""Sequence-model agents trained with the learning-aware policy gradient, and everything they play in."""

__version__ = "0.1.0"
