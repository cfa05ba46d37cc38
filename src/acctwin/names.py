"""Words that every layer shares: planes, families, components, array types."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

Plane: TypeAlias = Literal["x", "y"]
PLANES: tuple[Plane, Plane] = ("x", "y")

#: Where devices are: the simulated machine, the real one, a stored run.
Mode: TypeAlias = Literal["physics", "hardware", "replay"]

#: What a magnet's strength is, in pyAT's terms and signs (docs: conventions).
Component: TypeAlias = Literal["hkick", "vkick", "angle", "b1", "b2", "b3", "a1"]

#: Units of a component for a magnet with a length, and for a thin one (integrated).
COMPONENT_UNITS: dict[Component, tuple[str, str]] = {
    "hkick": ("rad", "rad"),
    "vkick": ("rad", "rad"),
    "angle": ("rad", "rad"),
    "b1": ("1/m^2", "1/m"),
    "b2": ("1/m^3", "1/m^2"),
    "b3": ("1/m^4", "1/m^3"),
    "a1": ("1/m^2", "1/m"),
}

#: Families every plan may ask a machine for; a machine has those that it has.
HCM, VCM = "hcm", "vcm"
MAGNET_FAMILIES = (
    HCM,
    VCM,
    "quadrupoles",
    "sextupoles",
    "skew_quadrupoles",
    "octupoles",
    "bends",
)
BPMS = "bpms"
