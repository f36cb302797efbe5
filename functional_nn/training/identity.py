"""The identity of a run: all that decides its numbers.

A run that goes on with another learning rate, or on other data, is neither the old run nor a new
one. So a checkpoint holds the identity of its run, and `difference` says what has changed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.objective import Objective
from functional_nn.penalties import Penalty
from functional_nn.records import versions
from functional_nn.training import fingerprints
from functional_nn.training.sources import Arrays, Streamed

__all__ = ["Identity", "Parts", "changed_surroundings", "difference", "identity"]

MEANINGS = {
    "start": "params to start from", "init": "initialisation of the network",
    "value_and_grad": "value_and_grad, or another activation or loss of the same name",
    "penalty": "penalty", "transform": "transform of the stream",
    "optimizer": "optimizer, or another learning rate, schedule or setting of it"}


class Identity(TypedDict):
    """The identity of a run, as JSON values.

    `given` is compared always. `traced` holds fingerprints of functions, which are compared only
    where the versions of the packages and the devices are the same.
    """

    given: dict[str, Any]
    traced: dict[str, str]
    versions: dict[str, str]


class Parts(NamedTuple):
    """The arguments of `fit` that decide the numbers of a run, after its checks.

    Attributes:
      problem: the network and its loss.
      source: the examples, `Arrays` or `Streamed`.
      validation: the pair (X, Y) for validation, or None.
      weighted: whether the examples have weights.
      value_and_grad, optimizer, penalty, batch_size, shuffle, key, restore_best, params: as for
        `fit`.
      steps: the compiled steps of an epoch, as `steps_function` returns them.
      run: the state at the start.
    """

    problem: Objective
    source: Arrays | Streamed
    validation: tuple | None
    weighted: bool
    value_and_grad: Callable
    optimizer: Any
    penalty: Penalty | None
    batch_size: int
    shuffle: bool
    key: jax.Array
    restore_best: bool
    params: Any
    steps: Callable
    run: Any


def identity(parts: Parts) -> Identity:
    """The identity of a run; equal for equal runs, in every process."""
    return Identity(given=_given(parts), traced=_traced(parts), versions=versions())


def _given(parts: Parts) -> dict[str, Any]:
    source, streamed = parts.source, isinstance(parts.source, Streamed)
    arrays = (source.stream.X, source.stream.Y) if streamed else source.examples
    made = fingerprints.of_rows if streamed else fingerprints.of_array
    return {
        "network": repr(parts.problem.net), "loss": repr(parts.problem.loss),
        "examples": len(source), "data": list(map(made, arrays)),
        "validation": None if parts.validation is None else [
            fingerprints.of_array(array) for array in parts.validation],
        "batch_size": parts.batch_size, "shuffle": parts.shuffle,
        "key": np.asarray(jax.random.key_data(parts.key)).tolist(),
        "restore_best": parts.restore_best,
        "start": None if parts.params is None else [
            fingerprints.of_array(leaf) for leaf in jax.tree.leaves(parts.params)]}


def _traced(parts: Parts) -> dict[str, str]:
    """Fingerprints of the functions; the shapes are those of the run, so that JAX traces once."""
    net, source, size = parts.problem.net, parts.source, parts.batch_size
    examples = source.examples if isinstance(source, Arrays) else source.some(size)
    rows = jax.eval_shape(lambda: jnp.arange(len(source) // size * size).reshape(-1, size))
    batch = [jax.eval_shape(lambda array: array[:size], array) for array in examples]
    cost = parts.value_and_grad(net, parts.problem.loss, *(["sum"] if parts.weighted else []))
    weights = {"sample_weights": batch[2]} if parts.weighted else {}
    noise = {"key": parts.key} if net.random else {}
    of = fingerprints.of_function
    transform = None if isinstance(source, Arrays) else source.stream.transform
    return {
        "init": of(net.init, parts.key),
        "value_and_grad": of(
            lambda params, X, Y, more: cost(params, X, Y, **more),
            parts.run.params, *batch[:2], weights | noise),
        "penalty": "" if parts.penalty is None else of(
            lambda params: (parts.penalty.value(params), parts.penalty.gradient(params)),
            parts.run.params),
        "transform": "" if transform is None else str(fingerprints.of_array(source.some(32)[0])),
        "optimizer": of(parts.optimizer.init, parts.run.params)
        + of(parts.steps, parts.run, parts.key, 0, rows, None, 0, 1, *examples)}


def difference(there: Identity, here: Identity) -> str | None:
    """What is different between a saved run and the present one, in words; None if nothing is."""
    for name, value in here["given"].items():
        if (was := there["given"].get(name)) != value:
            meaning = MEANINGS.get(name)
            return f"whose {name} is {was}, not {value}" if meaning is None else (
                f"with another {meaning}")
    if _without_threads(there["versions"]) == _without_threads(here["versions"]):
        for name, value in here["traced"].items():
            if there["traced"].get(name) != value:
                return f"with another {MEANINGS[name]}"
    return None


def changed_surroundings(there: Identity, here: Identity) -> str | None:
    """What the numbers of a run depend on and has changed, such as "threads are 2, were 4"."""
    names = [*here["versions"], *there["versions"]]
    changed = [
        f"{name} {here['versions'].get(name)} (it was {there['versions'].get(name)})"
        for name in dict.fromkeys(names)
        if here["versions"].get(name) != there["versions"].get(name)]
    return ", ".join(changed) or None


def _without_threads(found: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if name != "threads"}
