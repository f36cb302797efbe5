"""Find the mistakes that appear only in batches of several examples."""

from collections.abc import Callable, Mapping, Sequence, Set

import numpy as np

from functional_nn.verify.batches import BatchFault, Case, agreed, leaves_of, off
from functional_nn.verify.meetings import of_single_steps, summed_alike
from functional_nn.verify.mistakes.mixing import OPEN, pattern
from functional_nn.verify.mistakes.summing import REDUCTIONS
from functional_nn.verify.scene import Scene, differ
from functional_nn.verify.weighing import by_weights, lawful, shared_weights, weights_of

# the example left out differs by leaf
TRIMMED: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "the largest of each leaf": lambda g: np.delete(g, _sizes(g).argmax(), axis=0).sum(axis=0) / len(g),
    "the smallest of each leaf": lambda g: np.delete(g, _sizes(g).argmin(), axis=0).sum(axis=0) / len(g),
    "the largest of each leaf, divided by the rest": lambda g: np.delete(g, _sizes(g).argmax(), axis=0).mean(axis=0)}


def batch_faults(single: Scene, batches: Sequence[Case], known: Set[tuple[str, int]]) -> list[BatchFault]:
    """The faults that batches show and single examples do not.

    Args:
      known: (site, station) of the mistakes that single examples show.
    """
    rest = [(s, leaf) for s, place in enumerate(single.places) for site, leaf in place.leaves.items() if (site, s) not in known]
    if not any(off(case, single, s, leaf) for s, leaf in rest for case in batches):
        return []
    if (reduced := _reduced(single, batches, known)) is not None:
        return reduced
    leaves = leaves_of(single)
    shared = [shared_weights(case, [weights_of(case, single, s, leaf) for s, leaf in leaves], single.unit) for case in batches]
    shared = lawful(batches, shared)
    if all(weights is None for weights in shared):
        found = by_weights(single, batches, known) or summed_alike(single, batches, known)
        return found or of_single_steps(single, batches, batches, known)
    told = [(len(case.rows), OPEN if weights is None else pattern(np.diag(weights), max(1e-6, 4 * single.unit)))
            for case, weights in zip(batches, shared, strict=True)]
    weighed = [case if weights is None else case._replace(scene=case.scene.weighed(weights))
               for case, weights in zip(batches, shared, strict=True)]
    whole = agreed("batch", None, told, single.problem.reduction)
    rest = [fault for fault in of_single_steps(single, weighed, batches, known) if not _is_right(batches, fault)]
    return [whole, *(fault for fault in rest if fault.site not in ("weight", "bias")
                     or (fault.cause, fault.value) != (whole.cause, whole.value))]


def _is_right(batches: Sequence[Case], fault: BatchFault) -> bool:
    """Whether a fault's leaf is right in every batch, whatever the other leaves are."""
    if fault.site not in ("weight", "bias"):
        return False
    for case in batches:
        scene, leaf = case.scene, case.scene.places[fault.station].leaves[fault.site]
        right = scene.made(scene.true_deltas(), fault.station)[leaf].sum(axis=0)
        if differ(scene.gradients[fault.station][leaf], right, scene.tolerance, scene.floor):
            return False
    return True


def _reduced(single: Scene, batches: Sequence[Case], known: Set[tuple[str, int]]) -> list[BatchFault] | None:
    """The faults, if one wrong reduction explains all wrong leaves; else None.

    A wrong reduction takes the median, the largest, … of the user's own single gradients.
    """
    wrong = [(s, site, leaf) for s, place in enumerate(single.places) for site, leaf in place.leaves.items()
             if (site, s) not in known and any(off(case, single, s, leaf) for case in batches)]
    for text, of in (REDUCTIONS | TRIMMED).items():
        fits = [not differ(case.scene.gradients[s][leaf], of(single.gradients[s][leaf][list(case.rows)]),
                           max(1e-8, single.tolerance), single.floor) for s, _, leaf in wrong for case in batches]
        if fits and all(fits):
            steps = [("batch", None)] if len(wrong) == len(leaves_of(single)) else [(site, s) for s, site, _ in wrong]
            cause = "wrong reduction" if text in REDUCTIONS else "examples left out"
            return [BatchFault(site, s, cause, 0.0, text) for site, s in steps]
    return None


def _sizes(g: np.ndarray) -> np.ndarray:
    return np.linalg.norm(g.reshape(len(g), -1), axis=1)
