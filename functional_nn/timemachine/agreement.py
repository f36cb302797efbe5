"""How far the gradient of a step is from that of `jax.grad`, computed in float64.

The debugger names the fault and where it is, which takes a second or more. This takes one more
backward pass, so it is done at every recorded step.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import autodiff
from functional_nn.objective import Objective

__all__ = ["AGREES", "difference"]

AGREES = 1e-9  # rounding in float64 leaves less than 1e-12 in a right gradient


def difference(problem: Objective, way: Callable) -> Callable[..., float]:
    """The function (params, X, Y, key) -> how far the gradient of `way` is from the automatic one.

    It is the largest difference of an entry over the largest entry of the automatic gradient, or
    NaN where either is not finite.

    Args:
      problem: the network and the loss.
      way: as `fit` takes `value_and_grad`.

    >>> import functional_nn as fnn
    >>> from functional_nn.objective import objective
    >>> params = ({"w": jnp.array([[3.0]]), "b": jnp.array([1.0])},)
    >>> of = difference(objective(fnn.mlp((1, 1)), "mse"), fnn.backprop.value_and_grad)
    >>> of(params, jnp.array([[2.0]]), jnp.array([[1.0]]), jax.random.key(0)) < AGREES
    True
    """
    ways = [how(problem.net, problem.loss) for how in (way, autodiff.value_and_grad)]

    @jax.jit
    def apart(params, X, Y, key):
        noise = {"key": key} if problem.net.random else {}
        given, right = (jax.tree.leaves(each(params, X, Y, **noise)[1]) for each in ways)
        most = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf), initial=0.0) for leaf in right]))
        worst = jnp.max(jnp.stack([jnp.max(jnp.abs(one - other), initial=0.0)
                                   for one, other in zip(given, right, strict=True)]))
        return jnp.where(worst > 0, worst / jnp.where(most > 0, most, 1.0), worst)

    def of_step(params, X, Y, key) -> float:
        with jax.enable_x64(True):
            params, X, Y = jax.tree.map(_wide, (params, X, Y))
            return float(apart(params, X, Y, key))

    return of_step


def _wide(leaf) -> jax.Array:
    """The array in float64, if it holds floating numbers."""
    values = np.asarray(leaf)
    return jnp.asarray(values if values.dtype.kind in "iub" else values.astype(np.float64))
