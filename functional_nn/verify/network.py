"""Check a hand-written backpropagation of a known network and name the mistakes in it.

The backpropagation is a black box: a function that is only called. A Report says which steps are
wrong, and what each mistake is.
"""

import collections
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.objective import objective
from functional_nn.verify import kinks, observe
from functional_nn.verify.calls import functions
from functional_nn.verify.calls import given as reading
from functional_nn.verify.calls.calling import proof
from functional_nn.verify.claims import cost_notes, loss_of, measured, scored, with_penalty
from functional_nn.verify.comparison import compare
from functional_nn.verify.diagnose import diagnose
from functional_nn.verify.references import Probe
from functional_nn.verify.report import Fault, GradientError, Leaf, Report
from functional_nn.verify.stations import stations
from functional_nn.verify.structure import misfits_of
from functional_nn.verify.subject import Subject
from functional_nn.verify.trial import Trial, targets
from functional_nn.verify.wording import faults_of, summary


def check_network(net, loss, model=None, X=None, Y=None, *, value_and_grad: Callable | None = None, params=None, grads=None,
                  call: str | Callable | None = None, update: Callable | None = None, rate: float | None = None,
                  penalty: Callable | None = None, reduction: str = "mean", layout: str | None = None,
                  columns: bool | None = None, seed: int = 0) -> Report:
    """Check a backpropagation of `net`: the Report names each wrong step and its mistake.

    Each step is compared with a correct step that gets the same cotangent. So only the faulty
    step is blamed, and several faults are told apart. A cause is named only if the same cause is
    found at other parameters and for other examples; otherwise the fault is "unexplained".

    Args:
      net: the network that the function claims to differentiate.
      loss: its loss: a name, or a function (prediction, target) -> the loss of one example.
      model: the parameters, in the form that the function takes: lists, tuples or dictionaries
        under any names, weights (n_out, n_in) or (n_in, n_out), biases flat, as columns or rows,
        as one more row or column of the weights, or none; or an object that holds them.
      X, Y: inputs (B, n_in) and targets, or one example per column; a few examples are enough.
      value_and_grad: the function, (params, X, Y) -> (cost, gradient) or the gradient alone, in
        JAX or NumPy.
      params, grads, call: for an object, where it holds its parameters ("params", or
        ["W1", "b1", "W2", "b2"]) and its gradients, and the method to call, a name or a function
        (object, X, Y). Where the method returns the gradients, `grads` is not needed. Names that
        are not given are found where they can be.
      update: in place of value_and_grad, a function (params, X, Y), or a method of the object,
        that takes one step: it changes the parameters in place or returns new ones.
      rate: the learning rate of that step; the gradient is (before − after) / rate.
      penalty: the term that the cost adds to the mean (or sum) of the losses: a function of
        params, in the same form, that returns a scalar. It may take the number of examples as its
        second argument.
      reduction: "mean" or "sum": how the cost combines the losses of the examples.
      layout: "out_in" or "in_out": whether weights are (n_out, n_in) or (n_in, n_out). None finds
        it from the shapes and, where they leave it open, from the gradient itself.
      columns: whether an example is a column of X; None finds it as `layout` is found.
      seed: seed of the other parameters, and of the examples that are generated if X has few.

    Returns:
      A Report. Each fault has the site, the layer (from 0), the cause, and the leaf's path in the
      caller's own tree.

    >>> import functional_nn as fnn, jax, jax.numpy as jnp, numpy as np
    >>> net = fnn.mlp((3, 4, 2), hidden="tanh")
    >>> def homework(params, X, Y):                                             # forgets tanh′ on the way back
    ...     (W0, b0), (W1, b1) = params
    ...     a = np.tanh(X @ W0.T + b0)
    ...     d1 = (a @ W1.T + b1 - Y) / len(X)
    ...     d0 = d1 @ W1
    ...     return [(d0.T @ X, d0.sum(0)), (d1.T @ a, d1.sum(0))]
    >>> params = [(p["w"], p["b"]) for p in net.init(jax.random.key(0))]
    >>> X, Y = jax.random.normal(jax.random.key(1), (5, 3)), jnp.ones((5, 2))
    >>> [(f.site, f.layer, f.cause) for f in check_network(net, "quadratic", params, X, Y, value_and_grad=homework).faults]
    [('pullback', 0, 'missing derivative')]
    """
    tree, function = functions.taken(model, value_and_grad, params=params, grads=grads, call=call, update=update, rate=rate)
    with proof(), np.errstate(all="ignore"):  # NaN and inf are findings here
        problem = _objective(net, loss_of(loss), reduction)
        given, X, Y = reading.read(net, stations(net), tree, X, Y, function, layout, columns, problem.loss.labels,
                                   scored(problem, penalty))
        subject = Subject(given)
        y = targets(problem, subject, X, Y)
        tree = subject.raw(X, Y)
        cost, faulty, again = given.value, given.misfits, subject.raw(X, Y)
        unit, dtype = _unit(tree)
        # subnormal numbers have fewer digits, and below them there are none
        small = jnp.finfo(dtype)
        subject.floor = 16 * float(small.smallest_subnormal) if dtype == jnp.float16 else 1e3 * float(small.tiny)
        tolerance = 1e-9 if unit < 1e-12 else 16 * unit
        trial = Trial(problem, subject, X, Y, y, None, tolerance, unit, seed)
        faults, stop = misfits_of(trial, faulty, penalty, functools.partial(_references, trial)) if faulty else ((), False)
        known = {"bounds": {"autodiff": tolerance}, "dtype": "float64", "examples": len(X), "seed": seed}
        given.shaped = True
        if stop:
            return Report(faults, (), **known, notes=given.notes)
        if (unlike := _unlike(subject, tree, again)) is not None:
            return Report((unlike, *faults), (), **known)
        trial, notes = with_penalty(trial, penalty)
        report = _diagnosed(trial, subject.raw(X, Y), dtype, known, rate is not None)
        notes = (*given.notes, *notes, *cost_notes(trial, penalty, cost))
        misfits = {fault.leaf for fault in faults}
        leaves = tuple(dataclasses.replace(leaf, right=dict.fromkeys(leaf.right, False), worst=None) if leaf.path in misfits
                       else leaf for leaf in report.leaves)
        return dataclasses.replace(report, faults=(*faults, *report.faults), leaves=leaves, notes=(*report.notes, *notes))


