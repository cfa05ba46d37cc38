"""The types of a plan's parameters in JSON's terms, for bluesky-queueserver."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
from numpy.typing import ArrayLike
from ophyd_async.core import Device

from acctwin.devices.columns import Monitor
from acctwin.devices.family import SettableFamily
from acctwin.devices.selection import Selection
from acctwin.devices.setpoint import SingleSettable

#: Kinds of names in annotations.
SETTABLE, MONITOR, BPM, DEVICE = "Settable", "Monitor", "Bpm", "Device"

#: Classes of what is called settable.
SETTABLES = SingleSettable | SettableFamily


class TypeWriter:
    """Writes the type of one parameter in JSON's terms.

    Args:
        kind: Kind of names that its strings are; None: they are no names.
    """

    def __init__(self, kind: str | None) -> None:
        self._kind = kind
        self.kinds: set[str] = set()
        self.wants_devices = False

    def annotation(self, hint: Any) -> str | None:
        """Return a type; None where it has no JSON form."""
        if hint is str and self._kind is not None:
            return self._named(self._kind)
        if hint in (bool, int, float, str):
            return hint.__name__
        if hint is type(None):
            return "NoneType"
        if hint == ArrayLike or get_origin(hint) is np.ndarray:
            return "float | list[float]"
        if get_origin(hint) is Literal:
            return f"typing.Literal[{', '.join(map(repr, get_args(hint)))}]"
        if get_origin(hint) in (Union, types.UnionType):
            return self._union(get_args(hint))
        if _is_device(hint):
            return self._union([hint])
        return self._container(hint)

    def _named(self, kind: str) -> str:
        self.kinds.add(kind)
        return kind

    def _union(self, hints: Sequence[Any]) -> str | None:
        devices = [hint for hint in hints if _is_device(hint)]
        rest = [hint for hint in hints if hint not in devices]
        parts: list[str] = []
        if devices:
            is_settable = any(map(_is_settable, devices))
            parts.append(self._named(SETTABLE if is_settable else MONITOR))
            self.wants_devices = str not in rest
            rest = [hint for hint in rest if hint is not str]
        for hint in rest:
            part = self.annotation(hint)
            if part is not None and part not in parts:
                parts.append(part)
        return " | ".join(parts) or None

    def _container(self, hint: Any) -> str | None:
        origin, inner = get_origin(hint), get_args(hint)
        if not isinstance(origin, type) or not inner:
            return None
        parts = [self.annotation(one) for one in inner if one is not Ellipsis]
        if None in parts:
            return None
        if issubclass(origin, Mapping):
            return f"dict[{', '.join(str(part) for part in parts)}]"
        if issubclass(origin, Sequence):
            return f"list[{' | '.join(dict.fromkeys(str(part) for part in parts))}]"
        return None


def _is_device(hint: Any) -> bool:
    origin = get_origin(hint) or hint
    is_one = isinstance(origin, type) and issubclass(origin, Device | Selection)
    return is_one or origin is Monitor


def _is_settable(hint: Any) -> bool:
    origin = get_origin(hint) or hint
    return origin is not Monitor and issubclass(origin, SETTABLES)
