# Two commands matter: `make start` and `make test`. Both set up what they need, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BASE := $(VENV)/.base-installed
TEST := $(VENV)/.test-installed
DOCS := $(VENV)/.docs-installed
# The real SDKs and clients, each in an environment of its own.
SDKS := .sdks
# Tests wait for processes more than they compute: two files at a time, in the order of their folders, but for those
# that are marked as alone.
PARALLEL ?= --numprocesses 2 --dist loadfile --no-loadscope-reorder
# What runs the tests: `make coverage` counts lines, in every process, which takes half as long again.
RUN := $(BIN)/python
SDK_ENVIRONMENTS := $(SDKS)/v2/.installed $(SDKS)/v3/.installed $(SDKS)/cli/.installed $(SDKS)/decisions/.installed

.PHONY: start demo test coverage clear-coverage lint format docs screenshots bench model clean help

help: ## Show what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

start: $(BASE) ## Set up, start the server, print its address and a first call
	@$(BIN)/zerostart serve

demo: $(BASE) ## Set up, classify real sentences, and exit
	@$(BIN)/zerostart classify --labels "travel,cooking,finance,health,sport" \
	  "One day I will see the world." \
	  "Whisk the eggs, then fold in the flour and bake for half an hour." \
	  "The central bank raised interest rates by a quarter of a point." \
	  "I want to quit smoking and sleep eight hours a night." \
	  "She scored twice in the last ten minutes of the final."

test: $(TEST) $(DOCS) $(SDK_ENVIRONMENTS) lint ## Run every check and every test
	$(RUN) -m pytest $(PARALLEL) -m "not alone" $(PYTEST_ARGS) || test $$? -eq 5
	$(RUN) -m pytest -m alone $(PYTEST_ARGS) || test $$? -eq 5  # 5: none was chosen
	@$(BIN)/mkdocs build --strict --quiet

coverage: RUN := $(BIN)/coverage run
coverage: clear-coverage test ## The same with a report of the lines and branches that no test ran
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

clear-coverage: $(TEST)
	@$(BIN)/coverage erase

lint: $(TEST) ## ruff, mypy --strict, import-linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(TEST) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(DOCS) ## Serve the documentation on 127.0.0.1:8000
	$(BIN)/mkdocs serve

screenshots: $(TEST) ## Take the pictures of the pages anew, into docs/images (needs Chromium)
	$(BIN)/python -m tests.pictures

bench: $(TEST) ## Measure, and write benchmarks/results
	$(BIN)/python -m benchmarks

model: $(TEST) ## Train the built-in models from DATA, a folder with nli/ and cls/ (hours; goes on where it was stopped)
	@test -d "$(DATA)/cls" || { echo "Give the data: make model DATA=FOLDER, which has nli/ and cls/."; exit 1; }
	$(BIN)/python -m training embedding "$(DATA)"
	$(BIN)/python -m training nli "$(DATA)"
	$(BIN)/python -m training choose "$(DATA)"
	$(BIN)/python -m training ship
	$(BIN)/python -m training peers
	$(BIN)/python -m training measure "$(DATA)"

clean: ## Remove what the commands above made
	rm -rf $(VENV) $(SDKS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis site .coverage* .pictures

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Zerostart needs Python 3.11 or newer: run make PYTHON=python3.11 start")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(BASE): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(TEST): pyproject.toml | $(BASE)
	$(BIN)/pip install --quiet --group test
	@touch $@ $(BASE)

$(DOCS): pyproject.toml | $(BASE)
	$(BIN)/pip install --quiet --group docs
	@touch $@ $(BASE)

$(SDKS)/%/.installed: tests/sdk/requirements-%.txt
	$(PYTHON) -m venv $(SDKS)/$*
	$(SDKS)/$*/bin/pip install --quiet -r $<
	@touch $@
