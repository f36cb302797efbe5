"""Checks of plain arguments: the right ones pass, and each wrong one is named in a sentence."""

import fractions

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn import arguments, checks

TABLE = {"sigmoid": 1, "tanh": 2, "leaky_relu": 3}


def test_the_checks_of_arrays_offer_them_too():
    assert all(getattr(checks, name) is getattr(arguments, name)
               for name in ("advice", "integer", "one_of"))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.sampled_from(sorted(TABLE)), st.data())
def test_a_name_with_two_letters_swapped_is_recognised(name, data):
    i = data.draw(st.integers(0, len(name) - 2))
    misspelt = name[:i] + name[i + 1] + name[i] + name[i + 2:]
    if misspelt != name:
        with pytest.raises(ValueError, match=f"did you mean '{name}'\\? There are: sigmoid, tanh, leaky_relu"):
            arguments.one_of("activation", misspelt, TABLE)
    assert arguments.one_of("activation", name, TABLE) == TABLE[name]


def test_integers_of_every_kind_are_read():
    for value in (3, np.int64(3), np.uint8(3)):
        assert arguments.integer("n", value) == 3 and type(arguments.integer("n", value)) is int
    assert arguments.integer("n", 0, low=0, high=0) == 0


def test_numbers_of_every_kind_become_floats():
    for value in (1, 1.0, np.float32(1), np.int8(1), fractions.Fraction(1)):
        assert type(arguments.number("rate", value, wanted="a number")) is float


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: arguments.one_of("loss", "zzz", TABLE), ValueError, "unknown loss 'zzz'. There are: sigmoid, tanh, leaky_relu"),
    (lambda: arguments.one_of("loss", ["tanh"], TABLE), ValueError, "unknown loss ['tanh']; did you mean 'tanh'?"),
    (lambda: arguments.one_of("loss", None, TABLE), ValueError, "unknown loss None. There are: "),
    (lambda: arguments.integer("n", 0), ValueError, "n must be an integer of at least 1, got 0"),
    (lambda: arguments.integer("n", 9, low=2, high=8), ValueError, "n must be an integer from 2 to 8, got 9"),
    (lambda: arguments.integer("n", 2.0), TypeError, "n must be an integer of at least 1, got 2.0"),
    (lambda: arguments.integer("n", np.True_), TypeError, "n must be an integer of at least 1, got np.True_"),
    (lambda: arguments.number("r", 2, high=1, wanted="a share"), ValueError, "r must be a share, got 2"),
    (lambda: arguments.number("r", np.nan, wanted="a share"), ValueError, "r must be a share, got nan"),
    (lambda: arguments.number("r", 1j, wanted="a share"), TypeError, "r must be a share, got 1j"),
    (lambda: arguments.number("r", None, wanted="a share"), TypeError, "r must be a share, got None"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)


def test_advice_is_in_the_words_of_its_reader():
    error = arguments.advice("leave it out with {ignore}, or {header}", ignore=["a b", "c"], header=False)
    assert type(error) is ValueError
    assert str(error) == "leave it out with ignore=['a b', 'c'], or header=False"
    assert error.on_command_line == "leave it out with --ignore 'a b' c, or --no-header"
