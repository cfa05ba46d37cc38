"""The members of a machine that is on hardware: built, connected, ended."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from acctwin.backends.classic.calls import call
from acctwin.backends.classic.signal import MemberTransport
from acctwin.devices.bounds import Bounds
from acctwin.devices.setpoint import device_name
from acctwin.errors import ConfigError, Fault, LinkLost
from acctwin.profiles.members import MemberRow

#: Most addresses that a message lists.
MOST_NAMED = 10
#: Time between two looks whether all are connected [s].
POLL_S = 0.02
#: How long a device that is connected may take to say so [s].
SETTLE_S = 2.0


class ClassicMembers:
    """Devices of classic ophyd, each made from its class.

    Args:
        rows: The members of the profile.
        timeout_s: How long a move may take if the profile does not say [s].
        put_share: Fraction of the time for a move that a put may take.
        lock: Why nothing may be written; empty: it may.

    Raises:
        ConfigError: Some cannot be built; all of them, each at its place.
    """

    def __init__(
        self,
        rows: Sequence[MemberRow],
        timeout_s: float,
        put_share: float,
        lock: str = "",
    ) -> None:
        self._lock = lock
        self._rows = {row.name: row for row in rows}
        self._timeout_s, self._put_share = timeout_s, put_share
        self._devices: dict[str, Any] = {}
        faults: list[Fault] = []
        for row in rows:
            try:
                self._devices[row.name] = _built(row)
            except _Unbuilt as error:
                faults.append(row.origin.fault(str(error), "device_class"))
        if faults:
            self._destroy()
            raise ConfigError(faults)

    def device(self, name: str) -> Any:
        """Return the classic device itself."""
        return self._devices[name]

    def transport(self, name: str, limits: Bounds | None) -> MemberTransport:
        """Return the channels of a member."""
        from acctwin.backends.classic.transport import transport_of

        row = self._rows[name]
        timeout_s = row.setting.timeout_s if row.setting else None
        put_s = self._put_share * (timeout_s or self._timeout_s)
        device = self._devices[name]
        return transport_of(row, device, limits, put_s, lock=self._lock)

    async def connect(self, timeout_s: float) -> None:
        """Wait until all are connected.

        Args:
            timeout_s: How long that may take [s].

        Raises:
            LinkLost: Some are not; the message lists them with their addresses.
        """
        late = dict(self._devices)
        try:
            async with asyncio.timeout(timeout_s):
                while late := {n: d for n, d in late.items() if not d.connected}:
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise LinkLost(self._silent(late, timeout_s)) from None
        waits = [call(partial(_settle, device)) for device in self._devices.values()]
        results = await asyncio.gather(*waits, return_exceptions=True)
        pairs = zip(self._devices, results, strict=True)
        lines = [f"  {n}: {e}" for n, e in pairs if isinstance(e, BaseException)]
        if lines:
            raise LinkLost("\n".join(["members are not connected:", *lines]))

    async def close(self) -> None:
        """End all connections."""
        await call(self._destroy)

    def _destroy(self) -> None:
        devices, self._devices = list(self._devices.values()), {}
        for device in devices:
            device.destroy()

    def _silent(self, late: dict[str, Any], waited_s: float) -> str:
        lines = [
            f"  {name} ({self._rows[name].device_class}): {address}"
            for name, device in late.items()
            for address in _unconnected(device)
        ]
        if len(lines) > MOST_NAMED:
            lines[MOST_NAMED:] = [f"  and {len(lines) - MOST_NAMED} more"]
        head = (
            f"{len(late)} of {len(self._rows)} members did not connect within "
            f"{waited_s:.1f} s:"
        )
        return "\n".join([head, *lines])


class _Unbuilt(Exception):
    """A device that could not be made from its class."""


def _built(row: MemberRow) -> Any:
    from acctwin.backends.classic.parts import Unfit, parts_of

    device_class = _imported(row.device_class)
    try:
        device = device_class(*row.args, name=device_name(row.name), **row.kwargs)
    except Exception as error:  # whatever a class of somebody else raises
        words = f"{type(error).__name__}: {error}"
        raise _Unbuilt(
            f"{row.device_class} cannot be made with args {list(row.args)} and kwargs "
            f"{dict(row.kwargs)}: {words}"
        ) from error
    try:
        parts_of(device, row)
    except Unfit as error:
        device.destroy()
        raise _Unbuilt(f"{row.device_class}: {error}") from error
    return device


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise _Unbuilt(f"{module} cannot be imported: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise _Unbuilt(f"{module} has no {name}")
        found = getattr(found, part)
    if not callable(found):
        raise _Unbuilt(f"{path} is a {type(found).__name__}, not a class")
    return found


def _settle(device: Any) -> None:
    """Let a device connect what it has not looked for yet: signals that are lazy."""
    wait = getattr(device, "wait_for_connection", None)
    if wait is not None:  # a soft positioner has nothing to wait for
        wait(timeout=SETTLE_S)


def _unconnected(device: Any) -> Iterator[str]:
    """Yield the addresses that a device waits for."""
    walk = getattr(device, "walk_signals", None)
    signals = [found.item for found in walk()] if walk else [device]
    for signal in signals:
        if not signal.connected:
            names = (getattr(signal, k, None) for k in ("pvname", "setpoint_pvname"))
            known = list(dict.fromkeys(name for name in names if name))
            yield ", ".join(known) or signal.name
