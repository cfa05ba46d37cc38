"""Writing a set-up as a site: tables and a profile, and a report of the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from acctwin.calibration.rigidity import rigidity
from acctwin.errors import ConfigError, Fault
from acctwin.profiles.files import shown
from acctwin.profiles.mml.bpms import bpm_lines, is_bpm
from acctwin.profiles.mml.families import (
    BUILT_IN,
    RF,
    device_keys,
    find_devices,
    magnet_kind,
    reserved_names,
)
from acctwin.profiles.mml.magnets import Line, MagnetTables, add_magnets
from acctwin.profiles.mml.report import Notes, Report
from acctwin.profiles.mml.rf import rf_section
from acctwin.profiles.mml.ring import Ring
from acctwin.profiles.mml.setup import MmlFamily, MmlSetup
from acctwin.profiles.mml.values import column, text
from acctwin.profiles.mml.vocabulary import check_words
from acctwin.profiles.rows import BPM_COLUMNS, MAGNET_COLUMNS
from acctwin.profiles.site import SUFFIX

#: What the simulated machine stores, which a set-up does not say [mA].
CURRENT_MA: Final = 100


def machine_name(setup: MmlSetup) -> str:
    """Return the name of the machine's folder and profile."""
    words = [text(setup.ad.get("Machine")) or setup.path.stem]
    part = text(setup.ad.get("SubMachine"))
    if part and part.lower() not in ("storagering", words[0].lower()):
        words.append(part)
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-") or "machine"


def write_site(setup: MmlSetup, folder: Path, ring: Ring) -> Report:
    """Write a site with the machine of a set-up.

    What cannot be mapped is left out and reported, never guessed. The lattice file,
    if it is one, is the caller's to put into the machine's devices folder.

    Args:
        setup: What was read.
        folder: The site; it is made where there is none.
        ring: The lattice that the set-up's ``ATIndex`` counts in.

    Raises:
        ConfigError: The site has such a machine already, or the set-up has no device
            that could be taken over.
    """
    machine = machine_name(setup)
    profile = folder / "profiles" / f"{machine}{SUFFIX}"
    devices = folder / "devices" / machine
    for path in (profile, devices / "magnets.csv"):
        if path.exists():
            raise _fault(path, "is there already; choose another folder")
    notes, counts = Notes(), dict[str, int]()
    mapped = [family for family in setup.families if _is_mapped(family, notes)]
    check_words(setup, mapped, notes)
    taken = reserved_names(setup.families)
    bpms = bpm_lines(mapped, ring, taken, counts, notes)
    energy_ev = _energy(setup, ring, notes)
    tables = MagnetTables()
    for family in mapped:
        if magnet_kind(family) and not is_bpm(family):
            found = find_devices(family, ring, taken, notes)
            rows, b_rho = len(device_keys(family)), rigidity(energy_ev)
            counts[family.name] = add_magnets(
                tables, family, found, rows, b_rho, taken, notes
            )
    if not bpms and not tables.magnets:
        why = "\n".join(map(str, notes.all()))
        raise _fault(setup.path, f"no device of it could be taken over:\n{why}")
    rf = rf_section(setup, mapped, ring, counts, notes)
    files = _write_tables(devices, tables, bpms)
    text_of = _profile_text(setup, machine, energy_ev, ring, rf, notes)
    profile.parent.mkdir(parents=True, exist_ok=True)
    profile.write_text(text_of, encoding="utf-8")
    (folder / "plans" / machine).mkdir(parents=True, exist_ok=True)
    return Report(profile, (profile, *files), counts, notes.all())


def _is_mapped(family: MmlFamily, notes: Notes) -> bool:
    if family.tags & BUILT_IN:
        notes.add(
            "left out", family.name, "every machine of acctwin has one of its own"
        )
        return False
    if family.name.upper() == RF or is_bpm(family) or magnet_kind(family):
        return True
    tags = ", ".join(sorted(family.tags - {family.name.upper()})) or "nothing"
    reason = f"no kind of device that acctwin knows (MemberOf and ATType: {tags})"
    notes.add("left out", family.name, reason)
    return False


def _energy(setup: MmlSetup, ring: Ring, notes: Notes) -> float:
    given = column(setup.ad.get("Energy"), 1)
    if given and given[0] > 0.0:
        return 1e9 * given[0]
    notes.add(
        "assumed", "AD", f"not there: the lattice's {ring.energy_ev:g} eV", "Energy"
    )
    return ring.energy_ev


def _profile_text(
    setup: MmlSetup,
    machine: str,
    energy_ev: float,
    ring: Ring,
    rf: dict[str, float],
    notes: Notes,
) -> str:
    mode = text(setup.ad.get("OperationalMode"))
    title = text(setup.ad.get("Machine")) or machine
    lattice: dict[str, Any] = {"source": ring.source}
    if ring.key:
        lattice["key"] = ring.key
    reason = f"not in a set-up: {CURRENT_MA} mA in the simulated machine"
    notes.add("assumed", "beam", reason)
    top: dict[str, Any] = {
        "machine": machine,
        "description": f"{title}, imported from {setup.path.name}",
        "operational_mode": mode or "nominal",
        "energy_gev": energy_ev / 1e9,
    }
    sections = {"lattice": lattice, "rf": rf, "beam": {"current_ma": CURRENT_MA}}
    lines = [f"# Imported from {setup.path.name}, a set-up of the Matlab Middle Layer"]
    lines += [f"{key}: {json.dumps(value)}" for key, value in top.items()]
    for name, section in sections.items():
        if section:
            lines += ["", f"{name}:"]
            lines += [f"  {key}: {json.dumps(value)}" for key, value in section.items()]
    return "\n".join(lines) + "\n"


def _write_tables(
    folder: Path, tables: MagnetTables, bpms: Sequence[Line]
) -> tuple[Path, ...]:
    from acctwin.profiles.curve_rows import CURVE_COLUMNS
    from acctwin.profiles.feeds import FEED_COLUMNS
    from acctwin.profiles.supply_rows import SUPPLY_COLUMNS

    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "magnets.csv": ((*MAGNET_COLUMNS, *FEED_COLUMNS), tables.magnets),
        "bpms.csv": (BPM_COLUMNS, bpms),
        "supplies.csv": (SUPPLY_COLUMNS, tables.supplies),
        "curves.csv": (CURVE_COLUMNS, tables.curves),
    }
    for name, (columns, lines) in contents.items():
        (folder / name).write_text(_table(columns, lines), encoding="utf-8")
    return tuple(folder / name for name in contents)


def _table(columns: Sequence[str], lines: Sequence[Line]) -> str:
    """Return a table with its columns one below the other."""
    rows = [tuple(columns), *(tuple(line[name] for name in columns) for line in lines)]
    widths = [max(len(row[i]) for row in rows) + 2 for i in range(len(columns))]
    written = (
        "".join(f"{cell},".ljust(w) for cell, w in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(row.rstrip().removesuffix(",") for row in written) + "\n"


def _fault(path: Path, message: str) -> ConfigError:
    return ConfigError([Fault(shown(path), 1, 1, message)])
