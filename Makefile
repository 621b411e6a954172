# Minglou: every target installs what it needs first (requirements/install.py; quick when nothing changed).
#   ARGS="..."   passed on, as in `make demo ARGS=--once` or `make test ARGS="-k boundary"`
#   ONLY=edge    one group of figures, as in `make bench ONLY=edge`
#   JOBS=4       how many processes share the tests (3: on two cores, for many wait); 0 runs them one after the other in one

PYTHON ?= python3
BIN    := .venv/bin
ARGS   ?=
JOBS   ?= 3
SHARE  := --dist loadfile --no-loadscope-reorder
ONLY   ?=

# Where it is set (many container images do), each start of a program would compile all its libraries anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench soak wheel lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

install:  ## everything that the other targets need, with named steps
	@$(PYTHON) requirements/install.py

demo: install  ## one building from meter to bill, in real processes (ARGS=--once: the month, verified, then stop)
	@$(BIN)/minglou demo $(ARGS)

check: install  ## format, lint, types, arrows between rooms, tidiness
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy requirements/install.py requirements/lock.py tests/house
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal --junitxml=.reports/house.xml tests/house

test: check  ## check, then every test, then the promises (ARGS="-k word": some tests, no promises)
	$(BIN)/python -m pytest -q -n $(JOBS) $(SHARE) --junitxml=.reports/tests.xml --ignore=tests/house tests $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m tests.house.promises)

bench: install  ## take the figures and write tests/bench/results.json
	$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY)) $(ARGS)

soak: install  ## the fault tests again with many seeds
	$(BIN)/python -m tests.faults $(ARGS)

wheel: install  ## the package as one file in dist/, contracts compiled
	$(BIN)/python -m pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir dist .

lock: install  ## resolve the dependencies anew and write the lock files
	$(BIN)/python requirements/lock.py $(ARGS)

clean:  ## remove everything that was installed or made
	rm -rf .venv .tools .demo .reports .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache contracts/vyper/build cloud/web/static/vendor dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
