"""Mistakes in the way back through a layer: its weights, its pieces, its statistics, its skip."""

import ml_dtypes
import numpy as np

from functional_nn.verify.catalogue.arrays import OF_VALUES
from functional_nn.verify.catalogue.mistake import (
    FITTED,
    SOLVED,
    TABLED,
    USUAL,
    Room,
    choices,
    each_of,
    looked_up,
    plus,
    right,
    row_by_row,
)
from functional_nn.verify.catalogue.slopes import softmax
from functional_nn.verify.debugger.anatomy import kind_of
from functional_nn.verify.debugger.tolerance import INDEPENDENT, plain_number
from functional_nn.verify.debugger.where import only_if

PULLS = Room()
PULLBACK = "pullback"
add = PULLS.add


def weight(step):
    """The weights of the layer above."""
    w = step.f.params[step.upper].get("weight")
    only_if(w is not None and kind_of(step.f.places[step.upper].part).factors is not None)
    return w


def matrix(step):
    """The same, where they are one matrix."""
    only_if(weight(step).ndim == 2)
    return weight(step)


def turned(step):
    """δ through W."""
    w = weight(step)
    only_if(w.ndim > 1 and w.shape[-1] == w.shape[-2])
    return step.pulled(np.swapaxes(w, -1, -2))


def _stations(steps, given):
    own = weight(steps[0])
    return [(t, way) for t, p in enumerate(steps[0].f.params) for way in ("W", "W.T")
            if t != steps[0].upper and "weight" in p and (own.ndim > 1 or way == "W")
            and own.shape == (p["weight"] if way == "W" else p["weight"].T).shape]


def through_station(step, t, way):
    """δ through the weight of another station."""
    w = step.f.params[t]["weight"]
    return step.pulled(w if way == "W" else w.T)


def updated(step, rate):
    """δ through a weight after a step."""
    t = step.upper
    return step.pulled(weight(step) - rate * step.run.made("weight", t, step.run.deltas[t]))


def updated_alone(step, rate):
    """δ through a weight after a step by the gradient of the same example."""
    t = step.upper
    only_if(step.f.places[t].part.kind == "dense")
    delta = step.run.deltas[t] / step.share
    moved = step.f.a[t] * (delta**2).sum(axis=1, keepdims=True)
    return step.pulled() - rate * step.share * step.through(moved)


def unweighted(step):
    """δ without the weights of the layer above."""
    w, delta = weight(step), step.run.deltas[step.upper]
    if w.ndim == 1:
        return step.pulled(np.ones_like(w))
    only_if(delta.shape == step.z.shape)
    return step.through(step.skip + delta)


WEIGHTS = {
    "its bias as first column": lambda w, b: np.concatenate([b[:, None], w[:, :-1]], axis=1),
    "its bias as last column": lambda w, b: np.concatenate([w[:, 1:], b[:, None]], axis=1),
    "W without its last row": lambda w, b: w * (np.arange(len(w)) < len(w) - 1)[:, None],
    "W without its first row": lambda w, b: w * (np.arange(len(w)) > 0)[:, None],
    "W rounded to eighths": lambda w, b: np.round(8 * w) / 8, "sign(W)": lambda w, b: np.sign(w),
    "W rounded to 1 decimal": lambda w, b: np.round(w, 1), "|W|": lambda w, b: np.abs(w),
    "W rounded to 2 decimals": lambda w, b: np.round(w, 2), "ones": lambda w, b: np.ones_like(w),
    "W in half precision": lambda w, b: w.astype(np.float16) * 1.0,
    "W in bfloat16": lambda w, b: w.astype(ml_dtypes.bfloat16).astype(float), "W**2": lambda w, b: w**2,
    "the larger half of W": lambda w, b: w * (np.abs(w) >= np.median(np.abs(w))),
    "column sums of W": lambda w, b: np.broadcast_to(w.sum(axis=0), w.shape),
    "column means of W": lambda w, b: np.broadcast_to(w.mean(axis=0), w.shape),
    "row sums of W": lambda w, b: np.broadcast_to(w.sum(axis=1, keepdims=True), w.shape),
    "rows of W / their norms": lambda w, b: w / np.linalg.norm(w, axis=1, keepdims=True),
    "columns of W / their norms": lambda w, b: w / np.linalg.norm(w, axis=0, keepdims=True),
    "the inverse of W": lambda w, b: np.linalg.pinv(w).T, "W + its bias": lambda w, b: w + b[:, None], "W / its norm": lambda w, b: w / np.linalg.norm(w),
    "rows of W in reverse order": lambda w, b: w[::-1], "the next rows of W": lambda w, b: np.roll(w, 1, 0)}

