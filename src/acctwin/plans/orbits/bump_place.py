"""The place of a bump: which correctors there are around it, and what they do there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.bump import (
    BumpOptics,
    choose_correctors,
    normalised,
    phase_from,
)
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import HCM, PLANES, VCM, FloatArray, Plane
from acctwin.plans.orbits.inputs import OrbitMatrix
from acctwin.plans.stubs import ask, setpoints

FAMILY = {"x": HCM, "y": VCM}
#: Correctors of the other plane that help to close a bump: at least this many.
HELPERS = 3


@dataclass(frozen=True)
class Wanted:
    """What bump was asked for; see ``orbit_bump``."""

    plane: Plane
    place: str
    position: float | None
    angle: float | None

    @property
    def family(self) -> str:
        """Family of the correctors that make it."""
        return FAMILY[self.plane]

    @property
    def values(self) -> FloatArray:
        """Position [m] and angle [rad], those that were asked for."""
        asked = [value for value in (self.position, self.angle) if value is not None]
        return np.array(asked, dtype=np.float64)


@dataclass(frozen=True)
class Around:
    """All good correctors and BPMs, seen from a place.

    Attributes:
        wanted: What was asked for.
        response: All good correctors, the RF if asked, all good BPMs, the matrix.
        names: The correctors of the bump's plane, (n,).
        optics: Of these.
        phase: Phase advance of all correctors from the place, in the bump's plane
            [rad], NaN for the RF, (n_all,).
        room: How far each may be moved either way, (n_all,).
        bpm_phase: The same of the BPMs [rad], (n_bpm,).
        target: What all correctors do at the place, (n_wanted, n_all).
        has_helpers: Whether correctors of the other plane help to close it.
    """

    wanted: Wanted
    response: OrbitMatrix
    names: tuple[str, ...]
    optics: BumpOptics
    phase: FloatArray
    room: FloatArray
    bpm_phase: FloatArray
    target: FloatArray
    has_helpers: bool

    def best(self, count: int) -> tuple[str, ...]:
        """Return the correctors of a bump.

        Raises:
            PlanError: There are none that can make it.
        """
        chosen = choose_correctors(self.optics, count)
        if not len(chosen):
            raise PlanError(
                f"no {count} of the {len(self.names)} good correctors in "
                f"{self.wanted.plane} make a closed bump at {self.wanted.place}: it "
                f"takes {2 + len(self.wanted.values)}, before and behind it"
            )
        return tuple(self.names[i] for i in chosen)

    def helpers(self, names: Sequence[str]) -> list[str]:
        """Return the correctors of the other plane between those of a bump.

        What a bump leaks into the other plane, in sextupoles and rolled magnets, is
        made inside it, and can be closed there.
        """
        if not self.has_helpers:
            return []
        phase = dict(zip(self.response.knobs.names, self.phase, strict=True))
        reach = [phase[name] for name in names]
        low, high = min(reach), max(reach)
        others = [name for name in phase if name not in (*self.names, "rf")]
        others.sort(key=lambda name: max(low - phase[name], phase[name] - high, 0.0))
        inside = sum(low <= phase[name] <= high for name in others)
        return others[: max(inside, HELPERS)]


def look_around(
    machine: Machine, wanted: Wanted, response: OrbitMatrix, has_helpers: bool
) -> MsgGenerator[Around]:
    """Find the phases from a place, and what the correctors do there.

    Raises:
        UnknownName: There is no such place.
        PlanError: There are no good correctors in this plane.
    """
    knobs, axis = response.knobs, PLANES.index(wanted.plane)
    mine = set(machine[wanted.family].names)
    ours = np.array([i for i, name in enumerate(knobs.names) if name in mine], int)
    if not len(ours):
        raise PlanError(f"no good {wanted.family} is in the response")
    names = [name for name in knobs.names if name != "rf"]
    places = [wanted.place, *names, *response.bpms]
    local = yield from ask(lambda: machine.design.optics(places))
    phase = phase_from(local.phase[:, axis], local.phase[0, axis], local.tunes[axis])
    beta, alpha = local.beta[:, axis], local.alpha[0, axis]
    now = knobs.setpoints((yield from setpoints(knobs.devices)), np.zeros(len(knobs)))
    low, high = knobs.limits()
    room, count = np.minimum(high - now, now - low), len(names) + 1
    optics = BumpOptics(
        phase[1:count][ours],
        beta[1:count][ours],
        room[ours],
        normalised(wanted.position, wanted.angle, beta[0], alpha),
    )
    return Around(
        wanted=wanted,
        response=response,
        names=tuple(knobs.names[i] for i in ours),
        optics=optics,
        phase=np.append(phase[1:count], [np.nan] * (len(knobs) - len(names))),
        room=room,
        bpm_phase=phase[count:],
        target=(yield from _target(machine, wanted, response)),
        has_helpers=has_helpers,
    )


def _target(
    machine: Machine, wanted: Wanted, response: OrbitMatrix
) -> MsgGenerator[FloatArray]:
    """Return what correctors do at the place: at a BPM, its row of the response."""
    names, place = response.knobs.names, wanted.place
    at_place = yield from ask(lambda: machine.design.place_response([place], names))
    axis = PLANES.index(wanted.plane)
    rows: list[FloatArray] = []
    if wanted.position is not None:
        is_measured = place in response.bpms
        rows.append(
            response.matrix[response.row(place, axis)]
            if is_measured
            else at_place[2 * axis, 0]
        )
    if wanted.angle is not None:
        rows.append(at_place[2 * axis + 1, 0])
    return np.array(rows)
