"""Mistakes in which examples meet before they are summed: orders, statistics and targets of a batch."""

import itertools

import numpy as np

from functional_nn.verify.catalogue.heads import against, classes, cost_of
from functional_nn.verify.catalogue.mistake import SOLVED, USUAL, Room, choices
from functional_nn.verify.catalogue.norms import normed
from functional_nn.verify.catalogue.pulls import shares
from functional_nn.verify.catalogue.slopes import at, softmax
from functional_nn.verify.catalogue.sums import last
from functional_nn.verify.debugger.anatomy import norm_pull
from functional_nn.verify.debugger.tolerance import INDEPENDENT, plain_number
from functional_nn.verify.debugger.where import DELTAS, LEAVES, Silent, only_if

BATCHES = Room()
HEAD, PULLBACK = "head", "pullback"


def add(*record, **options) -> None:
    """Enter a record of a mistake in which examples meet."""
    BATCHES.add(*record, mixes=True, **options)


# one part is of one example, its partner of another

ORDERS = {
    "of the example before": lambda v: np.roll(v, 1, axis=0), "of the next example": lambda v: np.roll(v, -1, axis=0),
    "in reverse order": lambda v: v[::-1], "of the first example": lambda v: 0 * v + v[:1],
    "of the last example": lambda v: 0 * v + v[-1:]}
MEAN = {"their mean": lambda v: 0 * v + v.mean(axis=0)}
RUNNING = {"summed with those of the examples before": lambda v: v.cumsum(axis=0)}
PARTS = (  # what may be of another example: (sites, step with that part reordered, formula)
    (HEAD, lambda s, of: against(s, of(s.f.y)), "{right} with the targets {0}"),
    (HEAD, lambda s, of: of(s.right), "{right} {0}"),
    (PULLBACK, lambda s, of: s.cotangent * of(s.slope), "({cotangent}) * {sigma}' {0}"),
    (PULLBACK, lambda s, of: s.cotangent * at(s, of(s.z)), "({cotangent}) * {sigma}' at z {0}"),
    (PULLBACK, lambda s, of: s.through(of(s.cotangent)), "({cotangent}) {0} * {sigma}'({z})"),
    (PULLBACK, lambda s, of: s.pulled(pieces={"share": of(shares(s.f.pieces[s.upper]))}), "{back}, the pieces {0}"),
    (PULLBACK, lambda s, of: normed(s, lambda v, x, r: norm_pull(v, x, of(r))), "{back}, the spread {0}"),
    (PULLBACK, lambda s, of: s.pulled(delta=of(s.run.deltas[s.upper])), "{back}, delta {0}"),
    ("weight", lambda s, of: s.remade(a=of(s.a)), "outer({delta}, {input} {0})"),
    (LEAVES, lambda s, of: s.remade(delta=s.cotangent * of(s.slope)), "{right} with ({cotangent}) * {sigma}' {0}"),
    (LEAVES, lambda s, of: s.remade(delta=of(s.delta)), "{right} with delta {0}"))

for _sites, _of, _formula in PARTS:
    add("shuffled examples", _sites, lambda s, order, of=_of: of(s, ORDERS[order]), _formula, choices(*ORDERS),
        ("in reverse order",), USUAL)
    add("averaged too early", _sites, lambda s, order, of=_of: of(s, MEAN[order]), _formula, choices(*MEAN),
        ("their mean",), USUAL)
    add("other delta", _sites, lambda s, order, of=_of: of(s, RUNNING[order]), _formula, choices(*RUNNING), tuple(RUNNING), USUAL)


def mixed(step, share):
    """δ with targets that are mixed with those of the example before."""
    return against(step, (1 - share) * step.f.y + share * np.roll(step.f.y, 1, axis=0))


add("wrong target", HEAD, mixed, "{right} with the targets mixed with those of the example before, {0} of them",
    choices(0.1, 0.2, 0.3, 0.4, 0.5), (0.3,), USUAL)
add("transposed", DELTAS, lambda s: s.right.T.reshape(s.right.shape), "({right}).T.reshape")
add("swapped entries", "weight", lambda s: s.remade(delta=s.delta.reshape(s.delta.shape[::-1]).T), "{right}, delta reshaped, not transposed")


def _permutations(steps, given):
    """An order of the examples for each size of batch, where a few examples tell it."""
    found = {}
    for step, g in zip(steps, given, strict=True):
        only_if(step.count <= 3)
        found[step.count] = min(itertools.permutations(range(step.count)), key=lambda order: np.linalg.norm(
            g - step.remade(a=step.a[list(order)])))
    yield (tuple(sorted(found.items())),)


def permuted(step, orders):
    """The leaf with the inputs in the order that belongs to the batch's size."""
    only_if(step.count in dict(orders))
    return step.remade(a=step.a[list(dict(orders)[step.count])])


add("shuffled examples", "weight", permuted, "outer({delta}, {input} in another order)", _permutations, rank=SOLVED)


def _let_through(steps, given):
    """Which entries of the inputs each call lets through, and the factor that they have in all calls."""
    shown = {}
    for step, g in zip(steps, given, strict=True):
        size = np.maximum((step.a**2).sum(axis=1), np.finfo(float).tiny)
        delta = np.einsum("b...j,bj->b...", step.each(), step.a / size[:, None]).reshape(step.count, -1)
        sizes = np.linalg.svd(delta, compute_uv=False)
        if len(sizes) == step.count and sizes[-1] > INDEPENDENT * sizes[0]:
            let = np.linalg.pinv(delta.T) @ g.reshape(-1, g.shape[-1])
            shown[_call(step)] = let / np.where(step.a == 0, np.nan, step.a)  # of an input of 0 nothing shows
    c = max(np.nanmax(ratio) for ratio in shown.values())
    kept = {call: ~(ratio < c / 2) for call, ratio in shown.items()}
    only_if(len({row.tobytes() for mask in kept.values() for row in mask}) > 1)  # else units are dead
    yield kept, plain_number(float(c))


