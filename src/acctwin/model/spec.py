"""From a profile to what an engine needs: which knobs, which monitors."""

from __future__ import annotations

from collections.abc import Sequence

from acctwin.model.engine import EngineSpec, Knob, Misalignment, Monitor
from acctwin.profiles.profile import Profile


def spec_of(profile: Profile, misalignments: Sequence[Misalignment] = ()) -> EngineSpec:
    """Return the engine of a machine: knobs in magnet order, monitors in BPM order.

    Args:
        profile: The checked profile.
        misalignments: Of the machine that is to be simulated; none for the design.
    """
    return EngineSpec(
        lattice=profile.lattice,
        knobs=tuple(
            Knob(row.name, row.element, row.component) for row in profile.magnets
        ),
        monitors=tuple(Monitor(row.name, row.element) for row in profile.bpms),
        misalignments=tuple(misalignments),
        pinger=None if profile.pinger is None else profile.pinger.element,
    )
