"""What the backward pass gives beside the gradient, by name and in one pass.

Automatic differentiation makes these quantities expensive: it would form the gradient of every
example, or differentiate the gradient again. The hand-written pass has their factors at hand.
"""

from collections.abc import Iterator, Sequence
from types import MappingProxyType

import jax

from functional_nn import checks
from functional_nn.backprop.curvature import ggn_diagonal, ggn_diagonal_mc, ggn_vp, hvp
from functional_nn.backprop.equations import shaped_like
from functional_nn.backprop.scene import Quantity, Scene
from functional_nn.backprop.single import (
    clipped_sum,
    cosines,
    delta_statistics,
    dots,
    fisher_diagonal,
    gradient,
    kronecker,
    noise_scale,
    norms,
    second_moment,
    variance,
)
from functional_nn.layers import Factors, Layer
from functional_nn.losses import Head
from functional_nn.objective import Objective, objective

__all__ = ["QUANTITIES", "quantities"]

QUANTITIES = MappingProxyType({quantity.name: quantity for quantity in (
    gradient, norms, clipped_sum, dots, second_moment, variance, noise_scale, cosines,
    fisher_diagonal, kronecker, delta_statistics, ggn_diagonal, ggn_diagonal_mc, hvp, ggn_vp)})
"""Every quantity by name; `QUANTITIES["norms"].text` is its equation and source."""
OPTIONS = {"clip": "the largest norm that an example's gradient keeps, such as clip=1.0",
           "direction": "a pytree shaped like params, such as the gradient",
           "key": "a typed key, such as key=jax.random.key(0)"}


def quantities(net, loss, names: Sequence[str]):
    """The quantities of these names as a function of the parameters, in one pass.

    Args:
      net, loss: as for `value_and_grad`. Where the loss has a stable form it is used.
      names: some of `QUANTITIES`: gradient, norms, clipped_sum, dots, second_moment, variance,
        noise_scale, cosines, ggn_diagonal, ggn_diagonal_mc, fisher_diagonal, kronecker, hvp,
        ggn_vp, delta_statistics.

    Returns (params, X, Y, *, clip=None, direction=None, key=None) -> {name: value}. All are of the
    mean cost. A value is shaped like params, or has an entry for each example or each layer; see
    docs/quantities.md. The arguments of this function are

      params, X, Y: as for the function that `value_and_grad` returns.
      clip: the norm bound of clipped_sum, above 0.
      direction: the vector of dots, hvp and ggn_vp, a pytree shaped like params.
      key: a typed key, for ggn_diagonal_mc and for dropout; without it nothing is dropped.

    Raises a ValueError for an unknown name, with the nearest one, and for a quantity that a layer,
    an activation or the loss cannot give, with the reason. The returned function raises a TypeError
    or ValueError that names an option that is missing or any other wrong argument.

    >>> import functional_nn as fnn, jax.numpy as jnp
    >>> params = ({"w": jnp.array([[3.0]]), "b": jnp.array([1.0])},)
    >>> X, Y = jnp.array([[1.0], [2.0]]), jnp.array([[3.0], [3.0]])     # a = 4 and 7, δ = 1 and 4
    >>> found = quantities(fnn.mlp((1, 1)), "quadratic", ["second_moment", "hvp"])(
    ...     params, X, Y, direction=params)
    >>> found["second_moment"][0]["w"].tolist()                         # ½ ((1 · 1)² + (4 · 2)²)
    [[32.5]]
    >>> found["hvp"][0]["w"].tolist()                                   # ½ Σ x (3x + 1)
    [[9.0]]
    """
    problem = objective(net, loss)
    chosen = _chosen(names)
    for quantity in chosen:
        for need in quantity.needs:
            for refusal in _refusals(problem, need):
                raise ValueError(f"{quantity.name} cannot be computed: {refusal}")

    def values(params, X, Y, *, clip=None, direction=None, key=None):
        options = {"clip": clip, "direction": direction, "key": key}
        batch = problem.batch(params, X, Y, key=key)
        scene = Scene(problem, params, batch, **_checked(chosen, options, problem, batch))
        found = {quantity.name: (quantity, quantity.compute(scene)) for quantity in chosen}
        return {name: shaped_like(params, value) if quantity.of == "parameters" else value
                for name, (quantity, value) in found.items()}

    return values


def _chosen(names: Sequence[str]) -> list[Quantity]:
    if isinstance(names, str):
        raise TypeError(f"names must be a list of names, got {names!r}; write [{names!r}]")
    if not names:
        raise ValueError(f"names must hold at least one quantity, got {names!r}; there are: "
                         f"{', '.join(QUANTITIES)}")
    return [checks.one_of("quantity", name, QUANTITIES) for name in names]


def _refusals(problem: Objective, need: str) -> Iterator[str]:
    """Why the network or its loss does not have what a quantity needs, a sentence a reason."""
    if need in Head._fields:
        if getattr(problem.head, need) is None:
            yield (f"a second derivative of the loss {problem.loss.name} on the output "
                   f"{problem.net.output.name} is not known; give it as `curvature` in the "
                   "definition of the loss, or of the activation")
        return
    for place, layer in _every(problem.net.layers):
        if need == "curvature":
            if not layer.activation.straight and layer.activation.curvature is None:
                yield (f"the activation {layer.activation} of layer {place} does not know its "
                       "second derivative; give it as `curvature` in its definition")
            continue
        found = getattr(layer.factors if need in Factors._fields else layer, need)
        if isinstance(found, str):
            yield f"layer {place}, {layer!r}, cannot give it: {found}"


def _every(layers: Sequence[Layer], place: str = "") -> Iterator[tuple[str, Layer]]:
    """All layers and the layers in them, with their places, such as "1" and "1.0"."""
    for l, layer in enumerate(layers):
        yield f"{place}{l}", layer
        yield from _every(layer.parts, f"{place}{l}.")


def _checked(chosen: Sequence[Quantity], options: dict, problem: Objective, batch) -> dict:
    """The options, after a check that none is missing and that each is of its kind."""
    for quantity in chosen:
        for option in quantity.options:
            if options[option] is None:
                raise ValueError(
                    f"{quantity.name} needs the option {option}: {OPTIONS[option]}")
    if options["clip"] is not None:
        checks.positive("clip", options["clip"])
    if options["direction"] is not None:
        problem.net.check_params(options["direction"], "direction")
        dtype = batch.y.dtype
        options["direction"] = shaped_like(problem.net._shapes, jax.tree.map(
            lambda leaf: checks.as_jax("direction", checks.floating("direction", leaf), dtype),
            options["direction"]))
    return options
