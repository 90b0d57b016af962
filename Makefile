# One door; every target sets itself up. See CONTRIBUTING.md.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
ARGS ?=
FUZZ_SECONDS ?= 300

.PHONY: help
help: ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

.PHONY: setup
setup: ## packages, virtual environment, .venv/bin/lanner (quick the second time)
	@.ci/setup

.PHONY: setup-dev
setup-dev: ## the same for lint, tests and benchmarks
	@.ci/setup dev

.PHONY: run
run: setup ## the live probe with the default rules, /metrics on :9376 (ARGS="--json")
	@exec $(BIN)/lanner run $(ARGS)

.PHONY: test
test: setup-dev ## unit tests, then integration tests on the real kernel and runc (ARGS="-k name")
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: lint
lint: setup-dev ## ruff, mypy, import layers, docstrings, spelling, changelog, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet exporter
	$(BIN)/codespell --toml pyproject.toml exporter bpf proto tests docs *.md
	$(BIN)/towncrier build --draft --version next > /dev/null
	@.ci/generate --check

.PHONY: fix
fix: setup-dev ## what lint can repair by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: proto docs
proto docs: setup-dev ## regenerate exporter/_proto from proto/ and docs/reference from the code
	@.ci/generate

.PHONY: pictures
pictures: ## draw docs/pictures from what a real Prometheus saw in eleven minutes
	@.ci/setup pictures
	@$(BIN)/python -m tests.pictures docs/pictures $(ARGS)

.PHONY: bench
bench: setup-dev ## speed, latency and footprint, as ratios in one run
	@$(BIN)/python -m tests.bench $(ARGS)

.PHONY: fuzz
fuzz: setup-dev ## look for input that breaks rules loader, capture reader or pushdown (FUZZ_SECONDS=300 each)
	@mkdir -p .cache/fuzz
	$(BIN)/python tests/fuzz/fuzz_rules.py -max_total_time=$(FUZZ_SECONDS) .cache/fuzz
	$(BIN)/python tests/fuzz/fuzz_captures.py -max_total_time=$(FUZZ_SECONDS) .cache/fuzz-captures
	$(BIN)/python -m tests.fuzz.twins --seconds $(FUZZ_SECONDS) --seed $$$$

.PHONY: lock
lock: setup-dev ## resolve dependencies anew into .ci/*.lock
	@cd .ci && compile() { ../$(BIN)/pip-compile -q --upgrade --strip-extras --allow-unsafe \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host "$$@" \
	    ../pyproject.toml; } && \
	  compile --extra build -o requirements.lock && \
	  compile --extra build --extra dev -o requirements-dev.lock

.PHONY: clean
clean: ## remove everything that the other targets made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
