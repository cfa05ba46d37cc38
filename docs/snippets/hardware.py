"""Snippets of the page on hardware: a served machine plays it; run by the tests."""

import os
import subprocess
import sys

os.environ |= {
    "EPICS_CA_ADDR_LIST": "127.0.0.1",
    "EPICS_CA_AUTO_ADDR_LIST": "NO",
    "EPICS_CA_SERVER_PORT": "46064",  # away from an IOC that may run here
    "EPICS_PVAS_SERVER_PORT": "46075",
    "EPICS_PVAS_BROADCAST_PORT": "46076",
}
MAIN = "from acctwin.cli.main import main; main()"


def main() -> None:
    """Use the machine as an operator would."""
    # [switch]
    import acctwin
    from acctwin import plans

    session = acctwin.open_session("fodo", catalog="temporary")
    machine = session.machine
    print(session)

    session.switch_to_hardware()
    print(session)

    # first on the twin, with the setpoints that the real machine has now
    print(session.dry_run(plans.set_values, machine, "C05/HCM", 2e-5))

    session.set("C05/HCM", 2e-5)
    print(f"{session.get('C05/HCM', 'readback'):.1e} rad")

    session.switch_to_physics()
    print(f"{session.get('C05/HCM'):.1e} rad")
    # [switch-end]
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
        main()
    finally:
        server.stdin.close()
        server.wait(20)
        server.stdout.close()
