"""Hypotheses for the head, δ of the last layer: loss, target, or output derivative is wrong."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.activations import ACTIVATIONS
from functional_nn.losses import LOSSES
from functional_nn.verify.hypothesis import SOLVED, Hypothesis, multiple, size, written
from functional_nn.verify.mistakes.general import is_limit
from functional_nn.verify.mistakes.slopes import slopes
from functional_nn.verify.mistakes.view import View

# Rounding units of δ by which activations must vary within a class to tell the class's target:
SEEN = 16
SAME = 1e-9  # relative: targets that are so close are the same
GUARDS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)  # epsilons often added to predictions


def head(view: View, s: int, given: np.ndarray) -> Iterator[Hypothesis]:
    """The hypotheses for δ of the last station s."""
    loss, y, share = view.scene.problem.loss, view.scene.y, view.scene.share
    z, a, activation = view.z(s), view.a(s), view.places[s].part.activation
    name = activation.name

    def slope(of, target, prediction=a) -> np.ndarray:
        return share * np.asarray(jax.vmap(of.gradient)(jnp.asarray(prediction), jnp.asarray(target)))

    right, raw = view.scene.right(view.deltas, s), slope(loss, y)
    fused = share * (a - y)
    if np.isfinite(raw).all():
        yield from slopes(view, s, raw, given, "dL/da")
    for of in ("sigmoid", "tanh", name):
        slope_of = ACTIVATIONS[of].pullback if of in ACTIVATIONS else activation.pullback
        yield Hypothesis("doubled derivative", np.asarray(slope_of(jnp.asarray(z), jnp.asarray(right))), f"(a - y) * {of}'(z)")
    for of, text in ((a * (1 - a), "a (1 - a)"), (1 - a**2, "(1 - a**2)")):
        yield Hypothesis("doubled derivative", right * of, f"(a - y) * {text}")
    for of, text in ((share * a, "a"), (share * z, "z"), (slope(loss, 0 * y), "dL/da at y = 0")):
        yield Hypothesis("target ignored", of, text)
        yield Hypothesis("target ignored", view.through(s, of), f"({text}) * {name}'(z)")
    yield from _targets(view, s, given, raw, slope)
    for of in (raw, fused):
        for shared, text in ((of.sum(axis=1, keepdims=True), "sum"), (of.mean(axis=1, keepdims=True), "mean")):
            error = np.broadcast_to(shared, of.shape)
            yield Hypothesis("wrong axis", view.through(s, error), f"{text} of dL/da over the outputs * {name}'(z)")
            yield Hypothesis("wrong axis", error, f"{text} of (a - y) over the outputs")
    if name == "softmax":
        yield Hypothesis("wrong axis", share * (1 - y), "softmax over the examples - y")
    yield from _norm_clipped(view, s, right)
    yield from _weighed(view, s, given, right)
    yield Hypothesis("pre-activation for activation", share * (z - y), "z - y")
    yield Hypothesis("pre-activation for activation", view.through(s, share * (z - y)), f"(z - y) * {name}'(z)")
    yield Hypothesis("another loss", fused, "a - y")
    for other in LOSSES.values():
        if other.name != loss.name:
            g = slope(other, y)
            yield Hypothesis("another loss", view.through(s, g), f"{other.name}'(a) * {name}'(z)", other.name)
            yield Hypothesis("another loss", g, f"{other.name}'(a)", other.name)
    for epsilon in GUARDS:  # against a logarithm of 0 or a division by 0
        g = slope(loss, y, a + epsilon)
        if np.isfinite(g).all() and not np.array_equal(g, raw):
            yield Hypothesis("another loss", view.through(s, g), f"dL/da at a + {epsilon:g} * {name}'(z)", f"a + {epsilon:g}")
    if a.shape[1] > 1:
        yield Hypothesis("another loss", share * (np.eye(a.shape[1])[np.argmax(a, axis=1)] - y), "the class predicted - y")
    yield Hypothesis("another loss", share * np.sign(a - y), "sign(a - y)")
    yield Hypothesis("another loss", -share * y, "-y")
    yield Hypothesis("another loss", view.through(s, -share * y), f"-y * {name}'(z)")
    yield from _loss_itself(view, s)
    twice = np.asarray(activation(jnp.asarray(a)))
    back = np.asarray(activation.pullback(jnp.asarray(a), jnp.asarray(slope(loss, y, twice))))
    yield Hypothesis("activation twice", view.through(s, back), f"(dL/da at {name}(a) * {name}'(a)) * {name}'(z)", f"{name}(a)")
    with np.errstate(all="ignore"):
        for value, text in ((np.exp(z), "exp(z)"), (np.exp(z - z.max(axis=1, keepdims=True)), "exp(z - max z)"),
                            (np.log(a), "log(a)")):
            if np.isfinite(value).all():
                yield Hypothesis("another loss", share * (value - y), f"{text} - y", text)
    for cause, value, text in (("activation twice", twice, f"{name}(a)"), *(
            ("another loss", np.asarray(other(jnp.asarray(z))), f"{other.name}(z)") for other in ACTIVATIONS.values()
            if other.name not in (name, "linear"))):
        yield Hypothesis(cause, share * (value - y), f"{text} - y", text)
        yield Hypothesis(cause, view.through(s, slope(loss, y, value)), f"dL/da at {text} * {name}'(z)", text)


def _loss_itself(view: View, s: int) -> Iterator[Hypothesis]:
    """Hypotheses that the loss of each output, or of the example, replaces its derivative."""
    loss, y, share, a = view.scene.problem.loss, view.scene.y, view.scene.share, view.a(s)
    each = jax.vmap(jax.vmap(lambda a, y: loss(a[None], y[None])))(jnp.asarray(a), jnp.asarray(y))
    whole = jnp.broadcast_to(jax.vmap(loss)(jnp.asarray(a), jnp.asarray(y))[:, None], a.shape)
    for value, text in ((share * np.asarray(each), "L(a, y) of each output"), (share * np.asarray(whole), "L(a, y)")):
        yield Hypothesis("loss for derivative", value, text)
        yield Hypothesis("loss for derivative", view.through(s, value), f"{text} * {view.places[s].part.activation.name}'(z)")


def _weighed(view: View, s: int, given, right) -> Iterator[Hypothesis]:
    """Hypotheses: class weights, targets of each class, another power of the error, focal loss."""
    y, share, a, z = view.scene.y, view.scene.share, view.a(s), view.z(s)
    classes, of = np.unique(y, axis=0, return_inverse=True)
    of = of.ravel()
    if len(classes) < len(y):
        weights = np.array([multiple(given[of == c], right[of == c]) for c in range(len(classes))])
        yield Hypothesis("another loss", weights[of][:, None] * right, "c[class] * (right)", "classes weighted", rank=SOLVED)
        for slope, text in ((np.ones_like(z), ""), (view.through(s, np.ones_like(z)), " * sigma'(z)")):
            with np.errstate(all="ignore"):
                read = a - given / share / slope
            known = size(a - np.stack([a[of == c].mean(axis=0) for c in range(len(classes))])[of])
            # else any t[y] fits
            if slope.shape == read.shape and known > SEEN * view.scene.unit * size(given / share):
                means = np.stack([read[of == c].mean(axis=0) for c in range(len(classes))])
                if np.abs(means - classes).max() <= max(SAME, SEEN * view.scene.unit) * np.abs(classes).max():
                    continue
                yield Hypothesis("wrong target", share * (a - means[of]) * slope, f"(a - t[y]){text}", "of each class",
                                 tuple(map(float, means.ravel()[:64])), SOLVED)
    error = a - y
    for slope, text in ((view.through(s, np.ones_like(z)), " * sigma'(z)"), (np.ones_like(z), "")):
        with np.errstate(all="ignore"):
            sizes = np.log(np.abs(np.stack([error.ravel(), (given / share / slope).ravel()])))
        if slope.shape == error.shape and np.isfinite(sizes).all() and np.ptp(sizes[0]) > 0.1:
            power, scale = np.polyfit(*sizes, 1)
            if abs(power) < 0.01 or abs(power - 1) < SAME:  # constant size: signs, or all clipped; or the error itself
                continue
            yield Hypothesis("another loss", np.sign(error) * share * np.exp(scale) * np.abs(error) ** power * slope,
                             f"{np.exp(scale):.6g} * sign(a - y) * |a - y|**{power:.6g}{text}", f"power {power + 1:.6g}",
                             (float(power), float(np.exp(scale))))
    if view.places[s].part.activation.name == "softmax":
        yield from _of_scores(view, s, given)
        bonus = share * view.through(s, np.log(a)) if (a > 0).all() else np.zeros_like(a)
        rate = multiple(given - right, bonus)
        yield Hypothesis("another loss", right + rate * bonus, f"right + {rate:.6g} * softmax'(z) log(a)",
                         f"{rate:.6g} times the negative entropy of a added", (rate,))
        p = (a * y).sum(axis=1, keepdims=True)
        for gamma in (0.5, 1.0, 2.0, 3.0, 5.0):
            factor = (1 - p) ** gamma - gamma * p * (1 - p) ** (gamma - 1) * np.log(p)
            yield Hypothesis("another loss", factor * right, f"focal loss, gamma = {gamma:g}", f"focal, {gamma:g}")


def _of_scores(view: View, s: int, given) -> Iterator[Hypothesis]:
    """Hypotheses on softmax's scores z: another temperature, the hinge loss on their margins."""
    y, share, z = view.scene.y, view.scene.share, view.z(s)
    with np.errstate(all="ignore"):
        read = np.log(given / share + y)
    centred, apart = (v - v.mean(axis=1, keepdims=True) for v in (read, z))
    if np.isfinite(centred).all() and (coldness := multiple(centred, apart)) > 0:
        for t in dict.fromkeys((written(1 / coldness, 0.02), 1 / coldness)):
            e = np.exp(z / t - (z / t).max(axis=1, keepdims=True))
            yield Hypothesis("another loss", share * (e / e.sum(axis=1, keepdims=True) - y), f"softmax(z / {t:.6g}) - y",
                             f"at temperature {t:.6g}", (float(t),))
    if ((y == 0) | (y == 1)).all():
        broken = ((z - (z * y).sum(axis=1, keepdims=True) + 1 > 0) & (y == 0)) * 1.0
        yield Hypothesis("another loss", share * (broken - y * broken.sum(axis=1, keepdims=True)), "hinge on the margins of z",
                         "hinge on the margins")


