# `make demo` and `make test` need Python 3.11 or newer and nothing else: each makes the virtual environment if it is
# missing, installs what it needs with the pinned versions of constraints.txt, and runs.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
# One process per core, each with one thread, so that they do not fight over the cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto

.PHONY: demo test test-roots check bench docs guarantees clean

demo: $(VENV)/.demo
	$(BIN)/lightning-neuro demo

test: $(VENV)/.dev
	$(PYTEST) $(TESTS)

# What touches Lightning once more, on its other copy, `lightning.pytorch`: the other test files never name a part of it.
# Examples, benchmarks, readers of data, several processes, guarantees and the demonstration are run on one copy.
LIGHTNING_TESTS = $(shell grep -rlE "_lightning|[Tt]rainer|lightning_neuro import|\.(callback|module|data|demo|cli|choose)\b" \
	tests --include="test_*.py" | grep -vE "examples|test_benchmark|tests/(demo|data|distributed|guarantees)/")

test-roots: $(VENV)/.dev
	LIGHTNING_NEURO_IMPORT_ROOT=lightning.pytorch $(PYTEST) -m "not slow" $(LIGHTNING_TESTS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) --doctest-modules lightning_neuro

bench: $(VENV)/.dev
	for method in gradient_activation gradient_rewiring st_rsbp safe_mutation spectral_rnn reservoir; do \
		OMP_NUM_THREADS=1 $(BIN)/python benchmarks/$$method.py \
			--out benchmarks/results/$$method.json || exit 1; done
	$(BIN)/python benchmarks/table.py

# What each public component guarantees, and the tests that show it; add ARGUMENTS=--run to run them first.
guarantees: $(VENV)/.dev
	$(BIN)/python docs/guarantee_table.py $(ARGUMENTS)

# The examples are run for the gallery; what has not changed since is not run again.
docs: $(VENV)/.docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# A half-made environment loses its python, lest the next call take it for a whole one; the folder stays, for it may
# have held other things before.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "lightning_neuro needs Python 3.11 or newer, found" \
			"$$($(PYTHON) --version 2>&1 || true). Say for example: make PYTHON=python3.12" >&2; false; }
	@$(PYTHON) -m venv $(VENV) || { rm -f "$@"; \
		echo "$(PYTHON) could not make $(VENV), see above. On Debian: apt install python3-venv" >&2; false; }

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Downloading packages into $(VENV); the first time takes minutes and says nothing."
	$(PIP) --editable ".[cli,plot,data]"
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Downloading packages into $(VENV); the first time takes minutes and says nothing."
	$(PIP) --editable ".[dev]"
	touch $@ $(VENV)/.demo

$(VENV)/.docs: $(VENV)/.dev
	$(PIP) --editable ".[docs]"
	touch $@

clean:
	rm -rf docs/_build docs/gallery $(VENV) report runs lightning_logs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
