"""What operators are written with: how one is registered, and a step's value made again from other parts."""

from collections.abc import Callable

from experiments.mutants import reference
from experiments.mutants.mutant import Operator, Place, Where, only_if, with_weights
from experiments.mutants.reference import SLOPES, Step

LEAVES = ("weight", "bias")
DELTAS = ("head", "pullback")
FOUND: list[Operator] = []


def operator(name: str, sites: tuple[str, ...], *causes: str, also=lambda place, last: (),
             where=lambda place: frozenset({place}), shapes: bool = False):
    """Register a change under that name; the first cause is the one meant, the others say the same."""
    def register(change: Callable[[Step], object]):
        FOUND.append(Operator(name, sites, change, frozenset(causes), also, where, shapes))
        return change

    return register


def structural(place: Place, last: int) -> tuple[Where, ...]:
    """Where a wrong shape may be reported besides its own step."""
    return frozenset({("structure", place[1])}), frozenset({("structure", None)})


def unfit(place: Place, last: int) -> tuple[Where, ...]:
    """Where NaN may be reported besides its own step: a δ spoils every leaf from there down."""
    layers = range(place[1] + 1) if place[0] in DELTAS else (place[1],)
    leaves = frozenset((site, l) for site in LEAVES for l in layers)
    shapes = frozenset(("structure", l) for l in layers)
    return *structural(place, last), shapes, leaves if place[0] in DELTAS else frozenset({place})


def everywhere(place: Place, last: int) -> tuple[Where, ...]:
    """What the head does to every leaf alike, the sum over the examples might do."""
    return (frozenset({("batch", None)}),) if place[0] == "head" else ()


def remade(step: Step, delta=None, a=None):
    """The leaf again, from another δ or another a."""
    delta, a = step.delta if delta is None else delta, step.a if a is None else a
    return step.run.reduce(reference.product(step.spec, delta, a) if step.leaf == "w" else delta, step.leaf)


def sloped(step: Step, z=None, slope=None):
    """δ again, with the derivative at another z or of another activation; head: where there is a derivative."""
    cotangent = upstream(step)
    return cotangent * (slope or SLOPES[step.activation])(step.z if z is None else z)


def upstream(step: Step):
    """What the activation's derivative is multiplied with."""
    only_if(step.activation != "softmax")
    return step.cotangent if step.site == "pullback" else reference.loss_slope(step.run.model.loss, step.activated, step.run.Y)


def pulled(step: Step, w):
    """δ again, through other weights of the layer above."""
    spec, p, tape, delta = step.above()
    return reference.pull(spec, with_weights(p, w), tape, delta) * SLOPES[step.activation](step.z)


def below(step: Step):
    """The tape and activation of the layer below, in whose output this layer's weights are multiplied."""
    only_if(step.layer > 0 and step.spec.kind in ("dense", "maxout"))
    return step.run.tapes[step.layer - 1]
