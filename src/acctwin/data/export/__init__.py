"""Runs for other programs and other labs: HDF5, CSV, MATLAB, and bundles."""

from acctwin.data.export.bundle import Bundled, to_bundle
from acctwin.data.export.choosing import choose_runs
from acctwin.data.export.hdf5 import to_hdf5
from acctwin.data.export.importing import Imported, import_bundle
from acctwin.data.export.matlab import to_mat
from acctwin.data.export.reading import Bundle, read_bundle
from acctwin.data.export.tables import to_csv

__all__ = [
    "Bundle",
    "Bundled",
    "Imported",
    "choose_runs",
    "import_bundle",
    "read_bundle",
    "to_bundle",
    "to_csv",
    "to_hdf5",
    "to_mat",
]
