"""Lattices: opening them, finding elements in them, matching profiles to them."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import at

from acctwin.errors import AcctwinError, EngineError, Fault, UnknownName, did_you_mean
from acctwin.model.channels import carries
from acctwin.model.fodo import fodo_ring
from acctwin.model.pyat import Lattice
from acctwin.names import COMPONENT_UNITS
from acctwin.profiles.profile import (
    BpmRow,
    ElementRef,
    LatticeSource,
    MagnetRow,
    PingerRow,
    Profile,
)

CODE_RINGS = {"fodo": fodo_ring}

#: How well a profile's energy and lengths agree with its lattice's.
_AGREEMENT = 1e-3


def open_lattice(source: LatticeSource) -> Lattice:
    """Return a whole lattice in which every element is its own object.

    Args:
        source: ``"at:NAME"``: a file that ships with accelerator-toolbox;
            ``"code:fodo"``: built in code; else the path of a lattice file.

    Raises:
        EngineError: There is no such lattice, or it cannot be read.
    """
    cell = _read(source)
    elements = [e.deepcopy() for _ in range(source.repeat) for e in cell]
    return at.Lattice(
        elements,
        name=cell.name,
        energy=cell.energy,
        particle=cell.particle,
        periodicity=1,
    )


def places_of(ring: Lattice) -> dict[str, list[int]]:
    """Return the indices of the elements of each lattice family, in s order."""
    places: dict[str, list[int]] = {}
    for i, element in enumerate(ring):
        places.setdefault(element.FamName, []).append(i)
    return places


def elements_of(
    ring: Lattice, ref: ElementRef, places: dict[str, list[int]] | None = None
) -> list[int]:
    """Return the indices of the elements that make up one device.

    Args:
        ring: The lattice.
        ref: Which occurrences of which family.
        places: From :func:`places_of`, where many devices are looked up.

    Raises:
        UnknownName: No element has that family name.
        EngineError: The family has fewer elements.
    """
    places = places_of(ring) if places is None else places
    if ref.family not in places:
        raise UnknownName("lattice family", ref.family, places)
    found = places[ref.family][ref.index : ref.index + ref.count]
    if len(found) < ref.count or ref.index < 0:
        have, last = len(places[ref.family]), ref.index + ref.count - 1
        raise EngineError(
            f"lattice family {ref.family!r} has {have} elements, "
            f"numbered 0 to {have - 1}; number {last} is wanted"
        )
    return found


def match(profile: Profile) -> list[Fault]:
    """Return what of a profile does not fit its lattice, with file and line.

    Devices without lattice elements, units that are not those of the element
    (thick or thin), elements that cannot carry the strength that is asked of them,
    and energy or lengths that would make another strength of a supply's current. The
    list is empty when all is well.
    """
    try:
        ring = open_lattice(profile.lattice)
    except AcctwinError as error:
        return [Fault(str(profile.path), 1, 1, str(error))]
    places = places_of(ring)
    known: dict[tuple[object, ...], bool] = {}
    faults: list[Fault] = []
    for row in (*profile.magnets, *profile.bpms):
        fault = _missing(row, places)
        if fault is None and isinstance(row, MagnetRow):
            fault = _misfit(row, ring, places, known)
            fault = fault or _length_fault(row, ring, places)
        if fault is not None:
            faults.append(fault)
    if profile.pinger is not None:
        lost = _missing(profile.pinger, places)
        faults += [] if lost is None else [lost]
    faults += _energy_fault(profile, ring)
    if profile.rf is not None and not any(isinstance(e, at.RFCavity) for e in ring):
        message = f"{profile.rf.name}: the lattice has no cavity; leave out `rf`"
        faults.append(profile.rf.origin.fault(message))
    return faults


def _read(source: LatticeSource) -> Lattice:
    kind, _, name = source.source.partition(":")
    if kind == "code":
        if name not in CODE_RINGS:
            raise UnknownName("lattice built in code", name, CODE_RINGS)
        return CODE_RINGS[name]()
    if kind == "at":
        folder = files("machine_data")
        known = sorted(item.name for item in folder.iterdir() if item.is_file())
        if name not in known:
            raise UnknownName("lattice of accelerator-toolbox", name, known)
        with as_file(folder / name) as path:
            return _load(path, source.key)
    return _load(Path(source.source), source.key)


def _load(path: Path, key: str | None) -> Lattice:
    if not path.is_file():
        raise EngineError(f"lattice file {path} does not exist")
    try:
        return at.load_lattice(str(path), **({"mat_key": key} if key else {}))
    except Exception as error:
        raise EngineError(
            f"lattice file {path} cannot be read: {type(error).__name__}: {error}"
        ) from error


def _missing(
    row: MagnetRow | BpmRow | PingerRow, places: dict[str, list[int]]
) -> Fault | None:
    ref = row.element
    if ref.family not in places:
        near = did_you_mean(ref.family, places)
        message = f"{row.name}: the lattice has no element {ref.family!r}{near}"
        return row.origin.fault(message, "element")
    have, wanted = len(places[ref.family]), ref.index + ref.count
    if have < wanted:
        message = (
            f"{row.name}: the lattice has {have} of element {ref.family!r}, "
            f"wanted at least {wanted}"
        )
        return row.origin.fault(message, "element")
    return None


def _energy_fault(profile: Profile, ring: Lattice) -> list[Fault]:
    energy = profile.energy_ev
    if energy is None or abs(energy - ring.energy) <= _AGREEMENT * ring.energy:
        return []
    message = (
        f"energy_gev: {energy / 1e9:g} found, the lattice has {ring.energy / 1e9:.9g}"
    )
    return [Fault(str(profile.path), 1, 1, message)]


def _length_fault(
    row: MagnetRow, ring: Lattice, places: dict[str, list[int]]
) -> Fault | None:
    """Return a fault if a supply's field would be shared out over a wrong length."""
    thick, thin = COMPONENT_UNITS[row.component]
    if not row.feeds or row.unit == thin or thick == thin:
        return None
    length = sum(ring[i].Length for i in elements_of(ring, row.element, places))
    if abs(row.length - length) <= _AGREEMENT * length:
        return None
    message = f"{row.name}: length {row.length:g} m found, the lattice has {length:.9g}"
    return row.origin.fault(message, "length_m")


def _misfit(
    row: MagnetRow,
    ring: Lattice,
    places: dict[str, list[int]],
    known: dict[tuple[object, ...], bool],
) -> Fault | None:
    first = ring[places[row.element.family][row.element.index]]
    kind = (row.element.family, type(first), first.PassMethod, row.component)
    if kind not in known:
        known[kind] = carries(first, row.component, ring.energy)
    if not known[kind]:
        message = (
            f"{row.name}: lattice element {first.FamName!r} "
            f"({type(first).__name__}, {first.PassMethod}) cannot carry "
            f"{row.component!r}"
        )
        return row.origin.fault(message, "component")
    thick, thin = COMPONENT_UNITS[row.component]
    unit = thick if first.Length > 0 else thin
    if row.unit != unit:
        message = (
            f"{row.name}: unit {row.unit!r} found, wanted {unit!r} for "
            f"{row.component!r} of {first.FamName!r}, which is "
            f"{first.Length:g} m long"
        )
        return row.origin.fault(message, "unit")
    return None
