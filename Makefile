# `make` lists what there is. Everything happens in .venv, nothing needs root, and nothing outside this folder changes.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
TIMES ?= 1
# Most tests wait for servers: more of them at a time than there are cores.
JOBS ?= 3

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start hundreds of processes: empty, so that their code is compiled once.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo install test unit lint format types contracts check faults chaos states cloud fuzz constraints bench clean

help: ## List the targets
	@echo "make <target>, where the target is one of"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "Variables: PYTHON=python3.12 (for a new environment), VENV=.venv, ARGS=... (for demo, test, unit and bench), JOBS=3"

demo: install ## See it happen: real servers, a load balancer service built on them (ARGS=--once to check and leave)
	@$(BIN)/orchestrator demo $(ARGS)

install: $(STAMP) ## Create the environment, or bring it up to date with setup.cfg

test: install ## All tests, the demo included (ARGS="-k name" to choose, JOBS=1 for one after the other)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

unit: install ## Only the tests that need no server: under a minute
	$(BIN)/python -m pytest --numprocesses $(JOBS) -m "not integration" $(ARGS)

check: lint types contracts ## What needs no tests: style, types and layers

lint: install ## Style: ruff check and ruff format --check; docs/settings.md and the dashboard up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python docs/settings_table.py --check
	$(BIN)/python docs/drift_table.py --check
	$(BIN)/python -m benchmarks.tables --check
	$(BIN)/python -m orchestrator.metrics.dashboard --check

format: install ## Put style right where that can be done by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install ## Types: mypy --strict
	$(BIN)/mypy

contracts: install ## Layers: who may import whom (import-linter)
	$(BIN)/lint-imports

faults: install ## Die at every point between two effects (TIMES=20 for twenty times each)
	TIMES=$(TIMES) $(BIN)/python -m pytest --numprocesses $(JOBS) tests/faults/test_points.py

chaos: install ## Random load and random faults, then an independent check (ARGS="--seconds 600 --seed 7")
	$(BIN)/python -m tests.chaos $(ARGS)

states: install ## Every state of a stack, on a real Heat with and without convergence: three minutes
	STATES=all $(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS) tests/sandbox/test_stack_states.py tests/sandbox/test_stack_endings.py

cloud: install ## A real Keystone and Heat with two engines; root installs what is missing. An hour
	CLOUD=yes $(BIN)/python -m pytest $(ARGS) tests/cloud

fuzz: install ## Random inputs for mappings, patterns, templates, documents, parsers (ARGS="templates --seconds 60")
	$(BIN)/python -m pip install --quiet atheris
	$(BIN)/python -m tests.fuzz $(ARGS)

constraints: install ## Pin every dependency anew, with hashes, for each supported Python (constraints/)
	$(BIN)/python -m pip install --quiet uv
	for minor in 11 12 13 14; do \
		$(BIN)/uv pip compile setup.cfg --extra history --extra traces --quiet --upgrade --generate-hashes --python-version 3.$$minor --no-annotate \
			--custom-compile-command "make constraints" --output-file constraints/python-3.$$minor.txt || exit 1; \
	done

bench: install ## Measure everything, three quarters of an hour (ARGS="latency --save" for one, ARGS=--help for the list)
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m benchmarks $(or $(ARGS),all)

clean: ## Remove the environment, caches and build results
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12" >&2; exit 1; }
	@if [ ! -x $(BIN)/python ]; then \
		echo "Creating the environment $(VENV) with $$($(PYTHON) --version)"; \
		$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi
	@echo "Installing the project, a real Heat and the tools into $(VENV): about a minute"
	@$(BIN)/python -m pip install --quiet --editable '.[sandbox,history,traces,dev]'
	@touch $@
