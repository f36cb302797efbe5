"""Check a hand-written backpropagation of a known network and name the mistakes in it.

The backpropagation is a black box: a function that is only called. A Report says which steps are
wrong, and what each mistake is.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks
from functional_nn.objective import objective
from functional_nn.verify import kinks, observe
from functional_nn.verify.calls import proof
from functional_nn.verify.causes import CAUSES
from functional_nn.verify.diagnose import diagnose
from functional_nn.verify.gradients import compare, structure_faults
from functional_nn.verify.hypothesis import multiple
from functional_nn.verify.references import Probe
from functional_nn.verify.report import Fault, GradientError, Leaf, Report
from functional_nn.verify.scene import differ
from functional_nn.verify.stations import at, stations
from functional_nn.verify.subject import Subject
from functional_nn.verify.trial import Trial, targets
from functional_nn.verify.wording import faults_of, summary


def check_network(net, loss, params, X, Y, *, value_and_grad: Callable, penalty: Callable | None = None,
                  reduction: str = "mean", layout: str | None = None, seed: int = 0) -> Report:
    """Check a backpropagation of `net`: the Report names each wrong step and its mistake.

    Each step is compared with a correct step that gets the same cotangent. So only the faulty
    step is blamed, and several faults are told apart. A cause is named only if the same cause is
    found at other parameters and for other examples; otherwise the fault is "unexplained".

    Args:
      net, loss: the network and loss that the function claims to differentiate.
      params: the parameters in the form that the function takes: this project's, a list of
        (W, b), {"W1", "b1", …}, or Flax's.
      X, Y: inputs (B, n_in) and targets; a few examples are enough.
      value_and_grad: the function, (params, X, Y) -> (cost, gradient) or the gradient alone, in JAX or NumPy.
      penalty: the term that the cost adds to the mean (or sum) of the losses: a JAX function of
        params, in the same form, that returns a scalar.
      reduction: "mean" or "sum": how the cost combines the losses of the examples.
      layout: "out_in" or "in_out": whether weights are (n_out, n_in) or (n_in, n_out). Needed
        only where all weights are square; None finds it from the shapes.
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
    with proof(), np.errstate(all="ignore"):  # NaN and inf are findings here
        problem = _objective(net, loss, reduction)
        subject = Subject(net, stations(net), params, value_and_grad, layout)
        X, Y = np.asarray(checks.real("X", X), dtype=np.float64), np.asarray(checks.real("Y", Y))
        Y = Y.astype(np.float64) if jnp.issubdtype(Y.dtype, jnp.floating) else Y
        y = targets(problem, subject, X, Y)
        tree, again = subject.raw(X, Y), subject.raw(X, Y)
        unit, dtype = _unit(tree)
        # subnormal numbers have fewer digits, and below them there are none
        small = jnp.finfo(dtype)
        subject.floor = 16 * float(small.smallest_subnormal) if dtype == jnp.float16 else 1e3 * float(small.tiny)
        tolerance = 1e-9 if unit < 1e-12 else 16 * unit
        trial = Trial(problem, subject, X, Y, y, penalty, tolerance, unit, seed)
        subject.added = trial.cost_penalty()
        known = {"bounds": {"autodiff": tolerance}, "dtype": "float64", "examples": len(X), "seed": seed}
        reference = _reference(trial)
        faults = structure_faults(subject.params, tree)
        if faults:
            return Report(_structure(trial, faults, tree, reference), (), **known)
        subject.shaped = True
        if (unlike := _unlike(tree, again)) is not None:
            return Report((unlike,), (), **known)
        if unit > 1e-12 and np.isfinite(sum(np.sum(leaf) for leaf in jax.tree.leaves(tree))):
            finer = subject.smoothed(*(functools.partial(of, trial) for of in (_references, _sides)), X, Y, dtype, seed)
            if finer is not None:
                tolerance = 6 * finer
                trial, tree = dataclasses.replace(trial, unit=finer, tolerance=tolerance, coarse=unit), subject.raw(X, Y)
                known["bounds"] = {"autodiff": tolerance}
        leaves = _leaves(trial, tree, reference)
        wrong = not all(all(leaf.right.values()) for leaf in leaves)
        trial = trial.widened(observe.FEW).clear()
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
        if faults and (deaf := _deaf(subject, X, Y, tree)) is not None:
            return Report((deaf,), leaves, **known)
        if not faults and wrong and not diagnosis.kinks:
            faults = (_unlocated(leaves, len(X)),)
        if not elsewhere:  # a mistake smaller than the rounding does not show in its leaf's error
            blamed = {fault.leaf for fault in faults if fault.site in ("weight", "bias")}
            leaves = tuple(dataclasses.replace(leaf, right=dict.fromkeys(leaf.right, False)) if leaf.path in blamed else leaf
                           for leaf in leaves)
        texts = summary(diagnosis, subject, leaves, elsewhere)
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