def _norm_clipped(view: View, s: int, right: np.ndarray) -> Iterator[Hypothesis]:
    """Hypotheses that the whole gradient is divided by its norm or clipped to a norm.

    All leaves share that factor, so it appears in the head.
    """
    if not view.scene.single:
        return
    given = np.sqrt(sum((g.reshape(len(g), -1) ** 2).sum(axis=1) for own in view.scene.gradients for g in own.values()))
    limit = float(given.max())
    ratio = np.linalg.norm(view.deltas[s], axis=1) / np.maximum(np.linalg.norm(right, axis=1), 1e-300)
    full = given / np.where(ratio == 0, 1, ratio)
    if not (ratio > 0).all():
        return
    close = max(1e-6, 16 * view.scene.unit)
    # at another length it may be clipped
    if np.ptp(given) <= close * limit and np.isclose(limit, 1, rtol=close):
        yield Hypothesis("normalised", (limit / full)[:, None] * right, f"{limit:.4g} * gradient / norm",
                         "divided by the norm of the whole gradient", (limit,))
    if is_limit(given, limit, view.scene.unit):
        share = np.minimum(1, limit / full)[:, None]
        yield Hypothesis("clipped", share * right, f"gradient * min(1, {limit:.4g} / norm)", f"norm {limit:.4g}", (limit,))


