"""Mistakes in which examples meet: a batch shows them, and a single example does not."""

import itertools

import numpy as np

from functional_nn.verify.catalogue.arrays import NORMALISED, OF_VALUES
from functional_nn.verify.catalogue.heads import against, classes
from functional_nn.verify.catalogue.mistake import SOLVED, USUAL, Room, choices, times
from functional_nn.verify.catalogue.norms import normed
from functional_nn.verify.catalogue.pulls import shares
from functional_nn.verify.catalogue.slopes import at
from functional_nn.verify.debugger.anatomy import norm_pull
from functional_nn.verify.debugger.tolerance import (
    CLEAR,
    FREE,
    INDEPENDENT,
    ROUGH,
    SINGLES,
    plain_number,
)
from functional_nn.verify.debugger.where import DELTAS, LEAVES, Silent, only_if

BATCHES = Room()
SUMS, HEAD, PULLBACK = ("batch", *LEAVES), "head", "pullback"


def add(*record, **options) -> None:
    """Enter a record of a mistake in which examples meet."""
    BATCHES.add(*record, mixes=True, **options)


# the sum over the examples


def first(n):
    """Which of n examples is the first."""
    return np.arange(n) == 0


def last(n):
    """Which of n examples is the last."""
    return np.arange(n) == n - 1


ONE, OUT, WEIGHED = "one example only", "examples left out", "examples weighted"
WEIGHTS = {  # (number of examples, share of an example) -> weights
    "the sum": ("sum for mean", lambda n, share: np.ones(n)),
    "the mean": ("mean for sum", lambda n, share: np.full(n, 1 / n)),
    "divided by B twice": ("divided twice", lambda n, share: np.full(n, share / n)),
    "divided by B - 1": ("B - 1", lambda n, share: np.full(n, 1 / (n - 1) if n > 1 else np.nan)),
    "divided by max(B - 1, 1)": ("B - 1", lambda n, share: np.full(n, 1 / max(n - 1, 1))),
    "divided by sqrt(B)": ("wrong divisor", lambda n, share: np.full(n, n**-0.5)),
    "divided by B + 1": ("wrong divisor", lambda n, share: np.full(n, 1 / (n + 1))),
    "divided by log(B + 1)": ("wrong divisor", lambda n, share: np.full(n, 1 / np.log(n + 1))),
    "divided by B**2 + 1": ("wrong divisor", lambda n, share: np.full(n, 1 / (n**2 + 1))),
    "the first": (ONE, lambda n, share: first(n) * 1.0), "the first / B": (ONE, lambda n, share: first(n) / n),
    "the last": (ONE, lambda n, share: last(n) * 1.0), "the last / B": (ONE, lambda n, share: last(n) / n),
    "all but the last": (OUT, lambda n, share: share * ~last(n)),
    "all but the first": (OUT, lambda n, share: share * ~first(n)),
    "the mean of all but the last": (OUT, lambda n, share: ~last(n) / max(n - 1, 1)),
    "the mean of all but the first": (OUT, lambda n, share: ~first(n) / max(n - 1, 1)),
    "every second": (OUT, lambda n, share: share * (np.arange(n) % 2 == 0)),
    "divided by those so far": (WEIGHED, lambda n, share: 1 / (1 + np.arange(n))),
    "divided in the loop": (WEIGHED, lambda n, share: float(n) ** (np.arange(n) - n)),
    "running sums": (WEIGHED, lambda n, share: share * (n - np.arange(n))),
    "weights 1, 2, …": (WEIGHED, lambda n, share: share * (1 + np.arange(n))),
    "the running mean of two": (WEIGHED, lambda n, share: 0.5 ** np.minimum(n - np.arange(n), n - 1)),
    "the first twice": (WEIGHED, lambda n, share: share * (1 + first(n))),
    "the last twice": (WEIGHED, lambda n, share: share * (1 + last(n)))}


def weighed(step, weights):
    """The leaf with weights of the examples, (number, share) -> weights, in place of their shares."""
    return step.remade(weights=np.asarray(weights(step.count, step.f.share), float) / step.share)


def _divisors(steps, given):
    """A fixed divisor, of a cost that is a mean: of a sum it is a factor."""
    only_if(steps[0].f.problem.reduction == "mean")
    return [(1 / c,) for (c,) in times(lambda s: s.right / s.f.share)(steps, given)]


def _solved(pattern):
    """The fit of the weights of the examples in batches of each size, if they are of a pattern."""
    def fit(steps, given):
        found = []
        for count in sorted({step.count for step in steps if step.count <= SINGLES}):
            pairs = [(step.each(), g) for step, g in zip(steps, given, strict=True) if step.count == count]
            parts = np.concatenate([each.reshape(count, -1) for each, _ in pairs], axis=1).T
            only_if(len(parts) >= FREE * count)
            weights, _, rank, _ = np.linalg.lstsq(parts, np.concatenate([g.ravel() for _, g in pairs]), rcond=INDEPENDENT)
            if rank == count:
                found.append((count, tuple(plain_number(w) if abs(w) > CLEAR * ROUGH else 0.0 for w in weights)))
        every = np.concatenate([weights for _, weights in found])
        only_if(np.ptp(every) > CLEAR * ROUGH * np.abs(every).max())  # else it is a factor
        only_if(pattern(np.array(found[-1][1])))
        yield (tuple(found),)

    return fit


