"""What plans return, as plain values that a client can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from acctwin.errors import UnknownName

#: An array with more numbers than this comes back as its shape; the run has it.
MOST_NUMBERS = 5000
#: How many results are kept.
MOST_RESULTS = 100


class Results:
    """The newest results of the plans that this worker ran."""

    def __init__(self) -> None:
        self._by_uid: dict[str, Any] = {}

    def add(self, result: Any) -> Any:
        """Keep what a plan returned; return it in plain values."""
        found = plain(result)
        if isinstance(found, Mapping):
            uids = [found.get("uid"), *(found.get("uids") or [])]
            self._by_uid |= {uid: found for uid in uids if isinstance(uid, str) and uid}
        for old in list(self._by_uid)[:-MOST_RESULTS]:
            del self._by_uid[old]
        return found

    def plan_result(self, uid: str) -> Any:
        """Return what the plan returned that made a run.

        Args:
            uid: Of its run, or of one of its runs.

        Raises:
            UnknownName: There is none, or the worker has been started since.
        """
        if uid not in self._by_uid:
            raise UnknownName("result since the worker was started", uid, self._by_uid)
        return self._by_uid[uid]


def plain(value: Any) -> Any:
    """Return a value as JSON has it: arrays as lists, or their shape if long."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _array(value)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    is_plain = value is None or isinstance(value, bool | int | float | str)
    return value if is_plain else str(value)


def _array(value: Any) -> Any:
    if value.size > MOST_NUMBERS:
        return {"shape": list(value.shape), "where": "in the run"}
    return plain(value.tolist())
