"""The mutation benchmark: its backpropagation is right, its mistakes are mistakes, its truths make sense, its scores add up."""

import json
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

import functional_nn as fnn
from experiments import mutations
from experiments.common import parse
from experiments.mutants import (
    checkers,
    population,
    problems,
    reference,
    scoring,
    seen,
    tables,
    unseen,
)
from experiments.mutants.mutant import CAUSES, PUBLIC, SITES, Inapplicable, Mutant, Part
from functional_nn.verify import Fault, Report
from tests.slow import few

PLACES = [(kind, depth) for kind in problems.KINDS for depth in problems.DEPTHS]


@pytest.fixture(scope="module")
def everywhere():
    """One problem of every kind and depth."""
    return [problems.problem(kind, depth, 0) for kind, depth in PLACES]


@pytest.mark.parametrize(("kind", "depth"), few(PLACES, *range(0, 21, 3)))
def test_without_a_mistake_it_is_right(kind, depth):
    problem = problems.problem(kind, depth, 3)
    with jax.enable_x64(True):
        right = fnn.autodiff.value_and_grad(problem.net, problem.model.loss)(*problem.inputs("float64"))
    cost, grads = reference.value_and_grad(problem.model)(*problem.inputs("float64"))
    np.testing.assert_allclose(cost, right[0], rtol=1e-12)
    assert jax.tree.structure(grads) == jax.tree.structure(right[1])
    for own, automatic in zip(jax.tree.leaves(grads), map(np.asarray, jax.tree.leaves(right[1])), strict=True):
        assert np.abs(own - automatic).max() <= 1e-12 * np.abs(automatic).max()


def test_a_problem_is_the_same_again():
    one, two = (problems.problem("maxout", 3, 5) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(two.params), strict=True))
    assert one.net is two.net and not np.array_equal(one.X, problems.problem("maxout", 3, 6).X)


@pytest.mark.parametrize(("dtype", "leaf"), [("float64", "float64"), ("float32", "float32"), ("bfloat16", "bfloat16"),
                                             ("bfloat16 given", "bfloat16"), ("float32 inside", "float32")])
def test_precisions(dtype, leaf):
    problem = problems.problem("residual", 3, 0)
    grads = reference.value_and_grad(problem.model, (), problems.PRECISIONS[dtype][1])(*problem.inputs(dtype))[1]
    assert {str(g.dtype) for g in jax.tree.leaves(grads)} == {leaf}


def mutants_of(operator, problem):
    for place in operator.places(problem.model):
        made = population.one(operator, place, problem.model.last)
        try:
            yield made, population.answers(problem, made.mutations, 1)
        except Inapplicable:
            continue


def test_every_operator_changes_the_gradient_somewhere(everywhere):
    right = [population.answers(problem, (), 1) for problem in everywhere]
    for operator in population.OPERATORS:
        assert any(not given.same(own) for problem, own in zip(everywhere, right, strict=True)
                   for _, given in mutants_of(operator, problem)), operator.name


def test_mistakes_keep_the_precision():
    for problem in (problems.problem("tanh", 3, 0), problems.problem("layer norm", 4, 0)):
        for operator in population.OPERATORS:
            for made, _ in mutants_of(operator, problem):
                grads = reference.value_and_grad(problem.model, made.mutations)(*problem.inputs("float32"))[1]
                assert {g.dtype for g in population.leaves_of(grads)} == {np.dtype("float32")}, operator.name


def test_operators_are_well_formed_and_forty_of_them_unseen():
    names = [operator.name for operator in population.OPERATORS]
    assert len(set(names)) == len(names)
    for operator in population.OPERATORS:
        assert operator.causes and operator.causes <= CAUSES, operator.name
        assert set(operator.sites) <= set(SITES) and operator.family in PUBLIC, operator.name
    assert not any(operator.unseen for operator in population.SEEN)
    assert all(operator.unseen for operator in population.UNSEEN) and len(population.UNSEEN) >= 40


@pytest.mark.parametrize("room", [seen, unseen])
def test_every_family_that_people_are_known_for_has_kinds(room):
    assert {family.name for family in room.FAMILIES} == set(PUBLIC)
    assert all(len(family) for family in room.FAMILIES)


@pytest.mark.slow
def test_truths_are_well_formed(everywhere):
    for problem in everywhere:
        for operator in population.OPERATORS:
            for made, _ in mutants_of(operator, problem):
                places = {place for where in made.parts[0].where for place in where}
                assert all(site in SITES and (layer is None or 0 <= layer <= problem.model.last) for site, layer in places)
                assert made.parts[0].where[0]