def solved(step, found):
    """The leaf with the weights, in units of the right ones, that belong to the batch's size."""
    if step.count not in dict(found):
        raise Silent
    return step.remade(weights=step.run.weights() * np.array(dict(found)[step.count]))


PATTERNS = {  # cause -> whether it is told from the weights of the largest batch
    "wrong divisor": lambda w: w.any() and np.ptp(w) <= CLEAR * ROUGH * np.abs(w).max(), OUT: lambda w: 0 < np.sum(w == 0) < len(w),
    WEIGHED: lambda w: w.any()}


BATCHES.table(WEIGHTS, SUMS, weighed, "{0}", mixes=True)
add(WEIGHED, SUMS, lambda s, r: weighed(s, lambda n, share: share * r ** np.arange(n)[::-1]),
    "{right}, discounted by {0} per example", choices(0.9, 0.5, 0.99, 0.1), (0.9,), USUAL)
add("wrong divisor", SUMS, lambda s, d: weighed(s, lambda n, share: np.full(n, 1 / d)), "the sum / {0:.6g}", _divisors,
    (32.0,))
for _cause, _pattern in PATTERNS.items():
    add(_cause, SUMS, solved, "{right} with its examples weighed, for each number of them, by {0}", _solved(_pattern), rank=SOLVED)
add("divided twice", (*DELTAS, *LEAVES), lambda s: s.right / s.count, "{right} / B")

# the examples' shares taken one by one


def each(step):
    """Each example's part of the leaf, as a single example gives it."""
    only_if(step.right.size * step.count < 1e6)
    return step.each() / step.f.share


def largest_out(step):
    """The leaf without its largest example."""
    parts = each(step)
    sizes = (parts.reshape(len(parts), -1) ** 2).sum(axis=1)
    return step.f.share * np.delete(parts, sizes.argmax(), axis=0).sum(axis=0)


def each_clipped(step, bound):
    """The leaf of examples that are each clipped to a norm."""
    parts = each(step)
    sizes = np.sqrt((parts.reshape(len(parts), -1) ** 2).sum(axis=1))
    return np.einsum("b,b...->...", np.minimum(1, bound / np.maximum(sizes, 1e-300)) * step.f.share, parts)


def of_each(step, of):
    """The leaf of examples' parts that are each changed on their own."""
    parts = each(step)
    only_if(parts[0].size > 2)
    with np.errstate(all="ignore"):
        return step.f.share * np.sum([np.nan_to_num(of(part)) for part in parts], axis=0)


def in_half(step):
    """The leaf, summed in half precision."""
    return (each(step).astype(np.float16).sum(axis=0) / np.float16(step.count)).astype(float)


EACH = {**OF_VALUES, "their signs": ("signs alone", np.sign),
        **{name: ("normalised", of) for name, of in NORMALISED.items()}}
REDUCTIONS = {"median": np.median, "largest": np.max, "smallest": np.min, "product": np.prod,
              "root mean square": lambda v, axis: np.sqrt((v**2).mean(axis=axis))}
add("wrong reduction", SUMS, lambda s, how: REDUCTIONS[how](each(s), axis=0), "the examples' {0}", choices(*REDUCTIONS),
    ("median",), USUAL)
add(OUT, SUMS, largest_out, "{right} without the largest example")
add("clipped", SUMS, each_clipped, "{right} of examples each clipped to a norm of {0:.6g}", lambda steps, given: [
    (float(f"{n:.4g}"),) for n in [max(np.linalg.norm(g) for g in given)] if n], (0.1,))
add("rounded", SUMS, in_half, "{right}, summed in float16")
BATCHES.table(EACH, SUMS, of_each, "{right} of examples each changed: {0}", mixes=True)

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

# statistics and targets of the whole batch


def over_the_batch(step):
    """δ with a layer norm's means over the batch."""
    return normed(step, lambda v, x, r: (v - v.mean(axis=0) - x * (v * x).mean(axis=0)) / r)


def softmax_down(step):
    """δ with the softmax over the batch."""
    only_if(classes(step))
    e = np.exp(step.z - step.z.max(axis=0, keepdims=True))
    return step.share * (e / e.sum(axis=0, keepdims=True) - step.f.y)


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
add("normalised", DELTAS, lambda s: s.right - s.right.mean(axis=0), "{right} - its mean over the batch")
add("wrong target", HEAD, lambda s, which: against(s, TARGETS[which](s.f.y)), "{right} with {0} of the batch for y", choices(*TARGETS),
    ("every label",), USUAL)
add("another loss", HEAD, root_of_cost, "{0} * {right} / the cost's root", choices(0.5, 1.0), (0.5,), USUAL)
add("another loss", HEAD, balanced, "{right}, classes balanced by their number in the batch")
add("normalised", "weight", standardised, "outer({delta}, the input standardised over the batch)")
add("wrong statistics", "weight", batch_norm, "{delta} * the input with the batch's statistics")

