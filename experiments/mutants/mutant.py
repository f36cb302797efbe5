"""What an operator and a mutant are: a mistake, where it is made, and what may rightly be said about it."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.mutants.passes import Model
from experiments.mutants.reference import Mutation, Step
from functional_nn import verify

CAUSES = frozenset(verify.CAUSES)
PUBLIC = {"slopes": 7, "reductions and scales": 7, "softmax's Jacobian": 4, "stale weights": 3, "penalties": 2,
          "copied leaves": 1, "wrong targets": 1, "anything else": 1}
"""How often each family of mistakes was made in 22 wrong gradients that people had published, some with two. None was of
another family; all others together are taken to be as likely as the rarest of these, since 22 prove nothing impossible."""
SITES = ("head", "pullback", "weight", "bias", "batch", "penalty", "structure")
Place = tuple[str, int | None]
Where = frozenset[Place]


class Inapplicable(Exception):
    """The mistake cannot be made in this step: shapes do not allow it, or the layer has nothing of the kind."""


def only_if(condition) -> None:
    """Leave where the mistake cannot be made."""
    if not condition:
        raise Inapplicable


@dataclass(frozen=True)
class Operator:
    """A mistake.

    Attributes:
      name: unique; what is done.
      family: of `PUBLIC`.
      sites: the steps it is made in.
      change: Step -> the step's wrong value; raises Inapplicable.
      causes: what may rightly be said about it.
      also: (place, last layer) -> further places that would be right: where steps cannot be told apart from outside.
      where: place -> the steps that it spoils, where that is not the place alone.
      shapes: whether the gradient's tree, shapes or finiteness suffer.
      rounds: whether it only rounds on the way, and no coarser than bfloat16.
      unseen: whether the code that names causes was written without knowing it.
    """

    name: str
    family: str
    sites: tuple[str, ...]
    change: Callable[[Step], Any]
    causes: frozenset[str]
    also: Callable[[Place, int], Sequence[Where]] = lambda place, last: ()
    where: Callable[[Place], Where] = lambda place: frozenset({place})
    shapes: bool = False
    rounds: bool = False
    unseen: bool = False

    def places(self, model: Model) -> Iterator[Place]:
        """Where it may be tried."""
        for site in self.sites:
            if site in ("batch", "penalty"):
                yield site, None
            elif site == "head":
                yield site, model.last
            else:
                yield from ((site, l) for l in range(model.last if site == "pullback" else model.last + 1))


class Family(list[Operator]):
    """The operators of one file, which are of one family.

    Its `operator` registers a change: with the name, the sites, the causes (the first is the one meant, the others say
    the same), and what else an `Operator` holds.
    """

    def __init__(self, name: str, unseen: bool = False):
        super().__init__()
        self.name, self.unseen = name, unseen

    def operator(self, name: str, sites: tuple[str, ...], *causes: str, **more):
        """A decorator that registers the change it is put on."""
        def register(change: Callable[[Step], Any]):
            self.append(Operator(name, self.name, sites, change, frozenset(causes), unseen=self.unseen, **more))
            return change

        return register


@dataclass(frozen=True)
class Part:
    """One mistake as it was made.

    Attributes:
      operator: its operator's name.
      family: its operator's family.
      where: the places that would be right, the first as meant.
      causes: what may rightly be said.
      rounds: whether it only rounds, as its operator says.
    """

    operator: str
    family: str
    where: tuple[Where, ...]
    causes: frozenset[str]
    rounds: bool = False


@dataclass(frozen=True)
class Mutant:
    """A wrong gradient, with the truth about it: one part, or two."""

    parts: tuple[Part, ...]
    mutations: tuple[Mutation, ...]
    unseen: bool
    shapes: bool = False

    @property
    def name(self) -> str:
        """Its operators."""
        return " + ".join(part.operator for part in self.parts)

    @property
    def place(self) -> str:
        """Where it was made, for people."""
        return " + ".join(", ".join(f"{site} {layer}" if layer is not None else site for site, layer in sorted(
            part.where[0], key=str)) for part in self.parts)


def rng_of(step: Step) -> np.random.Generator:
    """The same numbers whenever this step is mutated in this network."""
    return np.random.default_rng(zlib.crc32(f"{step.site} {step.layer} {step.run.model.n_in}".encode()))


def unit_of(array: np.ndarray, step: Step) -> int:
    """A unit: an index into the last axis of δ and biases."""
    return int(rng_of(step).integers(array.shape[-1]))


def entry_of(array: np.ndarray, step: Step) -> tuple[int, ...]:
    """An entry."""
    rng = rng_of(step)
    return tuple(int(rng.integers(n)) for n in array.shape)


def weights_of(p) -> np.ndarray:
    """The weights (gain) of a layer; of a residual layer, those of its first inner one."""
    return weights_of(p[0]) if isinstance(p, tuple) else p["gain" if "gain" in p else "w"]


def with_weights(p, w: np.ndarray):
    """The parameters of a layer with other weights."""
    return (with_weights(p[0], w), *p[1:]) if isinstance(p, tuple) else {**p, "gain" if "gain" in p else "w": w}
