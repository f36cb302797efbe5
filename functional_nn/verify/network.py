"""A hand-written backpropagation of a known network, as a black box: right, or which step is wrong and what the mistake is."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.objective import objective
from functional_nn.verify.batches import BatchFault, batch_faults, shuffled
from functional_nn.verify.causes import CAUSES, Verdict, judge
from functional_nn.verify.gradients import compare, structure_faults
from functional_nn.verify.hypotheses import Scene, formulas, of_step
from functional_nn.verify.locate import Step, differ, locate
from functional_nn.verify.references import Probe
from functional_nn.verify.report import Fault, Leaf, Report
from functional_nn.verify.stations import at, passes, stations
from functional_nn.verify.subject import Subject

SINGLES = 5
BATCHES = (2, 3, 5)
ENTRIES = 20_000_000  # of the gradients of single examples, together: large networks get fewer examples


def check_network(net, loss, params, X, Y, *, value_and_grad: Callable, reduction: str = "mean", layout: str | None = None,
                  seed: int = 0) -> Report:
    """Is this backpropagation of `net` right; if not, which step is wrong, and what is the mistake?

    Every step is compared with what a right one makes of the same cotangent, so that only the faulty step is blamed and several
    faults are told apart. What cannot be named is "unexplained"; what is not wrong is not accused.

    Args:
      net, loss: the network and loss that the function claims to differentiate.
      params: in the form that the function takes: this project's, a list of (W, b), {"W1", "b1", …}, Flax's; weights either
        way round (`layout` "out_in" or "in_out" settles it where square weights leave it open).
      X, Y: (B, n_in) and targets; a few examples are enough.
      value_and_grad: the function, (params, X, Y) -> (cost, gradient) or the gradient alone, in JAX or NumPy.
      reduction: "mean" or "sum", as the cost means it.
      seed: of the examples made up where X has fewer than five.

    Returns:
      A Report; its faults have the site, the layer (from 0), the leaf's path in the caller's own tree, and the cause.

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
    with jax.enable_x64(True):
        problem = objective(net, loss, reduction)
        subject = Subject(net, stations(net), params, value_and_grad, layout)
        X, Y = _enough(np.asarray(X, dtype=np.float64), np.asarray(Y), seed)
        batch = problem.batch(jax.tree.map(jnp.asarray, subject.net_params), jnp.asarray(X), jnp.asarray(_real_targets(Y)))
        tree = subject.raw(X, Y)
        unit = _unit(tree)
        tolerance = 1e-9 if unit < 1e-12 else 16 * unit
        reference = _reference(problem, subject, batch)
        faults = structure_faults(subject.params, tree)
        if faults:
            named = tuple(_misshapen(subject, stations(net), fault, tree, reference, tolerance) for fault in faults)
            return Report(named, (), {"autodiff": tolerance}, "float64")
        leaves = _leaves(tree, reference, tolerance)
        scene, singles = _scene(problem, subject, batch, X, Y, tolerance)
        verdicts = [(step, _named(scene, step, unit)) for step in scene.located.steps if step.wrong]
        faults = [_fault(subject, scene, step, verdict) for step, verdict in _penalties(scene, verdicts, unit)]
        sizes = [B for B in BATCHES if len(singles[0][scene.places[0].bias]) >= B]
        batches = [(B, subject.gradients(X[:B], Y[:B])) for B in sizes]
        factors = [(d, np.asarray(a)) if np.ndim(singles[s][scene.places[s].weight]) == 3 else None
                   for s, (d, a) in enumerate(zip(scene.located.deltas, scene.forward.inputs, strict=True))]
        known = {(step.site, step.station) for step, _ in verdicts}  # a step that is not linear fails on batches anew
        top = max((s for _, s in known), default=-1)
        faults += [_batch_fault(subject, scene, _explained(scene, found, batches, reduction, unit)) for found in
                   batch_faults(scene.places, singles, batches, factors, reduction, tolerance, unit)
                   if (found.site, found.station) not in known
                   and (found.cause != "unexplained" or found.station is None or found.station > top)]
    if not faults and not all(all(leaf.right.values()) for leaf in leaves):
        faults = [Fault("batch", None, leaf.path, None, "unexplained", leaf.errors["autodiff"],
                        f"{leaf.path} is wrong at B = {len(X)}, but single examples and small batches are right")
                  for leaf in leaves if not all(leaf.right.values())][:1]
    return Report(tuple(faults), leaves, {"autodiff": tolerance}, "float64")


