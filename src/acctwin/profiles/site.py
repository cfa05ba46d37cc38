"""Where sites are: folders with ``devices/``, ``plans/`` and ``profiles/``."""

from __future__ import annotations

import os
from pathlib import Path

from acctwin.errors import ConfigError, Fault, UnknownName

SUFFIX = ".yaml"


def find_site(site: str | Path | None = None) -> Path:
    """Return the folder of the site to use.

    Args:
        site: A site's folder. Default: ``$ACCTWIN_SITE`` if that is set, else the
            reference machines that ship with acctwin.

    Raises:
        ConfigError: The folder is not a site.
    """
    wanted = site or os.environ.get("ACCTWIN_SITE")
    if wanted is None or wanted == "":
        return shipped_site()
    folder = Path(wanted)
    if not _is_site(folder):
        raise ConfigError([Fault(str(folder), 1, 1, _not_a_site(folder))])
    return folder


def shipped_site() -> Path:
    """Return the site with the reference machines that ships with acctwin."""
    package = Path(__file__).resolve().parents[1]
    installed, checkout = package / "_site", package.parents[1]
    for folder in (installed, checkout):
        if _is_site(folder):
            return folder
    message = (
        "this installation of acctwin has no reference machines; "
        "name a site with --site or ACCTWIN_SITE"
    )
    raise ConfigError([Fault(str(installed), 1, 1, message)])


def profile_names(site: Path) -> tuple[str, ...]:
    """Return the names of the profiles of a site, in alphabetic order."""
    return tuple(sorted(path.stem for path in (site / "profiles").glob(f"*{SUFFIX}")))


def profile_path(name: str | Path, site: Path) -> Path:
    """Return the YAML file of a profile.

    Args:
        name: The name of a profile of the site, or the path of a YAML file.
        site: The site's folder.

    Raises:
        UnknownName: There is no such profile; the message offers the nearest.
    """
    path = Path(name)
    if not is_path(name):
        path = site / "profiles" / f"{name}{SUFFIX}"
    if not path.is_file():
        raise UnknownName(f"profile of the site {site}", str(name), profile_names(site))
    return path


def is_path(name: str | Path) -> bool:
    """Tell whether a profile is given by its file rather than by its name."""
    return isinstance(name, Path) or Path(name).name != name or name.endswith(SUFFIX)


def site_of(name: str | Path, site: str | Path | None) -> Path:
    """Return the site a profile belongs to.

    A YAML file in a site's ``profiles/`` brings its own site, unless one is named.
    """
    if site is None and is_path(name):
        own = Path(name).resolve().parent.parent
        if Path(name).resolve().parent.name == "profiles" and _is_site(own):
            return own
    return find_site(site)


def _is_site(folder: Path) -> bool:
    return (folder / "profiles").is_dir() and (folder / "devices").is_dir()


def _not_a_site(folder: Path) -> str:
    if not folder.is_dir():
        return "no such folder; a site is a folder with devices/, plans/ and profiles/"
    return "not a site: it has no devices/ and profiles/"
