"""Random numbers in the order of older programs."""

import itertools
import random

import numpy as np
import pytest

from experiments.book import draws


def test_the_shuffle_is_that_of_python_2():
    """Printed by Python 2.6 in an answer of 2010; Python 3 gives another order for this seed."""
    items = ["list", "elements", "go", "here"]
    draws.shuffle(random.Random(448), items)
    assert items == ["here", "go", "list", "elements"]
    other = ["list", "elements", "go", "here"]
    random.Random(448).shuffle(other)
    assert other != items


def test_a_shuffle_is_a_permutation_and_takes_a_number_for_each_item_but_one():
    numbers, same = random.Random(7), random.Random(7)
    items = list(range(1000))
    draws.shuffle(numbers, items)
    assert sorted(items) == list(range(1000)) != items
    for _ in range(999):
        same.random()
    assert numbers.random() == same.random()


def test_all_orders_are_equally_likely():
    numbers, counts = random.Random(1), dict.fromkeys(itertools.permutations("abc"), 0)
    for _ in range(6000):
        items = list("abc")
        draws.shuffle(numbers, items)
        counts[tuple(items)] += 1
    assert min(counts.values()) > 900 and max(counts.values()) < 1100


@pytest.mark.parametrize(("large", "factor"), [(True, 1), (False, 784 ** -0.5)])
def test_biases_are_drawn_before_weights_as_by_the_global_generator(large, factor):
    state = np.random.get_state()
    try:
        np.random.seed(12345678)
        biases = [np.random.randn(30, 1), np.random.randn(10, 1)]
        first = np.random.randn(30, 784)
    finally:
        np.random.set_state(state)
    params = draws.gaussian(np.random.RandomState(12345678), (784, 30, 10), large=large)
    for layer, bias in zip(params, biases, strict=True):
        np.testing.assert_array_equal(layer["b"], bias[:, 0])
    np.testing.assert_allclose(params[0]["w"], first * factor, rtol=1e-15)


def test_uniform_weights_are_drawn_row_by_row():
    numbers = random.Random(3)
    flat = [numbers.uniform(-1, 1) for _ in range(6)]
    assert draws.uniform(random.Random(3), (2, 3))[0]["w"].tolist() == [flat[0:2], flat[2:4], flat[4:6]]
