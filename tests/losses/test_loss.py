"""What a loss takes: one example, a label, its hyper-parameters; and what it says of others."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from functional_nn import losses


@pytest.mark.exact
@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int32, np.int64, int, jnp.int32])
def test_a_label_is_its_unit_vector(kind):
    p, loss = jax.nn.softmax(jnp.linspace(-2.0, 2.0, 10)), losses.cross_entropy
    for label in (0, 5, 9):
        np.testing.assert_array_equal(loss(p, kind(label)), loss(p, np.eye(10)[label]))
        np.testing.assert_array_equal(loss.gradient(p, kind(label)), loss.gradient(p, np.eye(10)[label]))


def test_hyper_parameters_are_swept_and_shown():
    gradients = jax.vmap(lambda tau: losses.quantile.configure(tau=tau).gradient(jnp.array([1.0]), jnp.array([3.0])))
    np.testing.assert_allclose(gradients(jnp.array([0.1, 0.9])), [[-0.1], [-0.9]], rtol=1e-6)
    assert repr(losses.huber.configure(delta=2)) == "huber(delta=2.0)" and repr(losses.mse) == "mse"
    assert losses.huber.configure(delta=np.float64(2))(jnp.ones(2, jnp.bfloat16), jnp.zeros(2)).dtype == jnp.bfloat16


P = jnp.full(10, 0.1)


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: losses.cross_entropy(P, -1), ValueError, "target must hold classes from 0 to 9 for 10 outputs, got target = -1"),
    (lambda: losses.cross_entropy.gradient(P, 10), ValueError, "from 0 to 9 for 10 outputs, got target = 10"),
    (lambda: losses.cross_entropy(P, 3.0), ValueError, "shape (10,) or one integer class, got float32 of shape ()"),
    (lambda: losses.quadratic(P, 3), ValueError, "target must have the prediction's shape (10,), got int64 of shape ()"),
    (lambda: losses.huber(P, P[:9]), ValueError, "target must have the prediction's shape (10,), got float32 of shape (9,)"),
    (lambda: losses.mse(P[:, None], P), ValueError, "ONE example, a vector, got shape (10, 1); use jax.vmap for a batch"),
    (lambda: losses.mse(P, P[:, None]), ValueError, "got float32 of shape (10, 1); a loss takes ONE example, so use jax.vmap"),
    (lambda: losses.mae(jnp.arange(3), P[:3]), TypeError, "prediction must hold real floating-point numbers, got int32"),
    (lambda: losses.quantile.configure(tau=1.5), ValueError, "quantile's tau must be a number from 0 to 1, got 1.5"),
    (lambda: losses.huber.configure(delta=-1), ValueError, "huber's delta must be a number from 1e-30 to 1e+30, got -1"),
    (lambda: losses.epsilon_insensitive.configure(epsilon=-1), ValueError, "epsilon must be a number from 0 to 1e+30, got -1"),
    (lambda: losses.huber.configure(delta=np.inf), ValueError, "got inf"),
    (lambda: losses.mse.configure(delta=0.5), TypeError, "mse has no hyper-parameter 'delta'; it has none"),
    (lambda: losses.get("crossentropy"), ValueError, "unknown loss 'crossentropy'; did you mean 'cross_entropy'? There are: "
     "quadratic, squared_error, mse, mae, huber, log_cosh, quantile, epsilon_insensitive, binary_cross_entropy, cross_ent"),
    (lambda: losses.get(optax.l2_loss), ValueError, "unknown loss <"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)
