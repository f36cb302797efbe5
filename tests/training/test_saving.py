"""A run goes on from each of its checkpoints to the same end; those of another are refused."""

import copy
import warnings

import jax
import numpy as np
import pytest

from functional_nn.checkpoint import Checkpoints
from functional_nn.training.identity import Identity
from functional_nn.training.loop import Position
from functional_nn.training.saving import Store
from functional_nn.training.steps import new_epoch
from tests.training.memory import Memory
from tests.training.runs import MOMENTUM, NET, NOISY, SGD, fit, same

OPTIONS = {"net": NOISY, "optimizer": MOMENTUM, "epochs": 4, "validation": 0.25,
           "restore_best": True, "monitor": True}
HERE = Identity(given={"key": [0, 0]}, traced={"optimizer": "12ab"}, versions={"jax": "1", "threads": "2"})


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


def test_a_position_is_saved_once_and_restored_as_it_was():
    params = NET.init(jax.random.key(0))
    position = Position(new_epoch(params, SGD.init(params)), params, epoch=3, step=2, records=[
        {"epoch": 1, "cost": 0.5}, {"epoch": 2, "cost": 0.25}], looks=[{"epoch": 1}], best_epoch=2)
    fresh = Position(new_epoch(params, SGD.init(params)), params)
    memory = Memory()
    store = Store(memory, HERE, 4)
    assert store.restored(fresh) is fresh
    store.save(position, 10, 0.25)
    store.save(position, 10, None)  # the end of the run, right after the end of an epoch
    assert [saved.step for saved in memory.all] == [10] and memory.scores == [0.25]
    again = Store(memory, HERE, 4)
    same(vars(again.restored(fresh)), vars(position))
    again.save(position, 10, None)
    assert len(memory.all) == 1


def test_only_new_lines_of_the_history_are_saved():
    saved = Memory()
    added = []
    save = saved.save
    saved.save = lambda *args, history, **more: (added.append(len(history)), save(*args, history=history, **more))
    looks = fit(every=2, checkpoints=saved, epochs=4, monitor=True).layers["epoch"]
    assert sum(added) == 4 + len(looks) and max(added) == 2  # the records of four epochs, and those of the monitor
    assert len(saved.all[-1].history) == 4 + len(looks) < 8


def test_other_threads_or_versions_are_said():
    """With other threads the functions must still be the same; with other versions their traces may differ."""
    params = NET.init(jax.random.key(0))
    fresh, memory = Position(new_epoch(params, SGD.init(params))), Memory()
    Store(memory, HERE, 4).save(fresh, 0, None)
    threads = HERE | {"versions": {"jax": "1", "threads": "4"}}
    with pytest.warns(UserWarning, match=r"goes on with threads 4 \(it was 2\): its numbers agree .* not to the bit"):
        Store(memory, threads, 4).restored(fresh)
    with pytest.raises(ValueError, match="with another optimizer"):
        Store(memory, threads | {"traced": {"optimizer": "0"}}, 4).restored(fresh)
    with pytest.warns(UserWarning, match=r"goes on with jax 2 \(it was 1\), threads None \(it was 2\)"):
        Store(memory, HERE | {"versions": {"jax": "2"}, "traced": {"optimizer": "0"}}, 4).restored(fresh)


STRANGE = [None, True, -1, 2**70, 0.5, float("nan"), "text", [], [[]], {}, {"a": 1}, [1, 2, 3, 4, 5]]


def places(value, path=()):
    """The paths of all values inside of a value."""
    yield path
    for key, inner in (value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()):
        yield from places(inner, (*path, key))


def put(value, path, new):
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    if new is places:  # stands for nothing
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return value


def test_a_record_of_another_shape_is_a_sentence_or_the_same_run():
    """Every value of the record and of the history, replaced by every strange one, or taken away."""
    params, memory = NET.init(jax.random.key(0)), Memory()
    fresh = Position(new_epoch(params, SGD.init(params)))
    there = Position(fresh.run, None, 3, 0, [{"epoch": 1, "cost": 0.5}, {"epoch": 2, "cost": 0.25}], [{"epoch": 1, "idle": [0.1]}], 2)
    Store(memory, HERE, 4).save(there, 8, None)
    [whole] = memory.all
    outcomes = {"refused": 0, "taken": 0}
    for name in ("record", "history"):
        for path in list(places(getattr(whole, name)))[1:]:
            for new in (places, *STRANGE):
                memory.all = [copy.copy(whole)]
                setattr(memory.all[0], name, put(getattr(whole, name), path, new))
                try:
                    with warnings.catch_warnings(action="ignore"):
                        position = Store(memory, HERE, 4).restored(fresh)
                    assert len(position.scores) == position.epoch - 1 >= position.best_epoch
                    outcomes["taken"] += 1
                except ValueError as error:
                    assert str(error).startswith("checkpoints must be "), error
                    outcomes["refused"] += 1
    assert outcomes["refused"] > 200 and outcomes["taken"] < 120, outcomes


def test_checkpoints_of_something_else_are_refused(tmp_path):
    with Checkpoints(tmp_path, run={}) as checkpoints:
        checkpoints.save(1, {"w": np.zeros(3)}, {"mine": True})
        with pytest.raises(ValueError, match="checkpoints must be those of a run of fit, got one of which record must be Record"):
            fit(checkpoints=checkpoints)