def _diagnosed(trial: Trial, tree, dtype, known: dict, stepped: bool) -> Report:
    """Return the report on a gradient whose leaves all have the right shapes.

    Args:
      tree: the gradient.
      dtype: its coarsest dtype.
      known: what the report says in any case.
      stepped: whether the gradient comes from the change of the parameters in a step.
    """
    subject, X, Y, unit, reference = trial.subject, trial.X, trial.Y, trial.unit, _reference(trial)
    if unit > 1e-12 and np.isfinite(sum(np.sum(leaf) for leaf in jax.tree.leaves(tree))):
        finer = subject.smoothed(*(functools.partial(of, trial) for of in (_references, _sides)), X, Y, dtype, trial.seed)
        if finer is not None:
            trial, tree = dataclasses.replace(trial, unit=finer, tolerance=6 * finer, coarse=unit), subject.raw(X, Y)
            known = {**known, "bounds": {"autodiff": 6 * finer}}
    leaves = _leaves(trial, tree, reference)
    wrong = not all(all(leaf.right.values()) for leaf in leaves)
    if wrong and unit < trial.subject.given.unit:  # it may compute in the precision of the arrays that the user gave
        coarse = _leaves(dataclasses.replace(trial, tolerance=16 * subject.given.unit), tree, reference)
        if all(all(leaf.right.values()) for leaf in coarse):
            error = max(leaf.errors["autodiff"] for leaf in coarse)
            note = f"right to the precision of the arrays that you gave; in {dtype} it is off by up to {error:.0e}"
            return Report((), coarse, **{**known, "bounds": {"autodiff": 16 * subject.given.unit}}, notes=(note,))
    trial = trial.widened(observe.FEW).clear()
    if wrong or stepped:
        subject.measured = measured(trial, _references)
        if subject.measured is not None:
            leaves = _leaves(trial, tree, reference)
            wrong = not all(all(leaf.right.values()) for leaf in leaves)
    diagnosis = diagnose(trial, wrong)
    if diagnosis.any and subject.measured is None and (noise := measured(trial, _references)) is not None:
        subject.measured = noise
        diagnosis = diagnose(trial, wrong)
    if wrong and not diagnosis.any and not diagnosis.kinks and len(X) <= ALL:
        # the first examples show no fault: look at all of them
        diagnosis = diagnose(trial, True, len(X))
        # if every single gradient is right and the batch is their mean, only rounding is left
        wrong = diagnosis.uneven
    elsewhere = ""
    if not diagnosis.any and not diagnosis.kinks and not _right_at(trial.moved(0.1)):
        diagnosis, elsewhere = diagnose(trial.moved(0.1), True), "right at these parameters, and wrong at others nearby"
    faults = faults_of(diagnosis, subject)
    agrees = all(all(leaf.right.values()) for leaf in leaves)  # what agrees at the user's own data is no fault
    if faults and (deaf := _deaf(subject, X, Y, tree)) is not None:
        return Report((), leaves, **known, notes=(deaf.message,)) if agrees else Report((deaf,), leaves, **known)
    if not faults and wrong and not diagnosis.kinks:
        faults = (_unlocated(leaves, len(X)),)
    right = leaves
    if not elsewhere:  # a mistake smaller than the rounding does not show in its leaf's error
        blamed = {fault.leaf for fault in faults if fault.site in ("weight", "bias")}
        leaves = tuple(dataclasses.replace(leaf, right=dict.fromkeys(leaf.right, False)) if leaf.path in blamed else leaf
                       for leaf in leaves)
    texts = summary(diagnosis, subject, leaves, elsewhere)
    if subject.measured is not None:
        texts["notes"] = (*texts["notes"], _coarseness(subject))
    if faults and agrees and trial.subject.mean is None:
        return Report((), right, **known, notes=(*texts["notes"], *_outside(faults, elsewhere)))
    if not faults and not all(all(leaf.right.values()) for leaf in leaves):  # excused
        leaves = tuple(dataclasses.replace(leaf, right=dict.fromkeys(leaf.right, True)) for leaf in leaves)
        if not diagnosis.kinks:
            texts["notes"] = (*texts["notes"], "what differs is no more than rounding by a few units makes of it")
    return Report(tuple(faults), leaves, **known, **texts)


