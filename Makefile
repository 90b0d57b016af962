# One door; every target sets itself up. See CONTRIBUTING.md.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python

.PHONY: help
help: ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

.PHONY: setup
setup: ## packages, virtual environment, .venv/bin/lanner (quick the second time)
	@.ci/setup
