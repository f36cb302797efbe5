"""Hypotheses that a step is rescaled, masked, normalised or shifted, by example, unit or entry."""

from collections.abc import Iterator

import numpy as np

from functional_nn.verify.hypothesis import ANY, SOLVED, Hypothesis, multiple

POWERS = (0.5, 1.5, 2.0, 3.0)
EPSILONS = (1e-8, 1e-6, 1e-5)  # often added to a norm
SHOWN = 4
ALIKE = 0.01  # relative: closer factors of several units count as one factor


def parts(given: np.ndarray, expected: np.ndarray, name: str, unit: float) -> Iterator[Hypothesis]:
    """The hypotheses for a step called `name`, (examples, …), rounded to `unit`."""
    if expected[0].size < 2 or not np.isfinite(given).all():
        return
    for guesses in (_normalised(expected, name), _mirrored(expected, name), _powers(expected, name),
                    _saturated(expected, name), masked(given, expected, name, unit),
                    _constant(given, expected, name), _weighed(given, expected, name)):
        yield from (guess._replace(rank=max(guess.rank, ANY)) for guess in guesses)


def _normalised(expected, name: str) -> Iterator[Hypothesis]:
    """Hypotheses that the step's mean is subtracted, or that it is divided by its own norm.

    Mean and norm are over a whole example or along one of its axes.
    """
    ways = {"": tuple(range(1, expected.ndim))} | {
        f" of {what}": axis for what, axis in (("rows", -1), ("columns", -2)) if expected.ndim > 2}
    for of, axis in ways.items():
        mean = expected.mean(axis=axis, keepdims=True)
        spread = expected.std(axis=axis, keepdims=True)
        sizes = {"norm": np.sqrt((expected**2).sum(axis=axis, keepdims=True)), "spread": spread,
                 "largest entry": np.abs(expected).max(axis=axis, keepdims=True),
                 "sum": np.abs(expected).sum(axis=axis, keepdims=True)}
        if expected.size > len(expected):
            yield Hypothesis("normalised", expected - mean, f"{name} less the mean{of}", f"mean{of} taken off")
        with np.errstate(all="ignore"):
            spread = np.where(spread == 0, 1, spread)
            sizes = {text: np.where(norm == 0, 1, norm) for text, norm in sizes.items()}
            for text, norm in sizes.items():
                yield Hypothesis("normalised", expected / norm, f"({name}) / {text}{of}", f"divided by the {text}{of}")
            for text, norm in (("norm", sizes["norm"]), ("spread", spread)):
                for epsilon in EPSILONS:
                    yield Hypothesis("normalised", expected / (norm + epsilon), f"({name}) / ({text}{of} + {epsilon:g})",
                                     f"divided by the {text}{of}")
            for wide in (spread, *(spread + epsilon for epsilon in EPSILONS)):
                yield Hypothesis("normalised", (expected - mean) / wide, f"({name} less the mean{of}) / spread{of}",
                                 f"standardised{of}")


def _mirrored(expected, name: str) -> Iterator[Hypothesis]:
    """Hypotheses that a square matrix has its transpose added or subtracted."""
    if expected.ndim == 3 and expected.shape[1] == expected.shape[2]:
        turned = np.swapaxes(expected, -1, -2)
        yield Hypothesis("transposed", expected + turned, f"{name} + ({name}).T", "added to its transpose")
        yield Hypothesis("transposed", expected - turned, f"{name} - ({name}).T", "less its transpose")


def _powers(expected, name: str) -> Iterator[Hypothesis]:
    for power in POWERS:
        raised = np.abs(expected) ** power
        yield Hypothesis("another power", raised, f"|{name}|**{power:g}", f"to the power {power:g}")
        yield Hypothesis("another power", np.sign(expected) * raised, f"sign * |{name}|**{power:g}",
                         f"to the power {power:g}, its sign kept")


def _saturated(expected, name: str) -> Iterator[Hypothesis]:
    """Hypotheses that large entries are compressed smoothly, or that only signs remain."""
    yield Hypothesis("signs alone", np.sign(expected), f"sign({name})")
    for epsilon in EPSILONS:
        yield Hypothesis("signs alone", expected / (np.abs(expected) + epsilon), f"{name} / (|{name}| + {epsilon:g})")
    yield Hypothesis("clipped", np.tanh(expected), f"tanh({name})", "by a tanh")
    yield Hypothesis("clipped", expected / (1 + np.abs(expected)), f"({name}) / (1 + |{name}|)", "by x / (1 + |x|)")
    yield Hypothesis("clipped", np.sign(expected) * np.log1p(np.abs(expected)), f"sign * log(1 + |{name}|)", "by a logarithm")


