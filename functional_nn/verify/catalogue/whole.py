"""Mistakes of the finished gradient, of every leaf at once, and of the penalty."""

import numpy as np

from functional_nn.verify.catalogue.arrays import signs
from functional_nn.verify.catalogue.leaves import PENALTIES
from functional_nn.verify.catalogue.mistake import USUAL, Room, choices, right, times
from functional_nn.verify.debugger.tolerance import plain_number
from functional_nn.verify.debugger.where import LEAVES, only_if

WHOLE = Room()
PENALTY, FINISH = "penalty", "finish"
add = WHOLE.add


def own(step):
    """The cost's own penalty."""
    only_if(step.run.own is not None)
    return step.right


def _once(step):
    """A penalty of the cost is the same however many examples there are."""
    return 1


def _shared(step):
    """A penalty of the sum over the examples is divided with it."""
    return step.count


def _terms(count):
    """The sizes of each penalty, in the sites of the given steps."""
    def fit(steps, given):
        sites = " and ".join(site for site in LEAVES if site in {step.leaf for step in steps})
        for of in PENALTIES:
            terms = [PENALTIES[of](step.value) / count(step) for step in steps]
            excess = [g - step.right for g, step in zip(given, steps, strict=True)]
            for (c,) in times(lambda pair: pair)(terms, excess):
                yield sites, of, c

    return fit


def _share(low, high):
    """The fit of a part, or a multiple, of the cost's own penalty."""
    return lambda steps, given: [(c,) for (c,) in times(own)(steps, given) if low < c < high]


def penalised(count):
    """The cost's own penalty, and one more."""
    return lambda step, sites, of, c: step.right + c / count(step) * PENALTIES[of](step.value) * (
        step.leaf in sites.split())


add("penalty forgotten", PENALTY, lambda s: 0 * own(s), "0 for the cost's penalty")
add("sign", PENALTY, lambda s: -own(s), "-1 * the cost's penalty")
add("penalty doubled", PENALTY, lambda s: 2 * own(s), "twice the cost's penalty")
add("penalty forgotten", PENALTY, lambda s, c: c * own(s), "{0:.6g} times the cost's penalty", _share(0, 1), (0.5,))
add("penalty added", PENALTY, lambda s, c: c * own(s), "{0:.6g} times the cost's penalty", _share(1, np.inf), (3.0,))
for _count, _divided in ((_once, ""), (_shared, " / B")):
    add("penalty added", PENALTY, penalised(_count), f"{{2:.6g}} * {{1}} of each {{0}}{_divided}",
        _terms(_count), ("weight", "p", 0.05))

# the finished gradient


def norm(leaves) -> float:
    """The norm of a whole gradient."""
    return float(np.sqrt(sum(np.sum(g * g) for g in leaves)))


def _limit(steps, given):
    """The largest norm of the given gradients among those that are cut."""
    sizes: dict[int, list] = {}
    for g, step in zip(given, steps, strict=True):
        sizes.setdefault(id(step.run), []).append((g, step.right))
    pairs = [tuple(norm(each) for each in zip(*of, strict=True)) for of in sizes.values()]
    for bound in [max((mine for mine, whole in pairs if mine < (1 - 1e-6) * whole), default=0.0)]:
        yield from [(plain_number(bound, 1e-3),), (bound,)] if bound else []


def cut(step, bound):
    """A leaf of a gradient that is clipped to a norm."""
    only_if(bound > 0)
    return step.right * min(1.0, bound / (norm(step.gradient.values()) or 1))


def _of_site(site):
    """The fit of a factor of all weights, or of all biases."""
    def fit(steps, given):
        mine = [(step, g) for g, step in zip(given, steps, strict=True) if step.leaf == site]
        return [(site, c) for (c,) in times(right)(*zip(*mine, strict=True)) if abs(c) != 1]

    return fit


def _beside_others(fit):
    """The fit, where there are other leaves than those of the site."""
    return lambda steps, given: fit(steps, given) if len({step.leaf for step in steps}) > 1 else ()


def exchanged(step, pairs):
    """The leaf that stands in this one's place."""
    places = {one: other for pair in pairs for one, other in (pair, pair[::-1])}
    return step.gradient[places.get((step.leaf, step.s), (step.leaf, step.s))]


EVERY = {
    "divided by its norm": ("normalised", lambda v: v / (np.linalg.norm(v) or 1)),
    "divided by its number of inputs": ("factor", lambda v: v / v.shape[-1] if v.ndim > 1 else v),
    **{f"{n} decimals": ("rounded", lambda v, n=n: np.round(v, n)) for n in range(1, 5)},
    "float16": ("rounded", lambda v: v.astype(np.float16).astype(float))}
WHOLE.table(EVERY, FINISH, lambda s, of: of(s.right), "every leaf, {0}")
add("clipped", FINISH, cut, "the whole gradient * min(1, {0:.6g} / its norm)", _limit, (0.1,))
add("clipped", FINISH, lambda s, c: np.clip(s.right, -c, c), "clip(every leaf, -{0:.6g}, {0:.6g})", lambda steps, given: [
    (plain_number(bound),) for bound in [float(max(np.abs(g).max(initial=0) for g in given))] if bound], (0.05,))
add("signs alone", FINISH, lambda s, c: c * np.sign(s.right) if s.right.size == 1 else signs(s, c),
    "{0:.6g} * sign of every leaf", times(lambda s: np.sign(s.right)), (1.0,))
add("update for gradient", FINISH, lambda s, c: s.value - c * s.right, "every parameter - {0:.6g} * its gradient",
    lambda steps, given: times(lambda s: -s.right)(steps, [g - s.value for g, s in zip(given, steps, strict=True)]), (0.1,))
for _site in LEAVES:
    add("factor", FINISH, lambda s, site, c: c * s.right if s.leaf == site else s.right, f"{{1:.6g}} * every {_site}",
        _beside_others(_of_site(_site)), (_site, 3.0))
    add("sign", FINISH, lambda s, site: -s.right if s.leaf == site else s.right, f"-1 * every {_site}", _beside_others(choices(_site)),
        (_site,), USUAL)
    add("divided twice", FINISH, lambda s, site: s.right / s.count if s.leaf == site else s.right, f"every {_site} / B",
        _beside_others(choices(_site)), (_site,), USUAL)
    add("sum for mean", FINISH, lambda s, site: s.count * s.right if s.leaf == site else s.right, f"B * every {_site}",
        _beside_others(choices(_site)), (_site,), USUAL)
add("exchanged leaves", FINISH, exchanged, "leaves in each other's place", lambda steps, given: ())
add("not a number", FINISH, lambda s: np.full_like(s.right, np.nan), "NaN or inf", lambda steps, given: ())
