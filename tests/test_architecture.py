"""The house: rooms import downward only, the hand-written gradient knows no automatic one, imports change nothing."""

import ast
import functools
import importlib
import inspect
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax._src import api
from jax._src.interpreters import ad

import functional_nn as fnn
from tests.variants import KINDS

ROOT, PROJECT = Path(__file__).parents[1], ("functional_nn", "experiments")
ROOMS = [  # each may know those before it
    "arguments", "checks", "recipes", "writing", "webpage", "console", "compilation", "records", "activations", "losses",
    "initializers", "layers", "network", "objective",
    "penalties", "backprop", "autodiff", "explanation", "verify", "schedules", "optimizers", "stopping", "data", "progress", "metrics",
    "monitor", "training", "checkpoint", "handover", "timemachine", "surface", "sklearn", "plots", "report", "cli"]
APART = [{"backprop", "autodiff"}]  # rooms side by side, which must not know each other
AUTODIFF = {
    "grad", "value_and_grad", "vjp", "jvp", "linearize", "linear_transpose", "jacfwd", "jacrev", "jacobian", "hessian",
    "custom_vjp", "custom_jvp", "custom_gradient", "checkpoint", "remat"}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted((ROOT / "functional_nn").rglob("*.py"))}
SCRIPTS = {name_of(path): path for path in sorted((ROOT / "experiments").rglob("*.py"))}
LIBRARY = sorted(set(FILES) - {"functional_nn"})


parsed = functools.cache(ast.parse)


@functools.cache
def imports(text):
    """The project's modules that the source names; `from package import name` is package.name if that is a module."""
    return list(named(text))


def named(text):
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in PROJECT)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module.split(".")[0] in PROJECT:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    yield inner if inner in FILES or inner in SCRIPTS else node.module


def room(module):
    return module.split(".")[1]


def misplaced(module, text):
    """Imports that go up, sideways or out of the library."""
    for other in imports(text):
        if not other.startswith("functional_nn."):
            yield other
            continue
        here, there = room(module), room(other)
        if here != there and (ROOMS.index(there) > ROOMS.index(here) or {here, there} in APART):
            yield other


def closure(module):
    """The modules reached from one, itself included."""
    reached, waiting = set(), [module]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += imports(FILES[module].read_text())
    return reached


