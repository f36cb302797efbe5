"""Mistakes at the head: in δ of the last layer, from the loss and its target."""

import jax
import numpy as np

from functional_nn import losses
from functional_nn.activations import ACTIVATIONS
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
    row_by_row,
)
from functional_nn.verify.catalogue.slopes import softmax, unbiased
from functional_nn.verify.debugger.forward import elementwise, slope_of_head
from functional_nn.verify.debugger.tolerance import INDEPENDENT
from functional_nn.verify.debugger.where import only_if

HEADS = Room()
HEAD = "head"
add = HEADS.add


def against(step, y):
    """δ with other targets; a − y where the outputs are probabilities, whatever y adds up to."""
    if step.part.activation.elementwise or step.f.problem.loss.name != "cross_entropy":
        return step.share * slope_of_head(step.f.problem, step.z, y)
    return step.share * (step.out - y)


def classes(step):
    """(predictions, targets), where the outputs are probabilities of classes."""
    only_if(not step.part.activation.elementwise)
    return step.out, step.f.y


def target_class(step):
    """The probability of the target's class, a column."""
    a, y = classes(step)
    return (a * y).sum(axis=1, keepdims=True)


# targets

TARGETS = {
    "the next class": lambda y: np.roll(y, 1, axis=1), "the class before": lambda y: np.roll(y, -1, axis=1),
    "2 y - 1": lambda y: 2 * y - 1, "(y + 1) / 2": lambda y: (y + 1) / 2, "1 - y": lambda y: 1 - y,
    "-y": lambda y: -y, "y > 0.5": lambda y: (y > 0.5) * 1.0, "tanh(y)": np.tanh, "round(y)": np.round,
    "sigmoid(y)": lambda y: 1 / (1 + np.exp(-y)), "y in reverse order": lambda y: y[:, ::-1],
    "y / 255": lambda y: y / 255, "y**2": lambda y: y**2, "softmax(y)": lambda y: softmax(y),
    "the class's number": lambda y: np.broadcast_to(y.argmax(axis=1, keepdims=True) * 1.0, y.shape),
    "the first output's": lambda y: 0 * y + y[:, :1],
    "y - its mean": lambda y: y - y.mean(axis=1, keepdims=True)}


def smoothed(step, share):
    """δ with smoothed labels."""
    only_if(step.f.y.shape[1] > 1)
    return against(step, (1 - share) * step.f.y + share / step.f.y.shape[1])


add("target ignored", HEAD, lambda s: against(s, 0 * s.f.y), "{right} without the target")
add("wrong target", HEAD, lambda s, which: against(s, TARGETS[which](s.f.y)),
    "{right} with {0} for y", choices(*TARGETS), ("2 y - 1",), USUAL)
add("wrong target", HEAD, lambda s: against(s, np.eye(s.z.shape[1])[classes(s)[0].argmax(axis=1)]),
    "{right} with argmax {a} for y")
add("wrong target", HEAD, smoothed, "{right} with (1 - {0:.6g}) y + {0:.6g} / n for y",
    plus(lambda s: smoothed(s, 1.0) - s.right), (0.1,))
add("wrong target", HEAD, lambda s, c: against(s, c * s.f.y), "{right} with {0:.6g} y for y",
    plus(lambda s: s.right - against(s, 0 * s.f.y), lambda s: against(s, 0 * s.f.y)), (0.5,))



def _target(pairs):
    """The target that all examples of one target are compared with."""
    step, g = pairs[0]
    none, one = (against(step, v * np.ones_like(step.f.y)) for v in (0, 1))
    only_if((np.abs(one - none) > INDEPENDENT * np.abs(one).max()).all())
    return ((g - none) / (one - none))[0]


add("wrong target", HEAD, lambda s, table: against(s, looked_up(s, table)), "{right} with {0} for each y",
    row_by_row(_target, lambda f: (f.y,)), rank=TABLED)

# other losses


def sigmoid(z):
    """1 / (1 + e⁻ᶻ)."""
    return elementwise(ACTIVATIONS["sigmoid"], z)[0]


def one_by_one(s):
    """The targets, where each output is a class of its own."""
    only_if(s.part.activation.elementwise)
    return s.f.y


def cost_of(s):
    """The loss of each example."""
    return np.asarray(jax.vmap(s.f.problem.loss)(s.out, s.f.y))


def margins(s, z, a, y):
    """The multi-class hinge's slope."""
    broken = ((z - (z * y).sum(axis=1, keepdims=True) + 1 > 0) & (y == 0)) * 1.0
    return broken - y * broken.sum(axis=1, keepdims=True)


