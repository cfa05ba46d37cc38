"""Profiles: one machine described in a YAML file and hand-written tables."""

from acctwin.profiles.load import load_profile, read_profile
from acctwin.profiles.profile import BpmRow, ElementRef, MagnetRow, Profile, RfRow
from acctwin.profiles.site import find_site, profile_names, profile_path

__all__ = [
    "BpmRow",
    "ElementRef",
    "MagnetRow",
    "Profile",
    "RfRow",
    "find_site",
    "load_profile",
    "profile_names",
    "profile_path",
    "read_profile",
]
