# Every target prints its purpose in `make help`: the text after `##`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := $(BIN)/uv
PACKAGES := configs deployments jobs serve_app
SOURCES := $(PACKAGES) benchmarks tests

.DEFAULT_GOAL := help
.PHONY: help setup serve test unit check format evaluate train bench lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## Create .venv from requirements.lock (the other targets do this themselves)

$(STAMP): requirements.lock pyproject.toml
	@echo "Setting up $(VENV) from requirements.lock (a few GB the first time, seconds afterwards) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Panoptes needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(UV) pip sync --python $(BIN)/python requirements.lock
	@$(UV) pip install --python $(BIN)/python --quiet uv
	@$(UV) pip install --python $(BIN)/python --quiet --no-deps --editable .
	@touch $@

lock: ## Resolve pyproject.toml anew into requirements.lock
	@test -x $(UV) || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; }
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-annotate --upgrade \
		--custom-compile-command "make lock" --output-file requirements.lock

clean: ## Remove the environment and everything that was generated
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
