"""A session whose members are classic ophyd devices, over pyepics."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np
from bluesky import plans as bp
from bluesky.utils import Msg
from ophyd import EpicsSignal
from served import answer

import acctwin
from acctwin import plans
from acctwin.backends.classic.members import ClassicMembers
from acctwin.plans.stubs import move
from acctwin.profiles import load_profile

HERE: dict[str, Any] = {}
EVENTS: list[tuple[str, dict[str, Any]]] = []


def open_on(site: str, mode: str) -> list[str]:
    """Open a session; return the members that are there."""
    session = acctwin.open_session(
        "thomx", mode, catalog="temporary", site=site, progress=False
    )
    HERE["session"], HERE["machine"] = session, session.machine
    session.RE.subscribe(lambda name, document: EVENTS.append((name, document)))
    return [name for name, one in session.machine.members.items() if one.is_there]


def switch(mode: str) -> str:
    """Switch."""
    getattr(HERE["session"], f"switch_to_{mode}")()
    return HERE["session"].mode


def there_and_back(name: str) -> list[list[Any]]:
    """Set a member in either mode; the device stays the same."""
    session, member = HERE["session"], HERE["machine"][name]
    seen: list[list[Any]] = []
    for mode, value in (("hardware", 2.0), ("physics", 1.0), ("hardware", 0.0)):
        switch(mode)
        before = session.get(name)
        session.set(name, value)
        is_same = HERE["machine"][name] is member
        seen.append([mode, before, session.get(name, "readback"), is_same])
    return seen


def get(name: str, what: str = "setpoint") -> Any:
    """Read a device."""
    return HERE["session"].get(name, what)


def set_to(name: str, value: float) -> float:
    """Set a device and step it by nothing."""
    HERE["session"].set(name, value)
    return HERE["session"].step(name, 0.0)


def response(actuators: list[str], monitors: list[str]) -> dict[str, Any]:
    """Measure a response."""
    session, machine = HERE["session"], HERE["machine"]
    EVENTS.clear()
    found = session.run(
        plans.measure_response(
            machine,
            [machine[name] for name in actuators],
            [machine[name] for name in monitors],
        )
    )
    return {
        "matrix": found.matrix,
        "monitors": found.monitors,
        "units": found.units,
        "baseline": [key for key in baseline_keys() if key.split("_")[0] in MEMBERS],
        "start": EVENTS[0][1]["backends"],
    }


MEMBERS = ("coil", "signal", "station", "current", "rf-member")


def baseline_keys() -> list[str]:
    """Return the data keys of the last baseline."""
    descriptors = (doc for name, doc in EVENTS if name == "descriptor")
    (found,) = (doc for doc in descriptors if doc["name"] == "baseline")
    return sorted(found["data_keys"])


def own_device(pv: str) -> dict[str, Any]:
    """Scan a device that the user made, with families; then the other way round."""
    session, machine = HERE["session"], HERE["machine"]
    mine = EpicsSignal(f"{pv}:RB", write_pv=f"{pv}:SP", name="mine", put_complete=True)
    mine.wait_for_connection(timeout=5)
    EVENTS.clear()
    session.run(bp.scan([machine.bpms], mine, 0.0, 1.0, 3))
    session.run(bp.scan([mine], machine.hcm[0], 0.0, 2e-5, 2))
    mine.set(0.0, timeout=5).wait()
    session.set(machine.hcm[0], 0.0)
    events = [doc["data"] for name, doc in EVENTS if name == "event"]
    first = [e for e in events if "mine" in e and "bpms_x" in e]
    second = [e for e in events if "mine" in e and "bpms_x" not in e]
    mine.destroy()
    return {
        "mine": [e["mine"] for e in first],
        "moved": float(np.abs(first[-1]["bpms_x"] - first[0]["bpms_x"]).max()),
        "still": [e["mine"] for e in second],
    }


def move_to(name: str, value: float) -> None:
    """Set a device without a run."""
    HERE["session"].run(move([(HERE["machine"][name], value)]))


def connect(site: str) -> None:
    """Build and connect the members of a site, and nothing else."""
    rows = load_profile("thomx", site).members
    members = ClassicMembers(rows, 3.0, 1.0)

    async def try_it() -> None:
        try:
            await members.connect(1.0)
        finally:
            await members.close()

    asyncio.run(try_it())


def timed(name: str, count: int) -> dict[str, float]:
    """Return how long a set, and a reading, take [s]."""
    session = HERE["session"]
    device = HERE["machine"][name]
    seconds: dict[str, float] = {}
    for what, plan in (("set", _sets(device, count)), ("read", _reads(device, count))):
        begun = time.monotonic()
        session.run(plan)
        seconds[what] = (time.monotonic() - begun) / count
    return seconds


def _sets(device: Any, count: int) -> Any:
    for k in range(count):
        yield from move([(device, 0.1 * (k % 2))])


def _reads(device: Any, count: int) -> Any:
    for _ in range(count):
        yield Msg("read", device)


def failure(what: str, *args: Any) -> dict[str, Any]:
    """Do something that fails; return how, and after how long."""
    begun = time.monotonic()
    try:
        found = globals()[what](*args)
    except BaseException as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        seconds = time.monotonic() - begun
        return {"kinds": kinds, "text": str(error), "seconds": seconds}
    return {"kinds": [], "text": f"no error: {found}", "seconds": 0.0}


def close() -> list[str]:
    """Close the session; return the threads of members that are left."""
    HERE.pop("session").close()
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if "classic" in name]


answer(globals())