def test_mutants_are_wrong_and_differ():
    problem = problems.problem("sigmoid", 2, 0)
    found = population.population(problem)
    right = population.answers(problem, (), 1)
    assert len(found.mutants) > 200 and found.left_out["equivalent"] > 0
    assert not any(population.answers(problem, mutant.mutations, 1).same(right) for mutant in found.mutants)
    assert not any(a.same(b) for i, a in enumerate(found.given[::9]) for b in found.given[:9 * i])


def test_the_same_gradient_may_bear_the_names_of_all_that_give_it():
    """δ = a − y for a sigmoid with quadratic loss: the derivative is missing, or the loss is another one."""
    problem = problems.problem("sigmoid", 2, 0)
    mutants = population.population(problem, population.SEEN).mutants
    found = {mutant.name: mutant for mutant in mutants if mutant.place == "head 1"}
    assert found["missing derivative"].parts[0].causes == {"missing derivative", "another loss"}
    assert "cross-entropy of the outputs" not in found


def test_a_derivative_of_a_step_function_at_a_is_no_mistake():
    problem = problems.problem("relu", 3, 0)
    names = {mutant.name for mutant in population.population(problem).mutants if mutant.place.startswith("pullback")}
    assert {"missing derivative", "derivative of tanh"} <= names
    assert not {"derivative at a", "doubled derivative", "derivative of relu"} & names


def test_two_mistakes():
    problem = problems.problem("relu", 3, 0)
    singles = population.population(problem)
    found = population.doubles(problem, singles, 5, np.random.default_rng(0))
    assert len(found.mutants) == 5
    for mutant, given in zip(found.mutants, found.given, strict=True):
        assert len(mutant.parts) == 2 and " + " in mutant.name
        assert not any(given.same(other) for other in singles.given)
        assert not population.entangled(population.places(mutant))


def test_rounding_hides_what_is_smaller():
    problem = problems.problem("tanh", 2, 0)
    mutants = {mutant.name: mutant for mutant in population.population(problem).mutants if mutant.place == "weight 0"}
    assert not population.visible(problem, mutants["rounded to bfloat16"], "bfloat16")
    assert population.visible(problem, mutants["rounded to bfloat16"], "float32 inside")
    assert population.visible(problem, mutants["sign turned"], "bfloat16")


def test_rounding_on_the_way_to_the_precision_of_the_result_is_no_mistake():
    problem = problems.problem("tanh", 2, 0)
    mutants = population.population(problem, population.SEEN).mutants
    half = [mutant for mutant in mutants if mutant.parts[0].rounds]
    assert {mutant.parts[0].operator for mutant in half} == {op.name for op in population.SEEN if op.rounds}
    assert not any(population.visible(problem, mutant, "bfloat16") for mutant in half)
    assert any(population.visible(problem, mutant, "float32 inside") for mutant in half)


def part(name, cause, *where):
    return Part(name, "anything else", tuple(map(frozenset, where)), frozenset({cause}))


def verdict(*said):
    return checkers.Verdict(bool(said), frozenset(place for place, _ in said), said)


W0, B1, P0, BATCH = ("weight", 0), ("bias", 1), ("pullback", 0), ("batch", None)
ONE = Mutant((part("sign", "sign", {W0}),), (), False)
EITHER = Mutant((part("twice", "factor", {("head", 1)}, {BATCH}),), (), False)
BACK = Mutant((part("other", "derivative at a", {P0}, {W0, ("bias", 0)}),), (), False)
BOTH = Mutant((part("sign", "sign", {W0}), part("zero", "zero", {B1})), (), False)


@pytest.mark.parametrize(("mutant", "said", "wanted"), [
    (ONE, [], (False, False, False, False)),
    (ONE, [(W0, "sign")], (True, True, True, False)),
    (ONE, [(W0, "unexplained")], (True, True, False, False)),
    (ONE, [(W0, "zero")], (True, True, False, True)),
    (ONE, [(P0, "sign")], (True, False, True, False)),
    (ONE, [(W0, "sign"), (B1, "zero")], (True, False, False, True)),
    (ONE, [(W0, "sign"), (B1, "unexplained")], (True, False, True, False)),
    (EITHER, [(BATCH, "factor")], (True, True, True, False)),
    (EITHER, [(BATCH, "factor"), (("head", 1), "factor")], (True, False, True, False)),
    (BACK, [(P0, "other delta")], (True, True, False, True)),
    (BACK, [(W0, "other delta"), (("bias", 0), "other delta")], (True, True, False, False)),
    (BOTH, [(W0, "sign"), (B1, "zero")], (True, True, True, False)),
    (BOTH, [(W0, "zero"), (B1, "sign")], (True, True, False, True)),
    (BOTH, [(W0, "sign"), (B1, "unexplained")], (True, True, False, False)),
    (BOTH, [(W0, "sign")], (True, False, False, False))])
