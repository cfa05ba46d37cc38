"""Set-ups of the Matlab Middle Layer: read from a .mat file, written as a site."""

from acctwin.profiles.mml.report import Note, Report
from acctwin.profiles.mml.ring import LatticeElement, Ring
from acctwin.profiles.mml.setup import MmlFamily, MmlSetup, read_mml
from acctwin.profiles.mml.writing import write_site

__all__ = [
    "LatticeElement",
    "MmlFamily",
    "MmlSetup",
    "Note",
    "Report",
    "Ring",
    "read_mml",
    "write_site",
]
