"""LOCO on stored measurements: fit the design model, keep it as a version of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.loco import LocoFit, Options
from acctwin.analysis.loco import fit as fit_response
from acctwin.analysis.loco.fit import Progress
from acctwin.analysis.loco.imported import ImportedLoco
from acctwin.analysis.loco.measurement import LocoMeasurement
from acctwin.analysis.loco.version import LocoResult
from acctwin.data.store import Store
from acctwin.devices.magnet import MagnetFamily
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.model.engine import Engine
from acctwin.model.fitted import FittedModel
from acctwin.model.process import EngineProcess
from acctwin.model.spec import spec_of
from acctwin.names import FloatArray
from acctwin.plans import loco_version
from acctwin.plans.actuators import magnets_of_supplies
from acctwin.plans.loco import importing as loco_import
from acctwin.plans.loco import measurement as loco
from acctwin.plans.loco.apply import KINDS as KIND_OF
from acctwin.plans.loco.apply import What, apply_loco
from acctwin.profiles.profile import Profile

log = logging.getLogger(__name__)

#: What has a strength of its own in a fit.
By: TypeAlias = Literal["magnet", "supply"]
#: Families that are fitted by default.
FAMILIES = ("quadrupoles", "skew_quadrupoles")
#: Components whose derivatives have a formula; others are found by differences.
GRADIENTS = ("b1", "a1")
#: Components that steer: their gains are fitted, not their strengths.
KICKS = ("hkick", "vkick")


class Session(Protocol):
    """What a workflow needs of a session."""

    @property
    def profile(self) -> Profile:
        """The machine's profile."""
        ...

    @property
    def machine(self) -> Machine:
        """Its devices."""
        ...

    @property
    def store(self) -> Store:
        """Where runs are."""
        ...

    @property
    def model(self) -> EngineProcess:
        """The design model."""
        ...

    def run(self, plan: MsgGenerator[Any]) -> Any:
        """Run a plan."""
        ...


def fit(
    session: Session,
    uid: str,
    *,
    families: Sequence[str] | None = None,
    by: By = "magnet",
    without: Sequence[str] = (),
    options: Options | None = None,
    progress: Progress | None = None,
) -> LocoResult:
    """Fit the design model to a measurement, and store what was found.

    Neither the machine nor ``session.model`` is changed; :func:`load` takes a fitted
    model over. Ctrl-C ends the fit with the best so far.

    Args:
        session: An open session on the machine, in any mode.
        uid: Of a run of ``measure_loco``.
        families: Of magnets whose strengths are fitted; default: quadrupoles and skew
            quadrupoles. Derivatives of others, such as sextupoles off axis, are taken
            by differences, over their steps in the profile.
        by: ``"magnet"``: each on its own; ``"supply"``: those in series together, which
            is what can be set.
        without: BPMs, correctors and magnets to leave out.
        options: How to fit.
        progress: Hears of each iteration; default: the log.

    Raises:
        PlanError: A family is not of magnets, or of correctors, or none is left.
        DataError: The run is no measurement for LOCO.
    """
    if by not in get_args(By):
        raise PlanError(f"by is 'magnet' or 'supply', not {by!r}")
    how = options or Options()
    data = measurement(session, uid).data(without)
    groups, kinds, steps = _strengths(session.machine, families, by, set(without))
    engine = EngineProcess(spec_of(session.profile))
    try:
        engine.set(np.arange(len(engine.layout.knobs)), session.model.values())
        model = FittedModel(engine, data.monitors, data.actuators, groups, steps)
        place = {name: i for i, name in enumerate(engine.layout.monitors)}
        rows = [place[name] for name in data.monitors]
        design = engine.optics().beta[rows]
        found = fit_response(data, model, how, progress or _log)
        beta, tunes = engine.optics().beta[rows], engine.tunes()
    finally:
        engine.close()
    result = _result(uid, found, groups, kinds, design, beta, tunes)
    words = {
        "by": by,
        "families": None if families is None else list(families),
        "without": list(without),
        "blocks": list(how.blocks),
        "solver": how.solver,
        "cut": how.cut,
        "dispersion_weight": how.dispersion_weight,
    }
    return session.run(loco_version.store_loco(result, words))


