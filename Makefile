# make demo   the main job on the built-in stand-in venue, dashboard at 127.0.0.1:8080
# make test   lint, types, import rules and all tests with real parts
# make scenarios   the promises of docs/behaviour.md, over real sockets, with a table of what was seen
# make screenshots   the README's pictures, from the demo in Chromium (ARGS="--all --out DIR": every page and theme)
# make page-times   how long each page takes in Chromium and of the server, in a database with a million trades
# make kill, make soak   200 kills, power cuts and a full disk; half an hour under load with faults (docs/reliability.md)
# make fixtures   the payloads that contract tests read, made anew by tests/payloads
# make quick   rules, contracts, stories and simulated worlds, without what takes long: under a minute
#              (what it leaves out: CONTRIBUTING.md)
# make fuzz   a million broken payloads through every parser (ARGS="--inputs N --seed N"; with atheris "--coverage-guided")
# make audit, make sbom   checks of the lock without a network (ARGS="--advisories DIR"); what is in it, as CycloneDX
# make docs   the documentation as a site, built without a network: .cache/site/index.html
# make install, make lint, make fmt, make lock
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Modules stay compiled, also where Python is told otherwise: with that, a start costs half as much.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install demo test tests quick scenarios screenshots docs page-times kill soak fixtures fuzz audit sbom lint style \
  types fmt lock
.DEFAULT_GOAL := install

install: $(VENV)/.runtime

$(VENV)/.runtime: requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" sh tools/install-python.sh $(VENV) requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml
	@PYTHON="$(PYTHON)" sh tools/install-python.sh $(VENV) requirements-dev.lock
	@touch $@ $(VENV)/.runtime

demo: install
	@$(BIN)/pilotfish demo $(ARGS)

# Types are checked beside the tests: that keeps one core busy, and tests often wait.
test: $(VENV)/.dev style
	@sh tools/install-test-parts.sh
	@$(MAKE) --no-print-directory -j 2 types tests

tests:
	@echo "== tests"
	@PATH="$(CURDIR)/.cache/npm/node_modules/.bin:$$PATH" $(BIN)/python -m pytest -n 5 --dist worksteal $(ARGS)

quick: $(VENV)/.dev
	@PATH="$(CURDIR)/.cache/npm/node_modules/.bin:$$PATH" $(BIN)/python -m pytest -n 3 --dist worksteal -m "not slow" \
	  tests/unit tests/contract tests/story tests/simulation $(ARGS)

scenarios: $(VENV)/.dev
	@$(BIN)/python -m pytest -n 3 --dist worksteal -m scenario $(ARGS)

screenshots: $(VENV)/.dev
	@sh tools/install-test-parts.sh
	@$(BIN)/python tools/screenshots.py $(ARGS)

docs: $(VENV)/.dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet $(ARGS)
	@echo "the documentation: $(CURDIR)/.cache/site/index.html (addresses of others in it, not asked for: outside.txt)"

page-times: $(VENV)/.dev
	@sh tools/install-test-parts.sh
	@$(BIN)/python tools/page_times.py $(ARGS)

kill soak: $(VENV)/.dev
	@$(BIN)/python tools/endure.py $@ $(ARGS)

fixtures: $(VENV)/.dev
	@$(BIN)/python -m tests.payloads

fuzz: $(VENV)/.dev
	@$(BIN)/python -m tests.fuzz $(ARGS)

audit: $(VENV)/.dev
	@$(BIN)/python tools/lock.py check $(ARGS)

sbom: $(VENV)/.dev
	@$(BIN)/python tools/lock.py sbom > sbom.cdx.json && echo "sbom.cdx.json"

lint: style types

style: $(VENV)/.dev
	@echo "== format and lint"
	@$(BIN)/ruff format --check src tests tools && $(BIN)/ruff check src tests tools

types: $(VENV)/.dev
	@echo "== types"
	@$(BIN)/mypy
	@echo "== import rules"
	@$(BIN)/lint-imports --no-cache

fmt: $(VENV)/.dev
	@$(BIN)/ruff check --fix src tests tools && $(BIN)/ruff format src tests tools

lock: $(VENV)/.dev
	@$(BIN)/uv pip compile pyproject.toml --extra build --extra dev --extra docs --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-emit-index-url --upgrade -o requirements-dev.lock
	@$(BIN)/uv pip compile pyproject.toml --extra build --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-emit-index-url --upgrade -c requirements-dev.lock -o requirements.lock
