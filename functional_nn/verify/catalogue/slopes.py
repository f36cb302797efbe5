"""Mistakes in the derivative of an activation, and in what it is multiplied with."""

import numpy as np

from functional_nn.activations import ACTIVATIONS
from functional_nn.verify.catalogue.mistake import (
    TABLED,
    USUAL,
    Room,
    choices,
    looked_up,
    plus,
    row_by_row,
    term_of_input,
    times,
)
from functional_nn.verify.debugger.forward import elementwise, known_slopes
from functional_nn.verify.debugger.tolerance import INDEPENDENT, plain_number
from functional_nn.verify.debugger.where import DELTAS, only_if

SLOPES = Room()
NAMES = tuple(name for name, one in ACTIVATIONS.items() if one.elementwise and one.trains)
SQUARES = "1 - a**2"

FORMS = {  # what people write for σ′, of z and a = σ(z)
    "a * (1 - a)": lambda z, a: a * (1 - a), SQUARES: lambda z, a: 1 - a**2,
    "1 + a**2": lambda z, a: 1 + a**2, "1 - a": lambda z, a: 1 - a, "1 - |a|": lambda z, a: 1 - abs(a),
    "sign(z)": lambda z, a: np.sign(z), "z <= 0": lambda z, a: (z <= 0) * 1.0,
    "z > 0": lambda z, a: (z > 0) * 1.0, "a * (1 + a)": lambda z, a: a * (1 + a),
    "sqrt(1 - a**2)": lambda z, a: np.sqrt(np.maximum(1 - a**2, 0)), "a**2": lambda z, a: a**2,
    "1 / cosh(z)": lambda z, a: 1 / np.cosh(np.clip(z, -700, 700)),
    "|z| < 1": lambda z, a: (abs(z) < 1) * 1.0, "(1 - a)**2": lambda z, a: (1 - a) ** 2,
    "0.2 * (|z| < 2.5)": lambda z, a: 0.2 * (abs(z) < 2.5),
    "0.25 * (|z| < 2)": lambda z, a: 0.25 * (abs(z) < 2),
    "1 / (1 + |z|)**2": lambda z, a: 1 / (1 + abs(z)) ** 2,
    "exp(z)": lambda z, a: np.exp(np.clip(z, -700, 700)),
    "a * (1 - z)": lambda z, a: a * (1 - z), "(1 - a)**2 + a": lambda z, a: (1 - a) ** 2 + a,
    "sigmoid(z)": lambda z, a: 1 / (1 + np.exp(-np.clip(z, -700, 700)))}


def at(step, z):
    """σ′ of the layer at another z."""
    only_if(z.shape == step.z.shape and step.slope is not None)
    return elementwise(step.part.activation, z)[1]


def of_another(step, name):
    """δ with the derivative of another activation."""
    only_if(name != step.part.activation.name)
    if step.s not in step.f.memo:
        step.f.memo[step.s] = known_slopes(step.z)
    return step.cotangent * step.f.memo[step.s][name]


def of_z(step, form):
    """δ with the formula for a given z, where it is right of a."""
    only_if(step.part.activation.name == ("tanh" if form == SQUARES else "sigmoid"))
    return step.cotangent * FORMS[form](step.z, step.z)


