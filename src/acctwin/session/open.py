"""Opening a session: what has to start, and what ends again if one of it fails."""

from __future__ import annotations

from pathlib import Path

from acctwin.backends.sim.open import Simulation
from acctwin.data.store import Store
from acctwin.model.process import EngineProcess
from acctwin.model.spec import spec_of
from acctwin.names import Mode
from acctwin.profiles.load import load_profile
from acctwin.session.plants import Plants, check_mode
from acctwin.session.session import Session


def open_session(
    profile: str | Path,
    mode: Mode = "physics",
    *,
    run: str | int | None = None,
    catalog: str | Path | None = None,
    site: str | Path | None = None,
    seed: int | None = None,
    operator: str | None = None,
    progress: bool = True,
) -> Session:
    """Open a machine.

    Args:
        profile: Name of a profile of the site, or a path.
        mode: ``"physics"``: the simulated machine; ``"hardware"``: the real one;
            ``"replay"``: a stored run.
        run: With ``mode="replay"``: uid of the run in the catalogue, its beginning,
            or -1 for the newest.
        catalog: ``"local"``, ``"temporary"``, a folder, or the URL of a Tiled server;
            default: what the profile says in ``data``, else ``"local"``.
        site: Folder with ``devices/ plans/ profiles/``; default: ``$ACCTWIN_SITE``,
            else the reference machines that ship with acctwin.
        seed: None: the simulated machine is the design machine. A number: it gets
            the profile's imperfections, drawn from this seed; the design model
            stays ideal.
        operator: For the metadata; default: the user of this computer.
        progress: Whether long plans show a progress bar.

    Raises:
        ConfigError: The profile is wrong; all faults at once.
        UnknownName: There is no such profile.
        PlanError: ``mode="hardware"`` and the profile has no addresses for it, or
            ``mode="replay"`` without a run.
        DataError: The run is of another machine, or does not say where it stood.
        LinkLost: ``mode="hardware"`` and some addresses do not answer.
    """
    check_mode(mode, run)
    checked = load_profile(profile, site)
    simulation = Simulation(checked, seed) if mode == "physics" else None
    model = EngineProcess(spec_of(checked))
    plants: Plants | None = None
    store: Store | None = None
    try:
        store = Store.open(
            checked.data.catalog if catalog is None else catalog,
            waiting_bytes=checked.data.waiting_bytes,
        )
        start = mode if run is None else store.run(run)
        plants = Plants(checked, model.layout, simulation, seed, start)
        return Session(
            checked,
            store,
            plants,
            model,
            seed=seed,
            operator=operator,
            progress=progress,
        )
    except BaseException:
        for opened in (store, plants or simulation, model):
            if opened is not None:
                opened.close()
        raise
