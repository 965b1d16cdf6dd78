"""Small layers that the sequence models share."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def fan_in(key: Array, inputs: int, *shape: int) -> Float[Array, "..."]:
    """Normal weights of variance 1 / inputs (LeCun), of the given shape."""
    return jax.random.normal(key, shape) / jnp.sqrt(inputs)


def rms_norm(x: Float[Array, "... d"], scale: Float[Array, " d"]) -> Float[Array, "... d"]:
    """Return x / sqrt(mean(x^2) + 1e-6) * (1 + scale)."""
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6) * (1 + scale)


class GatedMLP(eqx.Module):
    """Residual gated MLP: x + W_out (gelu(W_gate n) * (W_in n)), n = RMSNorm(x); both input maps are one product."""

    scale: Float[Array, " d"]
    weight_in: Float[Array, "d 2h"]
    weight_out: Float[Array, "h d"]

    def __init__(self, width: int, hidden: int, *, key: Array):
        first, second = jax.random.split(key)
        self.scale = jnp.zeros(width)
        self.weight_in = fan_in(first, width, width, 2 * hidden)
        self.weight_out = fan_in(second, hidden, hidden, width)

    def __call__(self, x: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """Apply to any number of leading axes."""
        gate, value = jnp.split(rms_norm(x, self.scale) @ self.weight_in, 2, axis=-1)
        return x + (jax.nn.gelu(gate) * value) @ self.weight_out


class Readout(eqx.Module):
    """Final RMSNorm, then linear action logits and value, both starting at zero (a uniform policy)."""

    scale: Float[Array, " d"]
    weight: Float[Array, "d outputs"]
    bias: Float[Array, " outputs"]

    def __init__(self, width: int, num_actions: int):
        self.scale = jnp.zeros(width)
        self.weight = jnp.zeros((width, num_actions + 1))
        self.bias = jnp.zeros(num_actions + 1)

    def __call__(self, x: Float[Array, "... d"]) -> tuple[Float[Array, "... a"], Float[Array, "..."]]:
        """(logits, value) for any number of leading axes."""
        out = rms_norm(x, self.scale) @ self.weight + self.bias
        return out[..., :-1], out[..., -1]
