"""What Badger loads: an environment and an interface over the devices of a session.

They run in Badger's processes and ask the session that ``acctwin badger`` has opened;
where it is stands in the environment variables ``ACCTWIN_BROKER`` and
``ACCTWIN_BROKER_KEY``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from badger import environment, interface

from acctwin.session.broker_client import Remote

REMOTE = Remote()
KNOWN: dict[str, Any] = REMOTE.ask("describe")


class Interface(interface.Interface):
    """Devices of an acctwin session."""

    name: ClassVar[str] = "acctwin"

    def get_values(self, channel_names: list[str]) -> dict[str, float]:
        """Return setpoints of devices, or what is observed."""
        if all(name in KNOWN["variables"] for name in channel_names):
            return REMOTE.ask("where", channel_names)
        return REMOTE.ask("read", channel_names)

    def set_values(self, channel_inputs: dict[str, float]) -> None:
        """Set devices, all of them or none."""
        values = {name: float(value) for name, value in channel_inputs.items()}
        REMOTE.ask("set", values)


class Environment(environment.Environment):
    """A machine of acctwin: its magnets and RF, and what its monitors read.

    Values are in the units of physics (SI). Whatever is set and read is a run in the
    catalogue of the session.
    """

    name: ClassVar[str] = f"acctwin_{KNOWN['machine']}"
    variables: ClassVar[dict[str, list[float]]] = KNOWN["variables"]
    observables: ClassVar[list[str]] = KNOWN["observables"]
