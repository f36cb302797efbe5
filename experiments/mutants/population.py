"""All mutants of a problem: every operator in every step it can be made in, without those that change nothing."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from experiments.mutants import operators, unseen
from experiments.mutants.mutant import Inapplicable, Mutant, Operator, Part, Place
from experiments.mutants.problems import Problem, draw, unit_roundoff
from experiments.mutants.reference import Mutation, value_and_grad

OPERATORS = (*operators.SEEN, *unseen.UNSEEN)
SAME = 1e-12  # relative to the largest entry of a leaf


@dataclass(frozen=True)
class Population:
    """The mutants of a problem, what they answer, and how many were left out, by reason: equivalent, duplicate, masked."""

    mutants: tuple[Mutant, ...]
    given: tuple["Gradients", ...]
    left_out: Counter


@dataclass(frozen=True)
class Gradients:
    """What a function answers on several batches, to tell functions apart: the leaves, and their largest entries."""

    leaves: tuple[np.ndarray, ...]

    def same(self, other: "Gradients", relative: float = 0.0) -> bool:
        """Whether both are equal up to rounding."""
        if [g.shape for g in self.leaves] != [g.shape for g in other.leaves]:
            return False
        with np.errstate(invalid="ignore"):
            return all(np.allclose(a, b, rtol=relative, atol=SAME * np.nanmax(np.abs(b), initial=0), equal_nan=True)
                       for a, b in zip(self.leaves, other.leaves, strict=True))


def leaves_of(tree) -> list[np.ndarray]:
    """The leaves of a tree of tuples and dicts, by name."""
    if isinstance(tree, dict):
        return [np.asarray(tree[name]) for name in sorted(tree)]
    return [leaf for part in tree for leaf in leaves_of(part)] if isinstance(tree, tuple | list) else [np.asarray(tree)]


def batches(problem: Problem):
    """The problem's own batch, and others to tell mistakes apart."""
    yield problem.inputs("float64")
    for size in (5, 2, 1):
        yield draw(problem.model, size, np.random.default_rng([problem.seed, size]))


def answers(problem: Problem, mutations, count: int | None = None) -> Gradients:
    """The gradients on the first `count` batches."""
    function = value_and_grad(problem.model, mutations)
    return Gradients(tuple(leaf for inputs in list(batches(problem))[:count] for leaf in leaves_of(function(*inputs)[1])))


def population(problem: Problem, chosen: tuple[Operator, ...] = OPERATORS) -> Population:
    """The mutants of a problem.

    One whose gradient on the problem's batch is the right one is left out as equivalent. Of several that give the same gradient
    on every batch the first is kept, and every name and place of the others is right for it too.
    """
    right, kept, left_out = answers(problem, (), 1), [], Counter()
    for operator in chosen:
        for place in operator.places(problem.model):
            made = one(operator, place)
            try:
                if answers(problem, made.mutations, 1).same(right):
                    left_out["equivalent"] += 1
                    continue
                given = answers(problem, made.mutations)
            except Inapplicable:
                continue
            twin = next((i for i, (_, other) in enumerate(kept) if given.same(other)), None)
            if twin is None:
                kept.append((made, given))
            else:
                left_out["duplicate"] += 1
                kept[twin] = (merged(kept[twin][0], made), given)
    return Population(tuple(mutant for mutant, _ in kept), tuple(given for _, given in kept), left_out)


def one(operator: Operator, place: Place) -> Mutant:
    """A mutant of one mistake."""
    where = (operator.where(place), *operator.also(place))
    return Mutant((Part(operator.name, where, operator.causes),), (Mutation(*place, operator.change),), operator.unseen,
                  operator.shapes)


def merged(kept: Mutant, twin: Mutant) -> Mutant:
    """The first of two mutants with the same gradient, with the truths of both."""
    a, b = kept.parts[0], twin.parts[0]
    part = replace(a, where=tuple(dict.fromkeys((*a.where, *b.where))), causes=a.causes | b.causes)
    return replace(kept, parts=(part,))


def doubles(problem: Problem, singles: Population, count: int, rng: np.random.Generator) -> Population:
    """So many mutants of two mistakes in different steps; none in which one mistake hides the other.

    A pair is unseen when either of its operators is.
    """
    pool = [mutant for mutant in singles.mutants if not mutant.shapes and len(mutant.parts[0].where[0]) == 1]
    known, kept, given, left_out = [answers(problem, ()), *singles.given], [], [], Counter()
    for _ in range(20 * count):
        if len(kept) == count:
            break
        one, two = (pool[i] for i in rng.choice(len(pool), 2, replace=False))
        if places(one) & places(two):
            continue
        made = Mutant((*one.parts, *two.parts), (*one.mutations, *two.mutations), one.unseen or two.unseen)
        answer = answers(problem, made.mutations)
        if any(answer.same(other) for other in known):
            left_out["masked"] += 1
        else:
            kept.append(made)
            given.append(answer)
    return Population(tuple(kept), tuple(given), left_out)


def places(mutant: Mutant) -> set[Place]:
    """Every place that is right for one of its mistakes."""
    return {place for part in mutant.parts for where in part.where for place in where}


def visible(problem: Problem, mutant: Mutant, dtype: str) -> bool:
    """Whether the mistake is larger than what a gradient of that precision rounds."""
    if mutant.shapes or dtype in ("float64", "float32"):
        return True
    if dtype == "float32 inside":
        function, right = (value_and_grad(problem.model, m, "float32") for m in (mutant.mutations, ()))
        pairs = zip(*(leaves_of(f(*problem.inputs("float64"))[1]) for f in (function, right)), strict=True)
        return any(np.abs(a - b).max() > 1e-5 * np.abs(b).max() for a, b in pairs)
    return not answers(problem, mutant.mutations, 1).same(answers(problem, (), 1), unit_roundoff(dtype))
