# make train and make test do everything on a fresh machine that has Python 3.11 to 3.13, make and npm.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install train test test-faults test-gpu test-cluster test-browser check lint format dashboard bench clean

help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: .venv/installed  ## create .venv with the pinned versions

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "error: $(PYTHON) is Python %d.%d; needs 3.11 to 3.13: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

train: install  ## train on MNIST for a few minutes (ARGS='seed=1 ...' is passed on)
	$(BIN)/python -m dcgan.train experiment=quick $(ARGS)

test: install  ## the test suite (ARGS='-m fast': the inner loop, under a minute)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(ARGS)

test-gpu: install  ## what only a GPU can show; says how many of it this machine could not
	$(BIN)/python -m pytest -m gpu $(ARGS)

test-cluster: install  ## what only schedulers and nodes show: SLURM (as root, Debian's is installed) and torchrun, on loopback
	@if [ "$$(id -u)" = 0 ] && ! command -v slurmctld >/dev/null && command -v apt-get >/dev/null; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends slurmctld slurmd slurm-client munge; \
	fi
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster -rs tests/cluster $(ARGS)

test-browser: install  ## what only a browser shows: pages at a desk and on a phone (as root, Debian's Chromium is installed)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,browser]'
	@if [ "$$(id -u)" = 0 ] && ! command -v chromium >/dev/null && command -v apt-get >/dev/null; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends chromium; \
	fi
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser -rs --basetemp=outputs/browser tests/browser $(ARGS)   # screenshots stay there

test-slow: install  ## what takes minutes: a search that must find an optimum, the notebook, clean sets checked up, Inception
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n 2 $(ARGS)

test-faults: install  ## every fault that we could think of, many times; ends in a table (DCGAN_FAULTS_SEED=1: other moments)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m fault -n 2 $(ARGS)

check: install  ## what CI checks: lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lint: install  ## ruff alone
	$(BIN)/ruff check .

format: install  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dashboard: install  ## TensorBoard over all runs
	$(BIN)/tensorboard --logdir outputs --samples_per_plugin images=1000 $(ARGS)

bench: install  ## images/s against a plain loop and a bare step, of evaluations, of samples (about 20 minutes)
	$(BIN)/python experiments/speed/bench.py $(ARGS)
	$(BIN)/python experiments/speed/evaluation.py
	$(BIN)/python experiments/speed/sampling.py

clean:  ## remove .venv and caches; data/ and outputs/ stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
