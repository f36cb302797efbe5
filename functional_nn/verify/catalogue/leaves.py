"""Mistakes in the gradient of a layer's own parameters, made from its δ and its input."""

import numpy as np

from functional_nn.verify.catalogue.arrays import dead, dead_units
from functional_nn.verify.catalogue.mistake import (
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
    term_of_input,
    times,
)
from functional_nn.verify.catalogue.pulls import PIECES, shares
from functional_nn.verify.catalogue.slopes import at
from functional_nn.verify.debugger.forward import elementwise
from functional_nn.verify.debugger.tolerance import SAME
from functional_nn.verify.debugger.where import LEAVES, Silent, only_if

OF_LEAVES = Room()
WEIGHT, BIAS = "weight", "bias"
add = OF_LEAVES.add

# the input


def _before(step):
    """z of the layer whose output is this one's input."""
    f, s = step.f, step.s
    only_if(s > 0 and f.out[s - 1].shape == f.a[s].shape and (f.out[s - 1] == f.a[s]).all())
    return f.z[s - 1]


def _unnormalised(step):
    only_if("x_hat" in step.f.pieces[step.s])
    return step.f.a[step.s]


def _inputs(steps, given):
    f, s = steps[0].f, steps[0].s
    return [(t, of) for t in range(len(f.places)) for of in ("out", "a", "z")
            if getattr(f, of)[t].shape == f.a[s].shape and (of, t) not in (("a", s), ("z", s), ("z", s - 1))]


OTHER, ORDER, NORMAL = "other activation", "swapped entries", "normalised"
INPUTS = {
    "ones": (OTHER, np.ones_like), "|a|": (OTHER, np.abs), "-a": (OTHER, lambda a: -a),
    "sign(a)": (OTHER, np.sign), "a**2": (OTHER, lambda a: a**2), "a > 0": (OTHER, lambda a: (a > 0) * 1.0),
    "1 - a": (OTHER, lambda a: 1 - a), "a + 1": (OTHER, lambda a: a + 1),
    "1 and a without its last": (OTHER, lambda a: np.concatenate([1 + 0 * a[:, :1], a[:, :-1]], axis=1)),
    "a without its first, and 1": (OTHER, lambda a: np.concatenate([a[:, 1:], 1 + 0 * a[:, :1]], axis=1)),
    "a in half precision": ("rounded", lambda a: a.astype(np.float16) * 1.0), "round(a)": ("rounded", np.round),
    "a in reverse order": (ORDER, lambda a: a[:, ::-1]), "the next entry of a": (ORDER, lambda a: np.roll(a, 1, 1)),
    "the entry of a before": (ORDER, lambda a: np.roll(a, -1, 1)),
    "a - its mean": (NORMAL, lambda a: a - a.mean(axis=1, keepdims=True)),
    "a / its norm": (NORMAL, lambda a: a / np.linalg.norm(a, axis=1, keepdims=True))}


def with_input(step, of):
    """The leaf with a function of the input."""
    with np.errstate(all="ignore"):
        return step.remade(a=np.nan_to_num(of(step.a)))


for _of, _text in ((_before, "z below"), (lambda s: s.z, "{z}"), (_unnormalised, "the unnormalised input")):
    add("pre-activation for activation", WEIGHT, lambda s, of=_of: s.remade(a=of(s)), f"outer({{delta}}, {_text})")
add("another layer's activation", WEIGHT, lambda s, t, of: s.remade(a=getattr(s.f, of)[t]),
    "outer({delta}, {1} of layer {0})", _inputs, rank=USUAL)
OF_LEAVES.table(INPUTS, WEIGHT, with_input, "outer({delta}, {0})")

# δ


def _stations(steps, given):
    f, s = steps[0].f, steps[0].s
    return [(t,) for t in range(len(f.places)) if t != s and f.z[t].shape == f.z[s].shape]


def _outputs(steps, given):
    f, s = steps[0].f, steps[0].s
    return [(of, t) for t in range(len(f.places)) for of in ("out", "z", "a") if getattr(f, of)[t].shape == f.z[s].shape]


