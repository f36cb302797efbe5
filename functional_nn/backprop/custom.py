"""The hand-written gradient as a function that other people's code differentiates through.

`jax.custom_vjp` attaches a backward pass to a function. Nothing is differentiated here.
"""

import jax
import jax.numpy as jnp

from functional_nn.backprop.equations import backward, forward, shaped_like
from functional_nn.layers import factors_of
from functional_nn.objective import Batch, objective

__all__ = ["as_custom_vjp"]


def as_custom_vjp(net, loss, reduction: str = "mean", *, head: str = "stable"):
    """The cost as a function whose `jax.grad` runs our backward pass (BP1–BP4; N14).

    It goes wherever a function of JAX goes: into `jit`, `vmap`, `scan`, `remat` and `shard_map`,
    and into the loss of a model written in Flax or Equinox. It can be differentiated with respect
    to params, X, sample_weights, and Y unless Y holds integer classes. As with every function that
    has a `jax.custom_vjp`, the derivative is taken in reverse mode: `jax.jvp` of it raises a
    TypeError. For products with the Hessian use `quantities(net, loss, ["hvp"])`.

    Inside `shard_map`, JAX adds up the gradients of replicated parameters over the devices. It does
    so here too, so average the cost before `jax.grad`, as in `lax.pmean(cost(…), "data")`, and not
    the gradient after it.

    Args:
      net, loss, reduction, head: as for `value_and_grad`.

    Returns (params, X, Y, *, sample_weights=None, key=None) -> the cost, a scalar; its arguments
    are those of the function that `value_and_grad` returns. Raises a TypeError or ValueError that
    names the wrong argument; so does the returned function. Differentiating with respect to Y
    raises a ValueError for a loss of your own that does not know its `target_slope`.

    >>> import functional_nn as fnn, jax, jax.numpy as jnp
    >>> params = ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
    >>> X, Y = jnp.array([[1.0, 2.0]]), jnp.array([[10.0]])                              # a = 12
    >>> cost = as_custom_vjp(fnn.mlp((2, 1)), "quadratic")
    >>> jax.grad(lambda params: 10 * cost(params, X, Y))(params)[0]["w"].tolist()
    [[20.0, 40.0]]
    >>> jax.grad(cost, argnums=1)(params, X, Y).tolist()                        # Wᵀδ
    [[6.0, 8.0]]
    """
    problem = objective(net, loss, reduction, head)
    core = _differentiable(problem)

    def cost(params, X, Y, *, sample_weights=None, key=None):
        batch = problem.batch(params, X, Y, sample_weights, key)
        y = batch.y if problem.head.target is not None else _fixed(problem.loss.name, batch.y)
        return core(params, batch.x, y, batch.weights, batch.keys)

    return cost


def _differentiable(problem):
    """(params, x, y, weights, keys) -> C, with our backward pass."""
    factors, head = factors_of(problem.net.layers), problem.head

    @jax.custom_vjp
    def cost(params, *batch):
        return problem.cost(params, Batch(*batch))

    def run(params, x, y, weights, keys):
        tape = jax.vmap(lambda x, key: forward(problem, params, x, key))(x, keys)
        return weights @ jax.vmap(head.value)(tape[-1].z, y), (params, x, y, weights, tape)

    def back(saved, cotangent):
        params, x, y, weights, tape = saved
        passed = jax.vmap(lambda tape, y: backward(problem, params, tape, y))(tape, y)
        scale = cotangent * weights
        d_y = jnp.zeros_like(y) if head.target is None else (
            scale[:, None] * jax.vmap(head.target)(tape[-1].z, y))
        gradients = (shaped_like(params, factors.weighted_sum(passed.factors, scale)),
                     jax.vmap(jnp.multiply)(scale, passed.cotangent), d_y, cotangent * passed.loss)
        return *jax.tree.map(_summed_as, gradients, (params, x, y, weights)), None

    cost.defvjp(run, back)
    return cost


def _summed_as(gradient, of):
    """The gradient of a value that is the same on every device of a `shard_map`: the sum."""
    axes = _axes(gradient) - _axes(of)
    return jax.lax.psum(gradient, tuple(axes)) if axes else gradient


def _axes(value) -> frozenset:
    """The axes of an enclosing `shard_map` along which the value differs from device to device."""
    kind = jax.typeof(value)  # versions of JAX keep the axes under other names
    return getattr(kind, "vma", None) or getattr(
        getattr(kind, "manual_axis_type", None), "varying", frozenset())


def _fixed(loss: str, y):
    """`y` itself, with respect to which nothing can be differentiated."""
    @jax.custom_vjp
    def identity(y):
        return y

    def back(_, cotangent):
        raise ValueError(
            f"the cost cannot be differentiated with respect to Y: the loss {loss} does not know "
            "its derivative there; give it as `target_slope` in its definition")

    identity.defvjp(lambda y: (y, None), back)
    return identity(y)
