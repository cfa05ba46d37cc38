"""Compare two versions of a machine's model: the design, and fitted ones."""

from __future__ import annotations

import numpy as np

from acctwin.analysis.loco.comparison import (
    VersionComparison,
    VersionOptics,
    coupling_of,
)
from acctwin.model.engine import Engine
from acctwin.model.process import EngineProcess
from acctwin.model.spec import spec_of
from acctwin.workflows.loco import Session, put_version, version

#: What the model is called that nothing was fitted to.
DESIGN = "design"


def compare(
    session: Session, uid: str, reference: str | None = None
) -> VersionComparison:
    """Compare a version of the model with another.

    Neither the machine nor ``session.model`` is changed.

    Args:
        session: An open session on the machine, in any mode.
        uid: A fitted model, ``model_version`` of a fit; or ``"design"``.
        reference: What it is compared with; default: the design.

    Raises:
        DataError: A run is no fitted model.
        UnknownName: There is no such run.
        BeamLost: A version has no stable motion.
    """
    names = [_name(session, one) for one in (uid, reference)]
    engine = EngineProcess(spec_of(session.profile))
    try:
        found = [_optics(session, engine, name) for name in names]
    finally:
        engine.close()
    return VersionComparison(*found)


def _name(session: Session, uid: str | None) -> str:
    """Return the full uid of a version, or that of the design."""
    if uid is None or uid == DESIGN:
        return DESIGN
    return version(session, uid).model_version


def _optics(session: Session, engine: Engine, name: str) -> VersionOptics:
    put_version(engine, None if name == DESIGN else version(session, name))
    layout, machine = engine.layout, session.machine
    correctors = {
        corrector: plane
        for family, plane in (("hcm", "x"), ("vcm", "y"))
        if machine.has(family)
        for corrector in machine[family].good().names
    }
    bpms = machine.bpms.good().names
    place = {monitor: i for i, monitor in enumerate(layout.monitors)}
    rows = np.array([place[bpm] for bpm in bpms], dtype=np.int64)
    response = engine.orbit_response(list(correctors))
    seen = np.concatenate([rows, rows + len(place)])
    optics, everywhere = engine.optics(), engine.optics(everywhere=True)
    emittances = np.full(2, np.nan)
    if layout.rf_frequency is not None:
        emittances = engine.equilibrium().emittances
    return VersionOptics(
        name=name,
        bpms=tuple(bpms),
        beta=optics.beta[rows],
        phase=optics.phase[rows],
        dispersion=engine.dispersion()[rows],
        s=everywhere.s,
        beta_everywhere=everywhere.beta,
        tunes=engine.tunes(),
        chromaticity=engine.chromaticity(),
        emittances=emittances,
        coupling=coupling_of(response[seen], list(correctors.values())),
    )