def correct(
    session: Session,
    *,
    iterations: int = 2,
    what: Sequence[What] | None = None,
    fraction: float = 1.0,
    enough: float = 0.0,
    families: Sequence[str] | None = None,
    by: By = "magnet",
    without: Sequence[str] = (),
    options: Options | None = None,
) -> list[LocoResult]:
    """Measure, fit, and take out what was found, several times.

    The machine stays corrected; each step is a run, and ``restore_machine`` with the
    uid of an ``apply_loco`` undoes it.

    Args:
        session: An open session on the machine.
        iterations: How often at the most.
        what: ``"optics"``, ``"coupling"``; default: all that the machine can.
        fraction: Of what was found, in 0 to 1.
        enough: It ends when the fitted β-beat is below this, rms of each plane; what
            is left is not taken out then.
        families: See :func:`fit`, as the rest.
        by: The same.
        without: The same.
        options: The same.

    Returns:
        The fits, in order.

    Raises:
        PlanError: See :func:`fit` and ``apply_loco``.
        LimitError: A strength would leave its limits.
    """
    if iterations < 1:
        raise PlanError(f"iterations is at least 1, not {iterations}")
    fits = list[LocoResult]()
    for number in range(1, iterations + 1):
        measured = session.run(loco.measure_loco(session.machine))
        found = fit(
            session,
            measured.uid,
            families=families,
            by=by,
            without=without,
            options=options,
        )
        fits.append(found)
        log.info("LOCO %d of %d: %s", number, iterations, found.summary())
        if found.beta_beat.std(axis=0).max() < enough:
            break
        chosen = what or [name for name, kind in KIND_OF.items() if kind in found.kinds]
        plan = apply_loco(session.machine, found, what=chosen, fraction=fraction)
        log.info("%s", session.run(plan).summary())
    return fits


def measurement(session: Session, uid: str) -> LocoMeasurement | ImportedLoco:
    """Return a stored or imported measurement, with the noise and all correctors."""
    run = session.store.run(uid)
    if run.start.get("plan_name") == loco_import.NAME:
        return loco_import.analyse(run)
    if run.start.get("plan_name") != "measure_loco":
        raise PlanError(
            f"run {run.uid} is a {run.start.get('plan_name')}; a fit needs the uid of "
            "a measure_loco"
        )
    parts = {part: session.store.run(part) for part in run.start["derived_from"]}
    return loco.analyse(run, parts)


def version(session: Session, uid: str) -> LocoResult:
    """Return a stored fit."""
    return loco_version.analyse(session.store.run(uid))


def load(session: Session, uid: str | None) -> None:
    """Make ``session.model`` a fitted model, or the design again.

    Args:
        session: An open session.
        uid: Version of the model; None: the design.
    """
    put_version(session.model, None if uid is None else version(session, uid))


def put_version(engine: Engine, found: LocoResult | None) -> None:
    """Set an engine to a fitted model; None: to the design."""
    layout = engine.layout
    engine.set(np.arange(len(layout.knobs)), layout.values)
    if found is not None:
        nominal = dict(zip(layout.knobs, layout.values.tolist(), strict=True))
        engine.set(*found.magnets(found.values, nominal))


def _strengths(
    machine: Machine, families: Sequence[str] | None, by: By, without: set[str]
) -> tuple[list[tuple[str, ...]], tuple[str, ...], FloatArray]:
    """Return the magnets of each strength, its component, its step of differences."""
    names = families or [name for name in FAMILIES if machine.has(name)]
    fed = magnets_of_supplies(machine)
    groups, kinds, steps = list[tuple[str, ...]](), list[str](), list[float]()
    seen = set(without)
    for name in names:
        family = _fittable(machine, name)
        for magnet in family:
            mine, kind = magnet.info.name, magnet.info.component
            if mine in seen:
                continue
            group = (mine,)
            if by == "supply" and len(magnet.supplies) == 1:
                others = fed[magnet.supplies[0].info.name] & set(family.names)
                group = (mine, *sorted(others - {mine} - without))
            seen.update(group)
            groups.append(group)
            kinds.append(kind)
            steps.append(0.0 if kind in GRADIENTS else magnet.info.delta)
    if not groups:
        raise PlanError("no magnet is left whose strength could be fitted")
    return groups, tuple(kinds), np.array(steps)


def _fittable(machine: Machine, name: str) -> MagnetFamily:
    """Return a family of magnets that have strengths to fit."""
    family = machine[name]
    if not isinstance(family, MagnetFamily):
        raise PlanError(f"{name} is not a family of magnets: it cannot be fitted")
    if any(magnet.info.component in KICKS for magnet in family):
        raise PlanError(f"{name} are correctors: a fit finds their gains by itself")
    return family


def _result(
    uid: str,
    found: LocoFit,
    groups: Sequence[tuple[str, ...]],
    kinds: tuple[str, ...],
    design: FloatArray,
    beta: FloatArray,
    tunes: FloatArray,
) -> LocoResult:
    return LocoResult(
        model_version="",
        uid=uid,
        strengths=found.strengths,
        members=tuple(groups),
        kinds=kinds,
        design=found.start,
        values=found.values,
        sigma=found.sigma,
        bpms=found.monitors,
        beta_at_bpms=beta,
        design_beta_at_bpms=design,
        tunes=tunes,
        actuators=found.actuators,
        gains=found.gains,
        gains_sigma=found.gains_sigma,
        chi2_dof=found.chi2_dof,
        history=np.array(found.history),
        kept=found.kept,
        left_out=int((~found.good).sum()),
    )


def _log(number: int, chi2: float) -> None:
    log.info("LOCO iteration %d: chi2 %.4g", number, chi2)
