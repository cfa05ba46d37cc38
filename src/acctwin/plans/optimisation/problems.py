"""Ready problems for ``optimise``: what operators often make small, or large."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from acctwin.analysis.optimisation import Output
from acctwin.devices.injection import InjectionMonitor
from acctwin.devices.lifetime import LifetimeMonitor
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError, UnknownName
from acctwin.names import BPMS, HCM, VCM, FloatArray
from acctwin.plans.actuators import Units
from acctwin.plans.guards import require
from acctwin.plans.knobs import Knobs, correctors
from acctwin.plans.optimisation.problem import (
    Measured,
    Problem,
    Variable,
    plain_variables,
)
from acctwin.plans.orbits.orbit import positions
from acctwin.plans.stubs import Reading

SKEWS, EMITTANCE = "skew_quadrupoles", "emittance"
INJECTION, LIFETIME = "injection", "lifetime"
#: Families of magnets that are varied for both, by default.
NONLINEAR = ("sextupoles", "octupoles")
#: How many correctors of each plane the design's coupling is computed with.
CORRECTORS = 4
#: How far a combination of skew quadrupoles goes, see ``vertical_emittance``.
COUPLING = 0.01


def vertical_emittance(
    machine: Machine,
    *,
    skews: Sequence[str] | None = None,
    modes: int | None = None,
    coupling: float = COUPLING,
    reach: float | None = None,
    noise: float = 0.0,
) -> Problem:
    """Return the problem of a small vertical emittance, with skew quadrupoles.

    Args:
        machine: The machine.
        skews: Skew quadrupoles, by name; default: all good ones.
        modes: Vary so many combinations of them: those that couple the planes the
            most in the design model, which generators do in fewer evaluations;
            default: each on its own.
        coupling: How far each combination may go: where it alone makes the orbit
            response across the planes so large, relative to that within them.
        reach: How far each skew quadrupole may go from where it is, in its unit, when
            each is on its own; default: to its limits.
        noise: Standard deviation of a reading of the emittance [m rad].

    Raises:
        PlanError: No emittance monitor or skew quadrupoles; for modes, no orbit; or
            there are not so many.
    """
    require(machine, [EMITTANCE, SKEWS], "its vertical emittance cannot be optimised")
    knobs = _knobs(machine, [SKEWS], skews)
    key = f"{machine.emittance.name}_ey"
    has_orbit = all(machine.has(name) for name in (BPMS, HCM, VCM))
    variables = plain_variables(knobs, reach)
    if modes is not None:
        require(machine, [BPMS, HCM, VCM], "no combinations of its skew quadrupoles")
        variables = _coupling_modes(machine, knobs, modes, coupling)

    def along() -> FloatArray:
        if modes is not None:
            return np.eye(modes)
        return principal(_coupling(machine, knobs))

    return Problem(
        "vertical_emittance",
        knobs,
        variables,
        (machine.emittance,),
        (Measured(Output("ey", "m rad", noise), lambda event: float(event[key])),),
        directions=along if has_orbit else None,
    )


def orbit(
    machine: Machine,
    *,
    names: Sequence[str] | None = None,
    reach: float | None = None,
    noise: float = 0.0,
) -> Problem:
    """Return the problem of a small orbit, with correctors.

    ``correct_orbit`` does the same with far fewer readings where the response is
    known; this is for when it is not, and to try generators on.

    Args:
        machine: The machine.
        names: Correctors; default: all good ones.
        reach: How far each may go from where it is [rad]; default: to its limits.
        noise: Standard deviation of the rms orbit of a reading [m].

    Raises:
        PlanError: No BPMs, or no correctors.
    """
    require(machine, [BPMS], "there is no orbit to optimise")
    knobs = _knobs(machine, [HCM, VCM], names)
    bpms = machine.bpms

    def rms(event: Reading) -> float:
        return float(np.sqrt(np.mean(np.square(positions(bpms, [event])))))

    def along() -> FloatArray:
        names = bpms.good().names
        return principal(machine.design.orbit_response(names, knobs.names))

    return Problem(
        "orbit",
        knobs,
        plain_variables(knobs, reach),
        (bpms,),
        (Measured(Output("rms_orbit", "m", noise), rms),),
        directions=along,
    )


def injection_efficiency(
    machine: Machine,
    *,
    families: Sequence[str] = NONLINEAR,
    reach: float | None = None,
    noise: float = 0.0,
) -> Problem:
    """Return the problem of a large injection efficiency, with nonlinear magnets.

    The supplies of the magnets are varied, each once, so that magnets in series stay
    together; where there are no supplies, each magnet.

    Args:
        machine: The machine.
        families: Of magnets; those that the machine has.
        reach: How far each supply may go from where it is [A]; default: to its limits.
        noise: Standard deviation of the efficiency of a shot.

    Raises:
        PlanError: No injection to be observed, or none of the families.
    """
    require(machine, [INJECTION], "its injection cannot be optimised")
    output = Output("efficiency", "1", noise, maximise=True)
    name = "injection_efficiency"
    return _nonlinear(machine, families, reach, name, machine.injection, output)


def lifetime(
    machine: Machine,
    *,
    families: Sequence[str] = NONLINEAR,
    reach: float | None = None,
    noise: float = 0.0,
) -> Problem:
    """Return the problem of a long lifetime, with nonlinear magnets.

    They make the dynamic aperture off momentum larger or smaller, and so what the
    beam loses by Touschek scattering. The magnets are as for ``injection_efficiency``.

    Args:
        machine: The machine.
        families: Of magnets; those that the machine has.
        reach: How far each supply may go from where it is [A]; default: to its limits.
        noise: Standard deviation of a reading of the lifetime [s].

    Raises:
        PlanError: No lifetime monitor, or none of the families.
    """
    require(machine, [LIFETIME], "its lifetime cannot be optimised")
    output = Output("lifetime", "s", noise, maximise=True)
    return _nonlinear(machine, families, reach, "lifetime", machine.lifetime, output)


#: By name, as ``optimise`` takes them.
READY: Mapping[str, Callable[..., Problem]] = MappingProxyType({
    "vertical_emittance": vertical_emittance,
    "orbit": orbit,
    "injection_efficiency": injection_efficiency,
    "lifetime": lifetime,
})


def ready_problem(machine: Machine, name: str) -> Problem:
    """Return a ready problem with its defaults.

    Raises:
        UnknownName: There is none of that name.
        PlanError: The machine has not what it needs.
    """
    return named_problem(machine, name, {})


def named_problem(machine: Machine, name: str, words: Mapping[str, Any]) -> Problem:
    """Return a ready problem with some of its arguments given.

    Raises:
        UnknownName: There is none of that name.
        PlanError: The machine has not what it needs, or there is no such argument.
    """
    if name not in READY:
        raise UnknownName("ready problem", name, READY)
    known = inspect.signature(READY[name]).parameters
    for word in words:
        if word not in known:
            raise PlanError(
                f"{name} has no argument {word!r}; it has {', '.join(list(known)[1:])}"
            )
    return READY[name](machine, **words)


def principal(response: FloatArray) -> FloatArray:
    """Return the directions in which a response is simple, the strongest first.

    Args:
        response: d(anything)/d(knob), (n, n_knobs).

    Returns:
        Right singular vectors, (n_knobs, n_knobs or fewer).
    """
    return np.linalg.svd(response, full_matrices=False)[2].T


def _nonlinear(
    machine: Machine,
    families: Sequence[str],
    reach: float | None,
    name: str,
    monitor: InjectionMonitor | LifetimeMonitor,
    output: Output,
) -> Problem:
    """Return the problem of what a monitor reads, with the supplies of some magnets."""
    (column,) = monitor.columns()
    there = [name for name in families if machine.has(name)]
    has_supplies = all(machine[name].supplies is not None for name in there)
    knobs = _knobs(machine, there, None, "hardware" if has_supplies else "physics")
    measured = Measured(output, lambda event: float(event[column.key]))
    variables = plain_variables(knobs, reach)
    return Problem(name, knobs, variables, (monitor,), (measured,))


def _knobs(
    machine: Machine,
    families: Sequence[str],
    names: Sequence[str] | None,
    units: Units = "physics",
) -> Knobs:
    """Return the good members of some families, or those that were named.

    Raises:
        UnknownName: A name that is none of them.
        PlanError: None is left.
    """
    good = correctors(machine, units, lambda _: True, families)
    for name in names or ():
        if name not in good.names:
            raise UnknownName(f"good member of {', '.join(families)}", name, good.names)
    chosen = good if names is None else good.only(set(names))
    if not len(chosen):
        raise PlanError(
            f"{machine.title} has no good {' or '.join(families) or 'magnet'} to vary"
        )
    return chosen


def _coupling(machine: Machine, knobs: Knobs) -> FloatArray:
    """Return d(orbit response to a few correctors)/d(skew), (n, n_knobs)."""
    bpms, kicks = machine.bpms.good().names, _few_correctors(machine)
    response = machine.design.coupling_response(bpms, kicks, knobs.names)
    return response.reshape(-1, len(knobs))


def _coupling_modes(
    machine: Machine, knobs: Knobs, count: int, coupling: float
) -> tuple[Variable, ...]:
    """Return the combinations of skew quadrupoles that couple the planes the most.

    Raises:
        PlanError: There are not so many, or the coupling is not positive.
    """
    if not 1 <= count <= len(knobs):
        raise PlanError(f"modes is 1 to {len(knobs)} of so many knobs, not {count}")
    if not coupling > 0.0:
        raise PlanError(f"coupling is more than 0, not {coupling!r}")
    across = _coupling(machine, knobs)
    bpms, kicks = machine.bpms.good().names, _few_correctors(machine)
    within = np.linalg.norm(machine.design.orbit_response(bpms, kicks))
    _, sizes, rows = np.linalg.svd(across, full_matrices=False)
    unit = knobs.devices[0].bounds.unit
    reach = coupling * within / sizes
    return tuple(
        Variable(
            f"mode_{i + 1}",
            unit,
            dict(zip(knobs.names, rows[i].tolist(), strict=True)),
            reach=float(reach[i]),
            is_change=True,
        )
        for i in range(count)
    )


def _few_correctors(machine: Machine) -> list[str]:
    return [name for f in (HCM, VCM) for name in _evenly(machine[f].good().names)]


def _evenly(names: Sequence[str]) -> list[str]:
    places = np.linspace(0, len(names) - 1, min(CORRECTORS, len(names)))
    return [names[round(float(place))] for place in places]
