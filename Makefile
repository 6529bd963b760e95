# The only entrance: `make` alone lists the targets. CI calls nothing else.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.SHELLFLAGS := -ec
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python
LOCKS := run.lock dev.lock
COMPILE := --quiet --universal --python-version 3.11 --generate-hashes --no-header

# The first Python that is new enough, preferably one that can make an environment; or say PYTHON=…
define FIND_PYTHON
for wants in 'sys, venv, ensurepip' 'sys'; do \
  for name in python3 python3.11 python3.12 python3.13 python3.14; do \
    if "$$name" -c "import $$wants; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then \
      echo "$$name"; exit 0; fi; done; done; \
echo "Python 3.11 or newer is needed, with its module venv (Debian: python3, python3-venv)." >&2; \
echo "Found: $$(python3 --version 2>&1 || true). Name another one: make PYTHON=/path/to/python3.12" >&2
endef
PYTHON = $(shell $(FIND_PYTHON))

.PHONY: help run test test-interop check fuzz crash bench clean setup fmt lint types docs docs-check lock package

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: .venv/.locked-run ## set up, then two operators and a letter between them; stays up (MSS_DEMO_EXIT=1: ends)
	@$(PY) -m mss demo

test: .venv/.locked-dev ## set up, then every test that needs no Debian package (T=path for some)
	@$(PY) -m pytest -q -n auto --maxprocesses 8 -m 'not interop' $(T)

test-interop: .venv/.locked-interop ## tests against real peers (installs Debian packages, or says which)
	@$(PY) tests/tools/peers.py
	@$(PY) -m pytest -q -m interop $(T)

check: .venv/.locked-dev ## everything that CI checks: format, lint, imports, types, tests, docs
	@echo '== format';  $(PY) -m ruff format --check --quiet .
	@echo '== lint';    $(MAKE) lint
	@echo '== types';   $(MAKE) types
	@echo '== docs';    $(MAKE) docs-check
	@echo '== tests';   $(MAKE) test

fuzz: .venv/.locked-interop ## look for octets that a parser fails on (F=target, T=60 seconds each)
	@$(PY) -m tests.fuzz $(F) --seconds $(or $(T),60)

crash: .venv/.locked-dev ## kill an operator while mail flows (N=1000 deaths, E=sqlite|postgresql|both)
	@$(PY) -m tests.crash --kills $(or $(N),1000) --engine $(or $(E),both) $(if $(SEED),--seed $(SEED)) \
	  --report $(or $(REPORT),build/crash-report.json)

bench: .venv/.locked-dev ## benchmarks, one JSON object a line (B=store, blobs, smime, accept, documents, relay, slowdisk, directory or directory-load for one)
	@$(PY) -m tests.performance $(B)

clean: ## remove what the other targets made (never an operator's home)
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage \
	  .import_linter_cache .grimp_cache .fuzz
	@if [ -e var/demo/.mss-demo ]; then rm -rf var/demo; fi
	@if [ -d var ]; then rmdir var 2>/dev/null || echo 'var/ is kept: it is not of the demonstration.'; fi
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: .venv/.locked-dev ## the environment for working on the code
	@echo 'Ready: make test, make run, or .venv/bin/mss --help'

fmt: .venv/.locked-dev ## format the code
	@$(PY) -m ruff format --quiet .
	@$(PY) -m ruff check --fix --quiet .

lint: .venv/.locked-dev ## style, import contracts, spelling
	@$(PY) -m ruff check --quiet .
	@.venv/bin/lint-imports > .venv/lint-imports.log 2>&1 || { cat .venv/lint-imports.log; exit 1; }
	@$(PY) -m codespell_lib api crypto directory mss tests docs Makefile $(wildcard *.md)

types: .venv/.locked-dev ## mypy strict
	@$(PY) -m mypy

docs: .venv/.locked-dev ## write the generated references (settings, errors, commands, OpenAPI)
	@$(PY) -m tests.tools.reference

docs-check: .venv/.locked-dev ## fail if a generated reference is not up to date
	@$(PY) -m tests.tools.reference --check

lock: .venv/.locked-dev ## resolve the dependencies of pyproject.toml again
	@.venv/bin/uv pip compile $(COMPILE) -o run.lock pyproject.toml
	@.venv/bin/uv pip compile $(COMPILE) -o dev.lock -c run.lock \
	  --group dev pyproject.toml
	@.venv/bin/uv pip compile $(COMPILE) -o interop.lock -c dev.lock \
	  --group dev --group interop pyproject.toml

package: .venv/.locked-dev ## build the wheel and the source archive into dist/
	@$(PY) -m build --no-isolation --outdir dist .

# The stamp holds the digest of the lock file: an unchanged one costs a few milliseconds.
.venv/.locked-run: run.lock tests/tools/environment.py
	@$(if $(PYTHON),'$(PYTHON)' tests/tools/environment.py run,exit 1)

.venv/.locked-dev: $(LOCKS) tests/tools/environment.py
	@$(if $(PYTHON),'$(PYTHON)' tests/tools/environment.py dev,exit 1)

.venv/.locked-interop: $(LOCKS) interop.lock tests/tools/environment.py
	@$(if $(PYTHON),'$(PYTHON)' tests/tools/environment.py interop,exit 1)
