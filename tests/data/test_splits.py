"""A split keeps every class in its share, keeps groups and time apart, or keeps what came split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.data import load
from functional_nn.data.examples import Examples
from functional_nn.data.splits import parts, split, validation_rows


def examples(y, names=("a", "b", "c"), **more):
    y = np.asarray(y, np.int32 if names else np.float32)
    return Examples("set", np.arange(2.0 * len(y), dtype=np.float32).reshape(-1, 2), y, ("u", "v"), names, **more)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.tuples(*[st.integers(5, 40)] * 3), st.sampled_from([0.2, 0.25, 0.5]), st.integers(0, 2**32 - 1))
def test_every_class_is_in_both_parts_in_its_share(counts, share, seed):
    data = split(examples(np.repeat([0, 1, 2], counts)), share, seed)
    np.testing.assert_allclose(np.bincount(data.y_test, minlength=3), share * np.array(counts), atol=1)
    assert sorted(np.concatenate([data.x_train, data.x_test])[:, 0].tolist()) == list(range(0, 2 * sum(counts), 2))


def test_what_came_split_stays_so():
    test = np.ones((2, 2), np.float32), np.array([2, 0], np.int32)
    data = split(examples([0, 1, 2], test=test), None, 0)
    assert data.y_train.tolist() == [0, 1, 2] and data.x_test is test[0] and data.y_test is test[1]


@pytest.mark.parametrize(("call", "words"), [
    (lambda: split(examples([0]), None, 0), "set must hold at least two examples, one to train and one to test, got 1"),
    (lambda: split(examples([0, 1, 1, 2, 2]), None, 0), "set must hold two examples of every class, one to train and one to "
     "test, got a single one of 'a'; drop it, merge it with another class, or pass task='regression' for numbers"),
    (lambda: split(examples([0, 1, 2], test=(np.ones((1, 2)), np.ones(1))), 0.5, 0), "test_share is for data that is not split "
     "yet, got 0.5, and set comes with test rows of its own; leave test_share out"),
])
def test_names_what_is_wrong(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == words


def test_a_share_that_leaves_too_few_is_refused():
    with pytest.raises(ValueError, match=r"^test_share=0.01 leaves too few of 9 examples on one side: "):
        split(examples([0, 1, 2] * 3), 0.01, 0)


def test_a_count_that_was_taken_for_classes_is_said_with_both_ways_out():
    y = np.arange(60) % 18
    counts = Examples("counts.csv", np.zeros((60, 1), np.float32), y.astype(np.int32), ("a",),
                      tuple(map(str, range(18))), None, "classes, as 't' is whole numbers of 18 kinds")
    with pytest.raises(ValueError) as error:
        split(counts, None, 0)
    assert str(error.value) == (
        "counts.csv was taken for 18 classes, as 't' is whole numbers of 18 kinds: a test of 0.2 "
        "leaves too few of its 60 rows to have every class among the 12 of the test; pass "
        "task='regression' if the target is a quantity, or test_share=0.32")
    assert "--task regression" in error.value.on_command_line
    assert len(split(counts, 0.32, 0).x_test) == 20


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.5]))
def test_a_group_is_on_one_side(seed, share):
    groups = np.repeat(np.arange(12), 5)
    train, test = parts(np.tile([0, 1], 30), ("a", "b"), share, seed, groups=groups)
    assert not set(groups[train]) & set(groups[test]) and sorted([*train, *test]) == list(range(60))
    assert len(set(groups[test])) == np.ceil(share * 12)
    again, _ = parts(np.tile([0, 1], 30), ("a", "b"), share, seed, groups=groups)
    np.testing.assert_array_equal(again, train)


@given(st.integers(2, 50), st.floats(0.05, 0.6))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_over_time_the_last_rows_are_the_test(n, share):
    tests = int(np.ceil(share * n))
    if tests < n:
        train, test = parts(np.arange(n), (), share, 0, "time")
        assert [*train, *test] == list(range(n)) and len(test) == tests


def test_validation_rows_are_split_off_as_the_test_rows_were():
    data = split(examples(np.tile([0, 1, 2], 20), groups=np.repeat(np.arange(12), 5)), 0.25, 3)
    rest, (x, y) = validation_rows(data, 0.25, 3, "random")
    held = {group for row in x for group in data.groups[(data.x_train == row).all(axis=1)]}
    assert not held & set(rest.groups) and len(y) + len(rest.y_train) == len(data.y_train)
    timed = split(examples(np.tile([0, 1, 2], 20)), 0.25, 3, "time")
    rest, (x, _) = validation_rows(timed, 0.2, 3, "time")
    assert rest.x_train.max() < x.min() < x.max() < timed.x_test.min()


@pytest.mark.parametrize(("call", "words"), [
    (lambda: parts(np.arange(4), (), None, 0, "sorted"), "unknown split 'sorted'. There are: random, time"),
    (lambda: parts(np.arange(4), (), None, 0, "time", np.arange(4)), "split='time' and groups are two ways to split; leave one "
     "of them out"),
    (lambda: parts(np.arange(4), (), None, 0, groups=np.zeros(4)), "groups must hold two groups at least, one to train and one "
     "to test, got '0.0' in every row; name another column"),
    (lambda: parts(np.array([0, 0, 0, 1]), ("a", "b"), 0.25, 0, "time"), "every class must be among the training rows, got none "
     "of 'b': all its rows are in the test; pass another seed or test_share, or a random split"),
    (lambda: parts(np.arange(2.0), (), 0.9, 0, "time"), "test_share=0.9 leaves 0 training rows and 2 test rows; give a share "
     "that leaves some of both"),
    (lambda: split(examples([0, 1, 2], test=(np.ones((1, 2)), np.ones(1))), None, 0, "time"), "split and groups are for data "
     "that is not split yet, and set comes with test rows of its own; leave them out")])
def test_a_split_that_cannot_be_made_is_said(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == words


def test_rows_without_a_group_are_left_out_or_refused(tmp_path):
    (tmp_path / "t.csv").write_text("who,a,t\n" + "".join(f"{'' if i % 5 == 4 else i % 4},{i % 7},{i % 2}\n" for i in range(40)))
    with pytest.raises(ValueError, match=r"^t\.csv: 8 of 40 rows miss a value, in column 'who'"):
        load(tmp_path / "t.csv", groups="who")
    data = load(tmp_path / "t.csv", groups="who", missing="mean")
    assert len(data.x_train) + len(data.x_test) == 32 and data.feature_names == ("a",) and "" not in data.groups
