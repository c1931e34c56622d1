# One way to start, one way to check. Needs Python 3.13, make and git; everything else comes by hash-locked packages.

SHELL := /bin/bash
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --python-version 3.13 \
	--custom-compile-command "make lock"

HALF := tests/commands tests/projections tests/scenarios tests/schemas tests/streams

.PHONY: run demo test test-half test-other-half test-faults check check-mypy check-pyright bench bench-commands bench-plans eta-report faults setup lock clean
.DEFAULT_GOAL := run

run: setup        ## everything embedded, with deliveries played in the demo city, until Ctrl-C
	@$(BIN)/logistics up --demo

demo: setup       ## one simulated hour on fresh data, checked; exits 0 only if the checks hold
	@$(BIN)/logistics demo --data .logistics/demo

test: check       ## the whole suite on real engines, in two halves side by side, each on engines of its own
	@$(MAKE) --no-print-directory --keep-going --jobs=2 test-half test-other-half

test-half: .venv/.tests
	@set -o pipefail; $(BIN)/python -m pytest $(HALF) 2>&1 | sed -u 's/^/half  | /'

test-other-half: .venv/.tests
	@set -o pipefail; $(BIN)/python -m pytest $(addprefix --ignore=,tests/brokers tests/faults $(HALF)) 2>&1 | sed -u 's/^/other | /'

test-faults: .venv/.tests   ## brokers lost, disks full, and short runs of everything failing under load
	@$(BIN)/python -m pytest tests/brokers tests/faults

check: .venv/.tests   ## lint, format, types, import directions; the two that take long side by side
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory --jobs=2 check-mypy check-pyright
	@$(BIN)/lint-imports

check-mypy: .venv/.tests
	@$(BIN)/mypy

check-pyright: .venv/.tests
	@$(BIN)/basedpyright

bench-commands: .venv/.tests   ## commands acknowledged, by hand: the bare log, a shard, through HTTP, beside a peer
	@$(BIN)/python -m pytest tests/benchmarks/bench_commands.py tests/benchmarks/bench_takeover.py -s -o python_files="bench_*.py" -o timeout=1800

bench-plans: .venv/.tests   ## plans beside the best known, by hand: 30 minutes, needs LOGISTICS_SAMPLE_DATA
	@$(BIN)/python -m pytest tests/benchmarks/bench_plans.py -s -o python_files="bench_*.py" -o timeout=1800

bench: .venv/.tests   ## figures, by hand
	@$(BIN)/python -m pytest tests/benchmarks -s -o python_files="bench_*.py" -o timeout=1800

eta-report: .venv/.plots   ## how good forecasts are on the real taxi trips of LOGISTICS_SAMPLE_DATA, with figures, into docs
	@$(BIN)/python -m tests.benchmarks.eta_report

faults: .venv/.tests  ## five minutes in which everything fails, then the log is judged; `make faults MORE="--hours 1"`
	@$(BIN)/python -m tests.faults.run $(MORE)

setup: .venv/.runtime

.venv/.runtime: requirements.lock requirements-city.lock pyproject.toml
	@python=$$(sh infra/find-python.sh) && "$$python" infra/environment.py runtime

.venv/.tests: .venv/.runtime requirements-dev.lock
	@python=$$(sh infra/find-python.sh) && "$$python" infra/environment.py tests

.venv/.plots: .venv/.tests requirements-plots.lock
	@python=$$(sh infra/find-python.sh) && "$$python" infra/environment.py plots

lock: .venv/.tests    ## new locks from requirements*.in
	$(LOCK) requirements.in -o requirements.lock
	$(LOCK) requirements-dev.in -o requirements-dev.lock
	$(LOCK) --no-deps requirements-city.in -o requirements-city.lock
	$(LOCK) requirements-plots.in -o requirements-plots.lock

clean:            ## forget the environment; data under .logistics stays
	rm -rf .venv
