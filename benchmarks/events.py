"""Where the time of one event goes: engine, devices, RunEngine, journal.

Measures the same bipolar orbit response of some ``ebs`` correctors with layers
taken away, in one process and one run; wall time, because the engine is another
process. Run: ``python benchmarks/events.py [CORRECTORS]``.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import Future

import acctwin
from acctwin import plans


def timed(session, correctors: int) -> float:
    """Return milliseconds per event of a response measurement."""
    machine = session.machine
    chosen = machine.hcm.select(*machine.hcm.names[:correctors])
    begun = time.perf_counter()
    session.run(
        plans.measure_orbit_response(
            machine, correctors=[chosen, machine.vcm.select(machine.vcm.names[0])]
        )
    )
    return (time.perf_counter() - begun) * 1e3 / (2 * (correctors + 1))


class Recorded:
    """An engine that answers at once with the last orbit: all but the physics."""

    def __init__(self, engine) -> None:
        self._engine = engine
        self._orbit = engine.submit("orbit").result()

    def submit(self, method: str, *args):
        """Answer from memory."""
        future: Future = Future()
        future.set_result(self._orbit if method == "orbit" else None)
        return future

    def close(self) -> None:
        """Close the real engine."""
        self._engine.close()


def main(correctors: int) -> None:
    """Print a table of milliseconds per event."""
    rows: list[tuple[str, float]] = []
    with acctwin.open_session("ebs", seed=1, catalog="temporary", progress=False) as s:
        print("waiting for the Tiled server, so that its start is not in the figures")
        _ = s.catalog
        timed(s, 3)
        total = timed(s, correctors)
        real = s._sim.engine
        s._sim.engine = Recorded(real)
        without_engine = timed(s, correctors)
        s.RE.unsubscribe(0)
        without_journal = timed(s, correctors)
        s._sim.engine = real
        begun = time.perf_counter()
        s.store.flush()
        upload = time.perf_counter() - begun
        rows += [
            ("engine (orbit of 320 BPMs after a kick)", total - without_engine),
            ("journal", without_engine - without_journal),
            ("devices and RunEngine", without_journal),
            ("whole event", total),
        ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}s} {value:8.2f} ms  {value / total:6.1%}")
    print(f"upload still to do after the last run: {upload:.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 48)
