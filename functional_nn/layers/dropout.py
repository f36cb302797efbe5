"""Dropout (Srivastava et al., 2014), in its inverted form."""

import jax
import jax.numpy as jnp

from functional_nn import checks
from functional_nn.layers.factors import along, nothing
from functional_nn.layers.layer import Equations, Layer


def dropout(rate: float) -> Layer:
    """A dropout layer: z = m ⊙ a / (1 − rate), with a random mask m of zeros and ones.

    Each entry of m is 0 with probability `rate`. Without a key, as in evaluation, z = a: inverted
    dropout divides by the share kept during training, so that evaluation needs no factor. The
    layer has no parameters. Its backward pass is ∂L/∂a = m ⊙ δ / (1 − rate).

    Args:
      rate: the probability that a unit is DROPPED, a number from 0 to below 1.

    Raises a TypeError for a rate that is not a number, and a ValueError for one out of range. An
    array is not checked.

    >>> import jax, jax.numpy as jnp
    >>> z, _ = dropout(0.25).forward((), jnp.ones(8), jax.random.key(1))
    >>> sorted(set(z.round(3).tolist()))                  # dropped, or kept and divided by 0.75
    [0.0, 1.333...]
    """
    rate = checks.number("rate", rate, low=0.0, high=1.0 - 1e-6,
                         wanted="the share of units to drop, from 0 to below 1")

    def forward(params, a, key):
        if key is None:
            return a, jnp.ones_like(a)
        mask = jax.random.bernoulli(key, 1 - rate, a.shape).astype(a.dtype) / (1 - rate)
        return mask * a, mask

    def backward(params, mask, delta):
        return mask * delta, ((), ())

    def forward_tangent(params, mask, d_params, d_a):
        return along(lambda d_a: mask * d_a, d_a), None

    def backward_tangent(params, mask, delta, d_params, d_mask, d_delta):
        return backward(params, mask, delta), backward(params, mask, d_delta)

    return Layer("dropout", lambda n_in: n_in, lambda key, n_in, dtype: (),
                 forward, backward, nothing,
                 random=True, arguments={"rate": rate}, text=str(rate),
                 forward_tangent=forward_tangent, backward_tangent=backward_tangent,
                 equations=Equations("m ⊙ a / (1 − rate) with a mask m, else a",
                                     "m ⊙ δ / (1 − rate), or δ"))