def test_scores(mutant, said, wanted):
    found = scoring.score(mutant, verdict(*said), 1)
    assert (found.caught, found.placed, found.named, found.misnamed) == wanted


def test_scores_of_tools_that_say_less():
    assert scoring.score(ONE, checkers.Verdict(True), 1) == scoring.Score(True, None, None, None)
    assert scoring.score(ONE, checkers.Verdict(True, layers=frozenset({0})), 1).placed
    assert not scoring.score(ONE, checkers.Verdict(True, layers=frozenset({0, 1})), 1).placed
    assert scoring.score(EITHER, checkers.Verdict(True, layers=frozenset({1})), 1).placed


def test_shares_are_not_rounded_to_all_or_nothing():
    shown = [tables.per_cent(value) for value in (None, 1.0, 0.9999, 0.5, 0.0001, 0.0)]
    assert shown == ["-", "100", "99.9", "50.0", "<0.1", "0"]


def row(families, caught):
    return scoring.Row("check_network", "sign", families, False, True, "weight 0", "tanh", 2, "float64", 0,
                       scoring.Score(caught, caught, None, None), (), 0.0)


def test_weighted_shares_count_a_family_as_often_as_people_make_it():
    """Half of the slopes and all of the penalties, which weigh 7 and 2."""
    rows = [*(row(("slopes",), i < 4) for i in range(8)), row(("penalties",), True)]
    assert scoring.share(rows, "caught") == pytest.approx(5 / 9)
    assert scoring.weighted(rows, "caught") == pytest.approx((7 * 0.5 + 2 * 1) / 9)
    assert scoring.weighted(rows, "named") is None and scoring.weighted([], "caught") is None
    both = [row(("slopes", "penalties"), True), row(("penalties", "slopes"), False), row(("slopes", "slopes"), True)]
    assert scoring.weighted(both, "caught") == pytest.approx((14 * 0.5 + 49) / 63)


def stub(faults, net, loss, params, X, Y, *, value_and_grad, seed):
    """A checker that always says the same."""
    return Report(faults, (), {}, "float64")


def small(tmp_path, **changes):
    return mutations.Config(**{"kinds": ("sigmoid",), "depths": (2,), "dtypes": ("float64",), "sample": 40, "doubles": 3,
                               "checkers": ("check_network", "leaf allclose"), "out": str(tmp_path / "run"), **changes})


@pytest.mark.parametrize("cause", ["sign", None])
def test_a_run_adds_up(cause, tmp_path, capsys):
    faults = (Fault("weight", 0, "[0]['w']", None, cause, 0.0, ""),) if cause else ()
    tools = {**checkers.CHECKERS, "check_network": partial(checkers.ours, check=partial(stub, faults))}
    results = mutations.main(small(tmp_path), tools)
    totals = results["tables"]["all mutants"]
    assert totals["check_network"]["mutants"] == totals["leaf allclose"]["mutants"] == 43
    assert totals["check_network"]["caught"] == (1 if cause else 0)
    assert totals["check_network"]["placed"] < 0.5 and totals["leaf allclose"]["caught"] > 0.8
    alarms = {name: of["float64"] for name, of in results["false_alarms"].items()}
    assert alarms == {"check_network": [3 if cause else 0, 3], "leaf allclose": [0, 3]}
    printed = capsys.readouterr().out
    assert all(len(line) <= 80 for line in printed.splitlines() if not line.startswith("wrote"))
    assert json.loads((tmp_path / "run" / "results.json").read_text())["tables"]["all mutants"] == totals
    assert (tmp_path / "run" / "caught.png").stat().st_size > 1000


