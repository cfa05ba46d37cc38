"""Devices of a machine that are described by classes of classic ophyd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acctwin.profiles.profile import Origin


@dataclass(frozen=True)
class MemberSetting:
    """What may be set of a member, in its units.

    Attributes:
        low: Lower limit.
        high: Upper limit.
        tolerance: A move is done when |setpoint − readback| is within this.
        delta: Full step of a response measurement.
        timeout_s: How long a move may take [s]; None: as any other.
    """

    low: float
    high: float
    tolerance: float
    delta: float
    timeout_s: float | None = None


@dataclass(frozen=True)
class MemberRow:
    """A device that is described by a class of classic ophyd.

    Attributes:
        name: Profile name.
        device_class: ``package.module:Class``.
        args: What the class is called with.
        kwargs: The same, by name.
        units: Of its values.
        setting: What may be set; None: it is only read.
        setpoint: The attribute that is set, where the class does not tell.
        readback: The attribute that is read, where the class does not tell.
        simulated: Where what stands for it in physics mode is at first; None: nothing
            does.
        origin: Where the class was written.
    """

    name: str
    device_class: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    units: str
    setting: MemberSetting | None
    setpoint: str | None
    readback: str | None
    simulated: float | None
    origin: Origin
