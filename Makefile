# The commands of this house. `make demo` and `make test` set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.PHONY: demo test long bench soak fuzz quick wheel-test mcp-servers check format docs pictures setup clean

demo: $(STAMP)  ## run the delegation example, offline
	$(BIN)/smallchain demo

WORKERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))
test: $(STAMP)  ## all tests, two at a time on each core: most of their time they wait for what they have started
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not long"

long: $(STAMP)  ## what `make test` leaves out: benches in small, cells as another user, every screen under hostile text, second walks of long tests
	$(BIN)/python -m pytest -q -m long

quick: $(STAMP)  ## the tests that take no daemon and no time
	$(BIN)/python -m pytest -q -m "not slow" tests/unit tests/architecture

wheel-test: $(STAMP)  ## the published sample against the built wheel, not the tree
	rm -rf build/wheel
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/wheel .
	$(BIN)/python -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps build/wheel/*.whl
	cd build/wheel && venv/bin/pytest -q -p no:cacheprovider $(CURDIR)/tests/acceptance/test_seed.py

bench: $(STAMP)  ## figures beside their baselines, one JSON object a line; ONLY=turns,parked chooses, PROFILE=1 tells where time goes
	@mkdir -p build
	@PYTHONPATH=tests $(BIN)/python -m $(if $(PROFILE),bench.profile --stacks build/profile.folded,bench --only "$(ONLY)" $(if $(SMALL),--small))

mcp-servers: build/mcp/.set-up  ## the published MCP servers that some tests use, in build/mcp

build/mcp/.set-up:
	mkdir -p build/mcp
	npm install --silent --no-fund --no-audit --prefix build/mcp @modelcontextprotocol/server-everything@2026.8.31 @modelcontextprotocol/server-filesystem@2026.8.31
	test -x build/mcp/venv/bin/python || $(PYTHON) -m venv build/mcp/venv
	build/mcp/venv/bin/python -m pip install --quiet --disable-pip-version-check mcp-server-git==2026.10.19 mcp-server-time==2026.10.19
	touch $@

MINUTES ?= 60
soak: $(STAMP)  ## 200 active runs among faults for an hour, or MINUTES of it; samples go to build/soak.jsonl
	@mkdir -p build
	@PYTHONPATH=tests $(BIN)/python -m bench.soak --minutes $(MINUTES) --samples build/soak.jsonl

SECONDS ?= 60
fuzz: $(STAMP)  ## each border with strangers' bytes, SECONDS each (60)
	$(BIN)/python tests/fuzz/fuzz.py all --seconds $(SECONDS)

check: $(STAMP)  ## format, lint, types, layers, generated docs
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache > /dev/null || $(BIN)/lint-imports --no-cache
	$(BIN)/python docs/generate.py --check

format: $(STAMP)  ## put the code into its form
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .

docs: $(STAMP)  ## write the generated pages
	$(BIN)/python docs/generate.py

pictures: $(STAMP)  ## draw the dashboard's pictures anew, from the demo's scene; needs libfaketime
	PYTHONPATH=tests $(BIN)/python docs/pictures.py

setup: $(STAMP)  ## everything, in .venv

$(STAMP): pyproject.toml requirements-dev.lock
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Smallchain needs Python 3.11 to 3.13; choose one with `make PYTHON=python3.12`")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(STAMP)

clean:  ## remove what `make` made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
