"""Mistakes in the sum over the examples: a batch shows them, and a single example does not."""

import numpy as np

from functional_nn.verify.catalogue.arrays import NORMALISED, OF_VALUES
from functional_nn.verify.catalogue.mistake import SOLVED, USUAL, Room, choices, times
from functional_nn.verify.debugger.tolerance import (
    CLEAR,
    FREE,
    INDEPENDENT,
    ROUGH,
    SINGLES,
    plain_number,
)
from functional_nn.verify.debugger.where import DELTAS, LEAVES, Silent, only_if

SUMMED = Room()
SUMS = ("batch", *LEAVES)


def add(*record, **options) -> None:
    """Enter a record of a mistake in which examples meet."""
    SUMMED.add(*record, mixes=True, **options)


# the sum over the examples


def first(n):
    """Which of n examples is the first."""
    return np.arange(n) == 0


def last(n):
    """Which of n examples is the last."""
    return np.arange(n) == n - 1


ENDS = {"first": first, "last": last}
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


SUMMED.table(WEIGHTS, SUMS, weighed, "{0}", mixes=True)
add(WEIGHED, SUMS, lambda s, r: weighed(s, lambda n, share: share * r ** np.arange(n)[::-1]),
    "{right}, discounted by {0} per example", choices(0.9, 0.5, 0.99, 0.1), (0.9,), USUAL)
add("wrong divisor", SUMS, lambda s, d: weighed(s, lambda n, share: np.full(n, 1 / d)), "the sum / {0:.6g}", _divisors,
    (32.0,))
for _cause, _pattern in PATTERNS.items():
    add(_cause, SUMS, solved, "{right} with its examples weighed, for each number of them, by {0}", _solved(_pattern), rank=SOLVED)
add(OUT, DELTAS, lambda s, which: s.right * ~ENDS[which](s.count)[:, None], "{right} without the {0} example", choices(*ENDS),
    ("first",), USUAL)
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


def of_those_not_0(step):
    """The mean over the examples whose entry is not 0, as masked means are."""
    parts = each(step)
    return parts.sum(axis=0) / np.maximum(np.count_nonzero(parts, axis=0), 1)


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
add("wrong divisor", SUMS, of_those_not_0, "the examples' mean, entries of 0 not counted")
add(OUT, SUMS, largest_out, "{right} without the largest example")
add("clipped", SUMS, each_clipped, "{right} of examples each clipped to a norm of {0:.6g}", lambda steps, given: [
    (float(f"{n:.4g}"),) for n in [max(np.linalg.norm(g) for g in given)] if n], (0.1,))
def along_the_last(step):
    """The leaf, summed as if the examples were along the last axis."""
    parts = each(step)
    return step.f.share * parts.reshape(*parts.shape[1:], len(parts)).sum(axis=-1)


add("wrong axis", SUMS, along_the_last, "{right}, the examples taken to be along the last axis")
add("rounded", SUMS, in_half, "{right}, summed in float16")
SUMMED.table(EACH, SUMS, of_each, "{right} of examples each changed: {0}", mixes=True)
