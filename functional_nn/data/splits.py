"""The split of examples into training rows and test rows."""

import dataclasses
import math

import numpy as np

from functional_nn import checks
from functional_nn.data.examples import Dataset, Examples
from functional_nn.data.shuffled import shuffled_split

SPLITS = ("random", "time")


def split(
    examples: Examples, test_share: float | None, seed: int, how: str = "random"
) -> Dataset:
    """The examples split into training and test rows.

    Examples that come split stay so. Others are split in one of three ways. With groups, all rows
    of a group are on the same side. Over time, the last rows are the test. Else the rows are
    shuffled by `seed`, with the same share of each class in both parts.

    Missing values are filled in afterwards, by the training rows.

    Args:
        examples: the examples of one file.
        test_share: the share of the test rows, between 0 and 1. None means 0.2, or the split that
            the file has.
        seed: an integer from 0 to 2³² − 1.
        how: "random", or "time" for rows that stand in the order of time.

    Raises a ValueError for a `test_share` of examples that come split, for a class with a single
    example, and for a share that leaves too few rows in one part.
    """
    if examples.test is not None:
        if test_share is not None or how != "random" or examples.groups is not None:
            given = (f"{{test_share}} is for data that is not split yet, got {test_share}"
                     if test_share is not None else
                     "{split} and {groups} are for data that is not split yet")
            raise checks.advice(
                f"{given}, and {examples.name} comes with test rows of its own; leave "
                f"{'{test_share}' if test_share is not None else 'them'} out",
                test_share=checks.NAME, split=checks.NAME, groups=checks.NAME)
        return _dataset(examples, examples.x, examples.y, *examples.test)
    train, test = parts(examples.y, examples.class_names, test_share, seed, how, examples.groups,
                        examples.name, examples.decided)
    groups = None if examples.groups is None else examples.groups[train]
    return _dataset(examples, examples.x[train], examples.y[train], examples.x[test],
                    examples.y[test], groups)


def _dataset(examples: Examples, x_train, y_train, x_test, y_test, groups=None) -> Dataset:
    """The data set of these parts, with missing values filled in by the training rows."""
    described = {field: getattr(examples, field) for field in (
        "name", "feature_names", "class_names", "image_shape", "decided", "target", "notes")}
    encoder, gaps = examples.encoder, None
    if examples.fill is not None:
        encoder = encoder.fitted(x_train, examples.fill)
        gaps = np.isnan(x_train), np.isnan(x_test)
        x_train, x_test = encoder.filled(x_train), encoder.filled(x_test)
    return Dataset(x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test,
                   encoder=encoder, dtype=str(x_train.dtype), gaps=gaps, groups=groups, **described)


def parts(
    y: np.ndarray, class_names: tuple[str, ...], share: float | None, seed: int,
    how: str = "random", groups: np.ndarray | None = None, name: str = "the data",
    decided: str = "",
) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the training rows and of the test rows.

    Args:
        y: the targets, (n,).
        class_names: the names of the classes; () in a regression.
        share: the share of the test rows; None means 0.2.
        seed: an integer from 0 to 2³² − 1.
        how: "random" or "time".
        groups: the group of each row; None where each row is one of its own.
        name: the name of the data in errors.
        decided: why the targets were taken for classes, in errors.

    >>> train, test = parts(np.arange(10.0), (), 0.3, seed=0, how="time")
    >>> test.tolist()
    [7, 8, 9]
    """
    checks.one_of("split", how, dict.fromkeys(SPLITS))
    n = len(y)
    if n < 2:
        raise ValueError(
            f"{name} must hold at least two examples, one to train and one to test, got {n}")
    if how == "time" and groups is not None:
        raise checks.advice("{split} and {groups} are two ways to split; leave one of them out",
                            split="time", groups=checks.NAME)
    wanted = 0.2 if share is None else share
    if how == "time":
        found = np.split(np.arange(n), [n - math.ceil(wanted * n)])
    elif groups is not None:
        found = _by_groups(groups, wanted, seed)
    else:
        found = _random(y, class_names, share, seed, name, decided)
    _check_parts(*found, y, class_names, wanted)
    return found


def _random(y, class_names, test_share, seed, name, decided) -> tuple[np.ndarray, np.ndarray]:
    n, classes = len(y), len(class_names)
    counts = np.bincount(y, minlength=1) if classes else np.array([2])
    if counts.min() < 2:
        raise checks.advice(
            f"{name} must hold two examples of every class, one to train and one to test, "
            f"got a single one of {class_names[counts.argmin()]!r}; "
            "drop it, merge it with another class, or pass {task} for numbers", task="regression")
    share = 0.2 if test_share is None else test_share
    tests = math.ceil(share * n)
    if test_share is None and classes > min(tests, n - tests):
        number = all(label.lstrip("-").isdigit() for label in class_names)
        quantity = "{task} if the target is a quantity, or " if number else ""
        raise checks.advice(
            f"{name} was taken for {classes} {decided or 'classes'}: a test of {share} "
            f"leaves too few of its {n} rows to have every class among the {tests} of the "
            f"test; pass {quantity}{{test_share}}",
            task="regression", test_share=round(min(0.5, (classes + 1) / n), 2))
    try:
        return shuffled_split(n, share, seed, y if classes else None)
    except ValueError as error:
        raise checks.advice(
            f"{{test_share}} leaves too few of {n} examples on one side: {error}",
            test_share=share) from error


def _by_groups(groups: np.ndarray, share: float, seed: int) -> list[np.ndarray]:
    # takes two seconds, which `import functional_nn` avoids
    from sklearn.model_selection import GroupShuffleSplit

    if len(np.unique(groups)) < 2:
        raise ValueError(
            f"groups must hold two groups at least, one to train and one to test, got "
            f"{str(groups[0])!r} in every row; name another column")
    splitter = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    try:
        return list(next(splitter.split(groups, groups=groups)))
    except ValueError as error:
        raise checks.advice(
            f"{{test_share}} leaves no group of {len(np.unique(groups))} on one side; give a share "
            "that leaves some of both", test_share=share) from error


def _check_parts(train, test, y, class_names, share) -> None:
    """Raise a ValueError for an empty part, and for a class that is in no training row."""
    if not len(train) or not len(test):
        raise checks.advice(
            f"{{test_share}} leaves {len(train)} training rows and {len(test)} test rows; give a "
            "share that leaves some of both", test_share=share)
    lacking = np.setdiff1d(np.arange(len(class_names)), y[train]) if class_names else ()
    if len(lacking):
        raise checks.advice(
            f"every class must be among the training rows, got none of {class_names[lacking[0]]!r}"
            ": all its rows are in the test; pass another {seed} or {test_share}, or a random "
            "split", seed=checks.NAME, test_share=checks.NAME)


def validation_rows(
    dataset: Dataset, share: float, seed: int, how: str
) -> tuple[Dataset, tuple[np.ndarray, np.ndarray]]:
    """The data set without a share of its training rows, and (x, y) of those, to validate on.

    They are split off as the test rows were: with whole groups, or the last rows over time.
    """
    train, held = parts(dataset.y_train, (), share, seed, how, dataset.groups)
    rest = dataclasses.replace(
        dataset, x_train=dataset.x_train[train], y_train=dataset.y_train[train],
        groups=None if dataset.groups is None else dataset.groups[train])
    return rest, (dataset.x_train[held], dataset.y_train[held])
