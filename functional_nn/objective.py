"""The objective: network + loss (of one example), and the cost over examples (N12).

Whoever differentiates it, by hand (`backprop`) or automatically (`autodiff`), gets the same problem from here: the head, the
weights of the examples in the cost, and inputs that have been checked. The cost is weights · losses, where the weights are
1/B for the mean, 1 for the sum, and wᵢ/Σw or wᵢ where sample weights w are given.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks, layers, losses
from functional_nn.losses import Head, Loss
from functional_nn.network import Network, dtype_of

__all__ = ["Batch", "Objective", "cost", "head", "objective"]

REDUCTIONS = {"mean": lambda w: w / jnp.sum(w), "sum": lambda w: w}
FORMS = {"stable": "straight from z where output and loss cancel", "general": "the loss's gradient through the activation's"}


class Batch(NamedTuple):
    """Checked examples: x (B, n_in), y (B, n_out) in the parameters' dtype, cost weights (B,), keys (B,) or None."""

    x: jax.Array
    y: jax.Array
    weights: jax.Array
    keys: jax.Array | None


@dataclasses.dataclass(frozen=True)
class Objective:
    """A network, its loss, how the cost reduces the examples, and the head that joins output and loss."""

    net: Network
    loss: Loss
    reduction: str
    head: Head

    def example_loss(self, params, x, y, key) -> jax.Array:
        """L of one example that has been checked."""
        _, tape = layers.forward(self.net.layers, params, x, key)
        return self.head.value(tape[-1].z, y)

    def cost(self, params, batch: Batch) -> jax.Array:
        """C = Σᵢ weightsᵢ Lᵢ."""
        return batch.weights @ self.losses(params, batch)

    def losses(self, params, batch: Batch) -> jax.Array:
        """The loss of each example, (B,)."""
        return jax.vmap(self.example_loss, in_axes=(None, 0, 0, 0))(params, *batch[:2], batch.keys)

    def batch(self, params, X, Y, sample_weights=None, key=None) -> Batch:
        """Checked arrays, or an error that names the argument.

        Args:
          params: the network's.
          X: (B, n_in), floats.
          Y: (B, n_out); (B,) for one output; (B,) integer classes where the loss takes them.
          sample_weights: (B,), at least 0 and not all 0; None weighs all alike.
          key: for dropout; one key, split over the examples.
        """
        X = checks.floating("X", X)
        _check_inputs(self.net, params, X)
        dtype = dtype_of(params, X)
        weights = jnp.ones(X.shape[0], dtype) if sample_weights is None else (
            checks.sample_weights("sample_weights", sample_weights, X.shape[0]).astype(dtype))
        keys = None if key is None else jax.random.split(checks.typed_key("key", key), X.shape[0])
        return Batch(X.astype(dtype), self.targets(Y, X.shape[0], dtype), REDUCTIONS[self.reduction](weights), keys)

    def example(self, params, x, y, key=None) -> Batch:
        """A batch of the ONE example (x, y), checked as `batch` does."""
        x = checks.floating("x", x)
        if x.shape != (self.net.n_in,):
            raise ValueError(f"x must be ONE example of shape ({self.net.n_in},), got {x.shape}; for a batch use jax.vmap")
        return self.batch(params, x[None], _real("y", y)[None], key=key)

    def targets(self, Y, n: int, dtype) -> jax.Array:
        """Y as (n, n_out) of `dtype`: classes become unit vectors, (n,) a column where there is one output."""
        Y, n_out = _real("Y", Y), self.net.n_out
        if Y.ndim == 0 or Y.shape[0] != n:
            raise ValueError(f"Y must have one target for each of the {n} examples of X, got shape {Y.shape}")
        if self.loss.labels and Y.ndim == 1 and n_out > 1:
            if not jnp.issubdtype(Y.dtype, jnp.integer):
                raise TypeError(f"Y must hold integer classes from 0 to {n_out - 1}, or probabilities of shape ({n}, {n_out}); "
                                f"got {Y.dtype} of shape {Y.shape}; convert labels with Y.astype(int)")
            checks.labels("Y", Y, n_out)
            return jax.nn.one_hot(Y, n_out, dtype=dtype)
        if Y.shape not in ((n, n_out), (n,) if n_out == 1 else (n, n_out)):
            hint = "; classes must be integers of shape (B,)" if self.loss.labels else (
                f"; for classes use cross_entropy on softmax, or jax.nn.one_hot(Y, {n_out})" if Y.ndim == 1 else "")
            raise ValueError(f"Y must have shape ({n}, {n_out}) for {self.loss.name} of {n_out} outputs, got {Y.shape}{hint}")
        checks.finite("Y", Y)
        return Y.reshape(n, n_out).astype(dtype)


