"""Makes docs/images/tiled-run.png, tiled-array.png: a run on a store's web page.

Measures an orbit response of the simulated ``fodo`` machine into a temporary folder,
serves it, and photographs the pages of the run with a headless Chromium.

Run: ``python docs/screenshots/store.py``; needs ``chromium`` in the path.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import acctwin
from acctwin import plans

IMAGES = Path(__file__).parents[1] / "images"
COMMAND = "from acctwin.cli.main import main; main()"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1100,720",
    "--virtual-time-budget=20000",
)


def measure(store: Path) -> str:
    """Store an orbit measurement and a response; return the uid of the response."""
    with acctwin.open_session("fodo", seed=1, catalog=store, progress=False) as s:
        s.run(plans.measure_orbit(s.machine))
        return s.run(plans.measure_orbit_response(s.machine)).uid


def photograph(url: str, image: str, home: Path) -> None:
    """Write a picture of a web page into the folder of images."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise SystemExit("no chromium in the path: install it, or use another browser")
    profile = f"--user-data-dir={home / 'chromium'}"
    shot = f"--screenshot={IMAGES / image}"
    subprocess.run([browser, *FLAGS, profile, shot, url], check=True, timeout=120)


def main() -> None:
    """Make the picture."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        uid = measure(home / "store")
        options = ("--path", home / "store", "--api-key", "secret", "--until-eof")
        command = [sys.executable, "-c", COMMAND, "data", "serve", *map(str, options)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            if server.stdout is None or server.stdin is None:
                raise SystemExit("the server has no pipes")
            address = server.stdout.readline().split()[1]
            page, key = f"{address}/ui/browse/{uid}", "?api_key=secret"
            photograph(page + key, "tiled-run.png", home)
            photograph(f"{page}/primary/bpms_y{key}", "tiled-array.png", home)
            server.stdin.close()


if __name__ == "__main__":
    main()
