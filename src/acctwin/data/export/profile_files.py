"""The files of a profile, to go with the runs that were made with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acctwin.errors import ConfigError, UnknownName

FOLDER = "site"


@dataclass(frozen=True)
class PackedProfile:
    """A profile that runs were made with.

    Attributes:
        name: Its name.
        hash: SHA-256 of the profile and its tables, from the runs.
        missing: Why its files are not there; empty: they are.
        files: Path in the bundle → content.
    """

    name: str
    hash: str
    missing: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def pack_profiles(
    starts: Iterable[Mapping[str, Any]], site: str | Path | None
) -> tuple[PackedProfile, ...]:
    """Return the profiles of some runs, each once.

    Args:
        starts: Start documents of the runs; those without a profile have none.
        site: The site's folder; as for `load_profile`.
    """
    wanted = {
        (start["profile"], start.get("profile_hash", ""))
        for start in starts
        if start.get("profile")
    }
    return tuple(_pack(name, found, site) for name, found in sorted(wanted))


def _pack(name: str, wanted: str, site: str | Path | None) -> PackedProfile:
    from acctwin.profiles import load_profile

    try:
        profile = load_profile(name, site)
    except (UnknownName, ConfigError) as error:
        return PackedProfile(name, wanted, missing=str(error))
    if profile.hash != wanted:
        reason = (
            f"{profile.path.name} or its tables have changed since the run "
            f"(they were {wanted[:8]}, they are {profile.hash[:8]}); name the site as "
            "it was then with --site"
        )
        return PackedProfile(name, wanted, missing=reason)
    return PackedProfile(name, wanted, files=_files(profile.path))


def _files(path: Path) -> dict[str, bytes]:
    """Return a profile's YAML file and all that is in its machine's folder."""
    import yaml

    raw = path.read_bytes()
    root = path.resolve().parent.parent
    machine = root / "devices" / yaml.safe_load(raw)["machine"]
    found = sorted(p for p in machine.rglob("*") if p.is_file() and p.name[0] != ".")
    names = [f"{FOLDER}/{p.relative_to(root).as_posix()}" for p in found]
    files = dict(zip(names, (p.read_bytes() for p in found), strict=True))
    return {f"{FOLDER}/profiles/{path.name}": raw, **files}
