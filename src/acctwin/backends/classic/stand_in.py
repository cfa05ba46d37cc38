"""What stands for members in physics mode: soft devices of classic ophyd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from acctwin.backends.classic.signal import MemberTransport, nowhere
from acctwin.devices.bounds import Bounds
from acctwin.profiles.members import MemberRow

#: A soft device is where it is set to at once.
PUT_S = 5.0


class StandIns:
    """Soft positioners and signals with the limits of the profile.

    Args:
        rows: The members of the profile.
    """

    def __init__(self, rows: Sequence[MemberRow] = ()) -> None:
        plain = [replace(row, setpoint=None, readback=None) for row in rows]
        self._rows = {row.name: row for row in plain if row.simulated is not None}
        self._devices = {name: _soft(row) for name, row in self._rows.items()}

    def transport(self, name: str, limits: Bounds | None) -> MemberTransport:
        """Return the channels of a member."""
        from acctwin.backends.classic.transport import transport_of

        if name in self._devices:
            row, device = self._rows[name], self._devices[name]
            return transport_of(row, device, limits, PUT_S, f"sim://{name}")
        return nowhere(
            name,
            f"{name}: nothing stands for it in physics mode: give the member "
            "`simulated: {value: …}` in the profile, or session.switch_to_hardware()",
        )

    def values(self) -> dict[str, float]:
        """Return where those are that can be set."""
        return {
            name: float(device.position)
            for name, device in self._devices.items()
            if self._rows[name].setting
        }

    def put(self, values: Mapping[str, float]) -> None:
        """Set some; names that are not there are left out."""
        for name in values.keys() & self.values().keys():
            self._devices[name].set(values[name]).wait(PUT_S)


def _soft(row: MemberRow) -> Any:
    from ophyd import Signal
    from ophyd.positioner import SoftPositioner

    if row.setting is None:
        return Signal(name=row.name, value=row.simulated)
    limits = row.setting.low, row.setting.high
    return SoftPositioner(
        name=row.name, limits=limits, egu=row.units, init_pos=row.simulated
    )
