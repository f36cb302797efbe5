"""A network in a user's file: what is missing or of another kind is said in a sentence."""

import pytest

import functional_nn as fnn
from functional_nn.cli.networks import batch, network, required
from functional_nn.cli.source import Source
from functional_nn.cli.usage import Unusable

TEXT = """import functional_nn as fnn
def network():
    return fnn.mlp((2, 1))
loss = "mse"
def example():
    return 1 / 0
def pair():
    return 1, 2
"""


def test_a_network_is_found_and_what_is_wrong_is_said(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(TEXT)
    source = Source(path)
    module = source.run(["network", "loss", "example", "pair"])
    assert isinstance(network(source, module), fnn.Network)
    with pytest.raises(Unusable, match="line 6: ZeroDivisionError"):
        batch(source, module, "example")
    with pytest.raises(Unusable, match=r"pair\(\) in .* must return the tuple \(params, X, Y\); it returned 2 values"):
        batch(source, module, "pair")
    required(source, "network", "loss")
    with pytest.raises(Unusable, match="must define value_and_grad; functional-nn verify --init"):
        required(source, "network", "value_and_grad")
    module.network = 3
    with pytest.raises(Unusable, match="that returns one; got int"):
        network(source, module)
