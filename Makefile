# `make` alone prints what there is.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PROJECTS := pyproject.toml constraints.txt deploy/packages.py $(wildcard proto-free-contracts/pyproject.toml services/*/pyproject.toml)
PACKAGES := sage_contracts sage_chassis sage_cli sage_client chat_gateway session_store rag_indexer control_plane
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

##@ Run
.PHONY: up down status
up: $(VENV)/.runtime ## install what runs, and start the whole stack on http://127.0.0.1:8000
	@$(BIN)/sage gateway start

down: ## stop it; what it has stored stays in ~/.sage
	@if [ -x $(BIN)/sage ]; then $(BIN)/sage gateway stop; else echo "nothing is installed, so nothing runs"; fi

status: $(VENV)/.runtime ## every process and engine
	@$(BIN)/sage gateway status

##@ Check
.PHONY: test test-fast coverage lint types check bench eval-rag
test: test-fast ## every test; Docker's are skipped where no Docker runs
	$(PYTEST) -q -m slow -n 2 --dist loadfile

test-fast: $(VENV)/.dev ## the inner loop, about a minute: no whole stack, no containers, no processes that live and die
	$(PYTEST) -q -m "not slow" -n 3 --dist worksteal --ignore tests/system --ignore tests/compose

coverage: $(VENV)/.dev ## branch coverage of what runs in the tests' own process
	$(PYTEST) -q -n 2 --ignore tests/system --ignore tests/compose --ignore tests/cli/test_stack.py --cov --cov-report=term:skip-covered

lint: $(VENV)/.dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy $(addprefix -p ,$(PACKAGES))
	$(BIN)/mypy tests deploy/packages.py

check: lint types test ## lint, types and test

bench: $(VENV)/.dev ## what nginx, the gateway, a session and retrieval add to an engine, each with its bar; ten minutes
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.retrieval

eval-rag: $(VENV)/.dev ## how good retrieval is: MRR, recall, precision and refusals, by ranking and encoder; a minute
	$(BIN)/python -m tests.eval_rag

##@ Containers
.PHONY: docker-up docker-down
docker-up: $(VENV)/.dev ## the same stack in containers
	deploy/docker/up.sh

docker-down: ## stop them
	deploy/docker/down.sh

##@ Keep
.PHONY: venv pin clean help
venv: $(VENV)/.dev ## everything installed, nothing started

pin: $(VENV)/.dev ## write constraints.txt from what is installed
	$(BIN)/python deploy/packages.py pin

clean: down ## remove what was built here; ~/.sage stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A stamp for each of the two sets, so that a second call has nothing to do.
$(VENV)/.runtime: $(PROJECTS) | $(VENV)/pyvenv.cfg
	@echo "installing what runs into $(VENV): a few minutes the first time"
	@$(BIN)/python deploy/packages.py install
	@touch $@

$(VENV)/.dev: $(PROJECTS) | $(VENV)/pyvenv.cfg
	@echo "installing what runs and what tests it into $(VENV): a few minutes the first time"
	@$(BIN)/python deploy/packages.py install dev
	@touch $@ $(VENV)/.runtime

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "SAGE Gateway needs Python 3.11 or newer as $(PYTHON); name another with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "$(PYTHON) cannot make virtual environments: install its venv module first (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
