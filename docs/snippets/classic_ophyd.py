"""Snippets of the page on classic ophyd; a served machine plays it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

os.environ |= {
    "EPICS_CA_ADDR_LIST": "127.0.0.1",
    "EPICS_CA_AUTO_ADDR_LIST": "NO",
    "EPICS_CA_SERVER_PORT": "46164",  # away from an IOC that may run here
    "EPICS_PVAS_SERVER_PORT": "46175",
    "EPICS_PVAS_BROADCAST_PORT": "46176",
}
MAIN = "from acctwin.cli.main import main; main()"
MEMBERS = """
# [members]
members:
  steerer:
    device_class: ophyd:EpicsSignal          # package.module:Class
    args: ["C05:PS-HCM:RB", "C05:PS-HCM:SP"]
    units: A
    setting: {low: -5, high: 5, tolerance: 0.01, delta: 0.2}
    simulated: {value: 0}                    # what stands for it in physics mode
  beam:
    device_class: ophyd:EpicsSignalRO
    args: ["fodo:DCCT"]
    units: A
# [members-end]
"""


def write_site() -> Path:
    """Write a site whose fodo has members."""
    from acctwin.profiles.site import shipped_site

    site = Path("site")
    for name in ("devices", "plans", "profiles"):
        shutil.copytree(shipped_site() / name, site / name)
    with (site / "profiles/fodo.yaml").open("a", encoding="utf-8") as profile:
        profile.write(MEMBERS)
    return site


def main(site: Path) -> None:
    """Use members as an operator would."""
    # [use]
    import acctwin
    from acctwin import plans

    session = acctwin.open_session("fodo", site=site, catalog="temporary")
    machine = session.machine
    steerer = machine["steerer"]  # or machine.members["steerer"]
    session.set("steerer", 0.5)  # the stand-in

    session.switch_to_hardware()  # the same variable, and now the device itself
    session.step("steerer", 0.1)
    print(f"{session.get('steerer', 'readback'):.2f} A, {session.get('beam'):.2f} A")

    family = machine.hcm.select("C08/HCM")
    response = session.run(
        plans.measure_response(machine, [steerer, family], [machine.bpms])
    )
    print(response.matrix.shape, response.actuators)
    # [use-end]
    session.close()


if __name__ == "__main__":
    server = subprocess.Popen(
        [sys.executable, "-c", MAIN, "serve", "epics", "fodo", "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        while not server.stdout.readline().startswith("READY"):
            assert server.poll() is None, "the server has ended"
        main(write_site())
    finally:
        server.stdin.close()
        server.wait(20)
        server.stdout.close()