def assert_network(net, loss, params, X, Y, **options) -> Report:
    """Check as `check_network` does, and raise a GradientError if the gradient is wrong.

    A GradientError is an AssertionError that carries and prints the report.
    """
    __tracebackhide__ = True
    report = check_network(net, loss, params, X, Y, **options)
    if not report:
        raise GradientError(report)
    return report


def _unit(tree) -> tuple[float, np.dtype]:
    """Return the coarsest rounding unit among the leaves, and its dtype."""
    dtypes = {jnp.asarray(leaf).dtype for leaf in jax.tree.leaves(tree)}
    return max(((float(jnp.finfo(dtype).eps) / 2, dtype) for dtype in dtypes if jnp.issubdtype(dtype, jnp.floating)),
               key=lambda pair: pair[0], default=(2.0**-53, np.dtype(np.float64)))


def _reference(trial: Trial, params=None, X=None, Y=None):
    """Return `jax.grad` of the cost with its penalty, in the user's layout."""
    params, X, Y = (trial.subject.params, trial.X, trial.Y) if params is None else (params, X, Y)
    return next(_references(trial, [params], X, Y))


def _references(trial: Trial, several: Sequence, X, Y) -> Iterator:
    """Yield `_reference` at each of several parameters; small ones are computed many at once."""
    problem, subject = trial.problem, trial.subject
    for some, own, batch in _at_once(trial, several, X, Y):
        for params, right in zip(some, observe.gradients_of(problem, own, batch), strict=True):
            if subject.layout is not None:
                right = subject.layout.write([p["w"] for p in right], [p["b"] for p in right])
            if trial.penalty is not None:
                right = jax.tree.map(lambda a, b: a + b, right, observe.slope_of(trial.penalty)(params))
            yield right


def _sides(trial: Trial, several: Sequence, X, Y) -> np.ndarray | None:
    """Return the side of its kinks on which each unit lies, at several parameters.

    The array is that of `kinks.sides_of`; the result is None if the trial ignores kinks.
    """
    if not trial.kinked:
        return None
    return np.concatenate([kinks.sides_of(trial.problem, own, observe.full(batch))[:, :len(X)]
                           for _, own, batch in _at_once(trial, several, X, Y)])