def tempered(t):
    """σ(t z) − y."""
    return lambda s, z, a, y: (sigmoid if s.part.activation.elementwise else softmax)(t * z) - y


LOSS, MISSING, TWICE, COST = ("another loss", "missing derivative", "activation twice",
                              "loss for derivative")
OTHERS = {  # formula -> (cause, what it is of the step, z, a, y)
    "(a - y)": (LOSS, lambda s, z, a, y: a - y),
    "(a - y) * sigma'(z)": (LOSS, lambda s, z, a, y: s.through(a - y)),
    "(sigmoid(z) - y)": (LOSS, lambda s, z, a, y: sigmoid(z) - y),
    "(softmax(z) - y)": (LOSS, lambda s, z, a, y: softmax(z) - y),
    "(exp(z) - y)": (LOSS, lambda s, z, a, y: np.exp(z) - y),
    "(argmax a - y)": (LOSS, lambda s, z, a, y: np.eye(a.shape[1])[classes(s)[0].argmax(axis=1)] - y),
    "(sigma(z / 2) - y)": (LOSS, tempered(0.5)), "(sigma(2 z) - y)": (LOSS, tempered(2.0)),
    "(sigma(z / 10) - y)": (LOSS, tempered(0.1)), "hinge on the margins": (LOSS, margins),
    "(softmax(-z) - y)": (LOSS, lambda s, z, a, y: softmax(-z) - y),
    "a - y * sigma'(z)": (LOSS, lambda s, z, a, y: a - s.through(y)),
    "(a - y) * a * 1 - a": (LOSS, lambda s, z, a, y: (a - y) * a - a),
    "(a - y) / (a (1 - a)), pulled back": (LOSS, lambda s, z, a, y: s.through((a - y) / (a * (1 - a)))),
    "-y * a": (LOSS, lambda s, z, a, y: -y * a), "-y": (LOSS, lambda s, z, a, y: -y),
    "-y * a * (1 - a)": (LOSS, lambda s, z, a, y: -y * a * (1 - a)),
    "sign(a - y)": (LOSS, lambda s, z, a, y: np.sign(a - y)),
    "sign(a - y) * sigma'(z)": (LOSS, lambda s, z, a, y: s.through(np.sign(a - y))),
    "(a - y)**3 * sigma'(z)": (LOSS, lambda s, z, a, y: s.through((a - y) ** 3)),
    "the sum of a - y, * sigma'(z)": (LOSS, lambda s, z, a, y: s.through(
        (a - y).sum(axis=1, keepdims=True) + 0 * a)),
    "(a - y) / a": (LOSS, lambda s, z, a, y: (a - y) / a),
    "-y * (1 - a), the other class forgotten": (LOSS, lambda s, z, a, y: -one_by_one(s) * (1 - a)),
    "-y * (1 - a)": ("cross terms forgotten", lambda s, z, a, y: -y * (1 - classes(s)[0])),
    "(a - y) * a * (1 - a)": ("doubled derivative", lambda s, z, a, y: (a - y) * a * (1 - a)),
    "(z - y)": ("pre-activation for activation", lambda s, z, a, y: z - y),
    "(a - y) / (a (1 - a))": (MISSING, lambda s, z, a, y: (a - y) / (a * (1 - a))),
    "-y / a": (MISSING, lambda s, z, a, y: -y / a),
    "(softmax(a) - y)": (TWICE, lambda s, z, a, y: softmax(a) - y),
    "(sigmoid(a) - y)": (TWICE, lambda s, z, a, y: sigmoid(a) - y),
    "(softmax(a) - y), pulled back": (TWICE, lambda s, z, a, y: s.through(softmax(a) - y)),
    "(sigmoid(a) - y), pulled back": (TWICE, lambda s, z, a, y: s.through(sigmoid(a) - y)),
    "(a - y) * e * (1 - e), e = a - y": ("derivative elsewhere", lambda s, z, a, y: (a - y) ** 2 * (1 - (a - y))),
    "the cost * sigma'(z)": (COST, lambda s, z, a, y: cost_of(s)[:, None] * s.slope),
    "(a - y)**2": (COST, lambda s, z, a, y: (a - y) ** 2),
    "(a - y)**2 * sigma'(z)": (COST, lambda s, z, a, y: s.through((a - y) ** 2)),
    "|a - y|": (COST, lambda s, z, a, y: abs(a - y)),
    "-y log a": (COST, lambda s, z, a, y: -y * np.log(np.maximum(a, 1e-300)))}


def other(step, name):
    """δ of another formula."""
    with np.errstate(all="ignore"):
        value = OTHERS[name][1](step, step.z, step.out, step.f.y)
    only_if(np.isfinite(value).all())
    return step.share * value


