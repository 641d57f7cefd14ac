# Everything starts here. `make run` and `make test` set up all they need, in .venv and, as root on Debian, with apt-get.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := supervisor metrics alerts dashboards tests bench examples

# Programs by Debian package. Without root and apt-get, tests that need a missing one are skipped and say so.
EXAMPLE_NEEDS := nginx redis-server
TEST_NEEDS := nginx redis-server prometheus promtool:prometheus prometheus-node-exporter strace git

.PHONY: help run test check bench setup clean
.DEFAULT_GOAL := help

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

run: $(STAMP) ## set up, then run the example: nginx, redis, a worker, a migration, and a service that crashes
	@.ci/need $(EXAMPLE_NEEDS)
	@cat examples/WELCOME
	@exec $(BIN)/respawnd run -c examples/respawnd.toml

test: $(STAMP) ## set up, then run the whole test suite (ARGS="-k word" to choose)
	@.ci/need $(TEST_NEEDS) || test -z "$$CI"
	$(BIN)/pytest $(ARGS)

check: $(STAMP) ## ruff, mypy, and no unfinished places
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@! git grep -nwE 'TO[D]O|FIX[M]E|XX[X]|HA[C]K|Not[I]mplemented(Error)?' -- . ':!LICENSE'

bench: $(STAMP) ## measure against the minimal C program
	@.ci/need cc:gcc /usr/include/stdlib.h:libc6-dev
	$(BIN)/python -m bench $(ARGS)

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt supervisor/cli/respawnd .ci/setup
	@.ci/setup
	@touch $@

clean: ## remove what was made: .venv, .run, caches
	rm -rf $(VENV) .run build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +
