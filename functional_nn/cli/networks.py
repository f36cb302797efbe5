"""A network in a user's file: the network itself, and the batch that goes with it."""

from types import ModuleType
from typing import Any

from functional_nn.cli.source import Source
from functional_nn.cli.usage import Unusable
from functional_nn.network import Network

__all__ = ["batch", "network", "required"]


def required(source: Source, *names: str) -> None:
    """Raise an `Unusable` for the first of these names that the file does not define."""
    for name in names:
        if name not in source.names():
            raise Unusable(
                f"{source.path} must define {name}; functional-nn verify --init FILE --kind "
                "network writes a template")


def network(source: Source, module: ModuleType) -> Network:
    """The network of the module, or what its function of that name returns."""
    net = module.network
    if not isinstance(net, Network) and callable(net):
        net = source.called("network()", net)
    if not isinstance(net, Network):
        raise Unusable(
            f"network in {source.path} must be a network such as fnn.mlp((4, 6, 3)), or a function "
            f"that returns one; got {type(net).__name__}")
    return net


def batch(source: Source, module: ModuleType, name: str) -> tuple[Any, Any, Any]:
    """The (params, X, Y) that the function of that name returns."""
    arguments = source.called(f"{name}()", source.function(module, name))
    if not isinstance(arguments, tuple) or len(arguments) != 3:
        raise Unusable(
            f"{name}() in {source.path} must return the tuple (params, X, Y); it returned "
            f"""{f'{len(arguments)} values' if isinstance(arguments, tuple)
                 else type(arguments).__name__}""")
    return arguments
