"""Maxout pieces that did not win."""


import numpy as np

from experiments.mutants.making import pieces, remade, shared, shares_of_pieces, winners
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.passes import softmax
from experiments.mutants.places import LEAVES, PULLBACK, lowest

FAMILY = Family("anything else")
operator = FAMILY.operator


@operator("every piece wins", PULLBACK, "wrong piece")
def _(step):
    return shared(step, np.ones_like)


@operator("pieces that lost", PULLBACK, "wrong piece", also=lowest)
def _(step):
    return shared(step, lambda share: (1 - share) / (share.shape[1] - 1))


@operator("always the first of the pieces", PULLBACK, "wrong piece", also=lowest)
def _(step):
    def first(share):
        share = np.zeros_like(share)
        share[:, 0] = 1
        return share

    return shared(step, first)


@operator("winners of another example", PULLBACK, "shuffled examples", "wrong piece", also=lowest)
def _(step):
    return shared(step, lambda share: np.roll(share, 1, axis=0))


@operator("each piece treated as the winner", LEAVES, "wrong piece")
def _(step):
    only_if(step.spec.kind == "maxout")
    delta = step.run.deltas[step.layer][:, None]
    return remade(step, delta=np.broadcast_to(delta, step.delta.shape))


@operator("leaf goes to the losing pieces", LEAVES, "wrong piece")
def _(step):
    only_if(step.spec.kind == "maxout")
    share = step.run.tapes[step.layer].share
    losers = (1 - share) / (share.shape[1] - 1)
    return remade(step, delta=losers * step.run.deltas[step.layer][:, None])


@operator("winner found without the biases", PULLBACK, "wrong piece", "derivative elsewhere",
          also=lowest)
def _(step):
    z = pieces(step, biases=False)
    return shared(step, lambda _: winners(z))


@operator("one winner for all units", PULLBACK, "wrong piece", "derivative elsewhere", also=lowest)
def _(step):
    z = pieces(step)
    return shared(step, lambda share: winners(z.sum(axis=2, keepdims=True)) * np.ones_like(share))


@operator("soft maximum for the maximum", PULLBACK, "wrong piece",
          "another activation's derivative", also=lowest)
def _(step):
    z = pieces(step)
    return shared(step, lambda _: np.swapaxes(softmax(np.swapaxes(z, 1, 2)), 1, 2))


@operator("winner's value where one should be", PULLBACK, "activation for derivative",
          "other delta", also=lowest)
def _(step):
    z = pieces(step)
    return shared(step, lambda share: share * z)


@operator("winning piece found without its bias", LEAVES, "wrong piece", "other delta",
          "derivative elsewhere")
def _(step):
    return shares_of_pieces(step, lambda z, b: (z == z.max(axis=1, keepdims=True)).astype(z.dtype))


@operator("pieces share as a softmax would", LEAVES, "wrong piece",
          "another activation's derivative")
def _(step):
    return shares_of_pieces(step, lambda z, b: np.moveaxis(
        softmax(np.moveaxis(z + b, 1, -1)), -1, 1))


@operator("pieces and units interleaved", LEAVES, "transposed", "swapped entries", "other delta")
def _(step):
    only_if(step.spec.kind == "maxout")
    return np.swapaxes(step.right, 0, 1).reshape(step.right.shape)
