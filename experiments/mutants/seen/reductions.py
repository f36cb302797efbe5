"""Wrong sums over the examples."""

import numpy as np

from experiments.mutants.making import before_derivative, classes, remade, slope_of
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.places import (
    BATCH,
    BIAS,
    HEAD,
    LEAVES,
    PULLBACK,
    WEIGHT,
    all_of,
    everywhere,
    finished_or_all_of,
    lowest,
    lowest_matrix,
    summed,
    weighed,
)

FAMILY = Family("reductions and scales")
operator = FAMILY.operator


def chunks(each, size: int):
    """The examples in micro-batches."""
    return [each[start:start + size] for start in range(0, len(each), size)]


@operator("sum for mean", (*BATCH, *LEAVES), "sum for mean")
def _(step):
    return step.right * len(step.each)


@operator("divided twice", (*BATCH, *LEAVES), "divided twice", "mean for sum")
def _(step):
    return step.right / len(step.each)


@operator("divided by B - 1", (*BATCH, *LEAVES), "B - 1")
def _(step):
    return step.each.sum(axis=0) / (len(step.each) - 1)


@operator("first example only", (*BATCH, *LEAVES), "one example only")
def _(step):
    return step.each[0].copy()


@operator("first example only, divided", (*BATCH, *LEAVES), "one example only")
def _(step):
    return step.each[0] / len(step.each)


@operator("last example only", (*BATCH, *LEAVES), "one example only")
def _(step):
    return step.each[-1].copy()


@operator("last example left out", (*BATCH, *LEAVES), "examples left out")
def _(step):
    return step.each[:-1].sum(axis=0) / len(step.each)


@operator("running sums summed", BATCH, "examples weighted")
def _(step):
    return step.each.cumsum(axis=0).sum(axis=0) / len(step.each)


@operator("divided by a fixed 32", BATCH, "wrong divisor", "factor", "sum for mean", also=summed)
def _(step):
    return step.each.sum(axis=0) / 32


@operator("divided by the root of B", (*BATCH, *LEAVES), "wrong divisor")
def _(step):
    return step.each.sum(axis=0) / len(step.each) ** 0.5


@operator("outer product of means", WEIGHT, "averaged too early")
def _(step):
    only_if(step.spec.kind == "dense")
    return remade(step, delta=np.broadcast_to(step.delta.mean(axis=0), step.delta.shape))


@operator("running mean of two", BATCH, "examples weighted", also=weighed)
def _(step):
    mean = step.each[0]
    for each in step.each[1:]:
        mean = (mean + each) / 2
    return mean


@operator("sum begun with the first example", BATCH, "examples weighted", also=weighed)
def _(step):
    return (step.each.sum(axis=0) + step.each[0]) / len(step.each)


@operator("examples discounted by their age", BATCH, "examples weighted", also=weighed)
def _(step):
    total = np.zeros_like(step.right)
    for each in step.each:
        total = 0.9 * total + each
    return total / len(step.each)


@operator("median of the examples", BATCH, "wrong reduction", also=finished_or_all_of(*LEAVES))
def _(step):
    return np.median(step.each, axis=0)


@operator("largest example thrown out", BATCH, "examples left out", also=all_of(*LEAVES))
def _(step):
    sizes = (step.each.reshape(len(step.each), -1) ** 2).sum(axis=1)
    return np.delete(step.each, sizes.argmax(), axis=0).sum(axis=0) / len(step.each)


@operator("biases alone not averaged", BATCH, "sum for mean", also=all_of("bias"))
def _(step):
    return step.each.sum(axis=0) if step.leaf == "b" else step.right


@operator("weights divided by their inputs' number", BATCH, "factor", "wrong divisor",
          also=all_of("weight"))
def _(step):
    return step.right / step.right.shape[-1] if step.leaf == "w" else step.right


@operator("classes balanced by their frequency", HEAD, "another loss", "examples weighted",
          also=everywhere)
def _(step):
    classes(step)
    Y = step.run.Y
    often = (Y @ Y.sum(axis=0))[:, None]
    return step.right * (len(Y) / (Y.shape[1] * often))


@operator("learns from misclassified only", HEAD, "examples left out", "another loss",
          also=everywhere)
def _(step):
    classes(step)
    return step.right * (step.activated.argmax(axis=1) != step.run.Y.argmax(axis=1))[:, None]