def automatic(text):
    """Names of automatic differentiation that the source uses, however they come in."""
    for node in ast.walk(parsed(text)):
        name = getattr(node, "attr", None) or getattr(node, "id", None)
        names = {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else {name}
        yield from names & AUTODIFF
        if isinstance(node, ast.Constant) and node.value in AUTODIFF:  # getattr(jax, "grad")
            yield node.value


def test_every_room_is_on_the_map():
    assert {room(module) for module in LIBRARY} <= set(ROOMS)


def test_rooms_import_downward_only():
    wrong = {module: list(misplaced(module, FILES[module].read_text())) for module in LIBRARY}
    assert not {module: found for module, found in wrong.items() if found}


@pytest.mark.parametrize(("module", "text"), [
    ("functional_nn.layers.dense", "from functional_nn import network"),
    ("functional_nn.losses", "import experiments.common"),
    ("functional_nn.checks", "def late():\n    from functional_nn.layers import dense"),
    ("functional_nn.data", "import functional_nn"),
    ("functional_nn.autodiff", "from functional_nn.backprop import deltas"),
    ("functional_nn.plots", "from experiments import common")])
def test_a_wrong_import_would_be_seen(module, text):
    assert list(misplaced(module, text))


def test_no_module_reaches_itself():
    for module in LIBRARY:
        for other in set(imports(FILES[module].read_text())) - {module}:
            assert module not in closure(other), f"{module} and {other} import each other"


def test_verify_shares_no_code_with_what_it_verifies():
    """Checking any function needs nothing of networks; checking a network takes it apart, by other code."""
    assert {room(module) for module in closure("functional_nn.verify.gradients")} == {
        "arguments", "checks", "writing", "records", "verify"}
    reached = set().union(*(closure(module) for module in LIBRARY if room(module) == "verify"))
    assert not {"backprop", "autodiff", "training"} & {room(module) for module in reached}


def test_backpropagation_names_no_automatic_differentiation():
    reached = closure("functional_nn.backprop")
    assert {room(module) for module in reached} == {
        "arguments", "checks", "recipes", "writing", "console", "activations", "losses", "initializers", "layers", "network", "objective",
        "backprop"}
    defined = {f"functional_nn.backprop{part}": {"value_and_grad"} for part in ("", ".equations")} | {
        "functional_nn.backprop.custom": {"custom_vjp"}}  # which attaches a backward pass of ours
    for module in reached:
        assert not set(automatic(FILES[module].read_text())) - defined.get(module, set()), module
    own = [node for module in reached if room(module) == "backprop" for node in ast.walk(parsed(FILES[module].read_text()))]
    assert not [node for node in own if isinstance(node, ast.Attribute) and node.attr == "value_and_grad"]
    assert {"grad", "value_and_grad"} <= set(automatic(FILES["functional_nn.autodiff"].read_text()))


NETS = {kind: fnn.sequential(3, *layers(3, "gelu"), fnn.layers.dense(2, "softmax")) for kind, layers in KINDS.items()}


def everything(way, net, run=jax.eval_shape):
    """All that a room offers, traced."""
    params, key = jax.eval_shape(net.init, jax.random.key(0)), jax.random.key(1)
    X, Y = jnp.ones((2, 3)), jnp.array([0, 1])
    for head in ("stable", "general"):
        run(way.value_and_grad(net, "cross_entropy", head=head), params, X, Y, key=key)
        run(way.deltas(net, "cross_entropy", head=head), params, X[0], Y[0], key=key)
        run(way.per_example_gradients(net, "cross_entropy", head=head), params, X, Y, key=key)
        run(way.per_example_norms(net, "cross_entropy", head=head), params, X, Y, key=key)
    if way is fnn.backprop:
        bends = all(layer.activation.straight or layer.activation.curvature for layer in net.layers)
        without = {"kronecker", "hvp"} - ({"hvp"} if bends else set())  # a layer norm has no Kronecker factors
        names = [name for name in way.QUANTITIES if name not in without]
        run(lambda params: way.quantities(net, "cross_entropy", names)(params, X, Y, clip=1.0, direction=params, key=key),
            params)


@pytest.fixture
def no_autodiff(monkeypatch):
    """Every door to automatic differentiation raises, those of JAX's inside too."""
    def refuse(*args, **kwargs):
        raise RuntimeError("automatic differentiation was used")

    inner = ("jvp", "vjp", "linear_jvp", "linearize", "backward_pass")
    for where in (jax, api, ad):
        for name, door in list(vars(where).items()):
            if inspect.isfunction(door) and (name in AUTODIFF or (where is ad and name.startswith(inner))):
                monkeypatch.setattr(where, name, refuse)


@pytest.mark.parametrize("kind", NETS)
def test_backpropagation_works_where_automatic_differentiation_raises(kind, no_autodiff):
    everything(fnn.backprop, NETS[kind])
    with pytest.raises(RuntimeError, match="automatic differentiation was used"):
        everything(fnn.autodiff, NETS[kind])


@pytest.mark.parametrize("activation", fnn.activations.ACTIVATIONS)
def test_so_does_every_activation(activation, no_autodiff):
    everything(fnn.backprop, fnn.mlp((3, 4, 2), hidden=activation, output="softmax"))


@pytest.mark.parametrize("loss", fnn.losses.LOSSES)
def test_so_does_every_loss_run_for_real(loss, no_autodiff):
    net = fnn.mlp((3, 2), output=fnn.losses.get(loss).output or "tanh")
    params, X, Y = net.init(jax.random.key(0)), jnp.ones((2, 3)), jnp.full((2, 2), 0.5)
    cost, _ = fnn.backprop.value_and_grad(net, loss)(params, X, Y)
    assert jnp.isfinite(cost)


@pytest.mark.parametrize("use", [
    jax.grad(jnp.sin), lambda x: jax.vjp(jnp.sin, x), lambda x: jax.jvp(jnp.sin, (x,), (x,)), jax.jacfwd(jnp.sin),
    jax.hessian(jnp.sin), lambda x: jax.linearize(jnp.sin, x)],
    ids=["grad", "vjp", "jvp", "jacfwd", "hessian", "linearize"])
def test_the_doors_inside_jax_are_shut_too(use, no_autodiff):
    """What was made before, or comes by another name than `jax.grad`, is still seen."""
    with pytest.raises(RuntimeError, match="automatic differentiation was used"):
        use(1.0)


def test_importing_changes_no_setting_and_starts_no_device():
    code = """
import sys, jax
from jax._src import xla_bridge
before = dict(jax.config.values)
from functional_nn import *
assert dict(jax.config.values) == before, {k: v for k, v in jax.config.values.items() if before.get(k) != v}
assert not xla_bridge._backends, "a device was started"
heavy = {"matplotlib", "tyro", "jinja2", "sklearn", "rich", "hypothesis"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT, timeout=120)


@pytest.mark.slow
def test_every_module_imports_without_a_home_in_a_folder_that_is_gone(tmp_path):
    modules = sorted(module for module in FILES if not module.endswith("__main__"))
    code = f"import os; os.rmdir(os.getcwd()); import importlib; [importlib.import_module(name) for name in {modules}]"
    kept = {name: value for name, value in os.environ.items() if name.startswith(("JAX", "XLA", "PATH"))}
    (tmp_path / "gone").mkdir()
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=tmp_path / "gone", timeout=300,
                   env=kept | {"PYTHONPATH": str(ROOT)})


def prints_raw(text):
    """Whether the source calls the built-in `print`, and not that of `console`."""
    tree = list(ast.walk(parsed(text)))
    calls = any(isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print" for node in tree)
    escapes = any(isinstance(node, ast.ImportFrom) and node.module == "functional_nn.console"
                  and "print" in {alias.name for alias in node.names} for node in tree)
    return calls and not escapes


def test_what_is_printed_is_escaped():
    raw = {module for module, path in FILES.items() if prints_raw(path.read_text())}
    assert raw <= {"functional_nn.console"}, "from functional_nn.console import print"


def test_a_raw_print_would_be_seen():
    assert prints_raw("print(1)") and not prints_raw("from functional_nn.console import print\nprint(1)")


def unquoted(text):
    """Commands of the source that name a path as it is, which a shell may read as something else."""
    for node in ast.walk(parsed(text)):
        for before, after in itertools.pairwise(node.values) if isinstance(node, ast.JoinedStr) else ():
            if (isinstance(before, ast.Constant) and isinstance(after, ast.FormattedValue)
                    and re.search(r"functional-nn \w+ (--\w+ )*$|train anew with --config $", before.value)
                    and getattr(getattr(after.value, "func", None), "id", "") != "quoted"):
                yield ast.unparse(node)


def test_commands_are_quoted_for_the_shell():
    found = [(module, text) for module, path in FILES.items() if module.startswith("functional_nn.cli")
             for text in unquoted(path.read_text())]
    assert not found, "use cli.usage.command or quoted"


def test_an_unquoted_command_would_be_seen():
    assert list(unquoted('f"go on with: functional-nn resume {run}"'))
    assert not list(unquoted('f"go on with: {command(\'resume\', run)}, train anew with --config {quoted(run)}"'))


MIRRORED = [path.relative_to(ROOT / "functional_nn") for name, path in FILES.items()
            if not path.stem.startswith("__") and name.split(".")[1:2] != ["verify"]]


def test_every_module_has_a_test_file_of_its_name():
    assert not [module for module in MIRRORED
                if not (ROOT / "tests" / module.parent / f"test_{module.stem}.py").is_file()]


def test_no_file_is_long():
    assert not [module for module, path in {**FILES, **SCRIPTS}.items() if len(path.read_text().splitlines()) > 400]


def unexplained(module):
    """The public names of a module that have no docstring, or only that which a dataclass makes for itself."""
    loaded = importlib.import_module(module)
    public = getattr(loaded, "__all__", [name for name in vars(loaded) if not name.startswith("_")])
    assert (loaded.__doc__ or "").strip() and len(public) == len(set(public)), module
    for name in public:
        value = getattr(loaded, name)
        if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__.startswith("functional_nn"):
            written = (value.__doc__ or "").strip()
            if not written or written.startswith(f"{value.__name__}("):
                yield f"{module}.{name}"


def test_public_names_exist_and_are_explained():
    assert not [name for module in FILES for name in unexplained(module)]
