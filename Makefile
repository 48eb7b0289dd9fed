# `make demo` and `make test` need git, make and Python 3.11 to 3.13; everything else goes into .venv, once.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# Newer than what it was made from: .venv holds what they ask for.
STAMP := $(VENV)/.installed

# The first interpreter that runs, is supported and can make a virtual environment. Names are tried by running them,
# because a version manager leaves names on PATH that do not run.
SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3 python; do \
	if $$name -c '$(SUITABLE)' >/dev/null 2>&1; then command -v $$name; break; fi; done)

# Threads that spin while they wait cost more than they save on few cores.
export OMP_WAIT_POLICY = PASSIVE

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(STAMP) ## Run the whole chain on real footage, in cleartitle-demo/
	$(BIN)/cleartitle demo

# Contiguous halves for the workers: what a module sets up is set up once.
.PHONY: test
test: $(STAMP) ## Run all tests
	$(BIN)/python -m pytest -q -n auto --dist worksteal

.PHONY: lint
lint: $(STAMP) ## Check style, types and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: format
format: $(STAMP) ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: docs
docs: $(STAMP) ## Write docs/cli.md from the commands' help
	$(BIN)/python .ci/cli_reference.py

.PHONY: constraints
constraints: $(STAMP) ## Pin the newest versions that work together, for each supported Python on PATH
	$(BIN)/python .ci/pin_versions.py

.PHONY: clean
clean: ## Remove .venv, caches, builds and the demo's output
	rm -rf $(VENV) build dist *.egg-info cleartitle-demo
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: install
install: $(STAMP) ## Make .venv and install the pinned versions (done by the others when needed)

# pip shows its bars on a terminal; in a log it says only what goes wrong.
$(STAMP): pyproject.toml constraints.txt
	@if ! $(BIN)/python -c '$(SUITABLE)' >/dev/null 2>&1 || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		python='$(PYTHON)'; \
		if [ -z "$$python" ] || ! "$$python" -c '$(SUITABLE)'; then \
			echo 'error: no Python 3.11, 3.12 or 3.13 with the venv and ensurepip modules was found on PATH.' >&2; \
			echo 'Install one (Debian: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3' >&2; \
			exit 2; \
		fi; \
		echo "Creating $(VENV) with $$python"; \
		"$$python" -m venv --clear $(VENV); \
	fi
	@echo 'Installing the pinned versions into $(VENV): several GB on Linux, a few minutes the first time'
	@if [ -t 1 ]; then quiet=; else quiet=--quiet; fi; \
	$(BIN)/python -m pip install $$quiet --disable-pip-version-check --upgrade -c constraints.txt pip && \
	$(BIN)/python -m pip install $$quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev]'
	@touch $@
