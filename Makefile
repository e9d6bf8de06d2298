# Everything a person or CI runs, by name. `make help` lists it.
PYTHON ?= python3
BIN := .venv/bin
export UV_FIND_LINKS := $(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null)
SOURCE ?= simulated
DATA ?=
ONCE ?=
ARGS ?=
GROUPS := orchestrate transform quality features train serve dev
# As many processes as there are cores; tests/conftest.py says what stays together.
PYTEST := $(BIN)/pytest -n logical --dist loadscope

.PHONY: help setup run fmt lint test test-fast bench quality docs lock clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

setup: .venv/.ready  ## Install everything into .venv/

.venv/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "make setup: Python 3.11 is needed, found " + sys.version.split()[0] + "; name another one with PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

run: setup  ## Run the shop: SOURCE=simulated|online_retail|files DATA=<path> ONCE=1
	@$(BIN)/vitrine up --source $(SOURCE) $(if $(DATA),--data $(DATA)) $(if $(ONCE),--once)

fmt: setup  ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix --quiet .

lint: setup  ## Style, types, SQL, arrows between rooms
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --disable-progress-bar dbt/models

test: setup  ## Every test; where PostgreSQL or Redis is not reachable, says which it skips
	$(PYTEST) $(ARGS)

test-fast: setup  ## Every test that takes no more than a few seconds
	$(PYTEST) -m "not slow and not gpu and not exhaustive" $(ARGS)

bench: setup  ## Measure what benchmarks/ measures
	@for script in $(filter-out %/offline_quality.py %/search_ranking.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script || exit 1; done

quality: setup  ## Judge every model on published sets, for hours: ARGS="--data FOLDER --seeds 5"
	$(BIN)/python -m benchmarks.offline_quality $(ARGS)

docs: setup  ## Write the pages that are made from code
	$(BIN)/python -m docs.settings_page
	$(BIN)/python -m docs.data_rules_page

lock: setup  ## Compile the lock anew
	@$(BIN)/uv pip compile --quiet --no-emit-find-links --no-emit-index-url $(foreach group,$(GROUPS),--group $(group)) pyproject.toml -o requirements.txt
	@sed -i 's/^torch==\([0-9.]*\)+cpu/torch==\1/' requirements.txt

clean:  ## Remove the environment and the default state
	rm -rf .venv var