def _real(argument: str, array) -> jax.Array:
    """`array` as a JAX array of real numbers of any kind."""
    array = array if hasattr(array, "dtype") else np.asarray(array)
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool) or jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise TypeError(f"{argument} must hold real numbers, or integer classes from 0, got {array.dtype}; number the classes")
    return jnp.asarray(array)


def _check_inputs(net: Network, params, X) -> None:
    net.check_params(params)
    if X.ndim != 2 or X.shape[1] != net.n_in:
        hint = "; for ONE example use x[None]" if X.ndim == 1 else ""
        raise ValueError(f"X must have shape (examples, {net.n_in}), got {X.shape}{hint}")
    if X.shape[0] == 0:
        raise ValueError(f"X must hold at least one example, got an empty set of shape {X.shape}")
    checks.finite("X", X)


def head(net: Network, loss: Loss, form: str = "stable") -> Head:
    """How the loss depends on the last pre-activation: {value, δᴸ}.

    "general" is δᴸ = ∇ₐL ⊙ σ′(zᴸ); "stable" takes the fused pair where there is one, and is the same number without inf or NaN.
    A loss whose domain is not the output's range is refused with the right pair.
    """
    activation = net.output
    checks.one_of("head", form, FORMS)
    if loss.output not in (None, activation.name):
        raise ValueError(f"{loss.name} takes the logarithm of its predictions, so it needs output='{loss.output}'; this "
                         f"network ends in '{activation.name}'. The right pairs: {loss.name} with {loss.output}, or "
                         f"{activation.name} with {_partners(activation.name)}")
    if form == "stable" and (activation.name, loss.name) in losses.FUSED:
        return losses.FUSED[activation.name, loss.name]
    return Head(lambda z, y: loss(activation(z), y),
                lambda z, y: activation.pullback(z, loss.gradient(activation(z), y)))  # BP1


def _partners(output: str) -> str:
    special = [loss.name for loss in losses.LOSSES.values() if loss.output == output]
    return special[0] if special else "quadratic, mse, mae or another loss of any real output"


def objective(net: Network, loss: str | Loss, reduction: str = "mean", form: str = "stable") -> Objective:
    """Network and loss joined; refuses pairs that make no sense and unknown names."""
    if not isinstance(net, Network):
        raise TypeError(f"net must be a network made by fnn.mlp or fnn.sequential, got a {type(net).__name__}")
    loss = losses.get(loss)
    checks.one_of("reduction", reduction, REDUCTIONS)
    return Objective(net, loss, reduction, head(net, loss, form))


def cost(net: Network, loss: str | Loss, reduction: str = "mean", *, head: str = "stable"):
    """(params, X, Y, *, sample_weights=None, key=None) -> C, the function whose gradient backpropagation gives.

    >>> import functional_nn as fnn, jax.numpy as jnp
    >>> params = ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
    >>> float(fnn.cost(fnn.mlp((2, 1)), "quadratic")(params, jnp.array([[1.0, 2.0]]), jnp.array([[10.0]])))   # ½(12 − 10)²
    2.0
    """
    problem = objective(net, loss, reduction, head)

    def of_batch(params, X, Y, *, sample_weights=None, key=None):
        return problem.cost(params, problem.batch(params, X, Y, sample_weights, key))

    return of_batch
