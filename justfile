# One command each; `just` alone lists them. Run inside the virtual environment.
set shell := ["bash", "-euo", "pipefail", "-c"]

export OPENBLAS_NUM_THREADS := "1"
export OMP_NUM_THREADS := "1"

_list:
    @just --list

# Quick tests: unit and contract
test *options:
    pytest -m "not slow" tests/unit tests/contract {{ options }}

# Every test, the slow ones too
test-all *options:
    pytest -n 2 {{ options }}

# The same plans on served machines: CA, PVA, Tango
test-hardware *options:
    pytest -m hardware {{ options }}

# What takes minutes each: the largest ring, every backend
test-long *options:
    pytest -m long {{ options }}

# Style, and who may import whom
lint:
    ruff check
    ruff format --check
    lint-imports

# Types
types:
    pyright

# The documentation, into docs/_build/html; a warning is an error
docs:
    sphinx-build -W --keep-going -q docs docs/_build/html

# How long it takes: one recompute, one event
bench:
    python benchmarks/engine.py
    python benchmarks/events.py

# All that must pass before a merge
check: lint types docs test-all
