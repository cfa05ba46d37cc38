"""Read the coupling off the orbit: a few correctors in each plane, and the RF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.coupling import CrossResponse, cross_response
from acctwin.data.runs import Run
from acctwin.devices.family import SettableFamily
from acctwin.devices.magnet import Magnet
from acctwin.devices.rf import Rf
from acctwin.devices.ring import Machine
from acctwin.devices.selection import Selection
from acctwin.errors import PlanError
from acctwin.names import BPMS, HCM, VCM
from acctwin.plans.actuators import Actuators, Knob
from acctwin.plans.guards import require
from acctwin.plans.momentum.rf_scan import present_rf
from acctwin.plans.note import Note
from acctwin.plans.response_walk import (
    Job,
    Taken,
    job_of,
    step_note,
    stored_taken,
    taken_by,
    walk,
)
from acctwin.plans.stubs import ask

#: How many correctors of each plane, or which.
Correctors = int | Sequence[Actuators]

_PLANES = {"hkick": "x", "vkick": "y"}


@dataclass(frozen=True)
class CrossJob:
    """How the cross-plane response is measured.

    Attributes:
        machine: The machine.
        job: What is moved and read.
        taken: How the events are read.
        planes: ``"x"``, ``"y"`` or ``"rf"``: of each actuator.
    """

    machine: Machine
    job: Job
    taken: Taken
    planes: tuple[str, ...]

    @property
    def points(self) -> int:
        """Events of one measurement."""
        return len(self.job.knobs) * len(self.job.offsets) * self.job.readings

    @property
    def bpms(self) -> tuple[str, ...]:
        """Names of the BPMs that are read."""
        labels = self.taken.labels
        return tuple(label.rpartition(":")[0] for label in labels[: len(labels) // 2])

    @property
    def model_actuators(self) -> list[str]:
        """Names of the actuators, as the design model knows them."""
        return [
            "rf" if isinstance(knob, Rf) else knob.info.name for knob in self.job.knobs
        ]

    def note(self) -> MsgGenerator[Note]:
        """Return what is written into each event, and once for all of them."""
        slip, rf_hz = 0.0, 0.0
        if "rf" in self.planes:
            slip = yield from ask(self.machine.design.slip_factor)
            rf_hz = yield from present_rf(self.machine)
        note = step_note(self.taken, self.job.knobs)
        extra = {"planes": list(self.planes), "slip_factor": slip, "rf": rf_hz}
        return Note(
            note.name,
            {**note.values, "pass": 0},
            configuration={**note.configuration, **extra},
        )

    def measure(self, note: Note, uid: str) -> MsgGenerator[CrossResponse]:
        """Move the correctors and the RF one by one, put them back."""
        response = yield from walk(self.job, self.taken, note, uid)
        return cross_response(
            response,
            self.planes,
            slip_factor=note.configuration["slip_factor"],
            rf_hz=note.configuration["rf"],
        )


def stored_cross(run: Run, number: int = 0) -> CrossResponse:
    """Return one of the measurements of a stored run, from its readings alone.

    Args:
        run: The run.
        number: Which of its measurements, from 0.
    """
    stream = run["primary"]
    taken = stored_taken(stream)
    mine = np.asarray(stream["step_pass"]) == number
    response = taken.fit({key: stream[key][mine] for key in taken.all_keys}, run.uid)
    return cross_response(
        response,
        [str(plane) for plane in stream.config("step_planes")],
        slip_factor=float(stream.config("step_slip_factor")),
        rf_hz=float(stream.config("step_rf")),
    )


def cross_job(
    machine: Machine,
    correctors: Correctors | None,
    readings: int | None,
    settle_s: float | None,
    recorded: Sequence[Any] = (),
) -> CrossJob:
    """Return how the cross-plane response is measured; nothing is moved.

    Args:
        machine: The machine.
        correctors: How many of each plane, evenly spaced, or which; default: as many
            as the profile says.
        readings: Averaged at every step; default: the profile's.
        settle_s: Extra wait after every move [s]; default: the profile's.
        recorded: Other devices that are read with each event.

    Raises:
        PlanError: No BPMs, or no corrector in one of the planes.
    """
    require(machine, [BPMS, HCM, VCM], "the coupling cannot be seen in the orbit")
    default = machine.defaults.coupling
    wanted = default.correctors if correctors is None else correctors
    chosen: list[Actuators] = (
        [_spread(machine[name], wanted) for name in (HCM, VCM)]
        if isinstance(wanted, int)
        else list(wanted)
    )
    if machine.has("rf"):
        chosen.append(machine.rf)
    job = job_of(
        machine,
        chosen,
        [machine.bpms],
        readings=default.readings if readings is None else readings,
        settle_s=settle_s,
        recorded=recorded,
    )
    planes = tuple(_plane(knob) for knob in job.knobs)
    if not {"x", "y"} <= set(planes):
        raise PlanError(
            "the coupling needs at least one good corrector in each plane, found "
            f"{planes.count('x')} horizontal and {planes.count('y')} vertical"
        )
    return CrossJob(machine, job, taken_by(job), planes)


def _spread(family: SettableFamily[Any], count: int) -> Selection:
    """Return some good members of a family, evenly spaced."""
    if count < 1:
        raise PlanError(f"at least 1 corrector of each plane is needed, not {count}")
    good = family.good()
    places = np.linspace(0, max(0, len(good) - 1), min(count, len(good)))
    indices = np.array(good.indices, dtype=np.int64)[np.round(places).astype(np.int64)]
    return Selection.of(good.family, indices.tolist())


def _plane(knob: Knob) -> str:
    if isinstance(knob, Rf):
        return "rf"
    component = knob.info.component if isinstance(knob, Magnet) else ""
    if component not in _PLANES:
        raise PlanError(
            f"{knob.info.name} is no corrector: the coupling is seen in the response "
            "to horizontal and to vertical kicks"
        )
    return _PLANES[component]