def made_of(step, of):
    """The leaf with an output of a station for δ."""
    return step.remade(delta=step.share * getattr(step.f, of[0])[of[1]])


def to_pieces(step, which):
    """The leaf with other shares of a maxout's pieces."""
    delta = PIECES[which](shares(step.f.pieces[step.s])) * step.delta[:, None]
    return step.run.product(step.leaf, step.s, delta, step.a, step.run.weights())


def entry_by_entry(step):
    """δ ⊙ a, in every row."""
    only_if(step.delta.shape == step.a.shape and step.right.ndim == 2)
    return 0 * step.right + (step.delta * step.a * step.run.weights()[:, None]).sum(axis=0)


def added_up(step):
    """δ + a, for the outer product."""
    only_if(step.right.ndim == 2)
    return np.einsum("b,bjk->jk", step.run.weights(), step.delta[:, :, None] + step.share * step.a[:, None])


def total(step):
    """The sum of the bias's gradient, in every entry."""
    only_if(step.right.size > 1)
    return np.full_like(step.right, step.right.sum())


add("missing derivative", LEAVES, lambda s: s.remade(delta=s.cotangent), "{right} with {cotangent} for {delta}")
add("doubled derivative", LEAVES, lambda s: s.remade(delta=s.through(s.delta)),
    "{right} with {delta} * {sigma}'({z}) for {delta}")
add("another layer's delta", LEAVES, lambda s, t: s.remade(delta=s.run.delta_of(t)),
    "{right} with d{0}", _stations, rank=USUAL)
add("activation for delta", LEAVES, lambda s, of, c: c * made_of(s, of), "{1:.6g} * {right} with {0} for {delta}",
    each_of(_outputs, made_of), rank=USUAL)
add("wrong piece", LEAVES, to_pieces, "{right} for {0}", choices(*PIECES), ("all pieces",), USUAL)
add("wrong product", WEIGHT, entry_by_entry, "{delta} * {input}, entry by entry")
add("wrong product", WEIGHT, added_up, "{delta} + {input}")
def of_row(step, of):
    """The bias's gradient with examples weighed by their inputs."""
    only_if(step.delta.ndim == 2)
    return step.remade(weights=step.run.weights() * of(step.f.a[step.s]))


def activated(step, t):
    """The leaf with the input activated once more, as a layer does."""
    only_if(t >= 0 and step.f.places[t].part.activation.elementwise)
    return step.remade(a=elementwise(step.f.places[t].part.activation, step.a)[0])


def _places(steps, given):
    f, s = steps[0].f, steps[0].s
    return [(t, of) for t in range(len(f.places)) for of in ("z", "out", "a") if (t, of) != (s, "z")
            and getattr(f, of)[t].shape == f.z[s].shape]


def masked(step, axis, units, c):
    """The leaf with the input behind a mask, as dropout's."""
    only_if(axis == -1 and c != 1)
    return dead(step, axis, units, c)


def _threshold(steps, given):
    """The size of a parameter below which its gradient is left out."""
    pairs = [(np.abs(step.value), g != 0) for step, g in zip(steps, given, strict=True)]
    least = min((sizes[kept].min() for sizes, kept in pairs if kept.any()), default=0.0)
    most = max((sizes[~kept].max() for sizes, kept in pairs if not kept.all()), default=0.0)
    only_if(0 < most < least and min(np.sum(~kept) for _, kept in pairs) > 1)
    yield (float(f"{least:.1g}") if most < float(f"{least:.1g}") <= least else float(most + least) / 2,)


add("entries left out", LEAVES, lambda s, least: s.right * (np.abs(s.value) >= least),
    "{right} where |{value}| >= {0:.6g}", _threshold, (0.3,))
add("other activation", WEIGHT, masked, "outer({delta}, {2:.6g} * {input} without units {1})", dead_units,
    (-1, (1,), 2.0))
