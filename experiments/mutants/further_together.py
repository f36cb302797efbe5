"""Mistakes over many leaves at once; first held back, then opened: the code that names causes is made with them."""

import numpy as np

from experiments.mutants import reference
from experiments.mutants.making import FOUND, LEAVES, operator
from experiments.mutants.mutant import Place, Step, Where, only_if

FIRST = len(FOUND)
BATCH, PENALTY, STRUCTURE = ("batch",), ("penalty",), ("structure",)
FINISHED: Where = frozenset({("structure", None)})


def all_of(*sites: str):
    """Every leaf of those sites may be blamed in place of what they have in common."""
    return lambda place, last: (frozenset((site, l) for site in sites for l in range(last + 1)),)


def weighed(place: Place, last: int) -> tuple[Where, ...]:
    """Whatever weighs the examples may do it in the head's δ, too."""
    return (frozenset({("head", last)}),)


def own_leaves(place: Place) -> Where:
    """Both leaves of the layer."""
    return frozenset((site, place[1]) for site in LEAVES)


def neighbours(site: str):
    """That leaf of the layer and of the one above."""
    return lambda place: frozenset({(site, place[1]), (site, place[1] + 1)})


def here(place: Place, last: int) -> tuple[Where, ...]:
    """The layer's part of the finished gradient."""
    return frozenset({("structure", place[1])}), FINISHED


def both_here(place: Place, last: int) -> tuple[Where, ...]:
    """The same of two neighbouring layers."""
    return frozenset({("structure", place[1]), ("structure", place[1] + 1)}), FINISHED


def changed(step: Step, **leaves):
    """The finished gradient with other leaves in the layer."""
    grads = list(step.right)
    grads[step.layer] = {**grads[step.layer], **leaves}
    return tuple(grads)


def alike(step: Step) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of two neighbouring layers' biases, where they could be mistaken for each other."""
    only_if(step.layer < step.run.model.last)
    pair = [step.right[l] for l in (step.layer, step.layer + 1)]
    only_if(all(isinstance(g, dict) and "b" in g for g in pair) and pair[0]["b"].shape == pair[1]["b"].shape)
    return pair[0]["b"], pair[1]["b"]


def with_biases(step: Step, own, other):
    """The finished gradient with other biases in two neighbouring layers."""
    grads = list(changed(step, b=own))
    grads[step.layer + 1] = {**grads[step.layer + 1], "b": other}
    return tuple(grads)


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


@operator("median of the examples", BATCH, "wrong reduction",
          also=lambda place, last: (*all_of(*LEAVES)(place, last), FINISHED))
def _(step):
    return np.median(step.each, axis=0)


@operator("running sums in half precision", BATCH, "rounded", also=all_of(*LEAVES))
def _(step):
    return (step.each.astype(np.float16).sum(axis=0) / np.float16(len(step.each))).astype(step.right.dtype)


@operator("largest example thrown out", BATCH, "examples left out", also=all_of(*LEAVES))
def _(step):
    sizes = (step.each.reshape(len(step.each), -1) ** 2).sum(axis=1)
    return np.delete(step.each, sizes.argmax(), axis=0).sum(axis=0) / len(step.each)


@operator("each example clipped for privacy", BATCH, "clipped", "examples weighted", also=all_of(*LEAVES))
def _(step):
    sizes = np.sqrt((step.each.reshape(len(step.each), -1) ** 2).sum(axis=1))
    scale = np.minimum(1, 0.1 / np.maximum(sizes, 1e-12))
    return np.einsum("b,b...->...", scale, step.each) / len(step.each)


@operator("biases alone not averaged", BATCH, "sum for mean", also=all_of("bias"))
def _(step):
    return step.each.sum(axis=0) if step.leaf == "b" else step.right


@operator("biases alone uphill", BATCH, "sign", also=all_of("bias"))
def _(step):
    return -step.right if step.leaf == "b" else step.right


@operator("weights divided by their inputs' number", BATCH, "factor", "wrong divisor", also=all_of("weight"))
def _(step):
    return step.right / step.right.shape[-1] if step.leaf == "w" else step.right


@operator("only the direction of every entry", BATCH, "signs alone",
          also=lambda place, last: (*all_of(*LEAVES)(place, last), FINISHED))
def _(step):
    return np.sign(step.right)


