"""What a user claims beside the gradient: the loss, the penalty, and the cost that is returned."""

import functools
import inspect
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import losses
from functional_nn.losses import Loss
from functional_nn.objective import Objective, objective
from functional_nn.verify.calls.calling import as_jax, takes
from functional_nn.verify.calls.given import UserFunction
from functional_nn.verify.debugger.tolerance import SAME, multiple, plain_number

gradient_of = functools.lru_cache(maxsize=16)(lambda problem: jax.jit(jax.grad(problem.cost)))
"""Return the compiled gradient of a cost, (params, batch) -> a tree like params."""


def reference(problem: Objective, params, X, Y):
    """Return `jax.grad` of the cost of a batch, without a penalty."""
    params = jax.tree.map(jnp.asarray, params)
    found = gradient_of(problem)(params, problem.batch(params, jnp.asarray(X), jnp.asarray(Y)))
    return jax.tree.map(np.asarray, found)


def loss_of(loss) -> str | Loss:
    """Return the loss; a function (prediction, target) -> the loss of one example becomes a `Loss`.

    Raises:
      TypeError, ValueError: it is neither, or JAX cannot differentiate it.

    >>> loss_of(lambda a, y: np.sum((a - y) ** 2)).gradient(jnp.array([1.0]), jnp.array([0.0])).tolist()
    [2.0]
    """
    if isinstance(loss, str | Loss):
        return loss
    if not callable(loss):
        raise TypeError("loss must be a name such as 'quadratic', or a function (prediction, target) of one example; "
                        f"got {loss!r}")
    return _custom(loss)


@functools.lru_cache(maxsize=16)
def _custom(function: Callable) -> Loss:
    if takes(function) < 2:
        raise TypeError(f"loss must take (prediction, target) of one example; got {inspect.signature(function)}")
    name = getattr(function, "__name__", "loss")
    one = jnp.full(2, 0.5)
    form = as_jax(function, one, one)
    shape = jax.eval_shape(form, one, one)
    if getattr(shape, "shape", None) != ():
        raise ValueError(f"loss {name} must return one number for the prediction and the target of one example, got shape "
                         f"{getattr(shape, 'shape', shape)}; sum or average over the outputs")
    return Loss("its loss" if name == "<lambda>" else name, form, jax.grad(form))


def scored(problem: Objective, penalty: Callable | None) -> Callable:
    """Return the function that counts the leaves that are right if a function is read in one way."""
    def score(given: UserFunction, X: np.ndarray, Y: np.ndarray) -> int:
        try:
            mine, right = given.gradient(given.start, X, Y), reference(problem, given.start, X, Y)
            if penalty is not None:
                right = jax.tree.map(np.add, right, given.slope(penalty, given.start, len(X), X))
        except Exception:  # under a reading that is not the user's, anything may fail
            return -1
        pairs = zip(given.shown(mine), given.shown(right), strict=True)
        return sum(np.linalg.norm(a - b) <= 10 * SAME * np.linalg.norm(b) for (_, a), (_, b) in pairs)

    return score


def term_of(penalty: Callable, problem: Objective, given: UserFunction, X, Y) -> tuple[Callable, tuple[str, ...]]:
    """Return ((params, number of examples) -> the gradient of the penalty, notes).

    A penalty may depend on the number of examples as one of its powers. If it takes no such number,
    it may have been written for the examples at hand: λ / m with their m. It is read so where a
    single example's gradient says so.

    Raises:
      ValueError: the penalty is no power of the number of examples times a term of the parameters.
    """
    slope, count = functools.partial(given.slope, penalty), len(X)
    times, power, notes = 1.0, 0.0, ()
    if takes(penalty) > 1:
        sizes = [np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(slope(given.start, n, X)))) for n in (1, 2, 4)]
        power = float(np.round(np.log2(sizes[1] / sizes[0]))) if sizes[0] else 0.0
        if not np.allclose(sizes, sizes[0] * np.array([1.0, 2.0, 4.0]) ** power, rtol=1e-9):
            raise ValueError("penalty must be a term of the parameters times a power of the number of examples, as λ / (2 m) is")
    elif count > 1 and _divided(problem, given, slope(given.start, 1, X), X, Y):
        times, power = float(count), -1.0
        notes = (f"the penalty is read as divided by the number of examples, {count} here; a penalty (params, m) says so itself",)
    return lambda params, n: jax.tree.map(lambda leaf: times * n**power * leaf, slope(params, 1, X)), notes


def _divided(problem: Objective, given: UserFunction, own, X, Y) -> bool:
    """Whether a penalty written for all examples enters one example's gradient `count` times as large."""
    def shares(n: int) -> Iterator[float]:
        mine, right = given.gradient(given.start, X[:n], Y[:n]), reference(problem, given.start, X[:n], Y[:n])
        for g, r, part in zip(*map(jax.tree.leaves, (mine, right, own)), strict=True):
            excess, part = np.asarray(g, np.float64) - r, np.asarray(part)
            share = multiple([excess], [part])
            fits = part.any() and np.linalg.norm(excess - share * part) <= 10 * SAME * np.linalg.norm(excess)
            yield share if fits else np.nan

    return any(abs(whole) > 10 * SAME and np.isclose(one, len(X) * whole, rtol=10 * SAME)
               for one, whole in zip(shares(1), shares(len(X)), strict=True))


def cost_notes(problem: Objective, given: UserFunction, X, Y, penalty: Callable | None, value: float | None) -> tuple[str, ...]:
    """Return what is to be said of the cost that the function returned, if it is not the one claimed."""
    if value is None or not np.isfinite(value):
        return ()
    claimed = _cost(problem, given, X, Y)
    extra = 0.0 if penalty is None else _penalty_value(given, penalty, X, Y)
    if abs(value - claimed - extra) <= SAME * max(abs(value), abs(claimed + extra), 1e-12):
        return ()
    name = problem.loss.name
    said = f"the cost that it returns is {value:.6g}, and that of {name} {claimed + extra:.6g}"
    if penalty is not None and abs(value - claimed) <= SAME * abs(value):
        return (f"{said}: the penalty is not in the cost returned",)
    for other in losses.LOSSES:
        try:
            if other != name and abs(_cost(objective(problem.net, other, problem.reduction), given, X, Y) + extra - value) <= (
                    SAME * abs(value)):
                return (f"{said}: it is the {problem.reduction} of {other}",)
        except (TypeError, ValueError):  # a loss for other outputs or targets
            continue
    times = plain_number((value - extra) / claimed, SAME) if claimed else np.nan
    close = abs(times * claimed + extra - value) <= SAME * abs(value) and (
        any(abs(times * n - round(times * n)) <= SAME * n for n in (1, 2, 3, len(X), problem.net.n_out)))
    return (f"{said}: {times:.6g} times as much",) if close else (said,)


def _cost(problem: Objective, given: UserFunction, X, Y) -> float:
    params = jax.tree.map(jnp.asarray, given.start)
    return float(problem.cost(params, problem.batch(params, jnp.asarray(X), jnp.asarray(Y))))


def _penalty_value(given: UserFunction, penalty: Callable, X, Y) -> float:
    tree = given.layout.write(given.start)
    try:
        return float(penalty(tree, *((len(X),) if takes(penalty) > 1 else ())))
    except Exception:  # it takes the inputs
        return float(penalty(tree, given.batch.write(X, Y)[0]))
