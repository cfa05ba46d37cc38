"""A session as any user has it, on the simulated machine or on a served one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from bluesky.plan_stubs import mv, null
from served import answer

import acctwin
from acctwin import plans
from acctwin.analysis.loco import Options
from acctwin.testing import hidden_lattice
from acctwin.workflows import loco as workflow

HERE: dict[str, Any] = {}
DESCRIPTORS: dict[str, dict[str, Any]] = {}
STARTS: list[dict[str, Any]] = []


def open_on(profile: str, mode: str, site: str, seed: int | None = None) -> None:
    """Open a session; keep what its documents look like."""
    session = acctwin.open_session(
        profile, mode, catalog="temporary", site=site, seed=seed, progress=False
    )
    HERE["session"], HERE["machine"] = session, session.machine

    def keep(name: str, document: dict[str, Any]) -> None:
        if name == "start":
            STARTS.append(document)
        if name == "descriptor":
            keys = {
                key: [found["dtype"], found["shape"], found.get("units")]
                for key, found in document["data_keys"].items()
            }
            plan = STARTS[-1]["plan_name"]
            DESCRIPTORS[f"{plan}/{document['name']}"] = keys

    session.RE.subscribe(keep)


def measure() -> dict[str, Any]:
    """Run the same plans as on every machine, and put everything back."""
    session, machine = HERE["session"], HERE["machine"]
    knobs = machine.hcm.select(*machine.hcm.names[:2])
    orbit = session.run(plans.measure_orbit(machine, readings=4))
    response = session.run(plans.measure_orbit_response(machine, correctors=[knobs]))
    tune = session.run(plans.measure_tune(machine, readings=4))
    turns = session.run(plans.measure_tune(machine, method="turns"))
    chromaticity = session.run(plans.measure_chromaticity(machine))
    rf = session.run(plans.measure_dispersion(machine))
    before = session.get("supplies", units="hardware")
    corrected = session.run(plans.correct_orbit(machine, goal="zero", iterations=1))
    session.set("supplies", before, units="hardware")
    return {
        "orbit": [orbit.x, orbit.y],
        "matrix": response.matrix,
        "delta": float(np.abs(response.deltas).min()),
        "tune": [tune.qx, tune.qy],
        "turns": [turns.qx, turns.qy],
        "chromaticity": [
            [chromaticity.xi_x, chromaticity.xi_y],
            [chromaticity.sigma_x, chromaticity.sigma_y],
        ],
        "dispersion": rf.eta_x,
        "corrected": [corrected.rms_x, corrected.rms_y],
        "descriptors": DESCRIPTORS,
        "start_keys": sorted({key for start in STARTS for key in start}),
        "starts": [[start["mode"], start["backends"]] for start in STARTS],
    }


def there_and_back() -> dict[str, Any]:
    """Switch to hardware and back; nothing that a user holds is another object."""
    session, machine = HERE["session"], HERE["machine"]
    magnet, name = machine.hcm[0], machine.hcm.names[0]
    seen: list[tuple[str, float]] = []

    def note() -> None:
        seen.append((session.mode, round(session.get(name) * 1e6, 3)))

    note()
    session.switch_to_hardware()
    note()
    session.RE(mv(magnet, 1e-5))
    note()
    session.switch_to_physics()
    note()
    session.switch_to_hardware()
    session.RE(mv(magnet, 0.0))
    note()
    same = session.machine is machine and machine[name] is magnet
    return {"seen": seen, "same": same, "repr": repr(session)}


def switch_inside_a_plan() -> None:
    """Switch while a plan runs."""
    session = HERE["session"]

    def plan() -> Any:
        session.switch_to_physics()
        yield from null()

    session.run(plan())


def dry_run() -> dict[str, Any]:
    """Measure a response on the twin, and set something."""
    session, machine = HERE["session"], HERE["machine"]
    first, second = machine.hcm.names[:2]
    session.set(first, 2e-5)
    last = session.store.run(-1).uid
    knobs = machine.hcm.select(first, second)
    measured = session.dry_run(plans.measure_orbit_response, machine, correctors=knobs)
    moved = session.dry_run(plans.set_values, machine, first, 1e-3)
    found = {
        "measured": [[move.name, move.start, move.end] for move in measured.moves],
        "kept": len(measured.kept),
        "matrix": float(np.abs(measured.result.matrix).max()),
        "moved": [[move.start, move.end, move.margin] for move in moved.moves],
        "text": str(moved),
        "held": session.get(first),
        "mode": session.mode,
        "stored": session.store.run(-1).uid != last,
    }
    session.set(first, 0.0)
    return found


def loco() -> dict[str, Any]:
    """Fit the model, take out what was found; put everything back."""
    session, machine = HERE["session"], HERE["machine"]
    before = session.get("supplies", units="hardware")
    session.run(plans.correct_orbit(machine, goal="zero"))
    measured = session.run(plans.measure_loco(machine, noise_readings=10))
    # 12 BPMs cannot tell 24 quadrupoles apart.
    fit = workflow.fit(session, measured.uid, options=Options(cut=0.01))
    tunes = [session.run(plans.measure_tune(machine))]
    session.run(plans.apply_loco(machine, fit, what=["optics"]))
    tunes.append(session.run(plans.measure_tune(machine)))
    session.set("supplies", before, units="hardware")
    return {
        "beta": fit.beta_at_bpms,
        "beat": fit.beta_beat.std(axis=0),
        "tunes": [[tune.qx, tune.qy] for tune in tunes],
        "design": session.model.tunes()[:2],
        "mode": session.store.run(fit.model_version).start["mode"],
    }


def true_beta() -> Any:
    """Return the beta of the simulated machine at its BPMs [m]."""
    session = HERE["session"]
    before = session.get("supplies", units="hardware")
    session.run(plans.correct_orbit(session.machine, goal="zero"))
    lattice = hidden_lattice(session)
    session.set("supplies", before, units="hardware")
    return lattice.get_optics(refpts="BPMx")[2].beta[::2]  # each has two ends


def failure(what: str, *args: Any) -> dict[str, Any]:
    """Do something that fails; return how, and after how long."""
    begun = time.monotonic()
    try:
        found = globals()[what](*args)
    except BaseException as error:
        chain = type(error).__mro__
        seconds = time.monotonic() - begun
        kinds = [kind.__name__ for kind in chain]
        return {"kinds": kinds, "text": str(error), "seconds": seconds}
    return {"kinds": [], "text": f"no error: {found}", "seconds": 0.0}


def set_to(name: str, value: float, units: str = "hardware") -> None:
    """Set a device."""
    HERE["session"].set(name, value, units=units)


def get(name: str) -> Any:
    """Read a device."""
    return HERE["session"].get(name)


def orbit() -> float:
    """Measure the orbit."""
    return HERE["session"].run(plans.measure_orbit(HERE["machine"])).rms[0]


def switch(mode: str) -> str:
    """Switch."""
    getattr(HERE["session"], f"switch_to_{mode}")()
    return HERE["session"].mode


def close() -> None:
    """Close the session."""
    HERE.pop("session").close()


def threads() -> list[str]:
    """Return the threads that are left."""
    import threading

    return [thread.name for thread in threading.enumerate()]


answer(globals())
