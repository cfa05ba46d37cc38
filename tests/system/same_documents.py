"""Whether documents are the same to the bit, and valid."""

from __future__ import annotations

import numpy as np
from event_model import DocumentNames, schema_validators


def assert_same_documents(wanted, found) -> None:
    """Compare two runs, document by document, and validate the second."""
    assert [name for name, _ in found] == [name for name, _ in wanted]
    for (name, one), (_, other) in zip(wanted, found, strict=True):
        assert_equal(one, other, name)
        schema_validators[DocumentNames[name]].validate(other)


def assert_equal(one, other, where="") -> None:
    """Compare documents to the bit: containers, types of numbers, NaN."""
    if isinstance(one, dict):
        assert isinstance(other, dict), where
        assert one.keys() == other.keys(), where
        for key, value in one.items():
            assert_equal(value, other[key], f"{where}/{key}")
    elif isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray), where
        assert (one.dtype, one.shape) == (other.dtype, other.shape), where
        assert one.tobytes() == other.tobytes(), where
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, value in enumerate(one):
            assert_equal(value, other[index], f"{where}/{index}")
    else:
        assert one == other or (one != one and other != other), where
        assert isinstance(other, bool) == isinstance(one, bool), where
        assert isinstance(other, int) == isinstance(one, int), where
