"""`import functional_nn` offers all names of `surface`, and loads JAX only once one is used."""

import subprocess
import sys

import functional_nn as fnn
from functional_nn import surface
from tests.cli.runs import PLAIN


def test_every_name_is_there_and_is_the_one_of_the_surface():
    assert fnn.__all__ == surface.__all__ == sorted(surface.__all__)
    for name in surface.__all__:
        assert getattr(fnn, name) is getattr(surface, name) and name in dir(fnn)


def test_an_unknown_name_is_an_attribute_error():
    for name in ("no_such_name", "_private", "__wrapped__"):
        assert not hasattr(fnn, name)


def test_jax_is_imported_with_the_first_name():
    code = """
import sys
import functional_nn as fnn
assert "jax" not in sys.modules
assert fnn.losses.mse.name == "mse" and fnn.network.mlp is fnn.mlp
assert "jax" in sys.modules
from functional_nn import *
assert mlp is fnn.mlp and backprop is fnn.backprop
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=PLAIN, timeout=120)
