# `make run` and `make test` do all the set-up they need: a .venv of their own, with the exact versions of requirements.lock.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: run test test-slow test-all test-times lint speed clean help
help:            ## what there is
	@grep -hE '^[a-z-]+: *[^#]*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 20

run: $(VENV)/run.installed    ## verify gradients and train on the digits four ways (writes runs/digits/...)
	$(BIN)/python -m experiments.digits

# Tests compile thousands of small programs. What was compiled once is kept in .venv/jax-cache.
test test-slow test-all test-times: export JAX_PLATFORMS ?= cpu
test test-slow test-all test-times: export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/$(VENV)/jax-cache
test test-slow test-all test-times: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal
# Most of the time goes into compiling, so `make test` compiles in a hurry, and so do the slow tests of QUICKLY, which
# compute little and prove it in float64; the others compile as users do.
# Versions of XLA know different options, and end the process at one that they do not know: each is tried once.
HURRY  := --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1
QUICKLY := tests/verify tests/layers tests/sklearn tests/test_contract.py

test: $(VENV)/hurry  ## the tests, doctests and examples of README and docs: some fourteen minutes on two cores
	XLA_FLAGS="`cat $<` $$XLA_FLAGS" $(PYTEST) -m "not slow"

test-times: $(VENV)/hurry  ## the same, and the ten slowest tests
	XLA_FLAGS="`cat $<` $$XLA_FLAGS" $(PYTEST) -m "not slow" --durations=10 --durations-min=0.1

test-slow: $(VENV)/hurry  ## the tests that take seconds to minutes, and the exact ones compiled as users compile: some forty minutes on two cores
	XLA_FLAGS="`cat $<` $$XLA_FLAGS" $(PYTEST) -m slow $(QUICKLY); first=$$?; \
	$(PYTEST) -m "slow or exact" tests $(QUICKLY:%=--ignore=%) && exit $$first

test-all: $(VENV)/test.installed  ## every test, compiled as users compile
	$(PYTEST)

$(VENV)/hurry: $(VENV)/test.installed
	@for flag in $(HURRY); do \
	  XLA_FLAGS=$$flag JAX_PLATFORMS=cpu $(BIN)/python -c 'import jax; jax.devices()' 2>/dev/null && echo $$flag; \
	done | tr '\n' ' ' > $@

lint: $(VENV)/lint.installed  ## ruff: errors, imports, simplifications, line lengths
	$(BIN)/ruff check .

speed: $(VENV)/run.installed  ## hand-written against automatic gradients: ratios, and the memory of per-example norms
	$(BIN)/python -m experiments.speed

clean:           ## remove the environment (runs/ stays)
	rm -rf $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "functional_nn needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) -V 2>&1`. Try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@echo "Making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/%.installed: pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo "Installing functional_nn and what '$*' needs into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[$(EXTRAS_$*)]'
	@touch $@
EXTRAS_run  := plots,cli
EXTRAS_test := test
EXTRAS_lint := dev
