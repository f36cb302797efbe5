"""Dropout (Srivastava et al., 2014), inverted."""

import jax
import jax.numpy as jnp

from functional_nn import checks
from functional_nn.layers.layer import Layer, whole


def dropout(rate: float) -> Layer:
    """z = m ⊙ a / (1 − rate), with m 0 for the share `rate` that is dropped and 1 for the rest; without a key z = a.

    Inverted: training divides by the share kept, so that evaluation does nothing. There are no parameters.

    Args:
      rate: the share DROPPED, in [0, 1).

    >>> import jax, jax.numpy as jnp
    >>> z, _ = dropout(0.25).forward((), jnp.ones(8), jax.random.key(1))
    >>> sorted(set(z.round(3).tolist()))                               # dropped, or kept and divided by 0.75
    [0.0, 1.333...]
    """
    rate = checks.number("rate", rate, low=0.0, high=1.0 - 1e-6, wanted="the share of units to drop, from 0 to below 1")

    def forward(params, a, key):
        if key is None:
            return a, jnp.ones_like(a)
        mask = jax.random.bernoulli(key, 1 - rate, a.shape).astype(a.dtype) / (1 - rate)
        return mask * a, mask

    def backward(params, mask, delta):
        return mask * delta, ()

    return Layer("dropout", lambda n_in: n_in, lambda key, n_in, dtype: (), forward, backward, whole,
                 random=True, arguments={"rate": rate}, text=str(rate))
