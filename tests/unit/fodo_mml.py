"""The FODO ring as an MML set-up: AO and AD as ``getao`` and ``getad`` return them.

Written from what is known of the structures: a struct of families, columns with a row
for each device, hardware units in Range, Tolerance and DeltaRespMat, lattice indices
from 1, cells of strings padded as Matlab pads them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from acctwin.model.fodo import CELLS, ENERGY_EV, fodo_ring

LIGHT, REST = 299_792_458.0, 0.510_998_950_69e6
B_RHO = math.sqrt(ENERGY_EV**2 - REST**2) / LIGHT
RING = fodo_ring()
NAMES = [element.FamName for element in RING]
STARTS = np.cumsum([0.0, *(element.Length for element in RING)])
#: amp2k's coefficients of the quadrupoles, highest power first: field of 1 A [T/m].
QUADRUPOLE = np.array([[-8.0e-8, 0.0, 0.0713, 0.0]])
KICK = 0.0011 / B_RHO
BEND = math.pi / CELLS / 400.0


def column(*values: Any) -> np.ndarray:
    return np.array(values, dtype=float).reshape(-1, 1)


def strings(words: list[str]) -> np.ndarray:
    return np.array(words, dtype=object).reshape(-1, 1)


def family(
    name: str, tags: list[str], at_type: str, element: str, label: str, **changes: Any
) -> dict[str, Any]:
    """Return what all families have: lists with a row for each device."""
    places = [i for i, found in enumerate(NAMES) if found == element]
    per_cell = len(places) // CELLS
    devices = [[k // per_cell + 1, k % per_cell + 1] for k in range(len(places))]
    values = {
        "FamilyName": name,
        "FamilyType": at_type,
        "MemberOf": strings(["PlotFamily", *tags]),
        "DeviceList": np.array(devices, dtype=float),
        "ElementList": column(*range(1, len(places) + 1)),
        "Status": column(*np.ones(len(places))),
        "CommonNames": np.array([f"{c}{label}{d}".ljust(8) for c, d in devices]),
        "Position": column(*STARTS[places]),
        "AT": {"ATType": at_type, "ATIndex": column(*(i + 1 for i in places))},
    }
    return values | changes


def setpoint(count: int, low: float, high: float, **changes: Any) -> dict[str, Any]:
    """Return a Setpoint in amperes."""
    values = {
        "Mode": "Simulator",
        "DataType": "Scalar",
        "Units": "Hardware",
        "HWUnits": "Ampere",
        "ChannelNames": strings([]),
        "Range": np.tile([low, high], (count, 1)),
        "Tolerance": column(*np.full(count, 1e-3)),
        "DeltaRespMat": column(*np.full(count, 0.45)),
    }
    return values | changes


def corrector(name: str) -> dict[str, Any]:
    kicks = {
        "HW2PhysicsParams": column(*np.full(CELLS, KICK)),
        "PhysicsUnits": "Radian",
    }
    field = setpoint(CELLS, -5.0, 5.0, **kicks)
    tags = ["COR", name, "Magnet", "MachineConfig"]
    return family(name, tags, name, name, name[0], Setpoint=field)


def quadrupole(name: str, sign: float) -> dict[str, Any]:
    params = np.empty((1, 2), dtype=object)
    params[0, :] = [np.repeat(sign * QUADRUPOLE, CELLS, axis=0), column(1.0)]
    field = setpoint(
        CELLS,
        0.0,
        200.0,
        HW2PhysicsFcn="amp2k",
        HW2PhysicsParams=params,
        PhysicsUnits="meter^-2",
        RampRate=column(*np.full(CELLS, 12.0)),
    )
    tags = ["QUAD", "Magnet", "Tune Corrector"]
    return family(name, tags, "QUAD", name, name, Setpoint=field)


def series(name: str, tag: str, gain: float, top: float) -> dict[str, Any]:
    """Return magnets that are all on one channel."""
    count = NAMES.count(name)
    field = setpoint(
        count,
        0.0,
        top,
        HW2PhysicsParams=column(*np.full(count, gain)),
        ChannelNames=strings([f"SR-PS-{name}:SETI"] * count),
    )
    if tag == "BEND":
        field["PhysicsUnits"] = "radian"
    return family(name, [tag, "Magnet"], tag, name, name, Setpoint=field)


def bpms(plane: str) -> dict[str, Any]:
    monitor = {
        "Units": "Hardware",
        "HWUnits": "mm",
        "PhysicsUnits": "m",
        "HW2PhysicsParams": 1e-3,
        "ChannelNames": strings([f"SR{k}:{plane}" for k in range(2 * CELLS)]),
        "Golden": column(*np.zeros(2 * CELLS)),
    }
    label = f"BPM{plane}"
    name = f"BPM{plane.lower()}"
    return family(name, ["BPM", name], plane, "BPM", label, Monitor=monitor)


def structures() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return AO and AD of the FODO ring."""
    ao = {
        "BPMx": bpms("X"),
        "BPMy": bpms("Y"),
        "HCM": corrector("HCM"),
        "VCM": corrector("VCM"),
        "QF": quadrupole("QF", 1.0),
        "QD": quadrupole("QD", -1.0),
        "SF": series("SF", "SEXT", 0.15, 80.0),
        "SD": series("SD", "SEXT", -0.15, 120.0),
        "BEND": series("BEND", "BEND", BEND, 500.0),
        "RF": {
            "FamilyName": "RF",
            "MemberOf": strings(["RF", "MachineConfig"]),
            "DeviceList": np.array([[1.0, 1.0]]),
            "ElementList": 1.0,
            "Status": 1.0,
            "Setpoint": {
                "HW2PhysicsParams": 1e6,
                "HWUnits": "MHz",
                "PhysicsUnits": "Hz",
                "Range": np.array([[497.8, 498.8]]),
                "Tolerance": 1e-5,
            },
        },
        "DCCT": {"FamilyName": "DCCT", "DeviceList": np.array([[1.0, 1.0]])},
        "TUNE": {
            "FamilyName": "TUNE",
            "DeviceList": np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]),
            "Monitor": {"Golden": column(0.22, 0.31, np.nan)},
        },
    }
    ad = {
        "Machine": "FodoRing",
        "SubMachine": "StorageRing",
        "MachineType": "StorageRing",
        "OperationalMode": "1.5 GeV, 4.22 3.31",
        "ATModel": "fodo",
        "Energy": ENERGY_EV / 1e9,
        "HarmonicNumber": 125.0,
        "DeltaRFDisp": 0.06,
        "TuneDelay": 0.0,
    }
    return ao, ad


def write_mat(path: Path, ao: Any = None, ad: Any = None, **others: Any) -> Path:
    """Write a .mat file with the FODO ring's structures, or others."""
    own = structures()
    values = {"AO": own[0] if ao is None else ao, "AD": own[1] if ad is None else ad}
    scipy.io.savemat(path, values | others, long_field_names=True)
    return path
