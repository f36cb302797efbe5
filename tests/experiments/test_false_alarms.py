"""No right gradient is accused; the gradients are right; an accusation, an exception and an interruption are counted."""

import json
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from experiments import false_alarms
from experiments.common import command_line
from experiments.false_alarms import Compiled, Config
from experiments.rights import draws, writing
from functional_nn.verify import Fault, Report

ACCUSED = Report((Fault("weight", 0, "[0]['w']", None, "sign", 0.0, ""),), (), {}, "float64")
RIGHT = Report((), (), {}, "float64")


def saying(report, *arguments, **options):
    """A checker that always says the same."""
    return report


def told(results):
    return [(row["index"], row["outcome"], row["precision"], row["style"], row["features"], row["text"])
            for row in results["found"]]


@pytest.mark.slow
def test_no_right_gradient_is_accused():
    results = false_alarms.main(Config(networks=24))
    assert results["networks"] == 24 and not results["alarms"], told(results)


@pytest.mark.slow
def test_no_right_gradient_is_accused_of_many():
    results = false_alarms.main(Config(networks=152, seed=1))
    assert results["networks"] == 152 and not results["alarms"], told(results)


def cases(count, seed=2):
    """Cases of many architectures, with what they share."""
    for index in range(0, false_alarms.SHARED * count, false_alarms.SHARED):
        compiled = Compiled(draws.architecture(np.random.default_rng([seed, 0, index // false_alarms.SHARED])))
        yield false_alarms.drawn(seed, index, compiled), compiled


def test_the_gradients_are_right():
    """In float64 and away from kinks they are those of jax.grad but for rounding."""
    for case, compiled in cases(6):
        styles = draws.JAX_STYLES[::2] + (draws.NUMPY_STYLES if case.architecture.plain else ())
        rng = np.random.default_rng(case.index)
        params = jax.tree.map(lambda leaf, rng=rng: 0.5 * rng.normal(size=leaf.shape), case.params)
        for style in styles:
            plain = replace(case, params=params, X=rng.normal(size=case.X.shape), precision="float64", style=style)
            assert writing.off(plain, compiled) < 1e6, (plain, style)


def test_parameters_are_read_as_they_were_written():
    pairs = tuple({"w": np.full((l + 2, l + 1), l), "b": np.full(l + 2, -l)} for l in range(11))
    for layout in draws.LAYOUTS:
        again = writing.read(layout, writing.written(layout, pairs))
        assert jax.tree.all(jax.tree.map(np.array_equal, again, pairs)), layout


def test_a_network_can_be_replayed_alone(tmp_path):
    rows = {}
    for name, config in (("all", Config(networks=13)), ("one", Config(only=11))):
        false_alarms.main(replace(config, out=str(tmp_path / name)), partial(saying, RIGHT))
        lines = (tmp_path / name / "networks.jsonl").read_text().splitlines()
        rows[name] = [{**json.loads(line), "seconds": 0} for line in lines]
    assert len(rows["all"]) == 13 and rows["one"] == [rows["all"][11]]
    assert json.loads((tmp_path / "one" / "summary.json").read_text())["networks"] == 1


def test_an_accusation_is_counted_and_shown(capsys):
    results = false_alarms.main(Config(networks=3), partial(saying, ACCUSED))
    assert results["alarms"] == results["accused"] == 3 and results["found"][0]["faults"] == (("weight", 0, "sign"),)
    assert sum(bad for bad, _ in results["counts"]["precision"].values()) == 3
    assert "--only 0: Network(" in (said := capsys.readouterr().out) and "3 false alarms of 3" in said


def test_an_exception_is_an_alarm_of_its_own(capsys):
    def fails(*arguments, **options):
        raise RuntimeError("no such thing")
    results = false_alarms.main(Config(networks=2), fails)
    assert results["alarms"] == results["raised"] == 2
    assert "exceptions of check_network: 2" in (said := capsys.readouterr().out) and "RuntimeError: no such thing" in said


def test_a_wrong_gradient_is_seen(monkeypatch):
    def doubled(of, *arguments):
        cost, grads = of(*arguments)
        return cost, jax.tree.map(lambda leaf: 2 * leaf, grads)

    for name in ("by_jax", "by_numpy"):
        monkeypatch.setattr(writing, name, partial(doubled, getattr(writing, name)))
    results = false_alarms.main(Config(only=0))
    assert results["accused"] == 1 and results["found"][0]["faults"][0][2] == "factor"


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "index"), [(8000, 223), (11000, 274), (12000, 174), (12000, 398)])
def test_what_was_accused_once_is_not_any_more(seed, index):
    """Sums that cancel in bfloat16, pieces that tie at 0 or in float32 alone, a kink whose δ is an average."""
    results = false_alarms.main(Config(seed=seed, only=index))
    assert results["networks"] == 1 and not results["accused"]


def test_an_interrupted_run_keeps_what_it_counted(capsys):
    calls = iter([RIGHT, RIGHT])

    def interrupted(*arguments, **options):
        if (report := next(calls, None)) is None:
            raise KeyboardInterrupt
        return report
    results = false_alarms.main(Config(networks=9), interrupted)
    assert results["interrupted"] and results["networks"] == 2 and "; interrupted" in capsys.readouterr().out


@pytest.mark.parametrize(("found", "interrupted", "code"), [(0, False, 0), (2, True, 1), (0, True, 130)])
def test_the_exit_code(found, interrupted, code, monkeypatch):
    monkeypatch.setattr(false_alarms, "main", lambda config: {"alarms": found, "interrupted": interrupted})
    assert command_line(false_alarms.run, Config, []) == code


def test_a_wrong_argument_is_one_sentence(capsys):
    assert command_line(false_alarms.run, Config, ["--networks", "0"]) == 2
    assert "networks must be an integer of at least 1, got 0" in capsys.readouterr().err
