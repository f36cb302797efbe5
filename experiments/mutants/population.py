"""All mutants of a problem: every operator in every step it can be made in, without those that change nothing."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from experiments.mutants.mutant import Inapplicable, Mutant, Operator, Part, Place
from experiments.mutants.places import DELTAS, LEAVES
from experiments.mutants.problems import Problem
from experiments.mutants.reference import Mutation, value_and_grad
from experiments.mutants.seen import SEEN
from experiments.mutants.unseen import UNSEEN

OPERATORS = (*SEEN, *UNSEEN)
SAME = 1e-12  # relative to the largest entry of a leaf
NOISE = 2.0**-50  # relative to the largest entry of all leaves: what rounding leaves where all of it cancels
ROUNDING = {"bfloat16": 2.0**-8, "float32": 2.0**-24}  # of one number


@dataclass(frozen=True)
class Population:
    """The mutants of a problem, what they answer, and how many were left out, by reason: equivalent, duplicate, masked."""

    mutants: tuple[Mutant, ...]
    given: tuple["Gradients", ...]
    left_out: Counter


@dataclass(frozen=True)
class Gradients:
    """What a function answers on several batches, in one vector, and how much of each entry is rounding."""

    shapes: tuple[tuple[int, ...], ...]
    values: np.ndarray
    rounding: np.ndarray

    def same(self, other: "Gradients", relative: float = 0.0) -> bool:
        """Whether both are equal but for rounding, in each entry or against the largest of its leaf."""
        if self.shapes != other.shapes:
            return False
        with np.errstate(invalid="ignore"):
            near = np.abs(self.values - other.values) <= other.rounding + relative * np.abs(other.values)
        return bool(np.all(near | (self.values == other.values) | (np.isnan(self.values) & np.isnan(other.values))))

    @cached_property
    def sketch(self) -> float:
        """A weighted mean of the finite entries, which cannot differ much between gradients that are the same."""
        values = np.where(np.isfinite(self.values), self.values, 0)
        return float(values @ np.sin(np.arange(1, values.size + 1)) / values.size)


def leaves_of(tree) -> list[np.ndarray]:
    """The leaves of a tree of tuples and dicts, by name."""
    if isinstance(tree, dict):
        return [np.asarray(tree[name]) for name in sorted(tree)]
    return [leaf for part in tree for leaf in leaves_of(part)] if isinstance(tree, tuple | list) else [np.asarray(tree)]


def answers(problem: Problem, mutations, count: int | None = None, precision: str = "as given") -> Gradients:
    """The gradients on the first `count` batches."""
    function = value_and_grad(problem.model, mutations, precision)
    leaves = [leaf for inputs in problem.batches[:count] for leaf in leaves_of(function(*inputs)[1])]
    largest = [np.max(np.abs(g[np.isfinite(g)]), initial=0) for g in leaves]
    scales = [np.full(g.size, max(SAME * most, NOISE * max(largest))) for g, most in zip(leaves, largest, strict=True)]
    return Gradients(tuple(g.shape for g in leaves), np.concatenate([g.ravel() for g in leaves]), np.concatenate(scales))


@lru_cache(maxsize=4)
def population(problem: Problem, chosen: tuple[Operator, ...] = OPERATORS) -> Population:
    """The mutants of a problem.

    One whose gradient on the problem's batch is the right one is left out as equivalent. Of several that give the same gradient
    on every batch the first is kept, and every name and place of the others is right for it too.
    """
    right, kept, left_out = answers(problem, (), 1), [], Counter()
    for operator in chosen:
        for place in operator.places(problem.model):
            made = one(operator, place, problem.model.last)
            try:
                if answers(problem, made.mutations, 1).same(right):
                    left_out["equivalent"] += 1
                    continue
                given = answers(problem, made.mutations)
            except Inapplicable:
                continue
            twin = next((i for i, (_, other) in enumerate(kept)
                         if abs(given.sketch - other.sketch) <= 1e-10 * (1 + abs(given.sketch)) and given.same(other)), None)
            if twin is None:
                kept.append((made, given))
            else:
                left_out["duplicate"] += 1
                kept[twin] = (merged(kept[twin][0], made), kept[twin][1])
    return Population(tuple(mutant for mutant, _ in kept), tuple(given for _, given in kept), left_out)


def one(operator: Operator, place: Place, last: int) -> Mutant:
    """A mutant of one mistake."""
    where = (operator.where(place), *operator.also(place, last))
    part = Part(operator.name, operator.family, where, operator.causes, operator.rounds)
    return Mutant((part,), (Mutation(*place, operator.change),), operator.unseen, operator.shapes)


def merged(kept: Mutant, twin: Mutant) -> Mutant:
    """The first of two mutants with the same gradient, with the truths of both."""
    a, b = kept.parts[0], twin.parts[0]
    part = replace(a, where=tuple(dict.fromkeys((*a.where, *b.where))), causes=a.causes | b.causes)
    return replace(kept, parts=(part,))


def doubles(problem: Problem, singles: Population, count: int, rng: np.random.Generator) -> Population:
    """So many mutants of two mistakes in different steps; none in which one mistake hides the other.

    Nor is a leaf wrong along with the δ it is made from: which of the layer's two leaves still shows that δ, nobody can tell.
    A pair is unseen when either of its operators is.
    """
    pool = [mutant for mutant in singles.mutants if not mutant.shapes and len(mutant.parts[0].where[0]) == 1]
    known, kept, given, left_out = [answers(problem, ()), *singles.given], [], [], Counter()
    for _ in range(20 * count):
        if len(kept) == count:
            break
        one, two = (pool[i] for i in rng.choice(len(pool), 2, replace=False))
        if places(one) & places(two) or entangled(places(one) | places(two)):
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


def entangled(where: set[Place]) -> bool:
    """Whether a δ and a leaf of the same layer are among the places."""
    deltas = {layer for site, layer in where if site in DELTAS}
    return any(site in LEAVES and layer in deltas for site, layer in where)


def visible(problem: Problem, mutant: Mutant, dtype: str) -> bool:
    """Whether the mistake, or each of two beside the other, is larger than what a gradient of that precision rounds.

    To round on the way to a precision no coarser than the result's is no mistake: whatever computes in it throughout does that.
    """
    if mutant.shapes or dtype not in ("bfloat16", "float32 inside"):
        return True
    if dtype == "bfloat16" and any(part.rounds for part in mutant.parts):
        return False
    given = answers(problem, mutant.mutations, 1)
    without = [mutant.mutations[:i] + mutant.mutations[i + 1:] for i in range(len(mutant.mutations))]
    for right in (answers(problem, others, 1) for others in without):
        if dtype == "bfloat16":
            same = given.same(right, 2 * ROUNDING["bfloat16"])
        else:
            same = given.same(replace(right, rounding=right.rounding / SAME * 100 * ROUNDING["float32"]))
        if same:
            return False
    return True
