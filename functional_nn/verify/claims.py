"""What a user claims beside the gradient: the loss, the cost returned, the penalty, the precision."""

import dataclasses
import functools
import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import losses
from functional_nn.losses import Loss
from functional_nn.objective import Objective, objective
from functional_nn.verify import observe
from functional_nn.verify.calls.calling import as_jax, takes
from functional_nn.verify.calls.given import UserFunction
from functional_nn.verify.hypothesis import multiple, written
from functional_nn.verify.trial import Trial

SAME = 1e-5  # relative: costs that agree so closely are of the same formula, in float32 too
AGREES = 1e-4  # relative: a leaf that agrees so closely with the reference speaks for a reading
LOOKS = 3  # moves by a few rounding units from which the rounding of a function is measured
COARSE = 256  # rounding units: a function whose rounding is larger is measured
ROOM = 8.0  # an entry may be this many times the rounding that was measured in its leaf


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
        raise TypeError(f"loss must be a name such as 'quadratic', or a function (prediction, target) of one example; got {loss!r}")
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
            params = jax.tree.map(jnp.asarray, given.start)
            mine = given.gradient(given.start, X, Y)
            right = observe.gradient_of(problem)(params, problem.batch(params, jnp.asarray(X), jnp.asarray(Y)))
            if penalty is not None:
                right = jax.tree.map(np.add, right, given.slope(penalty, given.start, len(X), X))
        except Exception:  # under a reading that is not the user's, anything may fail
            return -1
        pairs = zip(given.shown(mine), given.shown(right), strict=True)
        return sum(np.linalg.norm(a - b) <= AGREES * np.linalg.norm(b) for (_, a), (_, b) in pairs)

    return score


def with_penalty(trial: Trial, penalty: Callable | None) -> tuple[Trial, tuple[str, ...]]:
    """Return the trial with the cost's own penalty taken off its subject, and notes.

    A penalty may depend on the number of examples as one of its powers. If it takes no such number,
    it may have been written for the examples at hand: λ / m with their m. It is read so where a single
    example's gradient says so.

    Raises:
      ValueError: the penalty is no power of the number of examples times a term of the parameters.
    """
    if penalty is None:
        return trial, ()
    subject, notes = trial.subject, ()
    slope, count = functools.partial(subject.given.slope, penalty), len(trial.X)
    times, power = 1.0, 0.0
    if takes(penalty) > 1:
        one, *more = (slope(subject.params, n, trial.X) for n in (1, 2, 4))
        sizes = [np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(tree))) for tree in (one, *more)]
        power = float(np.round(np.log2(sizes[1] / sizes[0]))) if sizes[0] else 0.0
        if sizes[0] and any(not np.allclose(a, b * n**power, rtol=1e-9) for n, tree in zip((2, 4), more, strict=True)
                            for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(one), strict=True)):
            raise ValueError("penalty must be a term of the parameters times a power of the number of examples, as λ / (2 m) is")
    elif count > 1 and _divided(trial, slope(subject.params, 1, trial.X), count):
        times, power = float(count), -1.0
        notes = (f"the penalty is read as divided by the number of examples, {count} here; a penalty (params, m) says so itself",)
    X = trial.X

    def own(params):
        return jax.tree.map(lambda leaf: times * leaf, slope(params, 1, X))

    trial = dataclasses.replace(trial, penalty=own)
    subject.own, subject.own_power = trial.cost_penalty(), power
    return trial, notes


def _divided(trial: Trial, own, count: int) -> bool:
    """Whether a penalty written for all examples enters one example's gradient `count` times as large.

    It does if that is so in a leaf where nothing else is wrong.
    """
    subject, own = trial.subject, trial.subject.stationed(own)

    def shares(n: int):
        """How often each leaf's part of the penalty is in the gradient of n examples; NaN if that is no number."""
        X, Y = trial.X[:n], trial.Y[:n]
        mine, right = subject.stationed(subject.given.gradient(subject.params, X, Y)), trial.right(X, Y)
        for s, place in enumerate(mine):
            for leaf, g in place.items():
                excess, part = g - right[s][leaf], own[s][leaf]
                share = multiple(excess, part)
                fits = part.any() and np.linalg.norm(excess - share * part) <= AGREES * np.linalg.norm(excess)
                yield share if fits else np.nan

    return any(abs(all_of_it) > AGREES and np.isclose(one, count * all_of_it, rtol=AGREES)
               for one, all_of_it in zip(shares(1), shares(count), strict=True))


