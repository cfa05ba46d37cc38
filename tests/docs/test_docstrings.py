"""Examples in docstrings are right."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import acctwin

SRC = Path(acctwin.__file__).parent
MODULES = [
    ".".join(("acctwin", *path.relative_to(SRC).with_suffix("").parts))
    for path in sorted(SRC.rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
