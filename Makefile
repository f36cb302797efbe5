# `make run` and `make test` do all the set-up they need: a .venv of their own, with the exact versions of requirements.lock.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: run test test-slow lint speed clean help
help:            ## what there is
	@grep -hE '^[a-z-]+: *[^#]*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 20

run: $(VENV)/run.installed    ## verify gradients and train on the digits four ways (writes runs/digits/...)
	$(BIN)/python -m experiments.digits

test test-slow: export JAX_PLATFORMS ?= cpu

test: $(VENV)/test.installed  ## the tests, doctests and the README's examples
	$(BIN)/python -m pytest -n auto -m "not slow"

test-slow: $(VENV)/test.installed  ## what takes minutes: the contract of the deepest networks
	$(BIN)/python -m pytest -n auto -m slow tests

lint: $(VENV)/test.installed  ## ruff: errors, imports, simplifications
	$(BIN)/python -m pip install --quiet -c requirements.lock ruff
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
