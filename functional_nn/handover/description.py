"""Networks and losses as JSON values, and back.

A layer is described by its `kind`, a key of `layers.KINDS`, and the arguments with which it was
made. Activations, losses and initialisers are described by their names in the library, with their
hyper-parameters.

>>> import functional_nn as fnn, json
>>> net = fnn.mlp((2, 3, 1), hidden=fnn.activations.leaky_relu.configure(slope=0.01))
>>> print(json.dumps(of_network(net)["layers"][0]))
{"kind": "dense", "n_out": 3, "activation": {"name": "leaky_relu", "slope": 0.01},
 "init": "glorot_uniform"}
>>> network(of_network(net))
Network(2 -> dense(3, leaky_relu(slope=0.01)) -> dense(1, linear))
"""

from collections.abc import Mapping
from typing import Any

from functional_nn import checks
from functional_nn.activations import ACTIVATIONS, Activation
from functional_nn.initializers import INITIALIZERS, Initializer
from functional_nn.layers import KINDS, Layer
from functional_nn.losses import LOSSES, Loss
from functional_nn.network import Network, sequential


def of_network(net: Network) -> dict[str, Any]:
    """The network as JSON values, from which `network` makes it again.

    Raises a ValueError that names the first part that is not the library's own, or whose
    hyper-parameter is an array.
    """
    return {"n_in": net.n_in,
            "layers": [_of_layer(f"layer {i}", layer) for i, layer in enumerate(net.layers)]}


def network(described: Mapping[str, Any]) -> Network:
    """The network that `of_network` described. Raises a ValueError for an unknown name."""
    return sequential(described["n_in"], *map(_layer, described["layers"]))


def of_loss(loss: Loss) -> str | dict[str, Any]:
    """The loss as JSON: its name, or an object with the name and the hyper-parameters.

    Raises a ValueError for a loss that is not the library's own, or whose hyper-parameter is an
    array.
    """
    return _of_named("loss", loss, LOSSES)


def loss(described: str | Mapping[str, Any]) -> Loss:
    """The loss that `of_loss` described. Raises a ValueError for an unknown name.

    >>> from functional_nn.losses import huber
    >>> loss(of_loss(huber.configure(delta=0.5)))
    huber(delta=0.5)
    """
    return _named("loss", described, LOSSES)


def _of_layer(place: str, layer: Layer) -> dict[str, Any]:
    if layer.kind not in KINDS:
        raise ValueError(
            f"net must be made of {', '.join(KINDS)} to be written down, got {layer!r} as {place}; "
            "put one of them in its place")
    described = {"kind": layer.kind} | {
        name: _of_argument(place, name, value) for name, value in layer.arguments.items()}
    if layer.parts:
        described["layers"] = [
            _of_layer(f"{place}.{i}", part) for i, part in enumerate(layer.parts)]
    return described


def _layer(described: Mapping[str, Any]) -> Layer:
    arguments = dict(described)
    kind = checks.one_of("layer", arguments.pop("kind"), KINDS)
    parts = map(_layer, arguments.pop("layers", []))
    if "activation" in arguments:
        arguments["activation"] = _named("activation", arguments["activation"], ACTIVATIONS)
    return kind(*parts, **arguments)


def _of_argument(place: str, name: str, value: Any) -> Any:
    if isinstance(value, Activation):
        return _of_named(f"{place}'s activation", value, ACTIVATIONS)
    if isinstance(value, Initializer):
        known = [other for other, initializer in INITIALIZERS.items() if initializer == value]
        if not known:
            raise ValueError(
                f"{place}'s init must be one of {', '.join(INITIALIZERS)} to be written down, got "
                "one without a name; make the network again with one of them, its trained "
                "parameters fit as they are")
        return known[0]
    if isinstance(value, tuple):  # of integers, as a shape; JSON has it as a list
        return [_number(f"{place}'s {name}", each) for each in value]
    return value if isinstance(value, str | bool) else _number(f"{place}'s {name}", value)


def _of_named(
    place: str, item: Activation | Loss, table: Mapping[str, Any]
) -> str | dict[str, Any]:
    """The name of an entry of `table`, with its hyper-parameters.

    Raises a ValueError for an item whose functions are not those of the entry of its name.
    """
    known = table.get(item.name)
    if known is None or (known.function, known.slope) != (item.function, item.slope):
        got = f"{item!r}" if known is None else f"another function called {item.name!r}"
        raise ValueError(
            f"{place} must be one of {', '.join(table)} to be written down, got {got}; use one of "
            "them")
    numbers = {
        name: _number(f"{place}'s {name}", value) for name, value in item.parameters.items()}
    return {"name": item.name, **numbers} if numbers else item.name


def _named(kind: str, described: str | Mapping[str, Any], table: Mapping[str, Any]) -> Any:
    if isinstance(described, str):
        return checks.one_of(kind, described, table)
    numbers = dict(described)
    return checks.one_of(kind, numbers.pop("name"), table).configure(**numbers)


def _number(place: str, value: Any) -> int | float:
    if type(value) not in (int, float):
        raise ValueError(
            f"{place} must be a number to be written down, got {type(value).__name__}; convert it "
            "with float(...), and make the network or the loss again")
    return value
