"""Pure conversions between what an instrument reports and what is there."""

from acctwin.calibration.curves import Curve, Linear, Polynomial, Table
from acctwin.calibration.links import Links
from acctwin.calibration.supplies import SupplyMap

__all__ = ["Curve", "Linear", "Links", "Polynomial", "SupplyMap", "Table"]