def softmax(z):
    """The softmax of each row."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def through_softmax(step, a):
    """The cotangent, pulled back through a softmax whose output is a."""
    return a * (step.cotangent - (step.cotangent * a).sum(axis=1, keepdims=True))


def leaking(step, leak):
    """δ with a slope below 0."""
    only_if(step.part.activation.straight)
    return step.cotangent * np.where(step.z > 0, 1.0, leak)


add = SLOPES.add
add("missing derivative", DELTAS, lambda s: s.cotangent, "{cotangent}")
add("doubled derivative", DELTAS, lambda s: s.through(s.right),
    "{right} * {sigma}'({z})")
add("derivative at a", DELTAS, lambda s: s.cotangent * at(s, s.out), "({cotangent}) * {sigma}'({a})")
add("activation for derivative", DELTAS, lambda s: s.cotangent * s.out, "({cotangent}) * {a}")
add("another activation's derivative", DELTAS, of_another, "({cotangent}) * {0}'({z})",
    choices(*NAMES), ("softplus",), USUAL)
add("another activation's derivative", DELTAS,
    lambda s, form: s.cotangent * FORMS[form](s.z, s.out), "({cotangent}) * ({0})", choices(*FORMS),
    ("1 - a",), USUAL)
add("pre-activation for activation", DELTAS, of_z, "({cotangent}) * ({0}), with z for a",
    choices("a * (1 - a)", SQUARES), (SQUARES,), USUAL)
add("another activation's derivative", DELTAS, leaking, "({cotangent}) * ({z} > 0 or {0:.6g})",
    plus(lambda s: s.cotangent * (s.z <= 0), lambda s: s.cotangent * (s.z > 0)), (0.05,))
add("another activation's derivative", DELTAS, lambda s: through_softmax(s, s.out), "(diag({a}) - {a} {a}.T) ({cotangent})")
add("another activation's derivative", DELTAS, lambda s: through_softmax(s, softmax(s.z)), "softmax'({z}) ({cotangent})")
add("wrong product", DELTAS, lambda s: s.cotangent + s.slope, "{cotangent} + {sigma}'({z})")
add("offset", DELTAS, lambda s, c: s.cotangent * (s.slope + c),
    "({cotangent}) * ({sigma}'({z}) + {0:.6g})", plus(lambda s: s.cotangent), (0.1,))

# σ′ at another place


def unbiased(step):
    """z without its bias."""
    own = step.f.params[step.s]
    only_if("bias" in own and own["bias"].shape == step.z.shape[1:])
    return step.z - own["bias"]


ELSEWHERE = {
    "z without the bias": unbiased, "the layer's own input": lambda s: s.f.a[s.s],
    "z rounded to 1 decimal": lambda s: np.round(s.z, 1), "|z|": lambda s: abs(s.z),
    "z rounded to 2 decimals": lambda s: np.round(s.z, 2), "-z": lambda s: -s.z,
    "z of the first unit": lambda s: 0 * s.z + s.z[:, :1],
    "2 z": lambda s: 2 * s.z, "z / 2": lambda s: s.z / 2, "the cotangent": lambda s: s.cotangent,
    "σ(a)": lambda s: elementwise(s.part.activation, s.out)[0]}


def _places(steps, given):
    f, s = steps[0].f, steps[0].s
    return [(t, of) for t in range(len(f.places)) for of in ("z", "out", "a")
            if (t != s or of == "a") and getattr(f, of)[t].shape == f.z[s].shape]


def difference(step, h):
    """δ with σ′ by a difference."""
    one, other = (elementwise(step.part.activation, v)[0] for v in (step.z + h, step.z))
    return step.cotangent * (one - other) / h


add("derivative elsewhere", DELTAS, lambda s, where: s.cotangent * at(s, ELSEWHERE[where](s)),
    "({cotangent}) * {sigma}'({0})", choices(*ELSEWHERE), ("z / 2",), USUAL)
add("derivative elsewhere", DELTAS, lambda s, t, of: s.cotangent * at(s, getattr(s.f, of)[t]),
    "({cotangent}) * {sigma}'({1} of layer {0})", _places, rank=USUAL)
add("derivative elsewhere", DELTAS, lambda s: at(s, s.cotangent), "{sigma}'({cotangent})")
add("derivative elsewhere", DELTAS, difference, "({cotangent}) * a difference of {sigma} over {0}",
    choices(1.0, 0.1, 0.01, 1e-3, 1e-4), (0.01,), USUAL)



def _unknown(pairs):
    """The derivative that an example has under each of its targets."""
    above, shown = (np.concatenate(of) for of in zip(*((step.cotangent, g) for step, g in pairs), strict=True))
    only_if(len(pairs) == 1 or np.linalg.svd(above, compute_uv=False)[1] > INDEPENDENT * np.abs(above).max())
    size = (above**2).sum(axis=0)
    return (above * shown).sum(axis=0) / np.where(size > 0, size, 1)


add("other derivative", DELTAS, lambda s, table: s.cotangent * looked_up(s, table),
    "({cotangent}) * {0} for each example", row_by_row(_unknown), rank=TABLED)

# what is multiplied with σ′

BACK = {"positive part": lambda v: np.maximum(v, 0), "abs": np.abs}


def _limits(steps, given):
    """The largest cotangents that the given values show."""
    with np.errstate(all="ignore"):
        shown = [np.abs(g / s.slope)[np.abs(s.slope) > 1e-3] for g, s in zip(given, steps, strict=True)]
    bound = float(np.nanmax(np.concatenate([*shown, [0.0]])))
    return [(float(f"{bound:.4g}"),), (bound,)] if np.isfinite(bound) and bound else []


def penalised(of):
    """The term of a penalty on a layer's outputs."""
    return lambda step: step.share * step.through(of(step.out))


