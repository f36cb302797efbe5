"""Mistakes in the way back through a residual block: its skip connection and its branch."""

import numpy as np

from functional_nn.verify.catalogue.mistake import Room
from functional_nn.verify.debugger.tolerance import plain_number
from functional_nn.verify.debugger.where import only_if

BLOCKS = Room()
PULLBACK = "pullback"
add = BLOCKS.add


def shortcut(step):
    """The part of δ that comes back through skip connections."""
    only_if(len(step.run.parts(step.s)) > 1)
    return step.through(step.skip + 0 * step.cotangent)


def branch(step):
    """The other part."""
    only_if(len(step.run.parts(step.s)) > 1)
    return step.through(step.cotangent - step.skip)


def _shares(steps, given):
    terms = [np.concatenate([of(step).ravel() for step in steps]) for of in (shortcut, branch)]
    found = np.linalg.lstsq(np.stack(terms, axis=1), np.concatenate([g.ravel() for g in given]), rcond=None)
    return [tuple(map(plain_number, found[0]))]


def inside(step):
    """δ without the derivative inside the block."""
    t = step.upper
    only_if(step.run.cotangents[t].shape == step.run.deltas[t].shape)
    return step.pulled(delta=step.run.cotangents[t])


add("skip connection forgotten", PULLBACK, branch, "(the block's part alone) * {sigma}'({z})")
add("branch forgotten", PULLBACK, shortcut, "(the skip connection alone) * {sigma}'({z})")
add("skip connection weighted", PULLBACK, lambda s, c, d: c * shortcut(s) + d * branch(s),
    "({0:.6g} * skip + {1:.6g} * block) * {sigma}'({z})", _shares, (2.0, 1.0))
add("missing derivative", PULLBACK, lambda s: branch(s) + s.skip,
    "(the block's part) * {sigma}'({z}) + the skip connection")
add("missing derivative", PULLBACK, inside, "{back}, without the derivative above")
add("activation for delta", PULLBACK, lambda s: branch(s) + s.through(s.share * s.out), "{back}, with {a} for the skip connection")