def of_loss(step, name):
    """δ of another loss of the library."""
    loss = losses.LOSSES[name]
    only_if(name != step.f.problem.loss.name and loss.output in (None, step.part.activation.name))
    return step.share * step.through(np.asarray(jax.vmap(loss.gradient)(step.out, step.f.y)))


def _positive(names):
    """The fit of a formula with a factor above 0: with one below 0, two steps would be wrong."""
    fit = each_of(names, other)
    return lambda steps, given: [(name, c) for name, c in fit(steps, given) if c > 0]


for _cause in dict.fromkeys(cause for cause, _ in OTHERS.values()):
    _names = [name for name, (of, _) in OTHERS.items() if of == _cause]
    add(_cause, HEAD, lambda s, name, c: c * other(s, name), "{1:.6g} * {0}", _positive(_names),
        (_names[-1], 1.0), USUAL)
AGAIN = {"z without the bias": unbiased, "-z": lambda s: -s.z}
add("derivative elsewhere", HEAD, lambda s, which: s.share * slope_of_head(s.f.problem, AGAIN[which](s), s.f.y),
    "{right} at {0}", choices(*AGAIN), ("-z",), USUAL)
add("cross terms forgotten", HEAD, lambda s: s.cotangent * classes(s)[0] * (1 - s.out),
    "({cotangent}) * a * (1 - a)")
add(LOSS, HEAD, lambda s, name, c: c * of_loss(s, name), "{1:.6g} * (gradient of {0})",
    each_of(list(losses.LOSSES), of_loss), ("mae", 1.0), USUAL)


def _huber(steps, given):
    with np.errstate(all="ignore"):
        shown = [np.abs(g / s.slope) / s.share for g, s in zip(given, steps, strict=True)]
    bound = float(max(v[np.isfinite(v)].max(initial=0) for v in shown))
    return [(float(f"{bound:.4g}"),), (bound,)] if bound else []


def entropy(step):
    """The slope of the entropy of the outputs."""
    return step.share * step.through(np.log(np.maximum(classes(step)[0], 1e-300)))


def _by_class(steps, given):
    """A factor for each class, where each class is seen."""
    found: dict[int, list[float]] = {}
    for g, step in zip(given, steps, strict=True):
        only_if(step.count == 1 and step.right.any())
        share = float(np.vdot(g, step.right) / np.vdot(step.right, step.right))
        found.setdefault(int(step.f.y[0].argmax()), []).append(share)
    only_if(1 < len(found) < len(given) and all(np.ptp(each) <= 1e-6 for each in found.values()))
    yield (tuple(sorted((k, float(np.mean(v))) for k, v in found.items())),)


def balanced(step, weights):
    """δ times a weight of the example's class."""
    known = dict(weights)
    return step.right * np.array([known.get(int(k), 1.0) for k in step.f.y.argmax(axis=1)])[:, None]


def _weight(of):
    """The weight of the targets that are 1, or 0, beside the others': none is below 0."""
    fit = plus(lambda step: step.right * of(step.f.y))
    return lambda steps, given: [(c,) for (c,) in fit(steps, given) if c > -1]


add(LOSS, HEAD, lambda s, c: s.through(s.share * np.clip(s.out - s.f.y, -c, c)),
    "clip(a - y, -{0:.6g}, {0:.6g}) * sigma'(z)", _huber, (0.3,))
for _text, _of in (("y", lambda y: y), ("(1 - y)", lambda y: 1 - y)):
    add(LOSS, HEAD, lambda s, c, of=_of: s.right * (1 + c * of(s.f.y)),
        f"{{right}} * (1 + {{0:.6g}} {_text})", _weight(_of), (2.0,))
add("penalty added", HEAD, lambda s, c: s.right + c * entropy(s),
    "{right} + {0:.6g} * log a through the softmax", plus(entropy), (0.1,))
add(LOSS, HEAD, lambda s, e: s.right * target_class(s) / (target_class(s) + e),
    "{right} * p / (p + {0:.6g}), p of the target's class", choices(*(10.0**-k for k in range(2, 9))),
    (1e-3,), FITTED)
add(LOSS, HEAD, lambda s, gamma: s.right * (1 - target_class(s)) ** gamma,
    "{right} * (1 - p)**{0:.6g}, p of the target's class", choices(0.5, 1.0, 2.0), (1.0,), FITTED)
add(LOSS, HEAD, lambda s: s.right * (classes(s)[0].argmax(1) != s.f.y.argmax(1))[:, None],
    "{right} of the misclassified examples alone")
add(LOSS, HEAD, balanced, "{right} * (weights of the classes: {0})", _by_class, rank=SOLVED)
