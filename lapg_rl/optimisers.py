"""The optimisers that agents and naive learners use."""

import optax

from lapg_rl.config import LearnerConfig, NaiveConfig


def make_optimiser(config: LearnerConfig | NaiveConfig) -> optax.GradientTransformation:
    """Clip by the global norm, then Adam or plain gradient descent."""
    adam = config.optimiser == "adam"
    rule = optax.adam(config.learning_rate, eps=config.adam_eps) if adam else optax.sgd(config.learning_rate)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), rule)


def model_optimiser(config: LearnerConfig) -> optax.GradientTransformation:
    """Clip by the global norm, then Adam: of the model of the co-player's choices."""
    rule = optax.adam(config.alignment.q_rate, eps=config.adam_eps)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), rule)
