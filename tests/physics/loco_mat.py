"""A LOCO file of the Matlab Middle Layer, written from a measurement of ours.

The structures are those that ``buildlocoinput`` and ``locogui`` save: orbit changes in
mm for whole steps in mrad, lattice indices from 1, columns, a struct array with an
entry for each iteration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from acctwin.analysis.loco.measurement import LocoMeasurement
from acctwin.analysis.loco.version import LocoResult
from acctwin.model.fodo import fodo_ring

RING = fodo_ring()
FAMILIES = [element.FamName for element in RING]


def column(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=float).reshape(-1, 1)


def cells(values: list[Any]) -> np.ndarray:
    made = np.empty((1, len(values)), dtype=object)
    made[0, :] = values
    return made


def steps(*values: dict[str, Any]) -> np.ndarray:
    """Return a struct array, an entry for each iteration."""
    made = np.empty((1, len(values)), dtype=[(name, object) for name in values[0]])
    for place, one in enumerate(values):
        for name, value in one.items():
            made[0, place][name] = value
    return made


def places(family: str) -> list[int]:
    """Return where a family is in the lattice, from 1."""
    return [i + 1 for i, name in enumerate(FAMILIES) if name == family]


def gradient(index: int) -> np.ndarray:
    """Return what mkparamgroup makes of one quadrupole."""
    parts = [
        {"ElemIndex": float(index), "FieldName": name, "FieldIndex": cells(list(at))}
        for name, at in (("K", (1.0, 1.0)), ("PolynomB", (1.0, 2.0)))
    ]
    return steps(*parts)


def structures(measured: LocoMeasurement, answer: LocoResult | None) -> dict[str, Any]:
    """Return LOCO's structures: before a fit, and after it if there is an answer."""
    response = measured.response
    change = 1e3 * response.matrix * response.deltas
    kicks = 1e3 * response.deltas[:-1]
    bpms, count = places("BPM"), len(measured.bpms)
    meas = {
        "M": change[:, :-1],
        "BPMSTD": column(1e3 * measured.noise * np.sqrt(2 / measured.readings)),
        "Eta": column(change[:, -1]),
        "RF": 498.3e6,
        "DeltaRF": float(response.deltas[-1]),
    }
    monitor = {
        "FamName": "BPM",
        "BPMIndex": column(bpms),
        "HBPMIndex": column(np.arange(1, count + 1)),
        "VBPMIndex": column(np.arange(1, count + 1)),
        "HBPMGoodDataIndex": np.arange(1.0, count + 1).reshape(1, -1),
        "VBPMGoodDataIndex": np.arange(1.0, count + 1).reshape(1, -1),
        "HBPMGain": column(np.ones(count)),
        "VBPMGain": column(np.ones(count)),
    }
    half = len(kicks) // 2
    corrector = {
        "FamName": "COR",
        "HCMIndex": column(places("HCM")),
        "VCMIndex": column(places("VCM")),
        "HCMGoodDataIndex": np.arange(1.0, half + 1).reshape(1, -1),
        "VCMGoodDataIndex": np.arange(1.0, half + 1).reshape(1, -1),
        "HCMKicks": column(kicks[:half]),
        "VCMKicks": column(kicks[half:]),
    }
    quadrupoles = sorted([*places("QF"), *places("QD")])
    design = [RING[index - 1].PolynomB[1] for index in quadrupoles]
    parameters = {
        "Params": cells([gradient(index) for index in quadrupoles]),
        "Values": column(design),
    }
    flags = {"Coupling": "Yes", "Dispersion": "Yes", "HorizontalDispersionWeight": 1.0}
    all_steps = [
        [monitor],
        [corrector],
        [parameters],
        [{"ChiSquare": np.zeros((0, 0))}],
    ]
    if answer is not None:
        errors = answer.quadrupole_errors
        named = [name_of(index) for index in quadrupoles]
        fitted = [k * (1 + errors[n]) for k, n in zip(design, named, strict=True)]
        gains = answer.gains
        all_steps[0].append(
            monitor
            | {
                "HBPMGain": column(gains.bpm[:, 0, 0]),
                "VBPMGain": column(gains.bpm[:, 1, 1]),
            }
        )
        all_steps[1].append(
            corrector
            | {
                "HCMKicks": column(kicks[:half] * gains.kick[:half]),
                "VCMKicks": column(kicks[half:] * gains.kick[half:-1]),
            }
        )
        all_steps[2].append(parameters | {"Values": column(fitted)})
        all_steps[3].append({"ChiSquare": answer.chi2_dof})
    lattice = [{"FamName": e.FamName, "Length": float(e.Length)} for e in RING]
    return {
        "LocoMeasData": meas,
        "BPMData": steps(*all_steps[0]),
        "CMData": steps(*all_steps[1]),
        "FitParameters": steps(*all_steps[2]),
        "LocoModel": steps(*all_steps[3]),
        "LocoFlags": flags,
        "RINGData": {"Lattice": cells(lattice), "CavityFrequency": 498.3e6},
    }


def name_of(index: int) -> str:
    """Return the profile's name of a quadrupole in the lattice."""
    family = FAMILIES[index - 1]
    return f"C{places(family).index(index) + 1:02d}/{family}"


def write(path: Path, found: dict[str, Any]) -> Path:
    scipy.io.savemat(path, found)
    return path
