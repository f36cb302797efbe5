"""A run goes on from each of its checkpoints to the same end; those of another are refused."""

import json

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.objective import objective
from functional_nn.training.loop import Position
from functional_nn.training.saving import Store, identity
from functional_nn.training.sources import Arrays, Streamed
from functional_nn.training.steps import new_epoch
from tests.training.memory import Memory
from tests.training.runs import MOMENTUM, NET, NOISY, SGD, N, X, Y, fit, same

OPTIONS = {"net": NOISY, "optimizer": MOMENTUM, "epochs": 4, "validation": 0.25,
           "restore_best": True, "monitor": True}
PROBLEM = objective(NET, "cross_entropy")


@pytest.mark.parametrize("every", [None, 2, 5])
def test_a_run_goes_on_from_every_one_of_its_checkpoints(every):
    store = Memory()
    whole = fit(every=every, checkpoints=store, **OPTIONS)
    steps = [saved.step for saved in store.all]
    per_epoch = 3  # of 9 examples by 4
    assert steps == sorted(set(steps)) and steps[-1] == 4 * per_epoch
    assert set(range(every or per_epoch, 4 * per_epoch, every or per_epoch)) <= set(steps)
    best = np.nanargmin(np.array(store.scores, float))
    assert best == steps.index(whole.best_epoch * per_epoch)
    for kept in range(1, len(store.all) + 1):
        half = Memory()
        half.all = store.all[:kept]
        same(fit(every=every, checkpoints=half, **OPTIONS), whole)


@pytest.mark.parametrize(("change", "words"), [
    ({"key": jax.random.key(1)}, "key is [0, 0], not [0, 1]"),
    ({"batch_size": 3}, "batch_size is 4, not 3"),
    ({"data": (X + 1, Y)}, "data is"), ({"shuffle": False}, "shuffle is True, not False"),
    ({"net": NET}, "network is Network(3 -> dense(5, tanh) -> dropout(0.3) -> dense(3, softmax)), "
     "not Network(3 ->")])
def test_checkpoints_of_another_run_are_refused(change, words):
    store = Memory()
    fit(NOISY, checkpoints=store, epochs=1)
    with pytest.raises(ValueError, match="checkpoints must be of this run, got one whose") as error:
        fit(**{"net": NOISY, "checkpoints": store, "epochs": 1, **change})
    assert words in str(error.value) and len(store.all) == 1


def identified(*arrays, problem=PROBLEM, size=4, shuffle=True, seed=0):
    return identity(problem, Arrays(arrays), size, shuffle, jax.random.key(seed))


def test_the_same_run_has_the_same_identity_in_json():
    first = identified(X, Y)
    assert first == identified(X.copy(), Y.copy()) == json.loads(json.dumps(first))
    assert first == identified(np.asfortranarray(X), Y)  # the layout in memory does not count


@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_number_of_one_array_makes_another_run(which):
    arrays = [X, Y, np.ones(N, np.float32)]
    before = identified(*arrays)
    arrays[which] = arrays[which].copy()
    arrays[which].flat[-1] += 1
    after = identified(*arrays)
    assert [name for name in before if before[name] != after[name]] == ["data"]


def test_a_stream_is_identified_by_its_length_alone():
    made = [identity(PROBLEM, Streamed(fnn.data.stream(x, Y)), 4, True, jax.random.key(0))
            for x in (X, X + 1)]
    assert made[0] == made[1] and made[0]["examples"] == N and made[0]["data"] == []


def test_a_position_is_saved_once_and_restored_as_it_was():
    params = NET.init(jax.random.key(0))
    position = Position(new_epoch(params, SGD.init(params)), params, epoch=3, step=2, records=[
        {"epoch": 1, "cost": 0.5}, {"epoch": 2, "cost": 0.25}], looks=[{"epoch": 1}], best_epoch=2)
    fresh = Position(new_epoch(params, SGD.init(params)), params)
    memory = Memory()
    store = Store(memory, identified(X, Y))
    assert store.restored(fresh) is fresh
    store.save(position, 10, 0.25)
    store.save(position, 10, None)  # the end of the run, right after the end of an epoch
    assert [saved.step for saved in memory.all] == [10] and memory.scores == [0.25]
    again = Store(memory, identified(X, Y))
    same(vars(again.restored(fresh)), vars(position))
    again.save(position, 10, None)
    assert len(memory.all) == 1
