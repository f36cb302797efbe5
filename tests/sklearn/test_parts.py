"""The parts of an estimator: equal parameters give the same part, and outputs are in float64."""

import copy
import pickle

import jax
import numpy as np
import optax
import pytest

import functional_nn as fnn
from functional_nn.activations import ACTIVATIONS
from functional_nn.losses import LOSSES
from functional_nn.sklearn import parts
from functional_nn.sklearn.parts import CHUNK, outputs

NAMES = [*(("activation", name) for name in ACTIVATIONS), *(("loss", name) for name in LOSSES)]
CONFIGURED = {"activation": lambda: fnn.activations.leaky_relu.configure(slope=0.3),
              "loss": lambda: fnn.losses.huber.configure(delta=2.0)}


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_a_part_of_the_library_has_one_object_for_its_name(kind, name):
    part = {"activation": ACTIVATIONS, "loss": LOSSES}[kind][name]
    assert parts.built(kind, part) is part is parts.built(kind, name)
    assert copy.deepcopy(part) is part is pickle.loads(pickle.dumps(part))


@pytest.mark.parametrize("kind", CONFIGURED)
def test_equal_hyper_parameters_give_the_same_part(kind):
    one, two = CONFIGURED[kind](), CONFIGURED[kind]()
    assert one is not two
    assert parts.built(kind, one) is parts.built(kind, two) is copy.deepcopy(one)
    assert parts.built(kind, one).parameters == one.parameters
    assert parts.built(kind, one) is not parts.built(kind, one.name)


def test_a_part_that_the_library_does_not_have_stays_as_it_is():
    relu = fnn.activations.relu
    for own in (fnn.activations.Activation("cube", lambda z: z**3, lambda z: 3 * z**2),
                fnn.activations.Activation("relu", lambda z: z, relu.derivative)):
        assert parts.built("activation", own) is own


def test_equal_parameters_give_the_same_network_optimizer_penalty_and_cost():
    def made(rate=0.1, alpha=0.5, width=4):
        net = parts.network(
            parts.sizes(3, (width,), 2), fnn.activations.tanh, "softmax")
        return (net, parts.optimizer("adam", rate), parts.penalty(alpha),
                parts.validation(net, fnn.losses.cross_entropy))

    for one, again, other in zip(made(), made(), made(0.2, 0.25, 5), strict=True):
        assert one == again and one != other
    assert repr(made()[0]) == repr(fnn.mlp((3, 4, 2), hidden="tanh", output="softmax"))


def test_zero_and_none_switch_the_penalty_and_the_stopping_rule_off():
    assert parts.penalty(0.0) is None and parts.stopping(None, 3) is None
    still = parts.stopping(0.5, 2)
    assert not still([1.0, 0.1, 0.01]) and still([1.0, 0.9, 0.8])


def test_an_optax_optimizer_is_taken_as_it_is():
    optimizer = optax.sgd(0.1)
    assert parts.optimizer(optimizer, learning_rate="unused") is optimizer


def test_the_validation_cost_is_the_weighted_mean_of_the_losses():
    net, loss = fnn.mlp((2, 1)), fnn.losses.mse
    params, noise = net.init(jax.random.key(0)), np.random.default_rng(0)
    X, Y = (noise.normal(size=shape).astype(np.float32) for shape in ((5, 2), (5, 1)))
    weights = np.float32([0.0, 1.0, 2.0, 0.5, 3.0])
    each = np.array([loss(net.apply(params, x), y) for x, y in zip(X, Y, strict=True)])
    np.testing.assert_allclose(parts.validation(net, loss)(params, X, Y, weights)[0],
                               np.average(each, weights=weights), rtol=1e-5)


def test_a_row_is_predicted_alike_among_any_others():
    """In float64, whatever the size of the batch; more rows than one chunk take several."""
    net = fnn.mlp((50, 200, 1), hidden="tanh")
    params = net.init(jax.random.key(0))
    rows = np.random.default_rng(0).normal(size=(CHUNK + 5, 50)).astype(np.float32)
    many = outputs(net, params, rows)
    assert many.shape == (CHUNK + 5, 1) and many.dtype == float
    np.testing.assert_allclose(outputs(net, params, rows[-9:]), many[-9:], rtol=1e-11)
    np.testing.assert_allclose(outputs(net, params, rows[:500]), many[:500], rtol=1e-11)


def test_a_batch_holds_at_most_all_examples():
    for n in (1, 50, 1000):
        assert parts.batch_size(None, n) == n
        assert parts.batch_size("auto", n) == min(200, n) == parts.batch_size(200, n)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.5, np.nan, np.inf])
def test_a_share_lies_between_0_and_1(value):
    assert parts.share("validation_fraction", 0.5) == 0.5
    with pytest.raises(ValueError, match="validation_fraction must be a share between 0 and 1"):
        parts.share("validation_fraction", value)