add("rectified", DELTAS, lambda s, how: s.through(BACK[how](s.cotangent)),
    "{0} of ({cotangent}), * {sigma}'({z})", choices(*BACK), ("abs",), USUAL)
add("rectified", DELTAS, lambda s, how: BACK[how](s.cotangent), "{0} of ({cotangent})",
    choices(*BACK), ("abs",), USUAL)
add("signs alone", DELTAS, lambda s, c: c * s.through(np.sign(s.cotangent)),
    "{0:.6g} * sign({cotangent}) * {sigma}'({z})", times(lambda s: s.through(np.sign(s.cotangent))),
    (1.0,))
add("clipped", DELTAS, lambda s, c: s.through(np.clip(s.cotangent, -c, c)),
    "clip({cotangent}, -{0:.6g}, {0:.6g}) * {sigma}'({z})", _limits, (0.05,))
for _name, _term in (("{a}", penalised(np.positive)), ("sign({a})", penalised(np.sign))):
    add("penalty added", "pullback", lambda s, c, of=_term: s.right + c * of(s),
        f"{{right}} + {{0:.6g}} * {_name} * {{sigma}}'({{z}})", plus(_term), (0.01,))


def sparsity(step):
    """What a penalty on the units' mean activity ā adds: through σ, 1 / (1 − ā) and −1 / ā."""
    mean = step.out.mean(axis=0)
    only_if(((mean > 0) & (mean < 1)).all())
    return [step.share * step.through(term + 0 * step.out) for term in (1 / (1 - mean), -1 / mean)]


def _sparse(steps, given):
    """The numbers of both terms."""
    terms = np.stack([np.concatenate([v.ravel() for v in of]) for of in zip(*map(sparsity, steps), strict=True)], axis=1)
    gaps = np.concatenate([(g - step.right).ravel() for g, step in zip(given, steps, strict=True)])
    yield tuple(plain_number(float(c)) for c in np.linalg.lstsq(terms, gaps, rcond=None)[0])


add("penalty added", "pullback", lambda s, c, d: s.right + c * sparsity(s)[0] + d * sparsity(s)[1],
    "({cotangent} + {0:.6g} / (1 - mean {a}) - {1:.6g} / mean {a}) * {sigma}'({z})", _sparse, (0.1, 0.02))
add("wrong axis", "pullback", lambda s: s.through(0 * s.z + s.cotangent.sum(axis=1, keepdims=True)),
    "({cotangent}).sum() * {sigma}'({z})")
add("term added", "pullback", lambda s: s.right + s.through(s.z - unbiased(s)),
    "({cotangent} + b) * {sigma}'({z})")
add("term added", "pullback", lambda s, table: s.right + s.share * looked_up(s, table)[:, 0],
    "{right} + a term of each example's input, {0}", term_of_input, rank=TABLED)
add("cotangent ignored", DELTAS, lambda s, c: c * s.slope,
    "{0:.6g} * {sigma}'({z})", times(lambda s: s.slope), (1.0,))