@operator("error averaged before going back", HEAD, "averaged too early")
def _(step):
    return np.broadcast_to(step.right.mean(axis=0), step.right.shape).copy()


@operator("mean of what comes back", PULLBACK, "averaged too early", also=lowest_matrix)
def _(step):
    return step.cotangent.mean(axis=0) * slope_of(step)


@operator("averaged again on the way down", PULLBACK, "divided twice", "mean for sum", also=lowest)
def _(step):
    return step.right / len(step.right)


@operator("divided by B + 1", BATCH, "wrong divisor", also=weighed)
def _(step):
    return step.each.sum(axis=0) / (len(step.each) + 1)


@operator("mean of two devices' means", BATCH, "examples weighted", also=weighed)
def _(step):
    shares = [share for share in np.array_split(step.each, 2) if len(share)]
    return sum(share.mean(axis=0) for share in shares) / len(shares)


@operator("means of micro-batches added up", BATCH, "sum for mean", "wrong divisor",
          "examples weighted", also=weighed)
def _(step):
    return sum(chunk.mean(axis=0) for chunk in chunks(step.each, 2))


@operator("set to zero before each micro-batch", BATCH, "examples left out", "examples weighted",
          also=weighed)
def _(step):
    return chunks(step.each, 4)[-1].sum(axis=0) / len(step.each)


@operator("divided by the examples seen so far", BATCH, "examples weighted", "wrong divisor",
          also=weighed)
def _(step):
    counts = np.arange(1, len(step.each) + 1).astype(step.each.dtype)
    return np.einsum("b,b...->...", 1 / counts, step.each)


@operator("batch filled up with its own examples", BATCH, "examples weighted", also=weighed)
def _(step):
    full = -(-len(step.each) // 4) * 4
    return np.resize(step.each, (full, *step.each.shape[1:])).sum(axis=0) / full


@operator("weights summed, biases averaged", BATCH, "sum for mean", also=all_of("weight"))
def _(step):
    return step.each.sum(axis=0) if step.leaf == "w" else step.right


@operator("biases averaged a second time", BATCH, "divided twice", "mean for sum",
          also=all_of("bias"))
def _(step):
    return step.right / len(step.each) if step.leaf == "b" else step.right


@operator("contributions of zero not counted", BATCH, "wrong divisor", also=all_of(*LEAVES))
def _(step):
    counts = np.maximum(np.count_nonzero(step.each, axis=0), 1)
    return step.each.sum(axis=0) / counts.astype(step.each.dtype)


@operator("loop over examples begins at one", PULLBACK, "examples left out", "examples weighted",
          "entries left out", also=lowest)
def _(step):
    wrong = step.right.copy()
    wrong[0] = 0
    return wrong


@operator("buffer not cleared between examples", PULLBACK, "other delta", also=lowest)
def _(step):
    return step.cotangent.cumsum(axis=0) * slope_of(step)


@operator("mean of the means of uneven chunks", LEAVES, "examples weighted")
def _(step):
    chunks = [step.each[i:i + 4] for i in range(0, len(step.each), 4)]
    return sum(chunk.mean(axis=0) for chunk in chunks) / len(chunks)


@operator("incomplete chunk dropped", LEAVES, "examples left out", "examples weighted")
def _(step):
    return step.each[:len(step.each) // 4 * 4].sum(axis=0) / len(step.each)


@operator("divided inside the loop over examples", LEAVES, "examples weighted")
def _(step):
    total = np.zeros_like(step.right)
    for each in step.each:
        total = (total + each) / len(step.each)
    return total


@operator("number of examples off the wrong axis", LEAVES, "wrong divisor")
def _(step):
    return step.each.sum(axis=0) / (step.a if step.leaf == "w" else step.delta).shape[-1]


@operator("mean over the active examples only", LEAVES, "wrong divisor")
def _(step):
    count = np.maximum((step.delta != 0).sum(axis=0), 1).astype(step.right.dtype)
    return step.each.sum(axis=0) / (count[..., None] if step.right.ndim > count.ndim else count)


@operator("bias from the means of its factors", BIAS, "averaged too early")
def _(step):
    return before_derivative(step).mean(axis=0) * slope_of(step).mean(axis=0)
