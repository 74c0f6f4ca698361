# Everything runs in .venv, which is made on first use and brought up to date whenever pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEMO := .venv/.demo
OUT := out
# a file of tests is one process's; the processors that share a core count, and many of them want memory
SIDE_BY_SIDE := -n logical --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test lint test-slow bench docs clean

help:  ## print this list
	@echo "descender: gradient descent with no learning rate to choose"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "The environment is .venv, made by PYTHON=$(PYTHON) (3.11 or newer)."

define install
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
  echo "descender needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)"; \
  echo "name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
@test -x $(BIN)/python -a -x $(BIN)/pip || { echo "making .venv"; $(PYTHON) -m venv --clear .venv; } || { \
  echo "$(PYTHON) cannot make an environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
@echo "installing descender and what $(2) needs into .venv: a minute or two, once"
@$(BIN)/pip install --quiet --disable-pip-version-check -e '$(1)'
endef

$(READY): pyproject.toml
	$(call install,.[dev],its development)
	@touch $(DEMO) $@

$(DEMO): pyproject.toml
	$(call install,.[examples],the demonstration)
	@touch $@

LINE := "mean((weight - (m*(height - 170)/10 + c))**2)" --data example:heights --start m=1 c=0
demo: $(DEMO)  ## descend a straight line and fit 336,776 real flights, into ./out
	@mkdir -p $(OUT)
	@echo "1. A straight line through the weights of 30 people, step by step down the slope of its squared error"
	@echo
	@echo '$$ descender minimize $(LINE) --method gd --learning-rate 0.1 --table 3 --out $(OUT) --name line'
	@$(BIN)/descender minimize $(LINE) --method gd --learning-rate 0.1 --table 3 --out $(OUT) --name line
	@echo
	@echo "2. All 336,776 flights that left New York in 2013: which arrive more than 15 minutes late?"
	@echo
	@echo '$$ descender fit example:flights --out $(OUT)'
	@$(BIN)/descender fit example:flights --out $(OUT)
	@echo
	@echo "To look at:"
	@echo "  $(CURDIR)/$(OUT)/line.png   the walk on the cost of slope and intercept"
	@echo "  $(CURDIR)/$(OUT)/late.html  the report on the flights, in any browser"
	@echo "To go on: source .venv/bin/activate, then descender --help"

test: lint  ## lint, then the whole test suite with its doctests
	$(BIN)/pytest $(SIDE_BY_SIDE)

lint: $(READY)  ## ruff, mypy, and the floors of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-slow: $(READY)  ## the proofs that take long
	@status=0; $(BIN)/pytest -m slow --collect-only >/dev/null || status=$$?; \
	if [ $$status -eq 5 ]; then echo "there are no slow tests yet"; else $(BIN)/pytest -m slow $(SIDE_BY_SIDE); fi

bench: $(READY)  ## every benchmark of benchmarks/, measured here
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; echo; done
	@echo "== benchmarks/functions"; $(BIN)/python -m benchmarks.functions --only Rosenbrock Beale Wood Meyer Trid
	@echo; echo "== benchmarks/glm"; $(BIN)/python -m benchmarks.glm --quick

docs: $(READY)  ## the pages as a site, into ./site
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs site
	@echo "To look at: $(CURDIR)/site/index.html"

clean:  ## remove what runs leave behind; .venv stays
	rm -rf $(OUT) site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests examples benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +
