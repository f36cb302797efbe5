"""Backpropagation by hand (N13, N14): four equations, and all that follows from them in one pass.

    δᴸ     = ∇ₐL ⊙ σ′(zᴸ)            BP1   `objective.head`; a − y for `losses.FUSED`
    δˡ     = (Wˡ⁺¹)ᵀδˡ⁺¹ ⊙ σ′(zˡ)    BP2   `layers.backward`
    ∂L/∂bˡ = δˡ                      BP3   `layers.rank_one`
    ∂L/∂Wˡ = δˡ (aˡ⁻¹)ᵀ              BP4   `layers.rank_one`

| module | what it holds |
|---|---|
| `equations` | the four equations; the gradient of a batch, and gradients of single examples |
| `catalogue` | what else the backward pass gives: `quantities(net, loss, names)` |
| `single`, `curvature` | the definitions of those quantities, from gradients and from curvature |
| `scene` | one batch with its forward and backward pass, which the quantities share |
| `custom` | the hand-written gradient as a function that others differentiate through |

Nothing here, or in a module imported here, uses automatic differentiation.

With L = ½ (a − y)² and a = z, the gradient is ∂L/∂w = (a − y) x and ∂L/∂b = a − y (N13):

>>> import functional_nn as fnn, jax, jax.numpy as jnp
>>> net = fnn.mlp((2, 1), output="linear")
>>> params = ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
>>> X, Y = jnp.array([[1.0, 2.0]]), jnp.array([[10.0]])                                  # a = 12
>>> cost, grads = value_and_grad(net, "quadratic")(params, X, Y)
>>> float(cost), grads[0]["w"].tolist(), grads[0]["b"].tolist()
(2.0, [[2.0, 4.0]], [2.0])
"""

from functional_nn.backprop.catalogue import QUANTITIES, quantities
from functional_nn.backprop.custom import as_custom_vjp
from functional_nn.backprop.equations import (
    deltas,
    per_example_gradients,
    per_example_norms,
    value_and_grad,
)

__all__ = ["QUANTITIES", "as_custom_vjp", "deltas", "per_example_gradients", "per_example_norms",
           "quantities", "value_and_grad"]