def _at_once(trial: Trial, several: Sequence, X, Y) -> Iterator[tuple]:
    """Yield (parameters, the same in the network's layout, the batch) in groups that fit memory."""
    subject = trial.subject
    first = jax.tree.map(jnp.asarray, subject.translated(several[0]))
    batch = trial.problem.batch(first, jnp.asarray(X), jnp.asarray(Y))
    at_once = max(1, observe.LARGE // sum(leaf.size for leaf in jax.tree.leaves(first)))
    for start in range(0, len(several), at_once):
        some = several[start:start + at_once]
        yield some, [subject.translated(params) for params in some], batch


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
        moves.append([float(np.linalg.norm(a - b)) for a, b in zip(jax.tree.leaves(other), jax.tree.leaves(reference),
                                                                    strict=True)])
    return [16 * float(np.sqrt(np.mean(np.square(each)))) + trial.subject.floor for each in zip(*moves, strict=True)]


def _leaves(trial: Trial, tree, reference) -> tuple[Leaf, ...]:
    """Compare each leaf of the user's gradient with the reference.

    If a leaf seems wrong, the comparison is repeated with an allowance for intermediate rounding.
    """
    rough = trial.subject.mean is not None
    spreads = jax.tree.leaves(trial.subject.deviation) if rough else [0.0] * len(jax.tree.leaves(tree))
    known = [6 * float(np.linalg.norm(spread)) for spread in spreads]
    leaves = _compared(tree, reference, trial.tolerance, known)
    far = _far(tree, reference, spreads, trial.subject.inner) if rough else [False] * len(leaves)
    if all(all(leaf.right.values()) for leaf in leaves) and not any(far):
        return leaves
    noise = [one + other for one, other in zip(known, _rounding(trial, reference), strict=True)]
    leaves = _compared(tree, reference, trial.tolerance, noise)
    return tuple(dataclasses.replace(leaf, right=dict.fromkeys(leaf.right, False)) if wrong else leaf
                 for leaf, wrong in zip(leaves, far, strict=True))


def _far(tree, reference, spreads, inner: float) -> list[bool]:
    """Return, for each leaf, whether some entry is off by far more than its averaged rounding."""
    largest = max(float(np.abs(right).max(initial=0)) for right in jax.tree.leaves(reference))
    return [bool((np.abs(given - right) > FAR * spread + 64 * inner * largest).any())
            for given, right, spread in zip(jax.tree.leaves(tree), jax.tree.leaves(reference), spreads, strict=True)]


def _compared(tree, reference, tolerance: float, noise: list[float]) -> tuple[Leaf, ...]:
    right = [(jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in jax.tree_util.tree_leaves_with_path(reference)]
    floor = tolerance * max(float(np.linalg.norm(leaf)) for _, leaf in right) * 1e-3
    return tuple(compare(path, np.asarray(given, dtype=np.float64), {"autodiff": Probe(None, leaf.ravel(), floor + more)},
                         {"autodiff": tolerance})
                 for given, (path, leaf), more in zip(jax.tree.leaves(tree), right, noise, strict=True))


def _right_at(trial: Trial) -> bool:
    """Return whether the whole batch's gradient is right at the trial's parameters."""
    leaves = _leaves(trial, trial.subject.raw(trial.X, trial.Y), _reference(trial))
    return all(all(leaf.right.values()) for leaf in leaves)


def _unlike(tree, again) -> Fault | None:
    """Return the fault of a function whose two calls differ, or None if they agree."""
    for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(tree), jax.tree.leaves(again), strict=True):
        one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
        if not np.array_equal(one, other, equal_nan=True):
            gap = float(np.nanmax(np.abs(one - other)))
            name = jax.tree_util.keystr(path)
            text = f"{name}: called twice alike, it gives two answers, up to {gap:.2g} apart; fix its keys or its state"
            return Fault("structure", None, name, None, "not repeatable", np.inf, text, what=CAUSES["not repeatable"])
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


def _unlocated(leaves, B: int) -> Fault:
    """Return the fault of a batch gradient that is wrong although single examples are right."""
    leaf = next(leaf for leaf in leaves if not all(leaf.right.values()))
    return Fault("batch", None, leaf.path, None, "unexplained", leaf.errors["autodiff"],
                 f"{leaf.path} is wrong at B = {B}, where single examples are right: something mixes the examples")


def _structure(trial: Trial, faults, tree, reference) -> tuple[Fault, ...]:
    """Return the faults of a gradient tree whose structure is not that of the parameters.

    There is a single fault if the layers' gradients are in reverse order.
    """
    if isinstance(tree, tuple | list) and isinstance(reference, tuple | list) and len(tree) == len(reference):
        turned, right = jax.tree.leaves(tree[::-1]), jax.tree.leaves(reference)
        pairs = [(np.asarray(a, np.float64), np.asarray(b)) for a, b in zip(turned, right, strict=False)]
        if len(turned) == len(right) and all(a.shape == b.shape and not differ(a, b, trial.tolerance) for a, b in pairs):
            text = "the layers' gradients stand in reverse order"
            return (Fault("structure", None, "", None, "exchanged leaves", 0.0, text, what=CAUSES["exchanged leaves"]),)
    true = observe.example_gradients_of(trial.problem)(jax.tree.map(jnp.asarray, trial.subject.net_params), trial.X, trial.y)
    return tuple(_misshapen(trial.subject, fault, tree, reference, true, trial.tolerance) for fault in faults)


def _misshapen(subject: Subject, fault: Fault, tree, reference, true, tolerance: float) -> Fault:
    """Return the fault of a leaf of the wrong shape, with its cause if one is found.

    A cause is found, for instance, if the leaf is right once it is summed over an axis,
    transposed or reshaped.

    Args:
      true: the right gradients of the single examples.
    """
    given, right = ({jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(t)}
                    for t in (tree, reference))
    station, each = next(((s, np.asarray(at(true, place)[leaf])) for s, place in enumerate(subject.places)
                          for leaf in place.leaves.values() if subject.path(s, leaf) == fault.leaf), (None, None))
    fault = dataclasses.replace(fault, layer=None if station is None else subject.places[station].layer)
    if fault.leaf not in given or fault.leaf not in right:
        return fault
    leaf, wanted = given[fault.leaf].astype(np.float64), right[fault.leaf]
    summed = [("missing reduction", how(leaf, axis=axis)) for axis in range(leaf.ndim) if leaf.shape[axis] > 1
              for how in (np.sum, np.mean)]
    same = [("wrong shape", leaf.reshape(wanted.shape))] if leaf.size == wanted.size else []
    # the bias's gradient may be stored as an extra row or column of the weight's
    cut = [("wrong shape", np.delete(leaf, i, axis=axis)) for axis in range(leaf.ndim) for i in (0, -1)]
    turned = [("transposed", leaf.T), ("transposed", np.swapaxes(leaf, -1, -2))] if leaf.ndim > 1 else []
    causes = [cause for cause, changed in [*turned, *same, *cut, *summed]
              if changed.shape == wanted.shape and not differ(changed, wanted, tolerance)]
    if not causes and _summed_wrongly(leaf, wanted, each, tolerance):
        causes = ["wrong axis"]
    if not causes and station is not None and _of_inputs(subject, station, leaf, at(true, subject.places[station]), tolerance):
        causes = ["gradient of the inputs"]
    if causes:
        return _named(fault, causes[0], CAUSES[causes[0]])
    twin = next((path for path, other in right.items() if path != fault.leaf and other.shape == leaf.shape
                 and not differ(leaf, other, tolerance)), None)
    return fault if twin is None else _named(fault, "exchanged leaves", f"it is the gradient of {twin}")


def _named(fault: Fault, cause: str, text: str) -> Fault:
    """Return the structure fault with its cause filled in."""
    return dataclasses.replace(fault, cause=cause, residual=0.0, what=CAUSES[cause], message=f"{fault.message}: {text}")


def _of_inputs(subject: Subject, s: int, leaf: np.ndarray, each, tolerance: float) -> bool:
    """Return whether a leaf is the gradient by a dense layer's inputs, δW of each example.

    `each` holds the right gradients of the single examples.
    """
    place, W = subject.places[s], subject.stationed(subject.params)[s][subject.places[s].weight]
    if W.ndim != 2 or not leaf.any():
        return False
    sent = np.asarray(each[place.bias]) @ W
    return any(leaf.shape == of.shape and not differ(leaf, multiple(leaf, of) * of, tolerance) for of in (sent, sent.T))


def _summed_wrongly(leaf: np.ndarray, wanted: np.ndarray, each: np.ndarray | None, tolerance: float) -> bool:
    """Return whether a leaf is summed, or averaged, over axes that it should keep.

    `each` holds the right gradients of the single examples.
    """
    for axis in (*range(wanted.ndim), None):
        for summed in (wanted.sum(axis=axis), wanted.mean(axis=axis)):
            if leaf.shape == summed.shape and np.linalg.norm(leaf - summed) <= tolerance * np.linalg.norm(wanted):
                return True
    if each is None or leaf.shape != each.shape[:1]:
        return False
    flat = each.reshape(len(each), -1)
    # the leaf is a sum, or a mean over entries, over examples, or over both
    counts = (1, flat.shape[1], len(leaf), leaf.size * flat.shape[1])
    return any(np.linalg.norm(leaf * c - flat.sum(axis=1)) <= tolerance * np.linalg.norm(flat) for c in counts)
