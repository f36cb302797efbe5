"""Custom rules are found wherever they are inside a function, and taken out without changing its value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.verify.custom import rules_of, without_rules
from tests.slow import few


@jax.custom_vjp
def cube(x):
    return x**3


cube.defvjp(lambda x: (cube(x), x), lambda x, g: (7.0 * g,))


@jax.custom_jvp
def square(x):
    return x * x


square.defjvp(lambda primals, tangents: (square(*primals), 5.0 * tangents[0]))
INSIDE = {
    "alone": lambda f: lambda x: f(x).sum(),
    "jit": lambda f: lambda x: jax.jit(lambda y: f(y).sum())(x),
    "vmap": lambda f: lambda x: jax.vmap(f)(x).sum(),
    "scan": lambda f: lambda x: jax.lax.scan(lambda c, each: (c + f(each), c), 0.0, x)[0],
    "while": lambda f: lambda x: jax.lax.fori_loop(0, 3, lambda i, c: c + f(x[i]), 0.0),
    "cond": lambda f: lambda x: jax.lax.cond(x[0] > 0, lambda y: f(y).sum(), lambda y: 2 * f(y).sum(), x),
    "remat": lambda f: lambda x: jax.checkpoint(lambda y: f(y).sum())(x),
    "another's": lambda f: lambda x: jnp.sum(jax.nn.relu(f(x)) + jax.nn.logsumexp(f(x))),
}
X = np.array([0.5, 1.5, 2.0])


@pytest.mark.parametrize("where", few(INSIDE, "jit", "scan", "cond"))
@pytest.mark.parametrize(("ruled", "plain"), [(cube, lambda x: x**3), (square, lambda x: x * x)], ids=["vjp", "jvp"])
def test_a_rule_is_found_and_taken_out(where, ruled, plain):
    x = jnp.asarray(X, jnp.float32)
    f, right = INSIDE[where](ruled), INSIDE[where](plain)
    assert rules_of(f, x) == (ruled.__name__,) and rules_of(right, x) == ()
    np.testing.assert_allclose(without_rules(f)(x), right(x), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(without_rules(f))(x), jax.grad(right)(x), rtol=1e-5)
    assert not np.allclose(jax.grad(f)(x), jax.grad(right)(x))


def test_what_cannot_be_traced_has_no_rules_that_can_be_seen():
    assert rules_of(lambda x: cube(x) if x > 0 else x, 1.0) == ()