add("untransposed weight", PULLBACK, turned, "{back} with W for W.T")
add("untransposed weight", PULLBACK, lambda s: s.pulled(matrix(s).reshape(matrix(s).shape[::-1]).T),
    "{back} with W reshaped for W.T")
add("another layer's weight", PULLBACK, through_station, "{back} with {1} of layer {0}", _stations,
    rank=USUAL)
add("updated weight", PULLBACK, updated, "{back} with W - {0:.6g} dW for W",
    plus(lambda s: updated(s, 1.0) - s.right), (0.3,))
add("updated weight", PULLBACK, updated_alone, "{back} with W - {0:.6g} dW of the example for W",
    plus(lambda s: updated_alone(s, 1.0) - s.right), (0.3,))
add("weights forgotten", PULLBACK, unweighted, "{back} without W")
add("other weights", PULLBACK,
    lambda s, which: s.pulled(WEIGHTS[which](matrix(s), s.f.params[s.upper]["bias"])),
    "{back} with {0} for W", choices(*WEIGHTS), ("the larger half of W",), USUAL)



def _solved(steps, given):
    """The matrix that stands for W in all looks, where there are enough of them."""
    above = np.concatenate([step.run.deltas[step.upper] for step in steps])
    back = np.concatenate([g / step.slope - step.skip for g, step in zip(given, steps, strict=True)])
    only_if(weight(steps[0]).ndim == 2 and np.isfinite(back).all() and above.shape[1] < len(above))
    yield (np.linalg.lstsq(above, back, rcond=None)[0],)


def solved(step, w):
    """δ through any matrix."""
    only_if(w.shape == matrix(step).shape)
    return step.pulled(w)


add("other weights", PULLBACK, solved, "{back} with another matrix for W", _solved, rank=SOLVED)

add("other weights", PULLBACK, lambda s: s.pulled(s.run.made("weight", s.upper, s.run.deltas[s.upper])),
    "{back} with dW for W")

# other deltas


def _above(steps, given):
    """The stations above whose δ has the shape of this one's."""
    run, s = steps[0].run, steps[0].s
    return [t for t in range(s + 1, len(run.f.places)) if run.deltas[t].shape == steps[0].right.shape]


def constant(step, which):
    """δ from a constant above."""
    above = np.ones_like(step.run.deltas[step.upper])
    return step.pulled(delta=above if which == "ones" else above * step.f.share)


def _limits(steps, given):
    """Bounds that a δ above may be clipped to: what shows once W is undone, or what people write."""
    with np.errstate(all="ignore"):
        shown = [(g / step.slope - step.skip) @ np.linalg.pinv(matrix(step)) for g, step in zip(given, steps, strict=True)]
    bounds = [np.abs(v).max(initial=0) for v in shown]
    most = max(np.abs(step.run.deltas[step.upper]).max(initial=0) for step in steps)
    known = [plain_number(float(max(bounds)))] if np.isfinite(bounds).all() else []
    return [(c,) for c in (*known, *(float(f"{most * share:.0e}") for share in (0.5, 0.3, 0.2, 0.1)), 0.1, 1.0) if c]


PULLS.table(OF_VALUES, PULLBACK, lambda s, of: s.pulled(delta=of(s.run.deltas[s.upper])), "{back}, {0}")
add("signs alone", PULLBACK, lambda s: s.pulled(delta=np.sign(s.run.deltas[s.upper])), "{back}, of signs")
add("clipped", PULLBACK, lambda s, c: s.pulled(delta=np.clip(s.run.deltas[s.upper], -c, c)),
    "{back}, clipped to {0:.6g}", _limits, (0.05,))
