"""Wrong sums over the examples, and wrong factors."""

import numpy as np

from experiments.mutants import passes
from experiments.mutants.mutant import Family
from experiments.mutants.places import (
    BATCH,
    BIAS,
    HEAD,
    LEAVES,
    PENALTY,
    all_of,
    everywhere,
    finished_or_all_of,
    summed,
    weighed,
)

FAMILY = Family("reductions and scales", unseen=True)
operator = FAMILY.operator


def norms(each):
    """The length of every example's contribution."""
    return np.sqrt((each.reshape(len(each), -1) ** 2).sum(axis=1))


def weighted(weights, each):
    """The examples' contributions in a weighted sum."""
    return np.einsum("b,b...->...", weights.astype(each.dtype), each)


@operator("divided by the number of features, X.shape[1]", BATCH, "wrong divisor", "sum for mean",
          "factor", also=summed)
def _(step):
    return step.each.sum(axis=0) / step.run.model.n_in


@operator("divided by the number of layers, len(params)", BATCH, "wrong divisor", "sum for mean",
          "factor", also=summed)
def _(step):
    return step.each.sum(axis=0) / len(step.run.params)


@operator("moving average over the examples", BATCH, "examples weighted", also=weighed)
def _(step):
    mean = np.zeros_like(step.right)
    for each in step.each:
        mean = 0.9 * mean + 0.1 * each
    return mean


@operator("every other example", BATCH, "examples left out", "examples weighted", also=weighed)
def _(step):
    return step.each[::2].sum(axis=0) / len(step.each)


@operator("first half of the batch taken for all of it", BATCH, "examples left out",
          "examples weighted", also=weighed)
def _(step):
    return step.each[:max(1, len(step.each) // 2)].mean(axis=0)


@operator("slices of four that share their ends", BATCH, "examples weighted", also=weighed)
def _(step):
    slices = (step.each[start:start + 5] for start in range(0, len(step.each), 4))
    return sum(part.sum(axis=0) for part in slices) / len(step.each)


@operator("running mean whose count lags by one", BATCH, "examples left out", "examples weighted",
          "B - 1", also=weighed)
def _(step):
    mean = np.zeros_like(step.right)
    for i, each in enumerate(step.each):
        mean = mean + (each - mean) / max(i, 1)
    return mean


@operator("examples weighted by their cost", BATCH, "examples weighted", also=weighed)
def _(step):
    run = step.run
    a = passes.output(run.model.specs, run.tapes)
    each = ((a[i:i + 1], run.Y[i:i + 1]) for i in range(len(a)))
    costs = np.array([passes.cost(run.model.loss, *pair) for pair in each])
    return weighted(costs / costs.sum(), step.each)


@operator("each example's gradient set to unit length", BATCH, "normalised", "examples weighted",
          also=all_of(*LEAVES))
def _(step):
    return weighted(1 / (len(step.each) * (norms(step.each) + 1e-12)), step.each)


@operator("mean of the examples' signs", BATCH, "signs alone", "wrong reduction",
          also=finished_or_all_of(*LEAVES))
def _(step):
    return np.sign(step.each).mean(axis=0)


@operator("sums kept in an array of integers", BATCH, "rounded", "zero", "entries left out",
          also=finished_or_all_of(*LEAVES))
def _(step):
    return np.trunc(step.each.sum(axis=0)) / len(step.each)


@operator("RMSprop's first step handed back", BATCH, "update for gradient", "normalised",
          also=finished_or_all_of(*LEAVES))
def _(step):
    return step.right / (np.sqrt(0.1 * step.right**2) + 1e-3)


@operator("weights scaled by 1 / sqrt(inputs)", BATCH, "factor", "wrong divisor",
          also=all_of("weight"))
def _(step):
    return step.right * step.right.shape[-1] ** -0.5 if step.leaf == "w" else step.right


@operator("mean of everything for every bias", BIAS, "wrong axis", "zero")
def _(step):
    return np.full_like(step.right, step.right.mean())


@operator("scale of the loss, 1024, never undone", HEAD, "factor", also=everywhere)
def _(step):
    return 1024 * step.right


@operator("decay multiplied into the gradient of weights", PENALTY, "factor", also=all_of("weight"))
def _(step):
    return 0.99 * step.right if step.leaf == "w" else step.right
