"""The quadrupole families that set the tunes, and what the design says they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.group_knobs import GroupKnob, family_knobs
from acctwin.plans.stubs import ask
from acctwin.plans.targets import Target


def tune_knobs(
    machine: Machine, families: Sequence[Target] | None
) -> tuple[GroupKnob, ...]:
    """Return a knob for each family; default: the profile's.

    Raises:
        PlanError: There are none.
    """
    chosen = machine.defaults.tune.families if families is None else families
    if not chosen:
        raise PlanError(
            "no quadrupole family was named, and the profile names none (defaults: "
            "tune: families); say which are to be moved"
        )
    return family_knobs(machine, chosen)


def design_response(
    machine: Machine, knobs: Sequence[GroupKnob], start: Mapping[str, float]
) -> MsgGenerator[FloatArray]:
    """Return what the design says that knobs do to the tunes, (2, n_knobs).

    Args:
        machine: The machine.
        knobs: The knobs.
        start: Strengths of their magnets, by name.

    Raises:
        PlanError: A magnet is no quadrupole.
    """
    names = [name for knob in knobs for name in knob.names]
    matrix = yield from ask(lambda: machine.design.tune_response(names))
    ends = np.cumsum([len(knob.names) for knob in knobs])[:-1]
    return np.column_stack([
        knob.per_change(start, block)
        for knob, block in zip(knobs, np.split(matrix, ends, axis=1), strict=True)
    ])
