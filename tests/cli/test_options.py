"""Options are read as they are written, in any case and with any commas, and mistakes are named."""

import argparse
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from functional_nn.cli.options import chosen, flag, given, joined, option, parts
from functional_nn.cli.usage import Unusable


@dataclasses.dataclass(frozen=True)
class Walk:
    """Walk somewhere."""

    to: Path = option(dataclasses.MISSING, "where to", metavar="PLACE", place=True)
    by: Path | None = option(None, "on the way", metavar="PLACE", place=True)
    speed: float = option(1.5, "100% is 4 km/h", also=("pace",))
    rest_every: int | None = option(None, "steps between two rests")
    days: tuple[int, ...] = option((1, 2), "days of the week")
    names: tuple[str, ...] = option((), "who comes along")
    shoes: str = option("boots", "what to wear", choices=lambda: ("boots", "running_shoes"),
                        synonyms={"trainers": "running_shoes"})
    run: bool = option(False, "run")
    sing: bool = option(True, "be silent")


def walk(*arguments):
    return given("walk", Walk, ["home", *arguments])


@pytest.mark.parametrize(("arguments", "found"), [
    ("", {}), ("park", {"by": Path("park")}), ("--speed 2", {"speed": 2.0}),
    ("--speed=-2", {"speed": -2.0}), ("--speed -inf", {"speed": float("-inf")}),
    ("--speed -1e-5", {"speed": -1e-5}), ("--rest_every 3", {"rest_every": 3}),
    ("--days 5", {"days": (5,)}), ("--days 5 6", {"days": (5, 6)}), ("--days 5,6", {"days": (5, 6)}),
    ("--days 5, 6", {"days": (5, 6)}), ("--days=5,6", {"days": (5, 6)}), ("--days", {"days": ()}),
    ("--days 5 6 park", {"days": (5, 6), "by": Path("park")}),
    ("--days 5,6 park", {"days": (5, 6), "by": Path("park")}),
    ("--names a b --run", {"names": ("a", "b"), "run": True}),
    ("--names a,b park", {"names": ("a", "b"), "by": Path("park")}),
    ("--no-sing", {"sing": False}), ("--sing --no-run", {"sing": True, "run": False}),
    ("--shoes Running-Shoes", {"shoes": "running_shoes"}), ("--shoes BOOTS", {"shoes": "boots"}),
    ("-- --by", {"by": Path("--by")}),
])
def test_only_what_is_given_is_found(arguments, found):
    assert walk(*arguments.split()) == {"to": Path("home"), **found}


@pytest.mark.parametrize(("arguments", "words"), [
    ("--speed fast", "--speed must be a number, got 'fast'"),
    ("--rest-every 1.5", "--rest-every must be a whole number, got '1.5'"),
    ("--speed", "--speed needs a value: 100% is 4 km/h"),
    ("--speed --run", "--speed needs a value"),
    ("--run=1", "--run takes no value, got '1'"),
    ("--days x", "--days must be whole numbers such as 64,32, got 'x'"),
    ("--pace 3", "walk has no option --pace; did you mean --speed?"),
    ("--sped 3", "walk has no option --sped; did you mean --speed?"),
    ("-speed 3", "walk has no option -speed; did you mean --speed?"),
    ("--Speed 3", "walk has no option --Speed; did you mean --speed?"),
    ("--no-speed", "walk has no option --no-speed; did you mean --speed?"),
    ("--zzz", "walk has no option --zzz; walk --help lists all"),
    ("--shoes boot", "--shoes must be one of boots, running_shoes, got 'boot'; did you mean boots?"),
    ("--shoes trainers", "got 'trainers'; did you mean running_shoes?"),
    ("park sea", "walk takes PLACE and PLACE, got 'sea' too"),
])
def test_a_mistake_is_named(arguments, words):
    with pytest.raises(Unusable) as caught:
        walk(*arguments.split())
    assert words in str(caught.value)


def test_what_must_be_given_is_named():
    with pytest.raises(Unusable, match="walk needs PLACE: where to"):
        given("walk", Walk, ["--run"])


@pytest.mark.parametrize("width", ["60", "80"])
def test_the_help_names_every_option_and_fits(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    with pytest.raises(SystemExit) as leave:
        given("walk", Walk, ["--help"])
    text = capsys.readouterr().out
    assert leave.value.code == 0 and max(map(len, text.splitlines())) <= int(width)
    flags = [flag(field) for field in dataclasses.fields(Walk) if not field.metadata["place"]]
    assert all(name in text for name in [*flags[:-1], "--no-sing", "PLACE", "boots, running_shoes"])
    assert "(default: 1.5)" in text and "(default: 1,2)" in text and "100% is" in text
    assert "--sing" not in text.replace("--no-sing", "") and "None" not in text and "''" not in text


@settings(derandomize=True, deadline=None, max_examples=200)
@drawn(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)))
def test_a_list_of_any_names_is_read_as_it_is_joined(names):
    assert parts(joined(names)) == tuple(names)


def test_a_value_may_be_written_as_elsewhere():
    names = ["leaky_relu", "relu", "cross_entropy"]
    for text in ("LeakyReLU", "leaky-relu", "Leaky ReLU", "LEAKY_RELU"):
        assert chosen(text, names, {}) == "leaky_relu"
    assert chosen("Cross-Entropy", names, {}) == "cross_entropy"
    with pytest.raises(argparse.ArgumentTypeError, match="did you mean relu"):
        chosen("rleu", names, {})
