"""Whatever decides the numbers of a run makes another run; whatever does not, does not."""

import json

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.training.identity import Identity, changed_surroundings, difference
from tests.training.memory import Memory
from tests.training.runs import MOMENTUM, NET, NOISY, SGD, N, X, Y, fit, same

HELD_OUT = (X[:5], Y[:5])
WEIGHTS = np.ones(N)
WHOLE = {"net": NOISY, "optimizer": MOMENTUM, "validation": HELD_OUT, "penalty": fnn.penalties.l2(0.1)}


def twice(net, loss):
    """A gradient function of one's own: another one than the library's, with the same name each time."""
    cost = fnn.backprop.value_and_grad(net, loss)

    def value_and_grad(*args, **more):
        value, gradient = cost(*args, **more)
        return value, jax.tree.map(lambda leaf: 2 * leaf, gradient)

    return value_and_grad


def moved(data, by=1e-6):
    return tuple(np.where(np.arange(len(part)) == 3, part + by, part) if part.ndim == 1 else part + by * (np.arange(len(part)) == 3)[:, None]
                 for part in data)


OTHERS = {  # what decides the numbers: how it is changed, and the words of the sentence
    "key": ({"key": jax.random.key(1)}, "key is [0, 0], not [0, 1]"),
    "batch_size": ({"batch_size": 3}, "batch_size is 4, not 3"),
    "data": ({"data": (moved((X, Y), 1e-6)[0], Y)}, "whose data is"),
    "shuffle": ({"shuffle": False}, "shuffle is True, not False"),
    "net": ({"net": NET}, "network is Network(3 -> dense(5, tanh) -> dropout(0.3) -> dense(3, softmax)), not Network(3 ->"),
    "initializer": ({"net": fnn.sequential(3, fnn.layers.dense(5, "tanh", "he_normal"), fnn.layers.dropout(0.3),
                                           fnn.layers.dense(3, "softmax"))}, "with another initialisation of the network"),
    "learning rate": ({"optimizer": fnn.optimizers.sgd(0.1 + 1e-7, momentum=0.9)}, "with another optimizer, or another learning rate"),
    "schedule": ({"optimizer": fnn.optimizers.sgd(fnn.schedules.cosine_decay(0.1, 99), momentum=0.9)}, "with another optimizer"),
    "strength": ({"penalty": fnn.penalties.l2(0.2)}, "with another penalty"),
    "no penalty": ({"penalty": None}, "with another penalty"),
    "validation": ({"validation": (X[5:10], Y[5:10])}, "validation is"),
    "a number in validation": ({"validation": moved(HELD_OUT)[:1] + HELD_OUT[1:]}, "validation is"),
    "no validation": ({"validation": None}, "validation is"),
    "start": ({"params": NOISY.init(jax.random.key(7))}, "with another params to start from"),
    "autodiff": ({"value_and_grad": fnn.autodiff.value_and_grad}, "with another value_and_grad"),
    "twice": ({"value_and_grad": twice}, "with another value_and_grad"),
    "weights": ({"sample_weights": WEIGHTS}, "data is"), "classes": ({"class_weights": {0: 2.0}}, "data is"),
    "restore_best": ({"restore_best": True}, "restore_best is False, not True")}


@pytest.fixture(scope="module")
def begun():
    store = Memory()
    fit(checkpoints=store, epochs=1, **WHOLE)
    return store.all


@pytest.mark.parametrize("name", OTHERS)
def test_checkpoints_of_another_run_are_refused(begun, name):
    store, (change, words) = Memory(), OTHERS[name]
    store.all = list(begun)
    with pytest.raises(ValueError, match="checkpoints must be of this run, got one ") as error:
        fit(**{"checkpoints": store, "epochs": 2, **WHOLE, **change})
    assert words in str(error.value) and len(store.all) == len(begun)


FREE = {  # what may change, and the docs say so
    "epochs": {"epochs": 3}, "callbacks": {"callbacks": [lambda moment: None]}, "metrics": {"metrics": ["f1"]},
    "monitor": {"monitor": True}, "every": {"every": 2}, "stop": {"stop": fnn.until_converged(0, 99)}, "progress": {"progress": False}}


@pytest.mark.parametrize("name", FREE)
def test_what_does_not_decide_the_numbers_may_change(begun, name):
    store = Memory()
    store.all = list(begun)
    options = {"epochs": 2, **WHOLE, **FREE[name]}
    same(fit(checkpoints=store, **options).params, fit(**options).params)


def test_equal_arguments_made_anew_are_the_same_run(begun):
    store = Memory()
    store.all = list(begun)
    again = {"net": fnn.sequential(3, fnn.layers.dense(5, "tanh"), fnn.layers.dropout(0.3), fnn.layers.dense(3, "softmax")),
             "optimizer": fnn.optimizers.sgd(0.1, momentum=0.9), "penalty": fnn.penalties.l2(0.1),
             "validation": tuple(map(np.copy, HELD_OUT)), "data": (np.asfortranarray(X), Y.copy())}
    fit(checkpoints=store, epochs=2, **again)
    run = store.all[-1].record["run"]
    assert json.loads(json.dumps(run)) == run == begun[-1].record["run"]


@pytest.mark.parametrize(("change", "words"), [
    ({"X": moved((X, Y))[0]}, "data is"), ({"Y": (Y + 1) % 3}, "data is"), ({"transform": lambda x: 2 * x}, "with another transform"),
    ({"chunk_bytes": 100}, None)])
def test_a_stream_counts_by_its_contents(change, words):
    def run(store, epochs, **parts):
        stream = fnn.data.stream(**{"X": X, "Y": Y, "transform": lambda x: x + 1, **parts})
        return fit(data=stream, epochs=epochs, checkpoints=store, optimizer=SGD)

    store = Memory()
    run(store, 1)
    if words is None:
        same(run(store, 2, **change).params, run(Memory(), 2).params)
    else:
        with pytest.raises(ValueError, match=words):
            run(store, 2, **change)


def test_the_surroundings_that_changed_are_named():
    one = Identity(given={}, traced={"init": "1"}, versions={"jax": "1", "threads": "2"})
    assert changed_surroundings(one, one) is None and difference(one, one) is None
    other = one | {"versions": {"jax": "1", "threads": "8"}}
    assert changed_surroundings(one, other) == "threads 8 (it was 2)"
    assert difference(one, other | {"traced": {"init": "2"}}) == "with another initialisation of the network"
    assert difference(one, Identity(given={}, traced={"init": "2"}, versions={"jax": "2", "threads": "2"})) is None
