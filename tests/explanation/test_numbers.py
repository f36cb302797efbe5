"""The numbers of a working are those of the hand-written passes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import functional_nn as fnn
from functional_nn.explanation.numbers import chosen, influence, numbers, rests
from functional_nn.objective import objective


@functools.cache
def found():
    net = fnn.mlp((5, 4, 3), hidden="tanh", output="softmax")
    problem, params = objective(net, "cross_entropy"), net.init(jax.random.key(0))
    X, Y = jax.random.normal(jax.random.key(1), (2, 5)), jnp.eye(3)[:2]
    return problem, params, X, Y, numbers(problem, params, X, Y, 0.5)


def test_they_are_those_of_the_library():
    problem, params, X, Y, all_of = found()
    for e in range(2):
        deltas = jax.jit(fnn.backprop.deltas(problem.net, problem.loss))(params, X[e], Y[e])
        for l, delta in enumerate(deltas, start=2):
            np.testing.assert_allclose(all_of["δ", l][e], delta, rtol=1e-6)
        np.testing.assert_allclose(all_of["a", 3][e], problem.net.apply(params, X[e]), rtol=1e-6)
    _, grads = fnn.backprop.value_and_grad(problem.net, problem.loss)(params, X, Y)
    np.testing.assert_array_equal(all_of["∂w", 2], grads[0]["w"])
    np.testing.assert_allclose(all_of["w+", 2], params[0]["w"] - 0.5 * grads[0]["w"], rtol=1e-6)


def test_the_rest_completes_the_sum():
    problem, params, _, _, all_of = found()
    shown = ((0, 3), (1, 2), (0, 1, 2))
    rest = rests(problem, all_of, shown)
    told = params[0]["w"][:, jnp.array([0, 3])] @ all_of["a", 1][0][jnp.array([0, 3])]
    np.testing.assert_allclose(told + rest["more z", 2][0] + params[0]["b"], all_of["z", 2][0], atol=1e-6)


def test_the_nodes_of_the_largest_influence_are_chosen():
    problem, _, _, _, all_of = found()
    picked = chosen(problem, all_of, 3)
    assert picked[2] == (0, 1, 2) and len(picked[0]) == len(picked[1]) == 3
    size = influence(problem, all_of, 2)
    assert set(range(4)) - set(picked[1]) == {int(np.argmin(size))}