add("derivative at a", LEAVES, lambda s: s.remade(delta=s.cotangent * at(s, s.out)), "{right}, the derivative at {a}")
add("derivative elsewhere", LEAVES, lambda s, t, of: s.remade(delta=s.cotangent * at(s, getattr(s.f, of)[t])),
    "{right}, the derivative at {1} of layer {0}", _places, rank=USUAL)
add("other delta", LEAVES, lambda s: s.remade(delta=0 * s.delta + s.delta[:, -1:]), "{right} of the last unit, for all")
add("other delta", LEAVES, lambda s: s.remade(delta=s.delta * s.value[None]), "{right} with {delta} * {value}")
add("activation twice", WEIGHT, lambda s: activated(s, s.s - 1), "outer({delta}, {sigma}({input}))")
add("other activation", WEIGHT, lambda s: activated(s, s.s), "outer({delta}, {sigma}({input}))")
add("examples weighted", BIAS, lambda s: of_row(s, lambda a: a[:, 0]), "the first column of the weight's gradient")
add("examples weighted", BIAS, lambda s: of_row(s, lambda a: a.sum(axis=1)), "the sum of the weight's gradient")
add("update for gradient", LEAVES, lambda s: 1.0 * s.value, "{value}")
add("wrong product", LEAVES, lambda s: s.right * s.value, "{right} * {value}")
add("wrong axis", BIAS, lambda s, c: c * total(s), "{0:.6g} * the sum of {delta} over the units", times(total), (1.0,))

# layer norm's gain

STATISTICS = {
    "centred, not divided": lambda a, r, e: a - a.mean(axis=1, keepdims=True), "not centred": lambda a, r, e: a / r,
    "over n - 1": lambda a, r, e: (a - a.mean(axis=1, keepdims=True)) / np.sqrt(a.var(axis=1, ddof=1, keepdims=True) + e),
    "without epsilon": lambda a, r, e: (a - a.mean(axis=1, keepdims=True)) / a.std(axis=1, keepdims=True),
    "divided by the variance": lambda a, r, e: (a - a.mean(axis=1, keepdims=True)) / r**2}


def gain(step, which):
    """The gain's gradient with other statistics."""
    pieces = step.f.pieces[step.s]
    only_if("x_hat" in pieces and step.a.shape[1] > 1)
    with np.errstate(all="ignore"):
        return step.remade(a=np.nan_to_num(STATISTICS[which](step.f.a[step.s], pieces["spread"], pieces["epsilon"])))


add("wrong statistics", WEIGHT, gain, "{delta} * (the input, {0})", choices(*STATISTICS), ("not centred",), USUAL)

# other leaves, and terms

PENALTIES = {
    "p": lambda p: p, "sign(p)": np.sign, "p / its norm": lambda p: p / (np.linalg.norm(p) or 1),
    "p**3": lambda p: p**3, "|p| p": lambda p: np.abs(p) * p, "tanh(p)": np.tanh,
    "(p p.T - 1) p": lambda p: (p @ p.T - np.eye(len(p))) @ p if p.ndim == 2 else 0 * p,
    "p of long rows": lambda p: p * ((p**2).sum(axis=-1, keepdims=True) > 1) if p.ndim == 2 else 0 * p,
    "p / (1 + p**2)": lambda p: p / (1 + p**2), "p / (1 + p**2)**2": lambda p: p / (1 + p**2) ** 2,
    "p**2": lambda p: p**2, "the sum of p": lambda p: 0 * p + p.sum(), "the sum of p**2": lambda p: 0 * p + (p**2).sum(),
    "p but for its first column": lambda p: p * (np.arange(p.shape[-1]) > 0),
    "p - mean p": lambda p: p - p.mean(), "p / its rows' norms": lambda p: p / np.maximum(
        np.linalg.norm(p, axis=-1, keepdims=True), 1e-300)}


def _leaves(steps, given):
    f, where = steps[0].f, (steps[0].leaf, steps[0].s)
    return [(site, s) for s, place in enumerate(f.places) for site in place.leaves
            if (site, s) != where and f.params[s][site].shape == steps[0].right.shape]


