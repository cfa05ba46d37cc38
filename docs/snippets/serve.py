"""Snippets of the page on serving a machine; run by the tests."""

import os
import subprocess
import sys

os.environ |= {
    "EPICS_PVA_ADDR_LIST": "127.0.0.1",
    "EPICS_PVA_AUTO_ADDR_LIST": "NO",
    "EPICS_CA_SERVER_PORT": "45064",  # away from an IOC that may run here
    "EPICS_PVA_SERVER_PORT": "45075",
    "EPICS_PVAS_SERVER_PORT": "45075",
    "EPICS_PVA_BROADCAST_PORT": "45076",
    "EPICS_PVAS_BROADCAST_PORT": "45076",
}
command = [sys.executable, "-c", "from acctwin.cli.main import main; main()"]
server = subprocess.Popen(
    [*command, "serve", "epics", "fodo", "--until-eof"],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
)
while not server.stdout.readline().startswith("READY"):
    assert server.poll() is None, "the server has ended"

try:
    # [client]
    from p4p.client.thread import Context

    pva = Context("pva")
    before = pva.get("fodo:BPM:X")
    pva.put("C01:PS-HCM:SP", 0.5, wait=True)  # until the new orbit is published
    change = pva.get("fodo:BPM:X") - before
    print(f"largest change {1e3 * abs(change).max():.2f} mm")
    # [client-end]
    assert 1e-4 < abs(change).max() < 1e-3
    pva.close()
finally:
    server.stdin.close()
    server.wait(20)
