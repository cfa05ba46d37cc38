"""From a classic device to the channels of a member."""

from __future__ import annotations

from typing import Any

from acctwin.backends.classic.member import ClassicMember
from acctwin.backends.classic.parts import parts_of
from acctwin.backends.classic.signal import MemberTransport, Quantity
from acctwin.devices.bounds import Bounds
from acctwin.profiles.members import MemberRow


def transport_of(
    row: MemberRow,
    device: Any,
    limits: Bounds | None,
    put_s: float,
    source: str = "",
    lock: str = "",
) -> MemberTransport:
    """Return the channels of a classic device.

    Args:
        row: The member in the profile.
        device: The device.
        limits: What may be set.
        put_s: How long a put may take [s].
        source: Where it is; default: its own address.
        lock: Why nothing may be written; empty: it may.

    Raises:
        Unfit: It is not what the profile says.
    """
    parts = parts_of(device, row)
    tolerance = row.setting.tolerance if row.setting else 0.0
    member = ClassicMember(row.name, parts, row.units, tolerance, put_s, lock)
    where = source or parts.address
    if row.setting is None:
        quantities = {
            "value": Quantity(where, member.readback, row.units, None, parts.readback)
        }
        return MemberTransport(quantities, {"acquire": member.take})
    setpoint = source or member.address
    watched = parts.setpoint or parts.readback
    quantities = {
        "value": Quantity(setpoint, member.setpoint, row.units, member.put, watched),
        "readback": Quantity(where, member.readback, row.units, None, parts.readback),
        "moving": Quantity(where, member.moving, None, None, parts.readback),
    }
    return MemberTransport(quantities, limits=limits)
