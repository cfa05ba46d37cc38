"""Which recorded data belong to which device of a profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from acctwin.backends.replay.recorded import RecordedStream
from acctwin.devices.setpoint import device_name
from acctwin.errors import DataError
from acctwin.model.engine import Layout
from acctwin.names import IntArray
from acctwin.profiles.profile import Profile

#: Knobs and supplies are set, each with a readback; the others are read only.
Kind: TypeAlias = Literal[
    "knob",
    "supply",
    "kick",
    "bpms",
    "turns",
    "tune",
    "dcct",
    "emittance",
    "injection",
    "lifetime",
]

#: Channels that the devices of a kind record.
CHANNELS: Mapping[Kind, tuple[str, ...]] = {
    "knob": ("strength", "frequency", "readback"),
    "supply": ("current", "readback"),
    "kick": ("kick",),
    "bpms": ("x", "y"),
    "turns": ("x", "y"),
    "tune": ("qx", "qy", "qs"),
    "dcct": ("current",),
    "emittance": ("ex", "ey"),
    "injection": ("efficiency",),
    "lifetime": ("value",),
}
_ALONE: Mapping[str, tuple[Kind, int]] = {
    "pinger_x": ("kick", 0),
    "pinger_y": ("kick", 1),
    "tune": ("tune", 0),
    "dcct": ("dcct", 0),
    "emittance": ("emittance", 0),
    "injection": ("injection", 0),
    "lifetime": ("lifetime", 0),
}


@dataclass(frozen=True)
class Entry:
    """One data key of a stream.

    Attributes:
        key: The data key.
        kind: Of the devices.
        channel: Of the devices.
        which: Indices of the devices among all of their kind, (n,).
    """

    key: str
    kind: Kind
    channel: str
    which: IntArray


class Keys:
    """Finds the devices behind data keys.

    Args:
        profile: The checked profile.
        layout: Knobs and monitors, in its order.
        supplies: Supplies, in the order of the powering.
    """

    def __init__(
        self, profile: Profile, layout: Layout, supplies: tuple[str, ...]
    ) -> None:
        families = profile.families()
        self._families = {
            device_name(name) for name in (*families, "supplies", "turns")
        }
        self._families |= {f"{device_name(name)}_supplies" for name in families}
        self._index: dict[str, tuple[Kind, int]] = {}
        known: dict[Kind, tuple[str, ...]] = {
            "bpms": layout.monitors,
            "knob": layout.knobs,
            "supply": supplies,
        }
        for kind, names in known.items():
            self._index.update((name, (kind, i)) for i, name in enumerate(names))
        self._single = {device_name(name): name for name in self._index}

    def entries(self, stream: RecordedStream) -> Iterator[Entry]:
        """Yield the data keys of a stream that are a device's.

        Raises:
            DataError: A device is not in the profile.
        """
        for key in stream.names:
            prefix, _, channel = key.rpartition("_")
            found = self._devices(prefix, stream)
            if found is not None and channel in CHANNELS[found[0]]:
                yield Entry(key, found[0], channel, found[1])

    def _devices(
        self, prefix: str, stream: RecordedStream
    ) -> tuple[Kind, IntArray] | None:
        if prefix in _ALONE:
            kind, index = _ALONE[prefix]
            return kind, np.array([index])
        if prefix in self._families:
            names = [str(name) for name in stream.config(f"{prefix}_names")]
        elif prefix in self._single:
            names = [self._single[prefix]]
        else:
            return None
        unknown = [name for name in names if name not in self._index]
        if unknown:
            raise DataError(
                f"the run recorded {prefix} of {', '.join(unknown[:5])}, which the "
                "profile does not have: it cannot be replayed on this machine"
            )
        kinds, places = zip(*(self._index[name] for name in names), strict=True)
        return "turns" if prefix == "turns" else kinds[0], np.array(places)
