"""The knobs of the chromaticity: sextupole families, and what they do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.response import ResponseResult
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.group_knobs import GroupKnob, family_knobs
from acctwin.plans.guards import require
from acctwin.plans.stubs import ask
from acctwin.plans.targets import Target

#: Rows of a chromaticity response.
MONITORS = ("tune:xi_x", "tune:xi_y")


def chromaticity_knobs(
    machine: Machine, families: Iterable[Target] | None
) -> tuple[GroupKnob, ...]:
    """Return a knob for each family, by default those of the profile.

    Raises:
        PlanError: There are none, or a magnet of them is no sextupole.
    """
    require(machine, ["sextupoles"], "there is nothing to set the chromaticity with")
    if families is None:
        families = machine.defaults.chromaticity.families
    knobs = family_knobs(machine, families)
    if not knobs:
        raise PlanError(
            f"{machine.title} does not say which sextupoles set the chromaticity: "
            "give families=[…], or defaults: chromaticity: families in the profile"
        )
    others = [
        magnet.info.name
        for knob in knobs
        for magnet in knob.magnets
        if magnet.info.component != "b2"
    ]
    if others:
        raise PlanError(f"{others[0]} is not a sextupole")
    return knobs


def design_response(
    machine: Machine, knobs: Sequence[GroupKnob], start: Mapping[str, float]
) -> MsgGenerator[FloatArray]:
    """Return what the design model says that knobs do, d(ξx, ξy)/d(knob), (2, n).

    Args:
        machine: The machine.
        knobs: The knobs.
        start: Present strengths by name.
    """
    names = [name for knob in knobs for name in knob.names]
    matrix = yield from ask(lambda: machine.design.chromaticity_response(names))
    ends = np.cumsum([len(knob.names) for knob in knobs])
    parts = np.split(matrix, ends[:-1], axis=1)
    return np.column_stack([
        knob.per_change(start, part) for knob, part in zip(knobs, parts, strict=True)
    ])


def measured_response(
    response: ResponseResult, knobs: Sequence[GroupKnob]
) -> FloatArray:
    """Return the columns of a measured response for some knobs, (2, n)."""
    return response.block(MONITORS, [knob.name for knob in knobs])
