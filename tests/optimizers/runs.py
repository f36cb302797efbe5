"""The steps that an optimiser takes along given gradients."""

import jax
import jax.numpy as jnp
import numpy as np


def steps(optimizer, gradients, params=None):
    """The step for each gradient in turn, at parameters that stay."""
    params = jnp.zeros_like(jnp.asarray(gradients[0])) if params is None else params
    state, taken, update = optimizer.init(params), [], jax.jit(optimizer.update)
    for g in gradients:
        step, state = update(jnp.asarray(g), state, params)
        taken.append(np.asarray(step))
    return np.array(taken)