add("another layer's delta", PULLBACK, lambda s, t, c: c * s.run.deltas[t],
    "{1:.6g} * d{0}", each_of(_above, lambda s, t: s.run.deltas[t]), rank=FITTED)
add("added to another", PULLBACK, lambda s, t, c: s.right + c * s.run.deltas[t],
    "{right} + {1:.6g} * d{0}",
    each_of(_above, lambda s, t: s.run.deltas[t], right), rank=FITTED)

ROWS = {
    "its softmax": ("normalised", softmax),
    "divided by its norm": ("normalised", lambda v: v / np.linalg.norm(v, axis=1, keepdims=True)),
    "divided by its largest entry": ("normalised", lambda v: v / np.abs(v).max(axis=1, keepdims=True)),
    "its mean taken off": ("normalised", lambda v: v - v.mean(axis=1, keepdims=True)),
    "standardised": ("normalised", lambda v: (v - v.mean(axis=1, keepdims=True)) / v.std(axis=1, keepdims=True)),
    "its largest entry alone": ("entries left out", lambda v: v * (np.abs(v) == np.abs(v).max(axis=1, keepdims=True)))}


def of_row(step, of):
    """δ from each example's δ above, changed as a whole."""
    only_if(step.run.deltas[step.upper].shape[1] > 2)
    return step.pulled(delta=of(step.run.deltas[step.upper]))


PULLS.table(ROWS, PULLBACK, of_row, "{back}, of delta above, {0}")
def derived_late(step):
    """δ with the derivative of the layer above once more, in place of its own."""
    slope = step.f.slope[step.upper]
    only_if(slope is not None)
    return step.skip + step.run.pull(step.upper, step.run.deltas[step.upper] * slope)[0]


add("derivative elsewhere", PULLBACK, derived_late, "{cotangent}, of delta * sigma' of the layer above, without {sigma}'({z})")
add("activation for delta", PULLBACK, lambda s: s.pulled(delta=s.share * s.f.out[s.upper]),
    "{back}, of the activation above")
add("cotangent ignored", PULLBACK, constant, "{back}, of {0}", choices("ones", "their share"),
    ("ones",), USUAL)



def _passed(pairs):
    """The δ above that an example's δ shows once W is undone."""
    step, g = pairs[0]
    only_if(len(matrix(step)) < matrix(step).shape[1] and (np.abs(step.slope) > INDEPENDENT).all())
    return ((g / step.slope - step.skip) @ np.linalg.pinv(matrix(step)))[0]


add("other delta", PULLBACK, lambda s, table: s.pulled(delta=looked_up(s, table)), "{back} from {0} for each example",
    row_by_row(_passed, lambda f: (f.x, f.y)), rank=TABLED)

# maxout


def one_piece(share, i):
    """All of δ to one piece."""
    wrong = np.zeros_like(share)
    wrong[:, i] = 1
    return wrong


PIECES = {"all pieces": np.ones_like, "the first piece": lambda share: one_piece(share, 0),
          "the pieces that lost": lambda share: (1 - share) / max(share.shape[1] - 1, 1),
          "the last piece": lambda share: one_piece(share, -1),
          "the pieces' mean": lambda share: np.full_like(share, 1 / share.shape[1])}


def shares(pieces):
    """Which piece of a maxout won."""
    only_if("share" in pieces and pieces["share"].shape[1] > 1)
    return pieces["share"]


add("wrong piece", PULLBACK,
    lambda s, which: s.pulled(pieces={"share": PIECES[which](shares(s.f.pieces[s.upper]))}),
    "{back} through {0}", choices(*PIECES), ("all pieces",), USUAL)

# the layer above that


def from_station(step, t):
    """δ from another station's δ, through that station's weights."""
    only_if("weight" in step.f.params[t])
    return step.through(step.run.pull(t, step.run.deltas[t])[0])


add("another layer's delta", PULLBACK, from_station, "{back} of layer {0} instead",
    lambda steps, given: [(t,) for t in range(steps[0].upper + 1, len(steps[0].f.places))], rank=USUAL)
