"""Every record of the catalogue, planted in a right backward pass, is found, placed and named."""

import functools

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.layers import dense, layer_norm, maxout, residual
from functional_nn.objective import objective
from functional_nn.verify import CAUSES, check_network
from functional_nn.verify.calls.calling import proof
from functional_nn.verify.catalogue.mistake import Mistake
from functional_nn.verify.catalogue.records import MISTAKES
from functional_nn.verify.debugger.forward import by_site, forward
from functional_nn.verify.debugger.simulate import Run
from functional_nn.verify.debugger.tolerance import FINEST
from functional_nn.verify.debugger.where import Inapplicable
from functional_nn.verify.stations import stations
from tests.slow import few

NETS = {
    "tanh": (fnn.mlp((5, 5, 5, 4), hidden="tanh", output="sigmoid"), "quadratic"),
    "relu": (fnn.mlp((5, 5, 5, 4), hidden="relu", output="softmax"), "cross_entropy"),
    "norm": (fnn.sequential(5, dense(5, "tanh"), layer_norm(), dense(5, "tanh"), dense(4, "softmax")), "cross_entropy"),
    "maxout": (fnn.sequential(5, dense(5, "tanh"), maxout(5), dense(3)), "quadratic"),
    "residual": (fnn.sequential(5, dense(5, "tanh"), residual(dense(5, "tanh")), dense(3)), "quadratic"),
}
@functools.cache
def problem(name):
    net, loss = NETS[name]
    rng = np.random.default_rng(3)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda p: np.asarray(rng.normal(size=p.shape) / max(p.shape[-1], 1) ** 0.5 + (p.ndim == 1) * 0.3),
                              net.init(jax.random.key(0)))
    Y = np.eye(net.n_out)[rng.integers(0, net.n_out, size=6)] if loss == "cross_entropy" else rng.uniform(size=(6, net.n_out))
    return objective(net, loss, "mean"), params, rng.normal(size=(6, 5)), Y


def planted(name, where, mistake):
    """The backpropagation of a network with a mistake in one step."""
    of = problem(name)[0]
    places = stations(of.net)

    def value_and_grad(params, X, Y):
        f = forward(of, places, by_site(params, places), np.asarray(X), np.asarray(Y), FINEST)
        run = Run(f, {where: mistake.change(*mistake.planted)}).finish()
        grads = jax.tree.map(lambda p: np.asarray(p).copy(), params)
        for (site, s), g in run.leaves.items():
            tree = grads
            for i in places[s].path:
                tree = tree[i]
            tree[places[s].leaves[site]] = g
        return grads

    return value_and_grad


def sites(mistake):
    """Where the tests plant a mistake: (network, step)."""
    for name, (net, _) in NETS.items():
        last = len(stations(net)) - 1
        for site in mistake.sites:
            at = {"head": last, "pullback": 0, "weight": 1, "bias": 1}.get(site)
            yield name, (site, at)


def first(mistake):
    """The first network and step in which a mistake makes sense and changes the gradient."""
    for name, where in sites(mistake):
        _, params, X, Y = problem(name)
        with proof(), np.errstate(all="ignore"):
            try:
                wrong = planted(name, where, mistake)(params, X, Y)
            except (Inapplicable, TypeError):  # it has no numbers that any network fits
                continue
        with proof():
            right = fnn.autodiff.value_and_grad(problem(name)[0].net, NETS[name][1])(params, X, Y)[1]
        if any(np.shape(a) == np.shape(b) and not np.allclose(a, b) for a, b in zip(
                jax.tree.leaves(wrong), jax.tree.leaves(right), strict=True)):
            return name, where
    return None


def test_every_record_has_a_sentence_and_a_name_of_its_own():
    assert {one.cause for one in MISTAKES} <= set(CAUSES)
    assert len({(one.cause, one.formula, one.sites) for one in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize("mistake", few(MISTAKES, *range(0, len(MISTAKES), 24)),
                         ids=lambda one: f"{one.cause}: {one.formula}")
def test_it_is_found_placed_and_named(mistake):
    if (chosen := first(mistake)) is None:
        pytest.skip("its numbers belong to one network: the benchmark plants it")
    name, (site, s) = chosen
    of, params, X, Y = problem(name)
    report = check_network(of.net, NETS[name][1], params, X, Y, value_and_grad=planted(name, (site, s), mistake))
    layer = None if s is None else stations(of.net)[s].layer
    assert not report
    if s is not None:
        assert {(fault.site, fault.layer) for fault in report.faults} <= {(site, layer), ("batch", None)}, str(report)
    for fault in report.faults:  # two records may give one gradient: then either name is right
        assert fault.cause == mistake.cause or (fault.cause != "unexplained" and fault.residual < 1e-8), str(report)


OF_NOTHING = {  # what no record knows -> (how it is planted, the fault)
    "another slope": (("pullback", 0), lambda s: s.cotangent * (np.cos(s.z) ** 2 + 0.3 * s.z**3), "other derivative"),
    "a term of the input": (("pullback", 0), lambda s: s.right + 0.1 * s.share * np.sin(3 * s.f.a[s.s]), "term added"),
    "another input": (("weight", 1), lambda s: s.remade(a=np.sin(3 * s.a) + s.a**2 + 0.1), "other activation"),
    "another delta": (("weight", 1), lambda s: s.remade(delta=s.delta * np.exp(s.z)), "other delta"),
}


@pytest.mark.parametrize("which", OF_NOTHING)
def test_an_unknown_factor_is_told_from_the_right_one_beside_it(which):
    (site, s), wrong, cause = OF_NOTHING[which]
    of, params, X, Y = problem("tanh")
    mistake = Mistake(cause, (site,), wrong, "", None, 0, False, ())
    report = check_network(of.net, NETS["tanh"][1], params, X, Y, value_and_grad=planted("tanh", (site, s), mistake))
    assert [(fault.site, fault.layer, fault.cause) for fault in report.faults] == [(site, s, cause)]
