"""The quadrupole families that set the tunes, and what the design says they do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.group_knobs import GroupKnob, all_moves, family_knobs
from acctwin.plans.stubs import ask, move
from acctwin.plans.targets import Target

#: No single move changes a tune by more than this: the beam has to follow.
GENTLE = 0.01


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


def ramp_knobs(
    knobs: Sequence[GroupKnob],
    start: Mapping[str, float],
    matrix: FloatArray,
    here: FloatArray,
    there: FloatArray,
) -> MsgGenerator[None]:
    """Move knobs in steps that change the tunes little.

    Args:
        knobs: The knobs.
        start: Strengths of their magnets at the start, by name.
        matrix: What the knobs do to the tunes, (2, n_knobs).
        here: Change of each knob since the start, now, (n_knobs,).
        there: The same, at the end, (n_knobs,).
    """
    largest = float(np.abs(matrix @ (there - here)).max())
    for share in np.linspace(0.0, 1.0, max(1, math.ceil(largest / GENTLE)) + 1)[1:]:
        yield Msg("checkpoint")
        wanted = there if share == 1.0 else here + share * (there - here)
        yield from move(all_moves(knobs, start, wanted.tolist()))
