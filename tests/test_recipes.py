"""What a recipe made is equal, pickled and copied by its call, and its numbers can be swept."""

import copy
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_nn as fnn
from functional_nn import optimizers as opt
from functional_nn import schedules
from functional_nn.recipes import Made, canonical, join, recipe, split
from tests.slow import few

NOISE = np.random.default_rng(0)
PARAMS = {"w": jnp.asarray(NOISE.normal(size=(3, 2)), jnp.float32), "b": jnp.ones(3)}
GRADIENT = jax.tree.map(lambda w: 2 * w + 1, PARAMS)
SCHEDULES = {
    "constant": schedules.constant(0.1), "step_decay": schedules.step_decay(0.1, 0.5, 3),
    "exponential_decay": schedules.exponential_decay(0.1, 0.9, 3),
    "inverse_time_decay": schedules.inverse_time_decay(0.1, 2.0, 3),
    "polynomial_decay": schedules.polynomial_decay(0.1, 0.01, 2.5, 9),
    "cosine_decay": schedules.cosine_decay(0.1, 9),
    "linear_warmup": schedules.linear_warmup(3, schedules.cosine_decay(0.1, 9))}
OPTIMIZERS = {name: make(0.1) for name, make in opt.OPTIMIZERS.items()} | {
    "scheduled": opt.sgd(schedules.cosine_decay(0.1, 9), momentum=0.9, nesterov=True),
    "masked": opt.adamw(0.1, mask="weights")}
LINKS = {"clip_by_value": opt.clip_by_value(0.5), "clip_by_global_norm": opt.clip_by_global_norm(1.0),
         "l1": opt.l1(0.1), "l2": opt.l2(0.1), "decoupled_decay": opt.decoupled_decay(0.1, 0.1),
         "max_norm": opt.max_norm(0.5),
         "chain": opt.chain(opt.clip_by_global_norm(1.0), opt.adam(0.1))}
PENALTIES = {"l1": fnn.penalties.l1(0.1), "l2": fnn.penalties.l2(0.1, "all"),
             "sum": fnn.penalties.l1(0.1) + fnn.penalties.l2(0.2)}
NETWORKS = {
    "mlp": fnn.mlp((2, 3, 2), hidden=fnn.activations.leaky_relu.configure(slope=0.2), output="softmax"),
    "kinds": fnn.sequential(2, fnn.layers.residual(fnn.layers.layer_norm(), fnn.layers.dense(2, "gelu", "nielsen")),
                            fnn.layers.dropout(0.2), fnn.layers.maxout(3, 2, "orthogonal"))}


def rates(schedule):
    return [float(schedule(count)) for count in range(12)]


def steps(optimizer, params=None, gradient=None):
    params, gradient = (PARAMS, GRADIENT) if params is None else (params, gradient)
    return optimizer.update(gradient, optimizer.init(params), params)


def penalised(penalty):
    return penalty.value(PARAMS), penalty.gradient(PARAMS), str(penalty)


def outputs(net):
    return repr(net), net.apply(net.init(jax.random.key(0)), jnp.ones(2), key=jax.random.key(1))


def stops(rule):
    return [rule([4.0, 2.0, 1.0, 0.999, 0.998, 0.997][:n]) for n in range(7)]


THINGS = {f"{use.__name__} {name}": (thing, use) for use, things in (
    (rates, SCHEDULES), (steps, OPTIMIZERS | LINKS), (penalised, PENALTIES), (outputs, NETWORKS),
    (stops, {"until_converged": fnn.until_converged(0.01, 2)})) for name, thing in things.items()}


def test_every_schedule_and_link_is_here():
    made = {name for name, value in vars(schedules).items()
            if callable(value) and not name.startswith("_") and value.__module__ == schedules.__name__}
    assert made - {"as_schedule"} == set(SCHEDULES)
    assert {name for name in opt.__all__ if name.islower()} - {"by_leaf"} == set(opt.OPTIMIZERS) | set(LINKS)


def same(got, wanted):
    jax.tree.map(np.testing.assert_array_equal, got, wanted)


@pytest.mark.parametrize("name", THINGS)
def test_copies_give_the_same_numbers(name):
    thing, use = THINGS[name]
    for again in (pickle.loads(pickle.dumps(thing)), copy.deepcopy(thing), copy.copy(thing)):
        same(use(again), use(thing))
        assert again == thing or use is outputs


