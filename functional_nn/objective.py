"""The objective: a network with a loss, and its cost over examples (N12).

`backprop` differentiates the objective by hand, and `autodiff` automatically. Both take from here
the checked examples, their weights, and the `Head` that joins output activation and loss. The
cost is the weighted sum of the examples' losses:

    C = Σᵢ weightsᵢ Lᵢ,  weightsᵢ = 1/B for the mean over B examples, 1 for the sum

With sample weights w, weightsᵢ is wᵢ / Σⱼ wⱼ for the mean and wᵢ for the sum.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from functional_nn import checks, layers, losses
from functional_nn.activations import Activation
from functional_nn.losses import Head, Loss
from functional_nn.network import Network, dtype_of

__all__ = ["Batch", "Objective", "cost", "head", "objective"]

REDUCTIONS = {"mean": lambda w: w / jnp.sum(w), "sum": lambda w: w}
FORMS = {"stable": "straight from z where output and loss cancel",
         "general": "the loss's gradient through the activation's"}


class Batch(NamedTuple):
    """Checked examples in the dtype of the parameters.

    Attributes:
      x: the inputs, (B, n_in).
      y: the targets, (B, n_out).
      weights: the weights of the examples in the cost, (B,).
      keys: a key for each example, (B,), or None.
    """

    x: jax.Array
    y: jax.Array
    weights: jax.Array
    keys: jax.Array | None


@dataclasses.dataclass(frozen=True)
class Objective:
    """A network with a loss and a reduction.

    Attributes:
      net: the network.
      loss: the loss of one example.
      reduction: "mean" or "sum" over the examples.
      head: the loss and its derivative as functions of the last pre-activation.
    """

    net: Network
    loss: Loss
    reduction: str
    head: Head

    def example_loss(self, params, x, y, key) -> jax.Array:
        """The loss L of one checked example, a scalar; x (n_in,), y (n_out,), key or None."""
        _, tape = layers.forward(self.net.layers, params, x, key)
        return self.head.value(tape[-1].z, y)

    def cost(self, params, batch: Batch) -> jax.Array:
        """The cost C = Σᵢ weightsᵢ Lᵢ, a scalar."""
        return batch.weights @ self.losses(params, batch)

    def losses(self, params, batch: Batch) -> jax.Array:
        """The losses Lᵢ of the examples, (B,)."""
        return jax.vmap(self.example_loss, in_axes=(None, 0, 0, 0))(params, *batch[:2], batch.keys)

    def batch(self, params, X, Y, sample_weights=None, key=None) -> Batch:
        """The examples (X, Y), checked and converted to a `Batch`.

        Args:
          params: the parameters of the network.
          X: (B, n_in), floats.
          Y: (B, n_out); or (B,) for one output; or (B,) integer classes if the loss takes them.
          sample_weights: (B,), at least 0 and not all 0; None weighs all examples alike.
          key: a typed key for dropout, split into one key per example; None applies no dropout.

        Raises a TypeError or ValueError that names the wrong argument.
        """
        X = _inputs(self.net, params, X)
        dtype = dtype_of(params, X)
        keys = (None if key is None
                else jax.random.split(checks.typed_key("key", key), X.shape[0]))
        return Batch(X, self.targets(Y, X.shape[0], dtype),
                     self._weights(sample_weights, X.shape[0], dtype), keys)

    def _weights(self, sample_weights, n: int, dtype) -> jax.Array:
        """The weights of n checked examples in the cost, which add up to 1 for the mean."""
        if sample_weights is None:
            return REDUCTIONS[self.reduction](jnp.ones(n, dtype))
        weights = checks.sample_weights("sample_weights", sample_weights, n)
        if self.reduction == "mean":
            weights = checks.bounded(weights)
        return REDUCTIONS[self.reduction](checks.as_jax("sample_weights", weights, dtype))

    def example(self, params, x, y, key=None) -> Batch:
        """The one example (x, y) as a `Batch` with B = 1; raises the errors of `batch`.

        Args:
          params: the parameters of the network.
          x: (n_in,), floats.
          y: (n_out,); or a scalar for one output; or an integer class if the loss takes it.
          key: a typed key for dropout, or None.
        """
        x = checks.floating("x", x)
        if x.shape != (self.net.n_in,):
            raise ValueError(
                f"x must be ONE example of shape ({self.net.n_in},), got {x.shape}; for a batch "
                "use jax.vmap")
        return self.batch(params, x[None], checks.real("y", y)[None], key=key)

    def targets(self, Y, n: int, dtype) -> jax.Array:
        """The targets Y of n examples as an array (n, n_out) of `dtype`.

        Integer classes become one-hot vectors. A vector (n,) becomes a column if there is one
        output. Raises a TypeError or ValueError for targets that do not suit the loss.
        """
        Y, classes = self._checked_targets(Y, n)
        return (jax.nn.one_hot(checks.as_jax("Y", Y), self.net.n_out, dtype=dtype) if classes
                else checks.as_jax("Y", Y.reshape(n, self.net.n_out), dtype))

    def check(self, params, X, Y) -> None:
        """Raise a TypeError or ValueError unless (X, Y) are examples that `batch` takes."""
        self.check_targets(Y, _inputs(self.net, params, X).shape[0])

    def check_targets(self, Y, n: int) -> None:
        """Raise a TypeError or ValueError unless Y are targets of n examples."""
        self._checked_targets(Y, n)

    def _checked_targets(self, Y, n: int) -> tuple[Any, bool]:
        """The targets as an array, and whether they are integer classes."""
        Y, n_out = checks.real("Y", Y), self.net.n_out
        if Y.ndim == 0 or Y.shape[0] != n:
            raise ValueError(
                f"Y must have one target for each of the {n} examples of X, got shape {Y.shape}")
        if self.loss.labels and Y.ndim == 1 and n_out > 1:
            if not jnp.issubdtype(Y.dtype, jnp.integer):
                raise TypeError(
                    f"Y must hold integer classes from 0 to {n_out - 1}, or probabilities of shape "
                    f"({n}, {n_out}); got {Y.dtype} of shape {Y.shape}; convert labels with "
                    "Y.astype(int)")
            checks.labels("Y", Y, n_out)
            return Y, True
        if Y.shape not in ((n, n_out), (n,) if n_out == 1 else (n, n_out)):
            hint = "; classes must be integers of shape (B,)" if self.loss.labels else (
                f"; for classes use cross_entropy on softmax, or jax.nn.one_hot(Y, {n_out})"
                if Y.ndim == 1 else "")
            raise ValueError(
                f"Y must have shape ({n}, {n_out}) for {self.loss.name} of {n_out} outputs, got "
                f"{Y.shape}{hint}")
        checks.finite("Y", Y)
        return Y, False


def _inputs(net: Network, params, X) -> jax.Array:
    """The inputs of examples, checked, as the first layer reads them."""
    X = checks.floating("X", X)
    net.check_params(params)
    if X.ndim != 2 or X.shape[1] != net.n_in:
        hint = "; for ONE example use x[None]" if X.ndim == 1 else ""
        raise ValueError(f"X must have shape (examples, {net.n_in}), got {X.shape}{hint}")
    if X.shape[0] == 0:
        raise ValueError(f"X must hold at least one example, got an empty set of shape {X.shape}")
    checks.finite("X", X)
    return net.inputs("X", X, dtype_of(params, X))


def head(net: Network, loss: Loss, form: str = "stable") -> Head:
    """The loss L and the error δᴸ = ∂L/∂zᴸ as functions of the last pre-activation zᴸ (N14).

    Args:
      net: the network; only its output activation σ matters.
      loss: the loss of one example.
      form: "general" is δᴸ = ∇ₐL ⊙ σ′(zᴸ), which is BP1. "stable" computes the same from zᴸ, with
        neither inf nor NaN, for the pairs in `losses.FUSED`; other pairs keep the general form.

    Raises a ValueError for an unknown form, and for a loss that is not defined for the values of
    σ. The message names the activation and the losses that fit.
    """
    activation = net.output
    checks.one_of("head", form, FORMS)
    if loss.output not in (None, activation.name):
        raise ValueError(
            f"{loss.name} takes the logarithm of its predictions, so it needs "
            f"output='{loss.output}'; this network ends in '{activation.name}'. The right pairs: "
            f"{loss.name} with {loss.output}, or {activation.name} with "
            f"{_partners(activation.name)}")
    if form == "stable" and (activation.name, loss.name) in losses.FUSED:
        return losses.FUSED[activation.name, loss.name]
    return Head(lambda z, y: loss(activation(z), y),
                lambda z, y: activation.pullback(z, loss.gradient(activation(z), y)),  # BP1
                target=_target_slope(activation, loss), **_second_order(activation, loss))


def _target_slope(activation: Activation, loss: Loss) -> Callable | None:
    """(z, y) -> ∂L/∂y, or None if it is not known."""
    if loss.residual:
        return lambda z, y: -loss.slope(activation(z), y, **loss.parameters)
    if loss.target_slope is not None:
        return lambda z, y: loss.target_slope(activation(z), y, **loss.parameters)
    return None


def _second_order(activation: Activation, loss: Loss) -> dict[str, Callable]:
    """What a head knows of the second derivatives, by the chain rule through a = σ(z).

    ∂²L/∂z² = Jᵀ diag(ℓ″) J + R{J}ᵀ∇ₐL, and the first term is Gauss–Newton's.
    """
    if loss.curvature is None:
        return {}

    def curvature(z, y):
        return loss.curvature(activation(z), y, **loss.parameters)

    def ggn_product(z, y, u):
        return activation.pullback(z, curvature(z, y) * activation.pullback(z, u))

    def hessian_product(z, y, u):
        return ggn_product(z, y, u) + activation.bend(z, u, loss.gradient(activation(z), y))

    def root(z, y, u):
        return activation.pullback(z, jnp.sqrt(curvature(z, y)) * u)

    bends = activation.straight or activation.curvature is not None
    return {"hessian_product": hessian_product if bends else None, "ggn_product": ggn_product,
            "root": root}


def _partners(output: str) -> str:
    special = [loss.name for loss in losses.LOSSES.values() if loss.output == output]
    return special[0] if special else "quadratic, mse, mae or another loss of any real output"


def objective(
    net: Network, loss: str | Loss, reduction: str = "mean", form: str = "stable"
) -> Objective:
    """The `Objective` of a network and a loss.

    Args:
      net: a network made by `fnn.mlp` or `fnn.sequential`.
      loss: a name or a `Loss`.
      reduction: "mean" or "sum" over the examples.
      form: the form of δᴸ, "stable" or "general"; see `head`.

    Raises a TypeError if `net` is not a network, and a ValueError for an unknown name and for an
    output activation that does not suit the loss.
    """
    if not isinstance(net, Network):
        raise TypeError(
            f"net must be a network made by fnn.mlp or fnn.sequential, got a {type(net).__name__}")
    loss = losses.get(loss)
    checks.one_of("reduction", reduction, REDUCTIONS)
    return Objective(net, loss, reduction, head(net, loss, form))


def cost(net: Network, loss: str | Loss, reduction: str = "mean", *, head: str = "stable"):
    """The cost C as a function of the parameters, the function that backpropagation differentiates.

    Args:
      net, loss, reduction: as for `objective`.
      head: the form of δᴸ, "stable" or "general"; C is the same where both are finite.

    Returns (params, X, Y, *, sample_weights=None, key=None) -> C, a scalar. Its arguments are
    those of `Objective.batch`. Raises the errors of `objective`; the returned function raises
    those of `Objective.batch`.

    >>> import functional_nn as fnn, jax.numpy as jnp
    >>> params = ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
    >>> X, Y = jnp.array([[1.0, 2.0]]), jnp.array([[10.0]])
    >>> float(fnn.cost(fnn.mlp((2, 1)), "quadratic")(params, X, Y))              # ½ (12 − 10)²
    2.0
    """
    problem = objective(net, loss, reduction, head)

    def of_batch(params, X, Y, *, sample_weights=None, key=None):
        return problem.cost(params, problem.batch(params, X, Y, sample_weights, key))

    return of_batch
