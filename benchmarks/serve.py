"""How fast the served ``ebs`` is, as a client on loopback sees it.

    python benchmarks/serve.py [PROFILE]

Prints the time to start, the number of process variables, how long a put takes until
the new orbit is there, orbits and puts a second, and the memory of the server.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/system"))
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from served import (  # noqa: E402
    COMMAND,
    Client,
    children,
    client,
    epics_network,
    free_port,
    line_of,
    process,
)

from acctwin.profiles import load_profile  # noqa: E402

PUTS = 40


def memory(pid: int) -> float:
    """Return the resident memory of a process [MB]."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def show(what: str, value: object) -> None:
    """Print one figure."""
    print(f"  {what:46} {value}")


def started(child: object, begun: float, marker: str = "READY") -> None:
    """Wait until a server is ready, and show how long it took."""
    line = line_of(child, marker)
    print(f"  {line}")
    show("start [s]", f"{time.monotonic() - begun:.1f}")


def latency(put, values: list[float]) -> str:
    """Return the median and the 95 % quantile of the time of a call [ms]."""
    times = []
    for value in values:
        begun = time.perf_counter()
        put(value)
        times.append(1e3 * (time.perf_counter() - begun))
    return f"{np.median(times):.1f} (p95 {np.percentile(times, 95):.1f})"


def epics(name: str, rf: str, quadrupole: str, supplies: list[str]) -> None:
    """Measure the EPICS server."""
    print(f"EPICS, {name}")
    network = epics_network()
    command = ("-c", COMMAND, "serve", "epics", name, "--seed", "1", "--until-eof")
    begun = time.monotonic()
    with process(*command, env=network) as child:
        started(child, begun)
        with client("epics_client.py", network) as one:
            _epics_puts(one, name, rf, quadrupole, supplies)
        show("memory of server and engine [MB]", _memory(child.pid))


def _epics_puts(
    one: Client, name: str, rf: str, quadrupole: str, supplies: list[str]
) -> None:
    array = f"{name}:BPM:X"
    show("array of all BPMs [ms]", latency(lambda _: one.caget(array), [0.0] * PUTS))
    one.monitor(array)
    names = [f"{supply.replace('/', ':')}:SP" for supply in supplies]
    rf, quadrupole = (f"{name.replace('/', ':')}:SP" for name in (rf, quadrupole))
    for what, setpoint, step in (
        ("RF", rf, 1.0),
        ("one corrector coil", names[0], 0.001),
        ("one quadrupole", quadrupole, 0.005),
    ):
        start, seen = one.caget(setpoint), len(one.seen(array))
        values = [start + step * (1 + n % 2) for n in range(PUTS)]
        begun = time.monotonic()
        times = latency(partial(one.caput, setpoint), values)
        orbits = (len(one.seen(array)) - seen) / (time.monotonic() - begun)
        show(f"{what}; put to orbit [ms]", times)
        show("  orbits a second, put after put", f"{orbits:.0f}")
        one.caput(setpoint, start)
    one.caput_all(dict.fromkeys(names, 0.0))
    taken = one.caput_all(dict.fromkeys(names, 0.001))
    show(f"{len(names)} puts at once [s]", f"{taken:.2f} ({len(names) / taken:.0f}/s)")


def tango(name: str, supplies: list[str]) -> None:
    """Measure the Tango server."""
    print(f"Tango, {name}")
    port = str(free_port())
    command = ("-c", COMMAND, "serve", "tango", name, "--seed", "1", "--port", port)
    begun = time.monotonic()
    with process(*command) as child:
        started(child, begun)
        with client("tango_client.py") as one:
            device = f"{name}/supply/{supplies[0].replace('/', '-')}"
            trl = f"tango://127.0.0.1:{port}/{device}#dbase=no"

            def put(value: float) -> None:
                one.subscribe(trl, "CurrentRB")
                one.write(trl, "Current", value)
                one.wait_for(trl, "CurrentRB", value)

            one.subscribe(trl, "CurrentRB")
            values = [0.001 * (1 + n % 2) for n in range(PUTS)]
            show("write until the event of the readback [ms]", latency(put, values))
        show("memory of server and engine [MB]", _memory(child.pid))
        child.terminate()


def _memory(pid: int) -> str:
    return " + ".join(f"{memory(p):.0f}" for p in (pid, *children(pid)))


def main(name: str) -> None:
    """Measure both servers."""
    profile = load_profile(name)
    families = profile.families()

    def supplies_of(*names: str) -> list[str]:
        wanted = {name for family in names for name in families[family]}
        feeds = [row.feeds for row in profile.magnets if row.name in wanted]
        return list(dict.fromkeys(feed.supply for row in feeds for feed in row))

    rf = profile.rf.name if profile.rf else ""
    supplies = supplies_of("hcm", "vcm")
    epics(name, rf, supplies_of("quadrupoles")[0], supplies)
    tango(name, supplies)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "ebs")
