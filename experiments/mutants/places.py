"""Where a mistake may rightly be reported besides the step that it was made in.

Some steps cannot be told apart from outside. Every function takes (place, last layer), or makes a
function that does.
"""

from experiments.mutants.mutant import Place, Where

HEAD, PULLBACK, WEIGHT, BIAS = ("head",), ("pullback",), ("weight",), ("bias",)
BATCH, PENALTY, STRUCTURE = ("batch",), ("penalty",), ("structure",)
LEAVES = (*WEIGHT, *BIAS)
DELTAS = (*HEAD, *PULLBACK)
FINISHED: Where = frozenset({("structure", None)})


def structural(place: Place, last: int) -> tuple[Where, ...]:
    """A wrong shape: the layer's part of the finished gradient, or all of it."""
    return frozenset({("structure", place[1])}), FINISHED


def unfit(place: Place, last: int) -> tuple[Where, ...]:
    """A NaN: a δ spoils every leaf from there down."""
    layers = range(place[1] + 1) if place[0] in DELTAS else (place[1],)
    leaves = frozenset((site, l) for site in LEAVES for l in layers)
    shapes = frozenset(("structure", l) for l in layers)
    return *structural(place, last), shapes, leaves if place[0] in DELTAS else frozenset({place})


def everywhere(place: Place, last: int) -> tuple[Where, ...]:
    """What the head does to every leaf alike: the sum over the examples might do it."""
    return (frozenset({("batch", None)}),) if place[0] == "head" else ()


def weighed(place: Place, last: int) -> tuple[Where, ...]:
    """What weighs the examples in their sum: the head's δ might do it."""
    return (frozenset({("head", last)}),)


def summed(place: Place, last: int) -> tuple[Where, ...]:
    """A sum over the examples with a fixed factor: the factor, or both, might be at the head."""
    return frozenset({place, ("head", last)}), frozenset({("head", last)})


def lowest(place: Place, last: int) -> tuple[Where, ...]:
    """δ of layer 0, which goes into that layer's two leaves and nowhere else: those leaves."""
    return (frozenset((site, 0) for site in LEAVES),) if place == ("pullback", 0) else ()


def lowest_matrix(place: Place, last: int) -> tuple[Where, ...]:
    """The same, where the biases' sum does not show it: those leaves, or the weights alone."""
    return (*lowest(place, last), frozenset({("weight", 0)})) if place == ("pullback", 0) else ()


def weighing(place: Place, last: int) -> tuple[Where, ...]:
    """What weighs the examples of a δ."""
    return (*everywhere(place, last), *lowest(place, last))


def all_of(*sites: str):
    """What leaves have in common: every leaf of those sites."""
    return lambda place, last: (frozenset((site, l) for site in sites for l in range(last + 1)),)


def finished_or_all_of(*sites: str):
    """The same, or the finished gradient."""
    return lambda place, last: (*all_of(*sites)(place, last), FINISHED)


def penalised(place: Place, last: int) -> tuple[Where, ...]:
    """What is made of a layer's weights alone: a penalty on them."""
    return frozenset({("penalty", None)}), frozenset({("penalty", place[1])})


def with_parameters(place: Place, last: int) -> tuple[Where, ...]:
    """What the parameters did to the finished gradient: a penalty might, or every leaf."""
    layers = frozenset(("structure", l) for l in range(last + 1))
    return frozenset({("penalty", None)}), layers, frozenset({place}), *all_of(*LEAVES)(place, last)


def of_layer(*sites: str):
    """Those leaves of the layer."""
    return lambda place: frozenset((site, place[1]) for site in sites)


def finished_or(*sites: str):
    """Those leaves of the layer, or the finished gradient."""
    return lambda place, last: (of_layer(*sites)(place), FINISHED)


def above(*sites: str):
    """Those leaves of the layer above."""
    return lambda place: frozenset((site, place[1] + 1) for site in sites)


def neighbours(*sites: str):
    """Those leaves of the layer and of the one above."""
    return lambda place: frozenset((site, place[1] + i) for i in (0, 1) for site in sites)


def here(place: Place, last: int) -> tuple[Where, ...]:
    """The layer's part of the finished gradient."""
    return frozenset({("structure", place[1])}), FINISHED


def both_here(place: Place, last: int) -> tuple[Where, ...]:
    """The same of two neighbouring layers."""
    return frozenset({("structure", place[1]), ("structure", place[1] + 1)}), FINISHED


def reordered(place: Place, last: int) -> tuple[Where, ...]:
    """All layers in another order: the finished gradient, its ends, or every layer's part."""
    ends = frozenset({("structure", 0), ("structure", last)})
    return FINISHED, ends, frozenset(("structure", l) for l in range(last + 1))