# No entry of a right gradient is off by more than FAR deviations of a mean over PAIRS.
FAR = 12
# Up to this many examples are checked one by one if the first few show no fault.
ALL = 64
# The same problem gives the same object, which is compiled once.
_objective = functools.lru_cache(maxsize=64)(objective)


def assert_network(net, loss, *arguments, **options) -> Report:
    """Check as `check_network(net, loss, *arguments, **options)` does, and raise a GradientError if the gradient is wrong.

    A GradientError is an AssertionError that carries and prints the report.
    """
    __tracebackhide__ = True
    report = check_network(net, loss, *arguments, **options)
    if not report:
        raise GradientError(report)
    return report


def _unit(tree) -> tuple[float, np.dtype]:
    """Return the coarsest rounding unit among the leaves, and its dtype."""
    dtypes = {jnp.asarray(leaf).dtype for leaf in jax.tree.leaves(tree)}
    return max(((float(jnp.finfo(dtype).eps) / 2, dtype) for dtype in dtypes if jnp.issubdtype(dtype, jnp.floating)),
               key=lambda pair: pair[0], default=(2.0**-53, np.dtype(np.float64)))


def _reference(trial: Trial, params=None, X=None, Y=None):
    """Return `jax.grad` of the cost with its penalty."""
    params, X, Y = (trial.subject.params, trial.X, trial.Y) if params is None else (params, X, Y)
    return next(_references(trial, [params], X, Y))


