"""A session on a served machine that is going to be killed; see ``test_link_loss``."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from served import answer

import acctwin
from acctwin import plans

HERE: dict[str, Any] = {}


def tell(text: str) -> None:
    """Say something to the test, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Teller(logging.Handler):
    """Tells the log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record."""
        tell(f"LOG {record.getMessage()}")


def open_on(site: str, folder: str) -> None:
    """Open a session on hardware."""
    logging.getLogger("acctwin").addHandler(Teller())
    session = acctwin.open_session(
        "thomx", "hardware", catalog=folder, site=site, progress=False
    )
    HERE["session"] = session
    HERE["knobs"] = session.machine.hcm.select(*session.machine.hcm.names[:4])

    def note(name: str, document: dict[str, Any]) -> None:
        if name == "event":
            tell(f"EVENT {document['seq_num']}")

    session.RE.subscribe(note)


def measure() -> dict[str, Any]:
    """Measure a response; all settings are elsewhere than where a server starts."""
    session = HERE["session"]
    session.set("RI/HCOR-05", 3e-5)
    plan = plans.measure_orbit_response(
        session.machine, correctors=[HERE["knobs"]], settle_s=0.2
    )
    found = session.run(plan)
    primary = session.store.run(found.uid)["primary"]
    return {
        "matrix": found.matrix,
        "delta": float(abs(found.deltas).min()),
        "held": session.get("RI/HCOR-05"),
        "events": len(primary),
    }


def failure() -> dict[str, Any]:
    """Measure; return how it failed, and after how long."""
    begun = time.monotonic()
    try:
        found = measure()
    except BaseException as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        seconds = time.monotonic() - begun
        return {"kinds": kinds, "text": str(error), "seconds": seconds}
    return {"kinds": [], "text": f"no error: {found}"}


answer(globals())
