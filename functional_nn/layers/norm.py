"""Layer normalisation (Ba, Kiros & Hinton, 2016)."""

import jax.numpy as jnp

from functional_nn import checks
from functional_nn.layers.factors import whole
from functional_nn.layers.layer import Equations, Layer


def layer_norm(epsilon: float = 1e-5) -> Layer:
    """A layer normalisation: z = g ⊙ x̂ + b with x̂ = (a − mean a) / √(var a + ε).

    Mean and variance are taken over the n features of one example. The parameters are the gain g
    and the bias b, {"gain": (n,), "bias": (n,)}, initially 1 and 0. With v = g ⊙ δ, the backward
    pass is ∂L/∂a = (v − mean v − x̂ mean(v ⊙ x̂)) / √(var a + ε).

    Args:
      epsilon: ε, a positive number, which prevents a division by 0 where all features are equal.

    Raises a TypeError for an epsilon that is not a number, and a ValueError for one that is not
    positive. An array is not checked.

    >>> import jax, jax.numpy as jnp
    >>> layer = layer_norm()
    >>> params = layer.init(jax.random.key(0), 2, float)
    >>> layer.forward(params, jnp.array([1.0, 3.0]), None)[0].round(3).tolist()
    [-1.0, 1.0]
    """
    epsilon = checks.number("epsilon", epsilon, low=1e-30, high=1e30, wanted="a positive number")

    def start(key, n_in, dtype):
        return {"gain": jnp.ones(n_in, dtype), "bias": jnp.zeros(n_in, dtype)}

    def forward(params, a, key):
        spread = jnp.sqrt(jnp.var(a) + epsilon)
        x_hat = (a - jnp.mean(a)) / spread
        return params["gain"] * x_hat + params["bias"], (x_hat, spread)

    def backward(params, saved, delta):
        x_hat, spread = saved
        return (_normal_part(x_hat, params["gain"] * delta) / spread,
                ({"gain": delta * x_hat, "bias": delta}, ()))

    def forward_tangent(params, saved, d_params, d_a):
        x_hat, spread = saved
        d_a = jnp.zeros_like(x_hat) if d_a is None else d_a
        d_x_hat, d_spread = _normal_part(x_hat, d_a) / spread, jnp.mean(x_hat * d_a)
        d_z = d_params["gain"] * x_hat + params["gain"] * d_x_hat + d_params["bias"]
        return d_z, (d_x_hat, d_spread)

    def backward_tangent(params, saved, delta, d_params, d_saved, d_delta):
        (x_hat, spread), (d_x_hat, d_spread) = saved, d_saved
        cotangent, factors = backward(params, saved, delta)
        v, d_v = params["gain"] * delta, d_params["gain"] * delta + params["gain"] * d_delta
        d_part = (_normal_part(x_hat, d_v)
                  - d_x_hat * jnp.mean(v * x_hat) - x_hat * jnp.mean(v * d_x_hat))
        d_errors = {"gain": d_delta * x_hat + delta * d_x_hat, "bias": d_delta}
        return (cotangent, factors), ((d_part - cotangent * d_spread) / spread, (d_errors, ()))

    return Layer("layer_norm", lambda n_in: n_in, start, forward, backward, whole,
                 arguments={"epsilon": epsilon},
                 text="" if epsilon == 1e-5 else f"epsilon={epsilon}",
                 forward_tangent=forward_tangent, backward_tangent=backward_tangent,
                 equations=Equations(
                     "g ⊙ (a − mean a) / √(var a + ε) + b",
                     "(v − mean v − x̂ mean(v ⊙ x̂)) / √(var a + ε), v = g ⊙ δ"))


def _normal_part(x_hat, v):
    """v − mean v − x̂ mean(v ⊙ x̂): what a shift and a stretch of the input leave of v."""
    return v - jnp.mean(v) - x_hat * jnp.mean(v * x_hat)
