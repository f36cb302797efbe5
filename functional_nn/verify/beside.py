"""What the other leaves say of a wrong one: copied, clipped together, exchanged.

A `case` is one of `leaves`; `points` are (params, given leaves, right leaves) at several points.
"""

from collections.abc import Callable

import numpy as np


def copied(case, i: int, points, stacked: Callable) -> list[tuple[str, str, np.ndarray]]:
    """The hypotheses that leaf i holds the gradient of another leaf."""
    return [("another leaf's gradient", f"df/d{case.label(j)}", stacked(right[j] for _, _, right in points))
            for j in range(len(case.paths)) if j != i and np.shape(case.leaves[j]) == np.shape(case.leaves[i])
            and all(np.size(right[j]) == np.size(case.leaves[j]) for _, _, right in points)]


def cut_together(case, i: int, points, stacked: Callable) -> list[tuple[str, str, np.ndarray]]:
    """The hypothesis that all leaves are clipped together, to a norm."""
    if len(case.paths) < 2 or any(g is None for _, mine, _ in points for g in mine) or any(
            np.size(r) != np.size(leaf) for _, _, right in points for r, leaf in zip(right, case.leaves, strict=True)):
        return []
    norms = [[float(np.sqrt(sum(np.sum(np.square(v)) for v in values))) for values in (mine, right)] for _, mine, right in points]
    limit = max(mine for mine, _ in norms)
    shares = [min(1.0, limit / right) if right else 1.0 for _, right in norms]
    if min(shares) == 1.0:
        return []
    return [("clipped", f"df/d{case.label(i)} * min(1, {limit:.4g} / norm of all leaves)",
             stacked(share * right[i] for share, (_, _, right) in zip(shares, points, strict=True)))]


def exchanged(case, i: int, point) -> list[int]:
    """The leaves of leaf i's shape that hold its gradient while leaf i holds theirs."""
    _, given, right = point

    def same(mine, theirs):
        if mine is None or len(theirs) != mine.size:
            return False
        return bool(np.linalg.norm(mine.ravel() - theirs) <= 1e-5 * np.linalg.norm(theirs))

    return [j for j in range(len(right)) if j != i and np.shape(case.leaves[j]) == np.shape(case.leaves[i])
            and same(given[i], right[j]) and same(given[j], right[i])]
