"""A planted mistake changes the backward pass and not the forward pass."""

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import verify
from functional_nn.timemachine.mistakes import MISTAKES, mistake, value_and_grad
from tests.slow import few

net = fnn.mlp((3, 4, 4, 2), hidden="tanh")
X, Y = jax.random.normal(jax.random.key(1), (5, 3)), jax.random.normal(jax.random.key(2), (5, 2))


@pytest.mark.parametrize("cause", few(MISTAKES, "derivative at a"))
def test_the_cost_is_right_and_the_gradient_is_wrong(cause):
    params = net.init(jax.random.key(0))
    cost, grads = value_and_grad(cause)(net, "quadratic")(params, X, Y)
    right, wanted = fnn.backprop.value_and_grad(net, "quadratic")(params, X, Y)
    np.testing.assert_allclose(cost, right, rtol=1e-6)
    assert not np.allclose(grads[0]["w"], wanted[0]["w"])


@pytest.mark.parametrize("cause", few(MISTAKES))
def test_the_debugger_names_it(cause):
    report = verify.check_network(net, "quadratic", net.init(jax.random.key(0)), X, Y,
                                  value_and_grad=value_and_grad(cause)(net, "quadratic"))
    assert {fault.cause for fault in report.faults} == {cause}


def test_its_name_is_one_of_the_debuggers():
    assert set(MISTAKES) <= set(verify.CAUSES)
    with pytest.raises(ValueError, match="did you mean 'missing derivative'"):
        mistake("missing derivatve")