def _references(trial: Trial, several: Sequence, X, Y) -> Iterator:
    """Yield `_reference` at each of several parameters; small ones are computed many at once."""
    for some, batch in _at_once(trial, several, X, Y):
        for params, right in zip(some, observe.gradients_of(trial.problem, some, batch), strict=True):
            if trial.penalty is not None:
                times = float(len(X)) ** trial.subject.own_power
                right = jax.tree.map(lambda a, b, times=times: a + times * b, right, trial.penalty(params))
            yield right


def _sides(trial: Trial, several: Sequence, X, Y) -> np.ndarray | None:
    """Return the side of its kinks on which each unit lies, at several parameters.

    The array is that of `kinks.sides_of`; the result is None if the trial ignores kinks.
    """
    if not trial.kinked:
        return None
    return np.concatenate([kinks.sides_of(trial.problem, some, observe.full(batch))[:, :len(X)]
                           for some, batch in _at_once(trial, several, X, Y)])


def _at_once(trial: Trial, several: Sequence, X, Y) -> Iterator[tuple]:
    """Yield (parameters, the batch) in groups that fit memory."""
    first = jax.tree.map(jnp.asarray, several[0])
    batch = trial.problem.batch(first, jnp.asarray(X), jnp.asarray(Y))
    at_once = max(1, observe.LARGE // sum(leaf.size for leaf in jax.tree.leaves(first)))
    for start in range(0, len(several), at_once):
        yield several[start:start + at_once], batch


def _rounding(trial: Trial, reference) -> list[float]:
    """Return, for each leaf, the norm of the error that intermediate rounding may cause.

    It is estimated from how much the gradient changes when parameters and batch move by a few
    rounding units.
    """
    rng, moves = np.random.default_rng(trial.seed), []
    size = 8 * (trial.unit if trial.subject.inner is None else trial.subject.inner)

    def moved(leaf):
        return leaf * (1 + size * rng.uniform(-1, 1, size=np.shape(leaf))) if np.asarray(leaf).dtype.kind == "f" else leaf

    for _ in range(8):
        other = _reference(trial, jax.tree.map(moved, trial.subject.params), moved(trial.X), moved(trial.Y))
        moves.append([float(np.linalg.norm(a - b)) for (_, a), (_, b) in zip(
            trial.subject.given.shown(other), trial.subject.given.shown(reference), strict=True)])
    return [16 * float(np.sqrt(np.mean(np.square(each)))) + trial.subject.floor for each in zip(*moves, strict=True)]


def _leaves(trial: Trial, tree, reference) -> tuple[Leaf, ...]:
    """Compare each leaf of the user's gradient, as the user holds it, with the reference.

    If a leaf seems wrong, the comparison is repeated with an allowance for intermediate rounding.
    """
    rough, shown = trial.subject.mean is not None, trial.subject.given.shown
    given, right = shown(tree), shown(reference)
    spreads = [leaf for _, leaf in shown(trial.subject.deviation)] if rough else [0.0] * len(given)
    known = [6 * float(np.linalg.norm(spread)) for spread in spreads]
    if trial.subject.measured is not None:
        room = collections.Counter()
        for s, _, leaf in trial.leaves:
            room[trial.subject.path(s, leaf)] += float(np.linalg.norm(trial.subject.measured[s][leaf]))
        known = [one + room[path] for one, (path, _) in zip(known, given, strict=True)]
    leaves = _compared(given, right, trial.tolerance, known)
    far = _far(given, right, spreads, trial.subject.inner) if rough else [False] * len(leaves)
    if all(all(leaf.right.values()) for leaf in leaves) and not any(far):
        return leaves
    noise = [one + other for one, other in zip(known, _rounding(trial, reference), strict=True)]
    leaves = _compared(given, right, trial.tolerance, noise)
    return tuple(dataclasses.replace(leaf, right=dict.fromkeys(leaf.right, False)) if wrong else leaf
                 for leaf, wrong in zip(leaves, far, strict=True))


def _far(given, right, spreads, inner: float) -> list[bool]:
    """Return, for each leaf, whether some entry is off by far more than its averaged rounding."""
    largest = max(float(np.abs(leaf).max(initial=0)) for _, leaf in right)
    return [bool((np.abs(mine - leaf) > FAR * spread + 64 * inner * largest).any())
            for (_, mine), (_, leaf), spread in zip(given, right, spreads, strict=True)]


def _compared(given, right, tolerance: float, noise: list[float]) -> tuple[Leaf, ...]:
    floor = tolerance * max(float(np.linalg.norm(leaf)) for _, leaf in right) * 1e-3
    return tuple(compare(path, np.asarray(mine, dtype=np.float64), {"autodiff": Probe(None, leaf.ravel(), floor + more)},
                         {"autodiff": tolerance})
                 for (_, mine), (path, leaf), more in zip(given, right, noise, strict=True))


def _right_at(trial: Trial) -> bool:
    """Return whether the whole batch's gradient is right at the trial's parameters."""
    leaves = _leaves(trial, trial.subject.raw(trial.X, trial.Y), _reference(trial))
    return all(all(leaf.right.values()) for leaf in leaves)


def _unlike(subject: Subject, tree, again) -> Fault | None:
    """Return the fault of a function whose two calls differ, or None if they agree."""
    for (name, one), (_, other) in zip(subject.given.shown(tree), subject.given.shown(again), strict=True):
        one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
        if not np.array_equal(one, other, equal_nan=True):
            gap = float(np.nanmax(np.abs(one - other)))
            what = f"called twice alike, it gives two answers, up to {gap:.2g} apart; fix its keys or its state"
            return Fault("structure", None, name, None, "not repeatable", np.inf, f"{name}: {what}", name, what)
    return None


def _deaf(subject: Subject, X, Y, tree) -> Fault | None:
    """Return the fault of a function whose gradient is the same for every batch, else None."""
    if len(X) < 2 or np.array_equal(X[0], X[1]) or not any(np.any(leaf) for leaf in jax.tree.leaves(tree)):
        return None
    others = [subject.raw(X[i:i + 1], Y[i:i + 1]) for i in (0, 1)]
    mine = jax.tree.leaves(tree)
    same = all(np.array_equal(a, b) for other in others for a, b in zip(mine, jax.tree.leaves(other), strict=True))
    text = ("it gives the same gradient for every batch: it does not use the X and Y that it is called with; let it take them "
            "as arguments")
    return Fault("structure", None, "", None, "unexplained", np.inf, text) if same else None


def _outside(faults, elsewhere: str) -> Iterator[str]:
    """Yield the notes on mistakes that do not show at the user's own parameters and examples."""
    where = "at other parameters" if elsewhere else "for other batches or examples"
    for fault in faults:
        yield f"right at these parameters and examples; {where} it is not: {fault.where or fault.leaf}: {fault.what or fault.message}"


def _coarseness(subject: Subject) -> str:
    """Return the note on the rounding that was measured."""
    worst = max(float(np.abs(leaf).max(initial=0.0)) for own in subject.measured for leaf in own.values())
    return f"the function rounds inside: its entries are uncertain by up to {worst:.0e}, which was measured and allowed for"


def _unlocated(leaves, B: int) -> Fault:
    """Return the fault of a batch gradient that is wrong although single examples are right."""
    leaf = next(leaf for leaf in leaves if not all(leaf.right.values()))
    return Fault("batch", None, leaf.path, None, "unexplained", leaf.errors["autodiff"],
                 f"{leaf.path} is wrong at B = {B}, where single examples are right: something mixes the examples")
