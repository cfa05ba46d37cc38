"""One number of each of many devices: an array there, or an address for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.backends.control.channels import Channels
from acctwin.backends.control.client import INVALID, Sample
from acctwin.errors import DeviceError
from acctwin.names import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Values:
    """Numbers of some devices.

    Attributes:
        values: NaN where the control system says that it is invalid, (n,).
        timestamp: Of the newest [s since the epoch].
        severity: The worst: 0 none, 1 minor, 2 major, −1 invalid.
    """

    values: FloatArray
    timestamp: float
    severity: int

    @property
    def is_valid(self) -> BoolArray:
        """Which values may be used, (n,)."""
        return np.isfinite(self.values)


class Column:
    """One channel of all devices of a kind.

    Where the control system has one array of all, in the profile's order, that is
    read; else an address for each device.

    Args:
        channels: Where addresses are watched.
        names: Of the devices, for messages.
        each: Address of each device, None where there is none.
        whole: Address of the array; None: there is none.
        missing: What to say where there is no address.
    """

    def __init__(
        self,
        channels: Channels,
        names: Sequence[str],
        each: Sequence[str | None],
        whole: str | None = None,
        *,
        missing: str,
    ) -> None:
        self._channels, self.names = channels, tuple(names)
        self._each, self.whole, self._missing = tuple(each), whole, missing

    def addresses(self, which: IntArray) -> tuple[str, ...]:
        """Return where the values of some devices are.

        Raises:
            DeviceError: They are not in the control system.
        """
        if self.whole is not None:
            return (self.whole,)
        return tuple(self.address(int(i)) for i in which)

    def address(self, device: int) -> str:
        """Return the address of one device.

        Raises:
            DeviceError: It has none.
        """
        found = self._each[device]
        if found is None:
            raise DeviceError(f"{self.names[device]}: {self._missing}")
        return found

    def users(self) -> dict[str, str]:
        """Return who uses each address."""
        if self.whole is not None:
            return {self.whole: f"{self.names[0]} … {self.names[-1]}"}
        pairs = zip(self._each, self.names, strict=True)
        return {address: name for address, name in pairs if address is not None}

    async def read(self, which: IntArray, *, fresh: bool = False) -> Values:
        """Return the values of some devices.

        Args:
            which: Their indices.
            fresh: Whether to ask for them; else it is what was heard last.

        Raises:
            LinkLost: They are not connected, or there is no answer.
            DeviceError: They are not in the control system.
        """
        addresses = self.addresses(which)
        if fresh:
            samples = await self._channels.get_all(addresses)
        else:
            samples = [self._channels.last(address) for address in addresses]
        if self.whole is not None:
            return self._of_array(samples[0], which)
        return _gathered(samples)

    def known(self, heard: Mapping[str, Sample]) -> dict[int, float]:
        """Return the values that are valid in what was heard earlier, by device."""
        if self.whole is not None:
            sample = heard.get(self.whole)
            if sample is None:
                return {}
            values = self._of_array(sample, np.arange(len(self.names))).values
            pairs = enumerate(values.tolist())
        else:
            samples = ((i, heard.get(a)) for i, a in enumerate(self._each) if a)
            pairs = ((i, _number(sample)) for i, sample in samples if sample)
        return {i: value for i, value in pairs if np.isfinite(value)}

    def check(self, found: Values, which: IntArray) -> FloatArray:
        """Return values, if all are valid.

        Raises:
            DeviceError: Some are not; the message names them.
        """
        if found.is_valid.all():
            return found.values
        wrong = [int(i) for i in which[~found.is_valid]]
        where = self.addresses(which[~found.is_valid])
        names = ", ".join(self.names[i] for i in wrong[:5])
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise DeviceError(f"{where[0]}: no valid value of {names}{more}")

    def _of_array(self, sample: Sample, which: IntArray) -> Values:
        if sample.severity == INVALID:
            nothing = np.full(len(which), np.nan)
            return Values(nothing, sample.timestamp, INVALID)
        array = np.atleast_1d(sample.value)
        if len(array) != len(self.names):
            raise DeviceError(
                f"{self.whole}: {len(array)} values found, wanted {len(self.names)}: "
                "one for each device of the profile, in its order"
            )
        values = array[which].astype(np.float64)
        return Values(values, sample.timestamp, sample.severity)


def _gathered(samples: Sequence[Sample]) -> Values:
    values = np.array([_number(sample) for sample in samples])
    severities = [sample.severity for sample in samples]
    worst = INVALID if INVALID in severities else max(severities, default=0)
    return Values(values, max((s.timestamp for s in samples), default=0.0), worst)


def _number(sample: Sample) -> float:
    return np.nan if sample.severity == INVALID else float(sample.value)


def joined(parts: Iterable[Values]) -> Values:
    """Return several parts as one."""
    found = list(parts)
    severities = [part.severity for part in found]
    return Values(
        np.concatenate([part.values for part in found]),
        max(part.timestamp for part in found),
        INVALID if INVALID in severities else max(severities),
    )
