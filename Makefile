# AlphaPulse: what a developer runs. `make` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
TESTS ?= tests

.PHONY: help setup fmt lint types unit property contract integration api faults crash test replay crash-sweep bench docs docs-check lock demo serve simulate simulate-orders check clean

help: ## list these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv with everything a developer needs
	./run setup

fmt: ## format the code
	$(BIN)/ruff format src tests bench tools
	$(BIN)/ruff check --fix-only --quiet src tests bench tools

lint: ## ruff and the import contracts
	$(BIN)/ruff format --check src tests bench tools
	$(BIN)/ruff check src tests bench tools
	$(BIN)/lint-imports

types: ## mypy, strict
	$(BIN)/mypy
	$(BIN)/mypy tests bench

unit property contract integration api faults crash: ## one folder of tests
	$(BIN)/pytest -q tests/$@

test: ## every test, on both databases
	./run test

replay: ## the recorded markets, whole, through the whole path (minutes)
	$(BIN)/pytest -q tests/e2e/test_replay.py -m replay --durations=5

crash-sweep: ## thousands of kills, power cuts and server crashes (half an hour and more)
	$(BIN)/pytest -q -n auto tests/crash -m sweep

year: ## the lots of a generated year against a slow recount (minutes)
	$(BIN)/pytest -q tests/e2e/test_generated_year.py -m sweep

FIRST ?= 0
COUNT ?= 200000
simulate-orders: ## COUNT seeds from FIRST through the whole order path, until none is left
	PYTHONPATH=src:. $(BIN)/python -m tests.simulation $(FIRST) $(COUNT)

bench: ## every measurement, both sides in one run (slow)
	$(BIN)/python -m bench

docs: ## make the generated tables
	$(BIN)/python tools/make_docs.py

docs-check: ## fail when a generated table is out of date or a link is dead
	$(BIN)/python tools/make_docs.py --check

lock: ## pin what pyproject.toml asks for, with hashes and without registry hosts
	uv pip compile -q --no-annotate --no-header --generate-hashes --universal --python-version 3.11 pyproject.toml -o requirements.txt
	uv pip compile -q --no-annotate --no-header --generate-hashes --universal --python-version 3.11 pyproject.toml --group dev -o requirements-dev.txt

demo serve simulate: ## run alphapulse demo, serve or simulate
	./run $@

check: lint types docs-check test ## the one gate

clean: ## delete what was built, not the data
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
