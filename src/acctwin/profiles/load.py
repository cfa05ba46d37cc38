"""Loading a profile: the YAML file and its tables, with every fault in one go.

pydantic is imported when a profile is read: engine processes, which import the
profile's values only, start without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from acctwin.errors import ConfigError, Fault, did_you_mean
from acctwin.profiles.addresses import read_addresses, with_addresses
from acctwin.profiles.control_faults import shared_addresses, template_faults
from acctwin.profiles.cross import (
    cell_faults,
    energy_ev,
    energy_faults,
    is_named,
    lattice_faults,
    lifetime_faults,
    pinger_faults,
    rf_faults,
    unknown_devices,
    unknown_families,
)
from acctwin.profiles.document import Document, read_document
from acctwin.profiles.files import Text, read_text
from acctwin.profiles.machine import Tables, read_machine
from acctwin.profiles.member_faults import member_faults
from acctwin.profiles.powering import power_faults
from acctwin.profiles.profile import (
    BpmRow,
    LatticeSource,
    MagnetRow,
    Profile,
    SupplyRow,
)
from acctwin.profiles.site import profile_path, site_of
from acctwin.profiles.templates import MOST, cell_numbers

if TYPE_CHECKING:
    from acctwin.profiles.schema import ProfileFile

T = TypeVar("T", MagnetRow, BpmRow, SupplyRow)


def load_profile(name: str | Path, site: str | Path | None = None) -> Profile:
    """Load a profile that has no faults.

    Args:
        name: Name of a profile in the site, or the path of a YAML file.
        site: The site's folder; default: ``$ACCTWIN_SITE`` or what ships with acctwin.

    Raises:
        UnknownName: There is no such profile.
        ConfigError: The profile has faults; it carries all of them.
    """
    profile, faults = read_profile(name, site)
    if faults or profile is None:
        raise ConfigError(faults)
    return profile


def read_profile(
    name: str | Path, site: str | Path | None = None
) -> tuple[Profile | None, list[Fault]]:
    """Read a profile and find everything that is wrong with it.

    Args:
        name: Name of a profile in the site, or the path of a YAML file.
        site: The site's folder; default: ``$ACCTWIN_SITE`` or what ships with acctwin.

    Returns:
        The profile with its good rows, or None if the YAML file cannot be used or
        its lattice is not there; and all faults, in file and line order.

    Raises:
        UnknownName: There is no such profile.
        ConfigError: The site's folder is not a site.
    """
    from acctwin.profiles.check import check_document

    folder = site_of(name, site)
    path = profile_path(name, folder)
    text = read_text(path)
    if isinstance(text, Fault):
        return None, [text]
    document, faults = read_document(text)
    if document is None:
        return None, faults
    schema, wrong = check_document(document)
    faults += wrong
    machine, tables = document.at(("machine",)), Tables()
    if isinstance(machine, str) and machine:
        tables = _machine_tables(document, folder / "devices", machine)
        faults += [*tables.faults, *_cross_faults(document, tables)]
    lost = lattice_faults(document, folder / "devices" / str(machine))
    faults += lost
    profile = None
    if schema is not None and not lost:
        profile = _profile(schema, document, tables, path, folder, text)
        single = read_addresses(tables.addresses, profile)
        profile = with_addresses(profile, single)
        faults += [*single.faults, *shared_addresses(document, profile, single.cells)]
    return profile, sorted(faults, key=lambda f: (f.file, f.line, f.column))


def _machine_tables(document: Document, devices: Path, machine: str) -> Tables:
    """Read the tables, also when other parts of the YAML file have faults."""
    folder = devices / machine
    if not folder.is_dir():
        known = sorted(path.name for path in devices.iterdir() if path.is_dir())
        message = f"no folder {machine!r} in devices/{did_you_mean(machine, known)}"
        return Tables(faults=(document.fault(("machine",), message),))
    return read_machine(folder, _cells(document))


def _cells(document: Document) -> tuple[int, ...] | None:
    """Return the cell numbers; none without cells, None if the section is wrong."""
    if ("cells",) not in document.values:
        return ()
    first, count = document.at(("cells", "first")), document.at(("cells", "count"))
    if not (str(first).isdecimal() and str(count).isdecimal()):
        return None
    return cell_numbers(int(first), min(int(count), MOST)) or None


def _cross_faults(document: Document, tables: Tables) -> list[Fault]:
    names = {name for line in tables.named for name in line.names}
    faults = [
        *cell_faults(document),
        *lifetime_faults(document),
        *rf_faults(document, names),
        *pinger_faults(document, names),
        *template_faults(document),
    ]
    cells = [line.row.cells.get("families") for line in tables.lines]
    families = {name for cell in cells if cell for name in cell.text.split()}
    faults += member_faults(document, names | families)
    if families:
        faults += unknown_families(document, families)
    if tables.has_supplies:
        faults += energy_faults(document)
    if not tables.faults:
        faults += unknown_devices(document, names)
        faults += power_faults(tables.magnets, tables.supplies, energy_ev(document))
    return faults


def _profile(
    schema: ProfileFile,
    document: Document,
    tables: Tables,
    path: Path,
    site: Path,
    text: Text,
) -> Profile:
    from acctwin.profiles.schema_control import to_control
    from acctwin.profiles.schema_data import to_data
    from acctwin.profiles.schema_members import to_members
    from acctwin.profiles.values import (
        to_defaults,
        to_diagnostics,
        to_imperfections,
        to_injection,
        to_pinger,
        to_rf,
        to_simulation,
    )

    magnets, bpms, supplies = _in_service(tables, set(schema.out_of_service))
    lattice = schema.lattice
    source = lattice.source
    if not is_named(source):
        source = str((site / "devices" / schema.machine / source).resolve())
    return Profile(
        name=path.stem,
        description=schema.description,
        path=path,
        operational_mode=schema.operational_mode,
        lattice=LatticeSource(source, lattice.repeat, lattice.key),
        magnets=magnets,
        bpms=bpms,
        rf=to_rf(schema.rf, document),
        beam_current_a=schema.beam.current_ma / 1000,
        imperfections=to_imperfections(schema.imperfections),
        defaults=to_defaults(schema.defaults),
        hash=_hash(text.raw, *tables.raw),
        supplies=supplies,
        energy_ev=None if schema.energy_gev is None else 1e9 * schema.energy_gev,
        simulation=to_simulation(schema),
        pinger=to_pinger(schema.pinger, document),
        injection=to_injection(schema.injection),
        diagnostics=to_diagnostics(schema.diagnostics),
        control=to_control(schema.control),
        data=to_data(schema.data),
        members=to_members(schema.members, document),
    )


def _in_service(
    tables: Tables, out: set[str]
) -> tuple[tuple[MagnetRow, ...], tuple[BpmRow, ...], tuple[SupplyRow, ...]]:
    """Return each device once, with status False where it cannot be used.

    A magnet cannot if it, or a supply that feeds it, is out of service.
    """
    supplies = _once(tables.supplies, out)
    dead = {supply.name for supply in supplies if not supply.status}
    idle = {
        magnet.name
        for magnet in tables.magnets
        if any(feed.supply in dead for feed in magnet.feeds)
    }
    return _once(tables.magnets, out | idle), _once(tables.bpms, out), supplies


def _once(devices: Sequence[T], out: set[str]) -> tuple[T, ...]:
    """Return the first device of each name, with status False if it is out."""
    found: dict[str, T] = {}
    for device in devices:
        found.setdefault(device.name, device)
    return tuple(
        replace(device, status=False) if device.name in out else device
        for device in found.values()
    )


def _hash(*parts: bytes) -> str:
    """Return one SHA-256 over several files; where one ends counts too."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