def _targets(view: View, s: int, given, raw, slope) -> Iterator[Hypothesis]:
    """Hypotheses of other targets: other classes, smoothed, rescaled.

    If δ = a − y′, the target y′ is a − δ.
    """
    loss, y, share, a = view.scene.problem.loss, view.scene.y, view.scene.share, view.a(s)
    n = y.shape[1]
    others = {"the next class": np.roll(y, 1, axis=1), "the class before": np.roll(y, -1, axis=1),
              "reversed": y[:, ::-1], "1 - y": 1 - y, "2 y - 1": 2 * y - 1, "(y + 1) / 2": (y + 1) / 2, "-y": -y,
              "y / n": y / n, "y > 0.5": (y > 0.5) * 1.0, "round(y)": np.round(y), "sign(y)": np.sign(y),
              "|y|": np.abs(y), "y of the largest": np.eye(n)[np.argmax(y, axis=1)],
              "the class predicted": np.eye(n)[np.argmax(a, axis=1)]}
    if view.places[s].part.activation.name != "softmax":
        others["y less its mean"] = y - y.mean(axis=1, keepdims=True)
    same = max(SAME, SEEN * view.scene.unit) * (np.abs(y).max(initial=0.0) + 1e-300)  # a target that is y is no other one
    for text, target in others.items():
        if np.abs(target - y).max(initial=0.0) <= same:
            continue
        yield Hypothesis("wrong target", view.through(s, slope(loss, target)), f"dL/da with {text} * sigma'(z)", text)
        yield Hypothesis("wrong target", share * (a - target), f"a - ({text})", text)
    read = a - given / share
    design = np.stack([y.ravel(), np.ones(y.size)], axis=1)
    (slope_y, offset), *_ = np.linalg.lstsq(design, read.ravel(), rcond=None)
    if n > 1 and np.unique(y).size > 1 and abs(slope_y) > 1e-6 and np.abs(slope_y * y + offset - y).max() > same:
        yield Hypothesis("wrong target", share * (a - slope_y * y - offset), f"a - ({slope_y:.6g} y + {offset:.6g})",
                         f"{slope_y:.6g} y + {offset:.6g}", (float(slope_y), float(offset)))