@operator("biases pulled towards nothing", PENALTY, "penalty added", also=all_of("bias"))
def _(step):
    return step.right + 0.02 * step.value if step.leaf == "b" else step.right


@operator("norm not squared in the penalty", PENALTY, "penalty added", also=all_of("weight"))
def _(step):
    return step.right + 0.01 * step.value / np.sqrt((step.value ** 2).sum()) if step.leaf == "w" else step.right


@operator("rows asked to be orthogonal", PENALTY, "penalty added")
def _(step):
    w = step.value
    if step.leaf != "w" or w.ndim != 2:
        return step.right
    return step.right + 0.01 * (w @ w.T - np.eye(len(w), dtype=w.dtype)) @ w


@operator("penalty on long rows only", PENALTY, "penalty added")
def _(step):
    w = step.value
    if step.leaf != "w" or w.ndim != 2:
        return step.right
    return step.right + 0.05 * w * ((w ** 2).sum(axis=1, keepdims=True) > 1)


@operator("length of all of it clipped", STRUCTURE, "clipped", "factor", "examples weighted",
          where=lambda place: frozenset({("batch", None)}),
          also=lambda place, last: (frozenset({("head", last)}), FINISHED))
def _(step):
    only_if(step.layer == 0)
    squares = []
    reference.as_arrays(step.right, lambda g: squares.append((g ** 2).sum()))
    scale = np.minimum(1, 0.1 / np.sqrt(sum(squares)))
    return reference.as_arrays(step.right, lambda g: g * scale)


@operator("index of delta one too low", STRUCTURE, "another layer's delta", where=own_leaves, also=here)
def _(step):
    run, l = step.run, step.layer
    only_if(l > 0 and run.model.specs[l].kind == "dense" and run.deltas[l - 1].shape == run.deltas[l].shape)
    delta, a = run.deltas[l - 1], run.tapes[l].a
    return changed(step, w=run.reduce(reference.product(run.model.specs[l], delta, a), "w"), b=run.reduce(delta, "b"))


@operator("branch added in place, leaves made after", STRUCTURE, "another layer's delta", "added to another", where=own_leaves,
          also=here)
def _(step):
    run, l = step.run, step.layer
    spec, p, tape = run.model.specs[l], run.params[l], run.tapes[l]
    only_if(l > 0 and spec.kind == "residual")
    grads = list(step.right)
    grads[l] = reference.leaves(run, l, spec, p, tape, reference.pull(spec, p, tape, run.deltas[l]))
    return tuple(grads)


@operator("gain and bias change places", STRUCTURE, "exchanged leaves", where=own_leaves, also=here)
def _(step):
    g = step.right[step.layer]
    only_if(isinstance(g, dict) and "gain" in g)
    return changed(step, gain=g["bias"], bias=g["gain"])


@operator("matrix and bias change places", STRUCTURE, "exchanged leaves", "wrong shape", shapes=True,
          also=lambda place, last: (own_leaves(place), FINISHED))
def _(step):
    g = step.right[step.layer]
    only_if(isinstance(g, dict) and "w" in g)
    return changed(step, w=g["b"], b=g["w"])


@operator("one array for two biases", STRUCTURE, "added to another", where=neighbours("bias"), also=both_here)
def _(step):
    both = sum(alike(step))
    return with_biases(step, both, both)


@operator("biases of neighbours change places", STRUCTURE, "exchanged leaves", "another layer's delta",
          where=neighbours("bias"), also=both_here)
def _(step):
    own, other = alike(step)
    return with_biases(step, other, own)


@operator("slope for the inputs unpacked as the matrix", STRUCTURE, "gradient of the inputs", shapes=True,
          also=lambda place, last: (frozenset({("weight", place[1])}), FINISHED))
def _(step):
    run, l = step.run, step.layer
    only_if(run.model.specs[l].kind == "dense")
    return changed(step, w=reference.pull(run.model.specs[l], run.params[l], run.tapes[l], run.deltas[l]))


@operator("bias still a column of the matrix", STRUCTURE, "wrong shape", shapes=True,
          also=lambda place, last: (frozenset({("weight", place[1])}), FINISHED))
def _(step):
    g = step.right[step.layer]
    only_if(isinstance(g, dict) and "w" in g and g["w"].ndim == 2)
    return changed(step, w=np.concatenate([g["b"][:, None], g["w"]], axis=1))


TOGETHER = tuple(FOUND[FIRST:])
"""Every operator of this file."""