def _enough(X: np.ndarray, Y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """At least SINGLES examples: those given, then noisy copies with the same targets."""
    short = SINGLES - len(X)
    if X.ndim != 2 or len(X) == 0 or short <= 0:
        return X, Y
    copies = np.resize(np.arange(len(X)), short)
    noise = np.random.default_rng(seed).normal(size=(short, X.shape[1])) * (np.abs(X).mean() + 0.1)
    return np.concatenate([X, X[copies] + noise]), np.concatenate([Y, Y[copies]])


def _real_targets(Y: np.ndarray) -> np.ndarray:
    return Y.astype(np.float64) if Y.dtype.kind == "f" else Y


def _unit(tree) -> float:
    """The coarsest rounding unit among the leaves."""
    return max(float(jnp.finfo(leaf.dtype).eps) / 2 if jnp.issubdtype(leaf.dtype, jnp.floating) else 2.0**-53
               for leaf in map(jnp.asarray, jax.tree.leaves(tree)))


def _reference(problem, subject: Subject, batch):
    """jax.grad of the cost, in the user's layout."""
    right = jax.grad(problem.cost)(jax.tree.map(jnp.asarray, subject.net_params), batch)
    if subject.layout is None:
        return right
    return subject.layout.write([np.asarray(p["w"]) for p in right], [np.asarray(p["b"]) for p in right])


def _leaves(tree, reference, tolerance: float) -> tuple[Leaf, ...]:
    """Every leaf of the user's gradient against the reference."""
    right = [(jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in jax.tree_util.tree_leaves_with_path(reference)]
    floor = tolerance * max(float(np.linalg.norm(leaf)) for _, leaf in right) * 1e-3
    return tuple(compare(path, np.asarray(given, dtype=np.float64), {"autodiff": Probe(None, leaf.ravel(), floor)},
                          {"autodiff": tolerance}) for given, (path, leaf) in zip(jax.tree.leaves(tree), right, strict=True))


def _scene(problem, subject: Subject, batch, X, Y, tolerance: float):
    """Single examples forward and backward: where the steps differ, and all that naming them needs."""
    places = subject.places
    size = sum(leaf.size for leaf in jax.tree.leaves(subject.net_params))
    n = min(len(X), max(3, min(SINGLES, ENTRIES // size)))
    params = jax.tree.map(jnp.asarray, subject.net_params)
    forward_of, expected_of = passes(problem)
    forward = forward_of(params, batch.x[:n], batch.y[:n])
    with np.errstate(all="ignore"):
        each = [subject.gradients(X[i:i + 1], Y[i:i + 1]) for i in range(n)]
    singles = [{leaf: np.stack([one[s][leaf] for one in each]) for leaf in each[0][s]} for s in range(len(places))]
    if not _finite(singles) and n > 1 and _finite(subject.gradients(X[:n], Y[:n])):  # divided by B - 1: 0 for one example
        true = jax.vmap(jax.grad(problem.example_loss), in_axes=(None, 0, 0, None))(params, batch.x[:n], batch.y[:n], None)
        singles = [{leaf: np.where(np.isfinite(values), values, np.asarray(at(true, place)[leaf]))
                    for leaf, values in single.items()} for place, single in zip(places, singles, strict=True)]

    def expect(deltas):
        return expected_of(params, batch.x[:n], batch.y[:n], forward.z, tuple(jnp.asarray(d) for d in deltas))

    located = locate(places, forward, expect, singles, tolerance)
    own = [{name: np.asarray(leaf) for name, leaf in at(subject.net_params, place).items()} for place in places]
    return Scene(problem, places, own, forward, located, singles, np.asarray(batch.y[:n]), expect), singles


def _finite(gradients) -> bool:
    return all(np.isfinite(leaf).all() for station in gradients for leaf in station.values())


def _named(scene: Scene, step: Step, unit: float) -> Verdict:
    name = formulas(scene, step.site, step.station)
    return judge(step.given, step.expected, of_step(scene, step.site, step.station), unit, name)


def _penalties(scene: Scene, verdicts, unit: float) -> list[tuple[Step, Verdict]]:
    """The same penalty on every weight is one fault at the site "penalty"."""
    added = [(step, verdict) for step, verdict in verdicts if verdict.cause == "penalty added" and step.site == "weight"]
    rates = [float(verdict.value) for _, verdict in added]
    if len(added) < len(scene.places) or not np.allclose(rates, rates[0], rtol=max(1e-5, 32 * unit), atol=0):
        return verdicts
    others = [pair for pair in verdicts if pair[1].cause != "penalty added"]
    return [(added[0][0]._replace(site="penalty"), added[0][1]), *others]


def _fault(subject: Subject, scene: Scene, step: Step, verdict: Verdict) -> Fault:
    place = scene.places[step.station]
    leaf = subject.path(step.station, place.bias if step.site == "bias" else place.weight)
    gap = np.abs(step.given - step.expected).max(axis=0)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(gap)), gap.shape)) if step.site in ("weight", "bias") else None
    where = {"head": f"the head, delta{place.layer} at the output", "pullback": f"the pullback to delta{place.layer}",
             "weight": f"the weight gradient of layer {place.layer}", "bias": f"the bias gradient of layer {place.layer}",
             "penalty": "the penalty"}[step.site]
    what = CAUSES[verdict.cause] + (f" ({verdict.value})" if verdict.value else "")
    right = formulas(scene, "weight" if step.site == "penalty" else step.site, step.station)
    closest = f"; closest: {CAUSES[verdict.closest]}" if verdict.closest else ""
    message = (f"{where}: {what}{closest}. yours {verdict.formula}, expected {right} "
               f"[residual {verdict.residual:.0e}, runner-up {verdict.runner_up:.0e}]")
    if verdict.cause == "unexplained":
        message = f"{where}: {what}{closest}. expected {right} [smallest residual {verdict.residual:.0e}]"
    layer = None if step.site == "penalty" else place.layer
    return Fault(step.site, layer, leaf, index, verdict.cause, verdict.residual, message)


def _explained(scene: Scene, found: BatchFault, batches, reduction: str, unit: float) -> BatchFault:
    """A pullback that fails on batches alone, where a shuffle of the examples explains it."""
    s = found.station
    if found.site != "pullback" or found.cause != "unexplained" or np.ndim(scene.params[s][scene.places[s].weight]) != 2:
        return found
    g, z = np.asarray(scene.located.expected.cotangents[s]), np.asarray(scene.forward.z[s])
    pull = jax.vmap(scene.places[s].part.activation.pullback)

    def deltas_if(order):
        B = len(order)
        share = 1 / B if reduction == "mean" else 1.0
        both = {"derivatives": (z[order], g[:B]), "cotangents": (z[:B], g[order])}
        return {what: share * np.asarray(pull(jnp.asarray(z_of), jnp.asarray(g_of))) for what, (z_of, g_of) in both.items()}

    hit = shuffled([(B, gradients[s][scene.places[s].weight]) for B, gradients in batches if B <= 3],
                   np.asarray(scene.forward.inputs[s]), deltas_if, unit)
    return found if hit is None else found._replace(cause="shuffled examples", value=hit[0], residual=hit[1])


def _misshapen(subject: Subject, places, fault: Fault, tree, reference, tolerance: float) -> Fault:
    """A leaf of the wrong shape that is right once summed over an axis, or transposed."""
    given, right = ({jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(t)}
                    for t in (tree, reference))
    station = next((s for s, place in enumerate(places) for leaf in (place.weight, place.bias)
                    if subject.path(s, leaf) == fault.leaf), None)
    fault = dataclasses.replace(fault, layer=None if station is None else places[station].layer)
    if fault.leaf in given and fault.leaf in right:
        leaf, wanted = given[fault.leaf].astype(np.float64), right[fault.leaf]
        tries = [("missing reduction", how(leaf, axis=axis)) for axis in range(leaf.ndim) for how in (np.sum, np.mean)]
        for cause, changed in [*tries, ("transposed", leaf.T)]:
            if changed.shape == wanted.shape and not differ(changed, wanted, tolerance):
                return dataclasses.replace(fault, cause=cause, residual=0.0, message=f"{fault.message}: {CAUSES[cause]}")
    return fault


def _batch_fault(subject: Subject, scene: Scene, found) -> Fault:
    s = found.station
    place = None if s is None else scene.places[s]
    leaf = "" if place is None else subject.path(s, place.bias if found.site == "bias" else place.weight)
    where = "the batch's gradient" if place is None else f"the {found.site} gradient of layer {place.layer} over a batch"
    value = f" ({found.value})" if found.value else ""
    return Fault(found.site, None if place is None else place.layer, leaf, None, found.cause, found.residual,
                 f"{where}: {CAUSES[found.cause]}{value}; right for single examples")
