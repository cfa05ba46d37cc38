"""Loading a profile: the YAML file and its tables, with every fault in one go.

pydantic is imported when a profile is read: engine processes, which import the
profile's values only, start without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from acctwin.errors import ConfigError, Fault, did_you_mean
from acctwin.profiles.cross import (
    cell_faults,
    is_named,
    lattice_faults,
    rf_faults,
    unknown_devices,
    unknown_families,
)
from acctwin.profiles.document import Document, read_document
from acctwin.profiles.families import duplicate_names, mixed_families
from acctwin.profiles.files import Text, read_text
from acctwin.profiles.profile import BpmRow, LatticeSource, MagnetRow, Profile
from acctwin.profiles.rows import (
    BPM_COLUMNS,
    MAGNET_COLUMNS,
    Line,
    read_bpm,
    read_magnet,
)
from acctwin.profiles.site import profile_path, site_of
from acctwin.profiles.tables import Row, read_table
from acctwin.profiles.templates import MOST, cell_numbers

if TYPE_CHECKING:
    from acctwin.profiles.schema import ProfileFile

ReadLine = Callable[[Row, Sequence[int] | None, list[Fault]], Line]

#: The tables of a machine: file name, columns, and what reads a line.
TABLES: tuple[tuple[str, tuple[str, ...], ReadLine], ...] = (
    ("magnets.csv", MAGNET_COLUMNS, read_magnet),
    ("bpms.csv", BPM_COLUMNS, read_bpm),
)


@dataclass(frozen=True)
class Tables:
    """What the tables of a machine hold.

    Attributes:
        raw: The bytes of each table.
        lines: All lines, with the devices they stand for.
        faults: All that is wrong with the tables.
    """

    raw: tuple[bytes, ...] = ()
    lines: tuple[Line, ...] = ()
    faults: tuple[Fault, ...] = ()


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
    return profile, sorted(faults, key=lambda f: (f.file, f.line, f.column))


def _machine_tables(document: Document, devices: Path, machine: str) -> Tables:
    """Read the tables, also when other parts of the YAML file have faults."""
    folder = devices / machine
    if not folder.is_dir():
        known = sorted(path.name for path in devices.iterdir() if path.is_dir())
        message = f"no folder {machine!r} in devices/{did_you_mean(machine, known)}"
        return Tables(faults=(document.fault(("machine",), message),))
    cells = _cells(document)
    faults: list[Fault] = []
    raw: list[bytes] = []
    lines: list[Line] = []
    for name, columns, read_line in TABLES:
        text = read_text(folder / name)
        if isinstance(text, Fault):
            faults.append(text)
            continue
        raw.append(text.raw)
        rows, wrong = read_table(text, columns)
        faults += wrong
        lines += [read_line(row, cells, faults) for row in rows]
    faults += [*duplicate_names(lines), *mixed_families(lines)]
    return Tables(tuple(raw), tuple(lines), tuple(faults))


def _cells(document: Document) -> tuple[int, ...] | None:
    """Return the cell numbers; none without cells, None if the section is wrong."""
    if ("cells",) not in document.values:
        return ()
    first, count = document.at(("cells", "first")), document.at(("cells", "count"))
    if not (str(first).isdecimal() and str(count).isdecimal()):
        return None
    return cell_numbers(int(first), min(int(count), MOST)) or None


def _cross_faults(document: Document, tables: Tables) -> list[Fault]:
    names = {name for line in tables.lines for name in line.names}
    faults = [*cell_faults(document), *rf_faults(document, names)]
    cells = [line.row.cells.get("families") for line in tables.lines]
    families = {name for cell in cells if cell for name in cell.text.split()}
    if families:
        faults += unknown_families(document, families)
    if not tables.faults:
        faults += unknown_devices(document, names)
    return faults


def _profile(
    schema: ProfileFile,
    document: Document,
    tables: Tables,
    path: Path,
    site: Path,
    text: Text,
) -> Profile:
    from acctwin.profiles.values import to_defaults, to_imperfections, to_rf

    devices = _devices(tables, set(schema.out_of_service))
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
        magnets=tuple(row for row in devices if isinstance(row, MagnetRow)),
        bpms=tuple(row for row in devices if isinstance(row, BpmRow)),
        rf=to_rf(schema.rf, document),
        beam_current_a=schema.beam.current_ma / 1000,
        imperfections=to_imperfections(schema.imperfections),
        defaults=to_defaults(schema.defaults),
        hash=_hash(text.raw, *tables.raw),
    )


def _devices(tables: Tables, out: set[str]) -> list[MagnetRow | BpmRow]:
    """Return each device once, those out of service with status False."""
    devices: dict[str, MagnetRow | BpmRow] = {}
    for line in tables.lines:
        for device in line.devices:
            if device.name in out:
                devices.setdefault(device.name, replace(device, status=False))
            devices.setdefault(device.name, device)
    return list(devices.values())


def _hash(*parts: bytes) -> str:
    """Return one SHA-256 over several files; where one ends counts too."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
