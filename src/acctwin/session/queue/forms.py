"""What a client of the queue may fill in for a plan: names, types, ranges, texts.

All of it comes from the plan itself: its signature and its docstring. Devices are
named; results of earlier plans are uids of their runs; what has no JSON form is not
offered.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_type_hints

from acctwin.devices.columns import Monitor
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import BPMS
from acctwin.session.queue.types import (
    BPM,
    DEVICE,
    MONITOR,
    SETTABLE,
    SETTABLES,
    TypeWriter,
)

#: Parameters that are names of devices although their type is only ``str``.
_NAMES = {
    "bpm_weights": BPM,
    "corrector_weights": SETTABLE,
    "correctors": SETTABLE,
    "families": SETTABLE,
    "pairs": DEVICE,
    "place": DEVICE,
}

#: Units by the end of a parameter's name.
_UNITS = {"_hz": "Hz", "_s": "s", "_m": "m", "_a": "A"}

#: Smallest and largest value of parameters that are called so in every plan.
_RANGES: dict[str, tuple[float | None, float | None]] = {
    **dict.fromkeys(
        (
            "best",
            "chunk",
            "cycles",
            "iterations",
            "monitor_readings",
            "noise_readings",
            "order",
            "readings",
            "singular_values",
            "steps",
        ),
        (1, None),
    ),
    **dict.fromkeys(("min_readings", "points"), (2, None)),
    **dict.fromkeys(("cutoff", "fraction", "gain"), (0.0, 1.0)),
    **dict.fromkeys(
        (
            "dispersion_weight",
            "give_up_s",
            "max_s",
            "max_step",
            "max_step_hz",
            "period_s",
            "precision",
            "settle_s",
            "tikhonov",
            "tolerance",
            "wait_s",
        ),
        (0.0, None),
    ),
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a plan as a client sees it.

    Attributes:
        name: Its name.
        annotation: Its type, made of JSON's types and of kinds of names.
        default: What it is if it is not given; ``inspect.Parameter.empty``: it must
            be given.
        text: What it is, with units.
        low, high: Range of its numbers; None: no limit.
        kinds: Kinds of names in the annotation.
        wants_devices: Whether the plan takes devices there, and no names.
    """

    name: str
    annotation: str
    default: Any
    text: str = ""
    low: float | None = None
    high: float | None = None
    kinds: frozenset[str] = frozenset()
    wants_devices: bool = False


@dataclass(frozen=True)
class Form:
    """A plan as a client sees it.

    Attributes:
        name: The plan's name.
        text: What it does.
        parameters: What it takes, the machine apart.
    """

    name: str
    text: str
    parameters: tuple[Parameter, ...]

    @cached_property
    def signature(self) -> inspect.Signature:
        """The plan's signature without the machine; positional if required."""
        return inspect.Signature([
            inspect.Parameter(
                one.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=one.default,
            )
            for one in self.parameters
        ])

    def annotation(self, names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Return what ``parameter_annotation_decorator`` of bluesky-queueserver takes.

        Args:
            names: The names of each kind.
        """
        return {
            "description": self.text,
            "parameters": {one.name: _entry(one, names) for one in self.parameters},
        }


def device_names(machine: Machine) -> dict[str, list[str]]:
    """Return the names that clients may use, by their kind."""
    there = {
        **machine.families,
        **dict(machine.children()),
        **machine.members,
        **machine.elements,
    }
    settable = [name for name, one in there.items() if isinstance(one, SETTABLES)]
    monitors = [name for name, one in there.items() if isinstance(one, Monitor)]
    bpms = list(machine.bpms.names) if machine.has(BPMS) else []
    elements = list(machine.elements)
    return {SETTABLE: settable, MONITOR: monitors, BPM: bpms, DEVICE: elements}


def form_of(function: Callable[..., Any], machine: Machine) -> Form:
    """Return what a client may fill in for a plan.

    Args:
        function: The plan; it takes the machine first.
        machine: Gives the limits of the RF.

    Raises:
        PlanError: A parameter without a default has no JSON form.
    """
    summary, texts = described(function)
    hints = get_type_hints(inspect.unwrap(function))
    given = list(inspect.signature(function).parameters.values())[1:]
    found: list[Parameter] = []
    for one in given:
        writer = TypeWriter(_NAMES.get(one.name))
        annotation = writer.annotation(hints[one.name])
        if annotation is not None and annotation != "NoneType":
            low, high = _range(one.name, machine)
            found.append(
                Parameter(
                    name=one.name,
                    annotation=annotation,
                    default=one.default,
                    text=_with_unit(one.name, texts.get(one.name, "")),
                    low=low,
                    high=high,
                    kinds=frozenset(writer.kinds),
                    wants_devices=writer.wants_devices,
                )
            )
        elif one.default is inspect.Parameter.empty:
            raise PlanError(
                f"{function.__name__} cannot be queued: its parameter {one.name} has "
                "no JSON form and no default"
            )
    return Form(function.__name__, summary, tuple(found))


def described(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Return what a Google docstring says of a function and of each parameter."""
    sections = re.split(
        r"^(Args|Returns|Raises|Yields):\n", inspect.getdoc(function) or "", flags=re.M
    )
    texts: dict[str, str] = {}
    if "Args" in sections:
        body = sections[sections.index("Args") + 1]
        for part in re.split(r"\n(?=    \S)", "\n" + body.rstrip()):
            names, colon, text = part.strip().partition(": ")
            if colon:
                texts |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return sections[0].strip(), texts


def _with_unit(name: str, text: str) -> str:
    unit = next((u for end, u in _UNITS.items() if name.endswith(end)), None)
    if unit is None or re.search(r"\[[^\]]+\]", text):
        return text
    return f"[{unit}] {text}".strip()


def _range(name: str, machine: Machine) -> tuple[float | None, float | None]:
    if name == "frequency_hz" and machine.has("rf"):
        bounds = machine.rf.bounds
        return float(bounds.low[0]), float(bounds.high[0])
    return _RANGES.get(name, (None, None))


def _entry(one: Parameter, names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    entry: dict[str, Any] = {"annotation": one.annotation}
    if one.text:
        entry["description"] = one.text
    if one.low is not None:
        entry["min"] = one.low
    if one.high is not None:
        entry["max"] = one.high
    if one.kinds:
        entry["enums"] = {kind: list(names[kind]) for kind in sorted(one.kinds)}
    return entry