def cost_notes(trial: Trial, penalty: Callable | None, value: float | None) -> tuple[str, ...]:
    """Return what is to be said of the cost that the function returned, if it is not the one claimed."""
    if value is None or not np.isfinite(value):
        return ()
    params = jax.tree.map(jnp.asarray, trial.subject.params)
    batch = trial.problem.batch(params, jnp.asarray(trial.X), jnp.asarray(trial.Y))
    claimed, extra = float(trial.problem.cost(params, batch)), 0.0
    if penalty is not None:
        extra = _penalty_value(trial, penalty)
    if abs(value - claimed - extra) <= SAME * max(abs(value), abs(claimed + extra), 1e-12):
        return ()
    name = trial.problem.loss.name
    said = f"the cost that it returns is {value:.6g}, and that of {name} {claimed + extra:.6g}"
    if penalty is not None and abs(value - claimed) <= SAME * abs(value):
        return (f"{said}: the penalty is not in the cost returned",)
    other = next((other for other in losses.LOSSES if other != name and _is_cost(trial, other, value - extra)), None)
    if other is not None:
        return (f"{said}: it is the {trial.problem.reduction} of {other}",)
    times = written((value - extra) / claimed, SAME, 4) if claimed else np.nan
    close = abs(times * claimed + extra - value) <= SAME * abs(value) and (
        any(abs(times * n - round(times * n)) <= SAME * n for n in (1, 2, 3, len(trial.X), trial.problem.net.n_out)))
    return (f"{said}: {times:.6g} times as much",) if close else (said,)


def _penalty_value(trial: Trial, penalty: Callable) -> float:
    given = trial.subject.given
    tree = trial.subject.params if given.layout is None else given.layout.write(trial.subject.params)
    more = (len(trial.X),) if takes(penalty) > 1 else ()
    try:
        return float(penalty(tree, *more))
    except Exception:  # it takes the inputs
        return float(penalty(tree, given.batch.write(trial.X, trial.Y)[0]))


def _is_cost(trial: Trial, name: str, value: float) -> bool:
    try:
        other = objective(trial.problem.net, name, trial.problem.reduction)
        params = jax.tree.map(jnp.asarray, trial.subject.params)
        cost = float(other.cost(params, other.batch(params, jnp.asarray(trial.X), jnp.asarray(trial.Y))))
    except (TypeError, ValueError):  # a loss for other outputs or targets
        return False
    return abs(cost - value) <= SAME * abs(value)


def measured(trial: Trial, references: Callable) -> list[dict[str, np.ndarray]] | None:
    """Return the rounding error of each entry of the gradient of one example; None if it is small.

    Parameters moved by a few rounding units move a gradient by as little. What the function's
    result moves otherwise than the right gradient is its own rounding, whatever its mistakes: that
    of a difference of parameters, say, or of a float32 inside.
    """
    subject, rng = trial.subject, np.random.default_rng(trial.seed)
    if trial.unit > 1e-12 or subject.mean is not None:
        return None
    X, Y = trial.X[:1], trial.Y[:1]

    def moved(leaf):
        return leaf * (1 + 8 * trial.unit * rng.uniform(-1, 1, size=np.shape(leaf)))

    points = [subject.params, *(jax.tree.map(moved, subject.params) for _ in range(LOOKS))]
    mine = [subject.stationed(subject.given.gradient(params, X, Y)) for params in points]
    right = [subject.stationed(tree) for tree in references(trial, points, X, Y)]
    errors = [[{leaf: g - right[k][s][leaf] for leaf, g in own.items()} for s, own in enumerate(look)]
              for k, look in enumerate(mine)]
    found, coarse = [], False
    for s, own in enumerate(mine[0]):
        found.append({})
        for leaf, g in own.items():
            noise = float(max(np.abs(look[s][leaf] - errors[0][s][leaf]).max(initial=0.0) for look in errors[1:]))
            large = noise > COARSE * trial.unit * np.abs(g).max(initial=0.0)
            found[-1][leaf] = np.full(g.shape, ROOM * noise if np.isfinite(noise) and large else 0.0)
            coarse |= bool(np.isfinite(noise) and large)
    return found if coarse else None


