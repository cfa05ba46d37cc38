"""The logical channel of a signal: what it is called, not where it is."""

from __future__ import annotations

from dataclasses import dataclass

#: How the source of a signal begins that nothing stands behind, where devices are now.
NOWHERE = "nowhere://"


@dataclass(frozen=True)
class Channel:
    """Annotation that names a signal of a device class.

    A backend's connector turns it into an address: ``sim://``, a PV, a Tango
    attribute.

    Attributes:
        name: Name of the channel within its device.
        units: Unit of the value; None: the device's own, given when it is built.
    """

    name: str
    units: str | None = None
