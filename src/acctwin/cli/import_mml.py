"""``acctwin import-mml``: a set-up of the Matlab Middle Layer becomes a site."""

from __future__ import annotations

import json as json_module
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from acctwin.errors import Fault
    from acctwin.profiles.mml import MmlSetup, Report, Ring
    from acctwin.profiles.profile import LatticeSource, Profile


def import_mml(
    file: Annotated[Path, typer.Argument(help="A .mat file with AO and AD.")],
    out: Annotated[Path, typer.Option(help="Folder of the site to write.")],
    lattice: Annotated[
        str | None,
        typer.Option(help="Lattice file, at:FILE or code:NAME; else THERING of FILE."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Turn a set-up of the Matlab Middle Layer into a site, and check it.

    Reports all that could not be taken over, and exits with 1 if the site has faults.
    """
    from acctwin.profiles.mml import read_mml, write_site
    from acctwin.profiles.mml.writing import machine_name

    setup = read_mml(file)
    source = lattice_source(setup, lattice)
    report = write_site(setup, out, ring_of(source))
    if is_file(source):
        target = out / "devices" / machine_name(setup)
        shutil.copy(source.source, target / Path(source.source).name)
    faults = faults_of(report.profile)
    show = _print_json if json else _print
    show(report, faults)
    if faults:
        raise typer.Exit(1)


def lattice_source(setup: MmlSetup, lattice: str | None) -> LatticeSource:
    """Return the lattice that the set-up's ATIndex counts in.

    Raises:
        ConfigError: None is named and the set-up has none, or there is no such file.
    """
    from acctwin.errors import ConfigError, Fault
    from acctwin.profiles.cross import is_named
    from acctwin.profiles.mml.setup import THERING, lattice_key
    from acctwin.profiles.profile import LatticeSource

    if lattice is None and setup.has_lattice:
        return LatticeSource(str(setup.path.resolve()), key=THERING)
    if lattice is not None and is_named(lattice):
        return LatticeSource(lattice)
    if lattice is not None and Path(lattice).is_file():
        path = Path(lattice).resolve()
        return LatticeSource(str(path), key=lattice_key(path))
    message = f"there is no lattice file {lattice}"
    if lattice is None:
        message = f"it has no {THERING}; name the lattice with --lattice"
    raise ConfigError([Fault(str(setup.path), 1, 1, message)])


def ring_of(source: LatticeSource) -> Ring:
    """Return what an import needs to know of a lattice, in Matlab's order."""
    from acctwin.model.lattice import open_lattice
    from acctwin.profiles.mml import LatticeElement, Ring
    from acctwin.profiles.mml.setup import ring_parameters

    ring = open_lattice(source)
    elements: list[LatticeElement | None] = []
    s, frequencies = 0.0, list[float]()
    for element in ring:
        elements.append(LatticeElement(element.FamName, s, float(element.Length)))
        s += float(element.Length)
        frequencies += [float(f) for f in [getattr(element, "Frequency", None)] if f]
    path = Path(source.source)
    for place in ring_parameters(path, source.key) if is_file(source) else []:
        elements.insert(place, None)
    return Ring(
        source=path.name if is_file(source) else source.source,
        key=source.key,
        energy_ev=float(ring.energy),
        rf_hz=frequencies[0] if frequencies else None,
        elements=elements,
    )


def is_file(source: LatticeSource) -> bool:
    """Tell whether a lattice is a file of the user's."""
    from acctwin.profiles.cross import is_named

    return not is_named(source.source)


def faults_of(path: Path) -> list[Fault]:
    """Return what ``acctwin check`` says of a profile, and whether it can be opened."""
    from acctwin.cli.check import one_a_line
    from acctwin.model.lattice import match
    from acctwin.profiles import read_profile

    profile, faults = read_profile(path)
    if profile is not None:
        faults = [*faults, *one_a_line(match(profile))]
    if profile is not None and not faults:
        faults = _unreachable(profile)
    return faults


def _unreachable(profile: Profile) -> list[Fault]:
    """Return a fault if no currents give the strengths that the lattice has."""
    from acctwin.backends.powering import Powering
    from acctwin.errors import Fault, LimitError
    from acctwin.model.compiled import CompiledRing
    from acctwin.model.spec import spec_of
    from acctwin.profiles.supplies import supply_map

    try:
        Powering(CompiledRing(spec_of(profile)).layout, supply_map(profile))
    except LimitError as error:
        message = f"Range or HW2PhysicsParams do not go with the lattice: {error}"
        return [Fault(str(profile.path), 1, 1, message)]
    return []


def _print(report: Report, faults: list[Fault]) -> None:
    found = ", ".join(f"{name} {count}" for name, count in report.devices.items())
    typer.echo(f"devices    {found}")
    for path in report.files:
        typer.echo(f"written    {path}")
    for note in report.notes:
        typer.echo(f"{note.outcome:10} {note.where}: {note.reason}")
    for fault in faults:
        typer.echo(f"fault      {fault}")
    result = (
        f"{len(faults)} faults; mend them and check" if faults else "no faults; try"
    )
    folder, name = report.profile.parent.parent, report.profile.stem
    typer.echo(f"{result}: acctwin check {name} --site {folder}", err=True)


def _print_json(report: Report, faults: list[Fault]) -> None:
    result: dict[str, Any] = {
        "profile": str(report.profile),
        "files": [str(path) for path in report.files],
        "devices": dict(report.devices),
        "notes": [vars(note) for note in report.notes],
        "faults": [vars(fault) for fault in faults],
    }
    typer.echo(json_module.dumps(result, indent=1))