def masked(given, expected, name: str, unit: float) -> Iterator[Hypothesis]:
    """The hypothesis that some entries are zero and the others right up to one constant factor.

    The zeros are a triangle, fixed places, the small entries, or the large ones.
    """
    whole = tuple(range(1, expected.ndim))
    largest = np.abs(expected).max(axis=whole, keepdims=True) * np.ones_like(expected)
    none = 0.0 * largest if unit < 1e-12 else 4 * unit * largest
    lost = (np.abs(given) <= none) & (np.abs(expected) > 4 * none)
    if not lost.any():
        return
    kept, sizes = expected * (np.abs(given) > none), np.abs(expected)
    factor = multiple(given, kept)
    scale = 1.0 if np.isclose(factor, 1, rtol=max(1e-6, 4 * unit)) else factor
    for text, triangle in _triangles(expected):
        if (lost == (triangle & (sizes > 4 * none))).all() and lost.any(axis=0).sum() > 1:
            yield Hypothesis("entries left out", scale * kept, f"{name}, {text} zero", text, (scale,))
            return
    gone = lost | (expected == 0)
    if (gone.all(axis=whole) & lost.any(axis=whole)).any():  # whole examples
        return
    always = (lost | (sizes <= 4 * none)).all(axis=0) & lost.any(axis=0)
    if (lost == (always & (sizes > 4 * none))).all():
        if always.sum() == 1:  # a single entry
            return
        text = f"{int(always.sum())} of {always.size} entries"
        yield Hypothesis("entries left out", scale * kept, f"{name}, {text} zero", text,
                         (scale, *map(float, np.flatnonzero(always)[:64])))
        return
    flat, out, least = (each.reshape(len(each), -1) for each in (sizes, lost, 4 * none))
    for text, beyond in (("the small", all(row[gone].max(initial=0) < row[~gone & (row > floor)].min(initial=np.inf)
                                           for row, gone, floor in zip(flat, out, least, strict=True))),
                         ("the large", all(row[gone].min(initial=np.inf) > row[~gone].max(initial=0)
                                           for row, gone in zip(flat, out, strict=True)))):
        if beyond:
            yield Hypothesis("entries left out", scale * kept, f"{name}, {text} entries zero", f"{text} entries", (scale,))


def _triangles(expected) -> Iterator[tuple[str, np.ndarray]]:
    if expected.ndim == 3:
        every = np.ones(expected.shape[1:], bool)
        yield from (("those above the diagonal", np.triu(every, 1)), ("those below the diagonal", np.tril(every, -1)))


def _constant(given, expected, name: str) -> Iterator[Hypothesis]:
    """The hypothesis that the same array is added in every example."""
    added = (given - expected).mean(axis=0)
    if len(expected) > 2 and np.ptp(added):
        yield Hypothesis("offset", expected + added, f"{name} + c with c[0] = {added.flat[0]:.4g}", "a constant for each entry",
                         tuple(map(float, added.ravel()[:64])), rank=SOLVED)


def _weighed(given, expected, name: str) -> Iterator[Hypothesis]:
    """Hypotheses that each example, unit, row or column has its own factor.

    They have many free numbers, so they are believed last.
    """
    axes = {"unit": (0,)} if expected.ndim == 2 else {"row": (0, expected.ndim - 1), "column": (0, expected.ndim - 2)}
    with np.errstate(all="ignore"):
        for what, axis in axes.items():
            share = (given * expected).sum(axis=axis, keepdims=True) / (expected**2).sum(axis=axis, keepdims=True)
            share = np.where(np.isfinite(share), share, 1.0)
            others = np.abs(share - 1) > max(1e-4, 0.01 * np.abs(share - 1).max())
            unlike = np.ptp(share) > ALIKE * np.abs(share).max()  # else it is a factor, or none
            if share.size > 1 and len(expected) > 2 and unlike and others.sum() > 1:  # else a single entry, row or column
                text = ", ".join(f"{c:.4g}" for c in share.ravel()[:SHOWN]) + (", …" if share.size > SHOWN else "")
                yield Hypothesis("factor", share * expected, f"({text})[{what}] * ({name})", f"{text}, one for each {what}",
                                 tuple(map(float, share.ravel()[:64])), rank=SOLVED)
        axis = tuple(range(1, expected.ndim))
        share = (given * expected).sum(axis=axis, keepdims=True) / (expected**2).sum(axis=axis, keepdims=True)
        share = np.where(np.isfinite(share), share, 1.0)
    if np.ptp(share) <= ALIKE * np.abs(share).max():
        return
    text = ", ".join(f"{c:.4g}" for c in share.ravel()[:SHOWN]) + (", …" if share.size > SHOWN else "")
    yield Hypothesis("examples weighted", share * expected, f"({text})[example] * ({name})", text, rank=SOLVED)