def test_unseen_operators_are_told_of_only_when_asked(tmp_path, capsys):
    hidden = {operator.name for operator in population.UNSEEN}
    tools = {"check_network": partial(checkers.ours, check=partial(stub, ()))}
    for shown in (False, True):
        config = small(tmp_path / str(shown), checkers=("check_network",), sample=60, show_unseen=shown)
        (tmp_path / str(shown)).mkdir()
        results = mutations.main(config, tools)
        rows = [json.loads(line) for line in (tmp_path / str(shown) / "run" / "misses.jsonl").read_text().splitlines()]
        told = {name for row in rows for name in row["operator"].split(" + ")} | set(results["by_operator"])
        assert bool(told & hidden) is shown
        assert results["tables"]["one mistake, unseen"]["check_network"]["mutants"] > 0
        printed = capsys.readouterr().out + json.dumps(results)
        assert shown or not any(name[:tables.WIDTH - 1] in printed for name in hidden)


def test_a_run_is_published_with_the_command_that_does_it_again(tmp_path):
    page = "# Page\n\n<!-- table of mutations: headline -->\nold\n<!-- end of table -->\nwords\n"
    (tmp_path / "page.md").write_text(page)
    tools = {"check_network": partial(checkers.ours, check=partial(stub, ()))}
    config = small(tmp_path, checkers=("check_network",), out=None, publish=str(tmp_path), sample=3)
    results = mutations.main(config, tools)
    stored = json.loads((tmp_path / tables.NAME).read_text())
    assert stored == json.loads(json.dumps(results)) and stored["made"]["seeds"] == [0]
    words = shlex.split(stored["made"]["command"])
    assert parse(mutations.Config, words[3:]) == replace(config, publish=None)
    written = (tmp_path / "page.md").read_text()
    assert "| one mistake | 3 | 0 | 0 |" in written and "old" not in written and written.endswith("words\n")
    (tmp_path / "page.md").write_text(page)
    assert mutations.main(mutations.Config(tables=str(tmp_path))) is None
    assert (tmp_path / "page.md").read_text() == written


def test_documents_agree_with_the_results():
    docs = Path(mutations.__file__).parent.parent / "docs"
    results = json.loads((docs / tables.NAME).read_text())
    pages = {path: path.read_text() for path in docs.glob("*.md")}
    assert {name for text in pages.values() for _, name, _ in tables.BLOCK.findall(text)} <= set(tables.TABLES)
    stale = [path.name for path, text in pages.items() if tables.renewed(text, results) != text]
    assert not stale, "run: python -m experiments.mutations --tables docs"
    assert tables.BLOCK.search(pages[docs / "mutations.md"])


def test_a_table_that_does_not_exist_is_said():
    with pytest.raises(ValueError, match="no table 'heads' of mutations; there are headline"):
        tables.renewed("<!-- table of mutations: heads -->\n<!-- end of table -->", {})


@pytest.mark.parametrize("checker", ["leaf allclose", "jax check_grads", "chex numerical"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float32 inside"])
def test_tools_accept_the_right_gradient_and_object_to_none(checker, dtype):
    problem = problems.problem("sigmoid", 2, 0)
    subject = checkers.Subject(problem, dtype)
    subject.function = reference.value_and_grad(problem.model, (), problems.PRECISIONS[dtype][1])
    assert not checkers.CHECKERS[checker](subject).caught
    subject.function = lambda params, X, Y: (0.0, jax.tree.map(lambda p: 50 * np.ones_like(p), params))
    assert checkers.CHECKERS[checker](subject).caught


@pytest.mark.skipif(not checkers.installed("torch gradcheck"), reason="torch is not installed")
def test_torch_does_too():
    problem = problems.problem("sigmoid", 2, 0)
    subject = checkers.Subject(problem, "float64")
    subject.function = reference.value_and_grad(problem.model)
    assert not checkers.with_torch(subject).caught
    subject.function = reference.value_and_grad(problem.model, (reference.Mutation("head", None, lambda step: -step.right),))
    assert checkers.with_torch(subject).caught


@pytest.mark.parametrize("change", [{"kinds": ("convolution",)}, {"depths": (7,)}, {"checkers": ("luck",)}, {"seeds": 0},
                                    {"sample": -1}, {"publish": "nowhere"}, {"tables": "."}])
def test_what_cannot_be_run_is_said(change, tmp_path):
    with pytest.raises(ValueError, match=next(iter(change))):
        mutations.main(small(tmp_path, **change))


def test_the_command_line(capsys):
    assert mutations.command_line(mutations.main, mutations.Config, ["--help"]) == 0
    assert "python -m experiments.mutations --full" in capsys.readouterr().out