def other(step, site, s):
    """The gradient of another leaf."""
    return step.run.made(site, s, step.run.delta_of(s))


def _constant(steps, given):
    """A term that is the same in all looks."""
    only_if(steps[0].right.size > 1)
    yield (np.mean([g - step.right for g, step in zip(given, steps, strict=True)], axis=0),)


add("added to another", LEAVES, lambda s, site, t: s.right + other(s, site, t), "{right} + the gradient of {0} {1}",
    _leaves, rank=USUAL)
add("another leaf's gradient", LEAVES, other, "the gradient of {0} {1}", _leaves, rank=USUAL)
add("penalty added", LEAVES, lambda s, of, c: s.right + c * PENALTIES[of](s.value), "{right} + {1:.6g} * {0}, p = {value}",
    each_of(list(PENALTIES), lambda s, of: PENALTIES[of](s.value), right), ("p", 0.05))
add("update for gradient", LEAVES, lambda s, rate: s.value - rate * s.right, "{value} - {0:.6g} * {right}",
    plus(lambda s: -s.right, lambda s: s.value), (0.1,))
add("offset", LEAVES, lambda s, term: s.right + term, "{right} + a constant array", _constant, rank=SOLVED)

# a term of the parameters alone


def _terms(steps, given):
    """The term of each leaf at each value of the parameters, where several examples show it."""
    only_if(steps[0].site in LEAVES or len({(step.leaf, step.s) for step in steps}) > 1)
    found: dict[tuple, list] = {}
    for g, step in zip(given, steps, strict=True):
        found.setdefault(_parameters(step), []).append(g - step.right)
    only_if(min(map(len, found.values())) > 1)
    means = {key: np.mean(terms, axis=0) for key, terms in found.items()}
    of_leaf = [[mean for (leaf, s, _), mean in means.items() if (leaf, s) == (step.leaf, step.s)] for step in steps]
    only_if(any(np.abs(mean - of[0]).max() > SAME * np.abs(of[0]).max() for of in of_leaf for mean in of))  # else it is constant
    yield (means,)


def _parameters(step):
    return step.leaf, step.s, step.value.tobytes()


def with_term(step, found):
    """The leaf and a term that belongs to its parameters."""
    if (step.leaf, step.s) not in {(leaf, s) for leaf, s, _ in found}:
        return step.right
    if _parameters(step) not in found:
        raise Silent
    return step.right + found[_parameters(step)]


add("penalty added", (*LEAVES, "penalty"), with_term, "{right} + a term of {value} alone, {0}", _terms, rank=TABLED)

# a factor that is none of the network's


def _factor(pairs, of, spec):
    """The other factor of outer(δ, a), from all looks at an example."""
    only_if(all(step.right.ndim == 2 and step.right.shape == (step.delta.shape[1], step.a.shape[1]) for step, _ in pairs))
    known = [of(step)[0] for step, _ in pairs]
    size = sum(float(v @ v) for v in known)
    weight = pairs[0][0].run.weights()[0]
    return sum(np.einsum(spec, g, v) for v, (_, g) in zip(known, pairs, strict=True)) / (weight * size if size else 1)


add("other activation", WEIGHT, lambda s, table: s.remade(a=looked_up(s, table)), "outer({delta}, {0} for each example)",
    row_by_row(lambda pairs: _factor(pairs, lambda s: s.delta, "ij,i->j")), rank=TABLED)
add("other delta", WEIGHT, lambda s, table: s.remade(delta=looked_up(s, table)), "outer({0} for each example, {input})",
    row_by_row(lambda pairs: _factor(pairs, lambda s: s.a, "ij,j->i"), lambda f: (f.x, f.y)), rank=TABLED)
add("term added", LEAVES, lambda s, table: s.right + np.tensordot(s.run.weights(), looked_up(s, table), axes=1),
    "{right} + a term of each example's input, {0}", term_of_input, rank=TABLED)
