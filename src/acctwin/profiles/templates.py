"""Names with ``{cell}`` or ``{n}``, and the lattice elements that belong to them.

An element is written ``FAMILY[start:stop:step]*count``. FAMILY is the family name
in the lattice; occurrences of it count from 0 in s order. The slice picks the first
occurrence of each device, and ``count`` consecutive ones make up a device (a sliced
magnet); the step is ``count`` if it is not written. So 16 devices may be

    ``QF`` or ``QF[0:16]``     16 occurrences, one each,
    ``BPMx[0:32:2]``           every other one of 32,
    ``QF*2`` or ``QF[0:32]*2`` 32 half magnets in pairs.

``SEPT`` or ``SEPT[3]`` is a single device, occurrence 0 or 3.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from acctwin.profiles.profile import ElementRef

ELEMENT = re.compile(
    r"(?P<family>[^\[\]*\s]+)"
    r"(?:\[(?:(?P<index>\d{1,9})"
    r"|(?P<start>\d{0,9}):(?P<stop>\d{0,9})(?::(?P<step>\d{0,9}))?)\])?"
    r"(?:\*(?P<count>\d{1,9}))?"
)

#: Values of the placeholders of one device: none, or ``cell`` or ``n``.
Fields: TypeAlias = dict[str, int]

#: More devices than this on one line are a slip of the pen.
MOST = 10_000

SYNTAX = "write FAMILY, FAMILY[start:stop:step] or FAMILY[start:stop]*slices"


class TemplateError(ValueError):
    """A name or an element that cannot be expanded; the message says why."""


@dataclass(frozen=True)
class Pattern:
    """An element as it is written.

    Attributes:
        family: Family name in the lattice.
        start: Occurrence that the first device starts at.
        stop: End of the slice, not included; None: not written.
        step: From one device to the next, in occurrences.
        count: Consecutive occurrences that make up a device.
        single: Whether an index was written rather than a slice.
    """

    family: str
    start: int
    stop: int | None
    step: int
    count: int
    single: bool

    def devices(self) -> int | None:
        """Return how many devices the slice holds; None if it has no end."""
        if self.stop is None:
            return None
        return len(range(self.start, self.stop, self.step))

    def elements(self, n: int) -> list[ElementRef]:
        """Return the elements of the first ``n`` devices."""
        starts = (self.start + k * self.step for k in range(n))
        return [ElementRef(self.family, start, self.count) for start in starts]


def parse_element(text: str) -> Pattern:
    """Read an element; see the top of this module for what it may be."""
    match = ELEMENT.fullmatch(text)
    if match is None:
        raise TemplateError(f"bad element {text!r}; {SYNTAX}")
    part = match.groupdict()
    count = int(part["count"] or 1)
    step = int(part["step"] or count)
    if count < 1 or step < count:
        raise TemplateError(
            f"bad element {text!r}: the step {step} and the slices {count} must be "
            "at least 1, and a step not smaller than the slices"
        )
    start = int(part["index"] or part["start"] or 0)
    stop = int(part["stop"]) if part["stop"] else None
    pattern = Pattern(
        part["family"], start, stop, step, count, part["index"] is not None
    )
    _check_stop(text, pattern)
    return pattern


def placeholder(name: str) -> str | None:
    """Return ``"cell"`` or ``"n"``, whichever a name holds, or None."""
    try:
        fields = {field for _, field, _, _ in string.Formatter().parse(name)}
        fields.discard(None)
        if fields - {"cell", "n"} or len(fields) > 1:
            raise TemplateError(f"bad template {name!r}: use {{cell}} or {{n}}, once")
        for field in fields:
            name.format(**{str(field): 1})
    except TemplateError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise TemplateError(f"bad template {name!r}: {error}") from None
    return fields.pop() if fields else None


def cell_numbers(first: int, count: int) -> tuple[int, ...]:
    """Return the number of each cell in the order of the lattice.

    >>> cell_numbers(3, 4)
    (3, 4, 1, 2)
    """
    return tuple((first - 1 + k) % count + 1 for k in range(count))


def expand(
    name: str, pattern: Pattern, cells: Sequence[int] | None
) -> Iterator[tuple[str, ElementRef]]:
    """Yield the name and the elements of each device of a row.

    Args:
        name: The name, perhaps with a placeholder.
        pattern: The elements.
        cells: Number of each cell; empty where the profile has no cells, None where
            they are unknown because of a fault: ``{cell}`` then gives nothing.
    """
    fields = device_fields(name, pattern, cells)
    elements = pattern.elements(len(fields))
    for values, element in zip(fields, elements, strict=True):
        yield name.format(**values), element


def device_fields(
    name: str, pattern: Pattern, cells: Sequence[int] | None
) -> list[Fields]:
    """Return what the placeholder stands for in each device of a row.

    Args:
        name: The name, perhaps with a placeholder.
        pattern: The elements.
        cells: As for :func:`expand`.
    """
    kind = placeholder(name)
    devices = 1 if pattern.single else pattern.devices()
    if kind == "n" and (devices is None or pattern.single):
        raise TemplateError(
            f"{name!r} needs to know how many there are; write {pattern.family}[0:stop]"
        )
    return _fields(name, kind, devices, "the element", cells)


def counted_fields(name: str, count: int, cells: Sequence[int] | None) -> list[Fields]:
    """Return what the placeholder stands for in each of ``count`` supplies."""
    return _fields(name, placeholder(name), count, "the count", cells)


def _fields(
    name: str,
    kind: str | None,
    devices: int | None,
    what: str,
    cells: Sequence[int] | None,
) -> list[Fields]:
    if kind is None:
        if devices not in (None, 1):
            raise TemplateError(
                f"{devices} devices would all be called {name!r}; put {{n}} or "
                "{cell} into the name"
            )
        return [{}]
    if kind == "n":
        return [{kind: number} for number in range(1, (devices or 0) + 1)]
    if cells is None:
        return []
    if not cells:
        raise TemplateError(f"{name!r} needs the key 'cells' in the profile")
    if devices not in (None, len(cells)):
        raise TemplateError(
            f"{name!r} stands for {len(cells)} cells, {what} for {devices}"
        )
    return [{kind: number} for number in cells]


def _check_stop(text: str, pattern: Pattern) -> None:
    """Refuse slices that are empty or end within a device."""
    if pattern.stop is None:
        return
    length = pattern.stop - pattern.start
    if length < 1:
        raise TemplateError(f"bad element {text!r}: the slice is empty")
    if length > MOST * pattern.step:
        raise TemplateError(f"bad element {text!r}: more than {MOST} devices")
    last = (length - 1) // pattern.step * pattern.step
    if last + pattern.count > length:
        raise TemplateError(f"bad element {text!r}: the last device is not complete")
