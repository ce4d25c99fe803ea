# Every target prints its purpose in `make help`: the text after `##`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := $(BIN)/uv
# Where an OTLP endpoint is set, these variables make Serve's proxies trace; the replicas learn it from the Serve config.
TRACED := $(if $(OTEL_EXPORTER_OTLP_ENDPOINT)$(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT),RAY_SERVE_TRACING_SAMPLING_RATIO=1 RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH=deployments.runtime.tracing:span_processors)
# Ray replaces what does not answer in time, also where it only waits for a core. On one machine nobody else would answer:
# wait longer for a node (by default 5 checks), for Serve's proxy (10 s) and for a process that starts (60 s).
export RAY_health_check_failure_threshold := 20
export RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S := 30
export RAY_worker_register_timeout_seconds := 300
# Packages that the overrides of pyproject.toml keep out.
OVERRIDDEN := opencv-python opencv-contrib-python opencv-contrib-python-headless bitsandbytes yapf

.DEFAULT_GOAL := help
.PHONY: help setup serve test test-gpu unit check hooks format docs evaluate train bench bench-koop bench-gpu lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(STAMP) ## Create .venv from requirements.lock (the other targets do this themselves)

$(STAMP): requirements.lock pyproject.toml
	@echo "Setting up $(VENV) from requirements.lock (a few GB the first time, seconds afterwards) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Panoptes needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@# Compile now, in half a minute; otherwise each of Ray's processes may compile its imports at every start.
	@$(UV) pip sync --compile-bytecode --python $(BIN)/python requirements.lock
	@$(UV) pip install --python $(BIN)/python --quiet uv
	@$(UV) pip install --python $(BIN)/python --quiet --no-deps --editable .
	@touch $@

serve: $(STAMP) ## Run Panoptes on http://127.0.0.1:8000 (Ctrl-C stops it)
	@$(BIN)/python -m configs --write data/serve_config.yaml
	@echo "Starting Panoptes: GET http://127.0.0.1:8000/readyz answers 200 when it is ready, in a minute or two."
	@$(TRACED) $(BIN)/python -m serve_app data/serve_config.yaml

test: $(STAMP) ## Run every test and print the coverage; the contract tests start the application themselves
	@# Tests without Ray run two files at a time; the others start one application after another.
	@$(BIN)/python -m pytest --cov --cov-report= -n 2 --dist loadfile tests/unit tests/services tests/models tests/e2e
	@$(BIN)/python -m pytest --cov --cov-report= --cov-append tests/cluster tests/contract tests/jobs tests/operations
	@echo "Lines that ran in the tests' own processes ($(BIN)/coverage report -m lists those that did not):"
	@$(BIN)/coverage report | awk '$$2 ~ /^[0-9]+$$/ { sub("/.*", "", $$1); lines[$$1] += $$2; missed[$$1] += $$3 } \
		END { for (name in lines) printf "  %-12s %3.0f %% of %d\n", name, 100 * (1 - missed[name] / lines[name]), lines[name] }' | sort

test-gpu: $(STAMP) ## Rehearse the GPU benchmark on the CPU, part by part (not a part of `make test`)
	@$(BIN)/python -m pytest tests/gpu

unit: $(STAMP) ## Run the tests that need neither Ray nor torch (seconds)
	@$(BIN)/python -m pytest tests/unit

check: $(STAMP) ## Lint, format, types and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

hooks: $(STAMP) ## Have git run the checks before every commit (pre-commit)
	@$(BIN)/pre-commit install

format: $(STAMP) ## Format the code and fix what the linter can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

docs: $(STAMP) ## Write the tables of README.md, .env.example and the Serve config in cluster.yaml anew
	@$(BIN)/python -m configs --example .env.example --readme README.md --cluster cluster.yaml
	@$(BIN)/python -m deployments --readme README.md

train: $(STAMP) ## Train the bundled weights again (about three hours on 2 cores)
	@$(BIN)/python -m training

evaluate: $(STAMP) ## Measure how often the bundled weights are right about drawings that training never saw
	@$(BIN)/python -m benchmarks.accuracy.evaluate

bench: $(STAMP) ## Measure Panoptes against the raw limit, a plain server and LitServe; writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks.sections.run
	@$(BIN)/python -m benchmarks.sections.analysis
	@$(BIN)/python -m benchmarks.sections.descriptions
	@$(BIN)/python -m benchmarks.sections.clustering
	@$(BIN)/python -m benchmarks.sections.catalogue
	@$(BIN)/python -m benchmarks.sections.analyze
	@$(BIN)/python -m benchmarks.sections.cluster_job --write

bench-koop: $(STAMP) ## Measure the ingestion of 30 days of traffic decisions (about twelve minutes)
	@$(BIN)/python -m benchmarks.sections.koop

bench-gpu: $(STAMP) ## Measure on this machine's GPU; writes benchmarks/gpu.md (half an hour)
	@$(BIN)/python -m benchmarks.gpu

lock: ## Resolve pyproject.toml again into requirements.lock
	@test -x $(UV) || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; }
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-annotate --upgrade \
		$(addprefix --no-emit-package ,$(OVERRIDDEN)) \
		--custom-compile-command "make lock" --output-file requirements.lock

clean: ## Remove the environment and everything that was generated
	rm -rf $(VENV) .venv-litserve data .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
