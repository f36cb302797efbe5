"""A small recorded run with a mistake beside it; the debugger is asked in tests of their own."""

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.timemachine import recording

ASKED = recording._verdict  # the debugger as it is


def small(**options):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(14, 3)).astype(np.float32)
    Y = (X[:, 0] + X[:, 1] > 0).astype(int)
    given = {"net": fnn.mlp((3, 4, 2), hidden="tanh", output="softmax"), "loss": "cross_entropy",
             "optimizer": fnn.optimizers.sgd(0.3, momentum=0.5), "data": (X, Y), "key": jax.random.key(1),
             "epochs": 3, "batch_size": 4} | options
    return given


@pytest.fixture(scope="session")
def unchecked():
    """The debugger is not asked, which takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "_verdict", lambda course, way, step, *more: recording.Verdict(
            step, way is fnn.backprop.value_and_grad, "not asked"))
        yield


@pytest.fixture(scope="session")
def replayed(unchecked):
    return fnn.replay(**small(), mistakes=["missing derivative"], labels=["<low>", "high"], title="a < b")
