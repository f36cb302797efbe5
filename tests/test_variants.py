"""An activation, a loss and an optimiser that the library does not know pass every contract, with three edits each.

The project is copied, the edits that CONTRIBUTING.md lists are made in the copy, and its contract tests are run there.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EDITS = {  # name -> its definition, its export and its contract row: (file, what the new text goes before, the new text)
    "mish": (
        ("functional_nn/activations.py", "\nsoftmax = Activation(", '''
mish = Activation(
    "mish",
    lambda z: z * jnp.tanh(jax.nn.softplus(z)),
    lambda z: jnp.tanh(jax.nn.softplus(z))
    + z * jax.nn.sigmoid(z) * 4 * _logistic_slope(2 * jax.nn.softplus(z)))
"""a = z tanh s with s = ln(1 + eᶻ) (Misra, 2020). σ′ = tanh s + z σ(z) sech² s."""
'''),
        ("functional_nn/activations.py", '"relu",\n', '"mish", '),
        ("tests/test_activations.py", "}\nVARIANTS", '''    "mish": Law(
        lambda z: z * exact.tanh(softplus(z)),
        lambda z: exact.tanh(softplus(z)) + z * logistic(z) * exact.sech(softplus(z)) ** 2, 8,
        derivative_size=lambda z: exact.tanh(softplus(z)) + abs(z) * logistic(z) * exact.sech(softplus(z)) ** 2),
''')),
    "bounded": (
        ("functional_nn/losses/definitions.py", "\nhinge = Loss(", '''
bounded = Loss(
    "bounded",
    lambda a, y: jnp.mean(_size(a - y) / (1 + _size(a - y))),
    lambda a, y: jnp.sign(a - y) * jnp.square(1 / (1 + jnp.abs(a - y))) / a.size)
"""L = (1/n) Σ |r| / (1 + |r|) with r = a − y. ∇ₐL = sign(r) / (1 + |r|)² / n, 0 at r = 0."""
'''),
        ("functional_nn/losses/__init__.py", '"binary_cross_entropy", "cross_entropy",\n', '"bounded", '),
        ("tests/losses/laws.py", "}\nVARIANTS", '''    "bounded": Law(lambda a, y: abs(a - y) / (1 + abs(a - y)), lambda a, y: sign(a - y) / (1 + abs(a - y)) ** 2),
''')),
    "sign_sgd": (
        ("functional_nn/optimizers/adaptive.py", "@recipe(\"learning_rate\")\ndef rmsprop(", '''@recipe("learning_rate")
def sign_sgd(learning_rate: Number | Schedule):
    """w ← w − γ sign(g) (Bernstein et al., 2018)."""
    return by_leaf(lambda leaf: (-leaf.gamma * jnp.sign(leaf.g), ()), learning_rate=learning_rate)


'''),
        ("functional_nn/optimizers/__init__.py", '"l2", "lion"', '"sign_sgd", '),
        ("functional_nn/optimizers/twins.py", '    "clipped by value"',
         '    "sign_sgd": twins(sign_sgd, optax.sign_sgd, 0.01),\n')),
}
IMPORTED = [  # the definition of a loss or an optimiser is imported where it is exported and compared
    ("functional_nn/losses/__init__.py", "    cross_entropy,\n", "    bounded,\n"),
    *((f"functional_nn/optimizers/{file}.py", "adagrad, rmsprop\n", "sign_sgd, ") for file in ("__init__", "twins"))]
CONTRACTS = ["tests/test_activations.py", "tests/losses", "tests/test_objective.py", "tests/test_contract.py",
             "tests/test_architecture.py", "tests/optimizers/test_twins.py", "tests/handover/test_description.py",
             "tests/sklearn/test_estimators.py"]
COMPLETE = ["test_every_activation_has_a_law_and_a_name", "test_every_loss_has_a_law_and_a_name",
            "test_every_optimiser_of_the_package_has_a_row", "test_the_contract_is_about_every_variant",
            "test_every_optimizer_of_ours_has_its_name_here", "(test_hand_written_equals_automatic and dense-1)"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with the edits made."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("functional_nn", "experiments", "tests", "pyproject.toml"):
        source = ROOT / name
        take = shutil.copytree if source.is_dir() else shutil.copy
        take(source, copy / name, **({"ignore": shutil.ignore_patterns("__pycache__")} if source.is_dir() else {}))
    for file, before, text in [*(edit for edits in EDITS.values() for edit in edits), *IMPORTED]:
        written = (copy / file).read_text()
        assert written.count(before) == 1, (file, before)
        (copy / file).write_text(written.replace(before, text + before))
    return copy


def run(project, *arguments):
    done = subprocess.run([sys.executable, *arguments], cwd=project, capture_output=True, text=True, timeout=900,
                          env={**os.environ, "PYTHONPATH": str(project), "JAX_PLATFORMS": "cpu"})
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_three_edits_make_a_variant_that_passes_every_contract(project):
    code, said = run(project, "-m", "pytest", "-v", *CONTRACTS, "-k", " or ".join([*EDITS, *COMPLETE]))
    assert code == 0, said[-3000:]
    for name in EDITS:
        assert said.count(name) >= 5, name
    for name in COMPLETE[:-1]:
        assert f"{name} PASSED" in said


@pytest.mark.slow
def test_and_it_trains_from_the_command_line(project):
    options = ["--activation", "mish", "--optimizer", "sign_sgd", "--learning-rate", "1e-3", "--epochs", "5", "--out", "run"]
    code, said = run(project, "-m", "functional_nn.cli", "train", "diabetes", "--loss", "bounded", *options)
    assert code == 0, said
    code, said = run(project, "-m", "functional_nn.cli", "evaluate", "run")
    assert code == 0 and "r2" in said, said