def _call(step):
    return step.f.x.tobytes(), step.f.y.tobytes(), step.value.tobytes()


def behind_a_mask(step, kept, c):
    """The leaf of inputs that are behind another mask in each call, as dropout's."""
    if _call(step) not in kept:
        raise Silent
    return step.remade(a=c * step.a * kept[_call(step)])


add("other activation", "weight", behind_a_mask, "outer({delta}, {1:.6g} * {input} behind a mask, another one in each call)",
    _let_through, rank=SOLVED)

# statistics, weights and targets of the whole batch


def updated_within(step, rate):
    """δ through weights that are updated after every example."""
    delta, above = step.run.deltas[step.upper] / step.share, step.upper
    only_if(step.f.places[above].part.kind == "dense")
    return step.right - rate * step.share * step.through(np.tril(delta @ delta.T, -1) @ step.f.a[above])


add("updated weight", PULLBACK, updated_within, "{back} with W - {0:.6g} dW of the examples before for W",
    choices(1.0, 0.5, 0.3, 0.1, 0.05, 0.03, 0.01, 1e-3), (0.1,), USUAL)


def over_the_batch(step):
    """δ with a layer norm's means over the batch."""
    return normed(step, lambda v, x, r: (v - v.mean(axis=0) - x * (v * x).mean(axis=0)) / r)


def softmax_down(step):
    """δ with the softmax over the batch."""
    only_if(classes(step))
    e = np.exp(step.z - step.z.max(axis=0, keepdims=True))
    return step.share * (e / e.sum(axis=0, keepdims=True) - step.f.y)


def of_largest(step):
    """δ with each class's largest z over the batch taken off before the softmax."""
    only_if(classes(step))
    return step.share * (softmax(step.z - step.z.max(axis=0)) - step.f.y)


def taken_off_once(step):
    """The targets that are lost where a class comes again, as `g[labels] -= 1` loses them."""
    y = classes(step)[1]
    only_if(step.s == step.f.last)
    return step.share * y * ((y[::-1].cumsum(axis=0)[::-1] - y) > 0)


def root_of_cost(step, c):
    """δ of the root of the quadratic cost."""
    only_if(step.f.problem.loss.name == "quadratic")
    return c * step.right / np.sqrt(((step.out - step.f.y) ** 2).sum() / 2 / step.count)


def balanced(step):
    """δ with the classes balanced by their number in the batch."""
    y = classes(step)[1]
    return step.right * (len(y) / (y.shape[1] * np.maximum(y @ y.sum(axis=0), 1e-300)))[:, None]


def standardised(step):
    """The leaf with the input standardised over the batch."""
    return step.remade(a=(step.a - step.a.mean(axis=0)) / (step.a.std(axis=0) + 1e-8))


def batch_norm(step):
    """The gain's gradient with the batch's statistics."""
    only_if("x_hat" in step.f.pieces[step.s])
    a = step.f.a[step.s]
    return step.remade(a=(a - a.mean(axis=0)) / np.sqrt(a.var(axis=0) + step.f.pieces[step.s]["epsilon"]))


def softmax_of_all(step):
    """δ with the softmax over the whole array."""
    only_if(classes(step))
    e = np.exp(step.z - step.z.max())
    return step.share * (e / e.sum() - step.f.y)


TARGETS = {
    "y - its mean over the batch": lambda y: y - y.mean(), "y - each output's mean": lambda y: y - y.mean(axis=0),
    "y with the last target 0": lambda y: y * ~last(len(y))[:, None], "every label": lambda y: 0 * y + y.max(axis=0),
    "the mean with the example before": lambda y: (y + np.roll(y, 1, axis=0)) / 2}
add("derivative elsewhere", PULLBACK, lambda s: s.cotangent * at(s, (s.z - s.z.mean(axis=0)) / s.z.std(axis=0)),
    "({cotangent}) * {sigma}' at z standardised over the batch")
add("wrong axis", PULLBACK, over_the_batch, "{back} with layer norm's means over the batch")
add("wrong axis", HEAD, softmax_of_all, "(softmax over the whole array) - y")
add("wrong axis", HEAD, softmax_down, "(softmax over the batch) - y")
add("wrong axis", HEAD, of_largest, "softmax({z} - their largest over the batch) - y")
ONCE = "{right}, the target of a label that comes again taken off once"
add("target ignored", HEAD, lambda s: s.right + taken_off_once(s), ONCE)
add("target ignored", LEAVES, lambda s: s.remade(delta=s.delta + taken_off_once(s)), ONCE)
add("loss for derivative", HEAD, lambda s: s.share * cost_of(s).mean() * s.slope, "the batch's cost * {sigma}'({z})")
add("normalised", DELTAS, lambda s: s.right - s.right.mean(axis=0), "{right} - its mean over the batch")
add("wrong target", HEAD, lambda s, which: against(s, TARGETS[which](s.f.y)), "{right} with {0} of the batch for y", choices(*TARGETS),
    ("every label",), USUAL)
add("another loss", HEAD, root_of_cost, "{0} * {right} / the cost's root", choices(0.5, 1.0), (0.5,), USUAL)
add("another loss", HEAD, balanced, "{right}, classes balanced by their number in the batch")
add("normalised", "weight", standardised, "outer({delta}, the input standardised over the batch)")
add("wrong statistics", "weight", batch_norm, "{delta} * the input with the batch's statistics")