@pytest.mark.parametrize("step", few([1, 9], 1))
def test_a_new_process_makes_the_same_numbers(step, tmp_path):
    """What was pickled here gives the same numbers in an interpreter that starts from nothing."""
    with open(tmp_path / "things", "wb") as file:
        pickle.dump({name: THINGS[name][0] for name in [*THINGS][::step]}, file)
    code = f"""
import pickle
from tests import test_recipes as here
with open({str(tmp_path / "things")!r}, "rb") as file:
    things = pickle.load(file)
for name in things:
    thing, use = here.THINGS[name]
    here.same(use(things[name]), use(thing))
    assert things[name] == thing or use is here.outputs
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_all_copies_of_a_network_are_one_which_is_compiled_once():
    net = NETWORKS["kinds"]
    assert pickle.loads(pickle.dumps(net)) is copy.deepcopy(net)
    own = fnn.layers.Layer("dense", *[lambda *args: None] * 5, fnn.layers.rank_one,
                           arguments={"n_out": 2})
    with pytest.raises((AttributeError, pickle.PicklingError)):  # not by its name, which is another's
        pickle.dumps(own)


@pytest.mark.parametrize("change", [{"b1": 0.5}, {"learning_rate": 0.2}])
def test_another_argument_makes_another_thing(change):
    one, other = opt.adam(0.1), opt.adam(**{"learning_rate": 0.1} | change)
    assert one == opt.adam(0.1) and hash(one) == hash(opt.adam(0.1)) and one != other
    assert (split(one)[0] == split(other)[0]) is ("learning_rate" in change)


def test_an_array_among_the_arguments_is_equal_to_itself_alone():
    rate = jnp.asarray(0.1)
    one, other = opt.sgd(rate), opt.sgd(rate)
    assert one == one and one != other and hash(one) == hash(one)
    assert split(one)[0] == split(other)[0]


@pytest.mark.parametrize("name", few([*OPTIMIZERS, *LINKS], "sgd", "adam", "scheduled", "masked", "chain", "max_norm"))
def test_numbers_are_taken_out_and_put_back(name):
    thing = (OPTIMIZERS | LINKS)[name]
    structure, numbers = split(thing)
    assert numbers and all(isinstance(number, float) for number in numbers)
    same(steps(join(structure, numbers)), steps(thing))
    # what is a constant of a program may be computed while it is compiled, and rounded otherwise, by an ulp or two
    compiled = jax.jit(lambda numbers, *given: steps(join(structure, numbers), *given))
    jax.tree.map(lambda got, wanted: np.testing.assert_allclose(got, wanted, rtol=2.0**-22),
                 compiled(numbers, PARAMS, GRADIENT), jax.jit(steps, static_argnums=0)(thing, PARAMS, GRADIENT))


def test_a_rate_is_swept_as_a_leaf_of_the_optimizer():
    rates = jnp.array([0.1, 0.2, 0.4])
    swept = jax.vmap(lambda rate: steps(opt.sgd(rate))[0])(rates)
    structure, _ = split(opt.sgd(0.1))
    again = jax.vmap(lambda rate: steps(join(structure, [rate, rate]))[0])(rates)
    same(again, swept)


def test_functions_without_a_recipe_belong_to_the_structure():
    own = optax.sgd(0.1)
    assert split((own, None)) == (split((own, None))[0], ()) and split(own)[0] != split(optax.sgd(0.1))[0]
    assert join(*split(own)) == own
    schedule = lambda count: 0.1  # noqa: E731
    assert split(opt.sgd(schedule))[1] == () and split(opt.sgd(schedule))[0] == split(opt.sgd(schedule))[0]


def test_a_mistake_is_said_when_the_recipe_is_called():
    @recipe("rate")
    def only_positive(rate):
        if rate < 0:
            raise ValueError("rate")
        return lambda: rate

    with pytest.raises(ValueError, match="rate"):
        only_positive(-1.0)
    made = only_positive(2.0)
    assert isinstance(made, Made) and made() == 2.0 and repr(made) == "only_positive(rate=2.0)"


def test_equal_records_have_one_object():
    leaky = fnn.activations.leaky_relu
    assert canonical(leaky.configure(slope=0.3)) is canonical(leaky.configure(slope=0.3))
    assert canonical(leaky.configure(slope=0.1)) is leaky and canonical("relu") == "relu"
