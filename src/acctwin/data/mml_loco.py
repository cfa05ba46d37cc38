"""Reading a LOCO file of the Matlab Middle Layer: what was measured, what was found.

Structures after SLAC-PUB-14640, "Matlab Based LOCO", and what MML writes: orbit changes
in mm for kicks in mrad, lattice indices from 1, a struct array with an entry for each
iteration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from acctwin.data.mml_structs import Fields, Struct, steps_of
from acctwin.errors import DataError
from acctwin.names import BoolArray, FloatArray, IntArray
from acctwin.profiles.mml.setup import load_variables
from acctwin.profiles.mml.values import text

STRUCTURES = (
    "LocoMeasData",
    "BPMData",
    "CMData",
    "FitParameters",
    "LocoFlags",
    "LocoModel",
    "RINGData",
)
MILLI = 1e-3


@dataclass(frozen=True)
class MmlParameter:
    """A strength that MML has fitted.

    Attributes:
        elements: Lattice indices of its magnets, from 0.
        is_skew: Whether it is a skew gradient.
        start: Before the fit, in units of the lattice.
        value: After it.
    """

    elements: tuple[int, ...]
    is_skew: bool
    start: float
    value: float


@dataclass(frozen=True)
class MmlAnswer:
    """What MML has found, in its last iteration.

    Attributes:
        parameters: Strengths; what is no gradient is left out.
        bpm_gain: Of the rows, (n_rows,).
        kick_gain: Kick over that before the fit, (n_columns,).
        chi2_dof: χ² per degree of freedom; NaN if the file does not say.
        iterations: How many there were.
    """

    parameters: tuple[MmlParameter, ...]
    bpm_gain: FloatArray
    kick_gain: FloatArray
    chi2_dof: float
    iterations: int


@dataclass(frozen=True)
class MmlLoco:
    """A LOCO file, in SI. Rows are horizontal BPMs, then vertical ones; columns too.

    Attributes:
        name: Of the file.
        sha256: Of its bytes.
        matrix: Orbit change by each whole step [m], (n_rows, n_columns).
        sigma: Its standard error [m], (n_rows,); 0: the BPM is not used.
        kicks: Whole steps [rad], (n_columns,).
        eta: Orbit change by the step of the RF [m], (n_rows,); None: not measured.
        delta_rf: That step [Hz].
        rows: Lattice indices of the BPMs, from 0, (n_rows,).
        columns: Those of the correctors, (n_columns,).
        is_x_row: Whether a row is horizontal, (n_rows,).
        is_x_column: Whether a corrector is horizontal, (n_columns,).
        good_rows: What MML has fitted, (n_rows,).
        good_columns: The same, (n_columns,).
        all_bpms: Lattice indices of all BPMs of the family, from 0.
        s: Where each lattice element begins, and the end [m]; empty: no lattice.
        has_coupling: Whether MML has fitted what correctors do in the other plane.
        has_dispersion: Whether it has fitted the dispersion.
        dispersion_weight: Of the horizontal one.
        answer: What MML has found; None: the file was not fitted yet.
    """

    name: str
    sha256: str
    matrix: FloatArray
    sigma: FloatArray
    kicks: FloatArray
    eta: FloatArray | None
    delta_rf: float
    rows: IntArray
    columns: IntArray
    is_x_row: BoolArray
    is_x_column: BoolArray
    good_rows: BoolArray
    good_columns: BoolArray
    all_bpms: IntArray
    s: FloatArray
    has_coupling: bool
    has_dispersion: bool
    dispersion_weight: float
    answer: MmlAnswer | None


def read_mml_loco(path: Path) -> MmlLoco:
    """Read a LOCO file of the Matlab Middle Layer.

    Raises:
        ConfigError: There is no such file, or it cannot be read.
        DataError: A structure or a field is missing, or sizes do not fit.
    """
    found = load_variables(path, STRUCTURES)
    steps = {name: steps_of(found.get(name)) for name in STRUCTURES}
    measured, bpms, correctors = (
        Fields(path.name, name, _first(path.name, name, steps, found))
        for name in STRUCTURES[:3]
    )
    flags = Fields(path.name, "LocoFlags", (steps["LocoFlags"] or [{}])[-1])
    family = bpms.indices("BPMIndex")
    h, v = (bpms.indices(f"{plane}BPMIndex") for plane in "HV")
    if max([*h.tolist(), *v.tolist()], default=-1) >= len(family):
        raise DataError(f"{path.name}: HBPMIndex or VBPMIndex is beyond BPMIndex")
    columns = [correctors.indices(f"{plane}CMIndex") for plane in "HV"]
    kicks = [correctors.numbers(f"{plane}CMKicks") * MILLI for plane in "HV"]
    eta = measured.optional("Eta")
    delta_rf = measured.optional("DeltaRF")
    has_eta = eta is not None and delta_rf is not None
    result = MmlLoco(
        name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        matrix=measured.matrix("M") * MILLI,
        sigma=measured.numbers("BPMSTD") * MILLI,
        kicks=np.concatenate(kicks),
        eta=eta * MILLI if eta is not None and has_eta else None,
        delta_rf=float(delta_rf[0]) if delta_rf is not None and has_eta else 0.0,
        rows=np.concatenate([family[h], family[v]]),
        columns=np.concatenate(columns),
        is_x_row=_is_first(len(h), len(v)),
        is_x_column=_is_first(len(columns[0]), len(columns[1])),
        good_rows=np.concatenate([
            bpms.good("HBPMGoodDataIndex", len(h)),
            bpms.good("VBPMGoodDataIndex", len(v)),
        ]),
        good_columns=np.concatenate([
            correctors.good("HCMGoodDataIndex", len(columns[0])),
            correctors.good("VCMGoodDataIndex", len(columns[1])),
        ]),
        all_bpms=np.sort(family),
        s=_positions(steps["RINGData"]),
        has_coupling=flags.says("Coupling", "No"),
        has_dispersion=flags.says("Dispersion", "Yes") and has_eta,
        dispersion_weight=flags.number("HorizontalDispersionWeight", 1.0),
        answer=_answer(path.name, steps),
    )
    _check(result)
    return result


def _first(
    file: str, name: str, steps: Mapping[str, list[Struct]], found: Mapping[str, Any]
) -> Struct:
    if steps[name]:
        return steps[name][0]
    known = ", ".join(found) or "none of LOCO's"
    raise DataError(
        f"{file}: there is no structure {name}; it has {known}. In Matlab: save it "
        "with locogui, or with save(FILE, 'LocoMeasData', 'BPMData', 'CMData', "
        "'FitParameters', 'LocoFlags', 'LocoModel', 'RINGData', '-v7')"
    )


def _is_first(first: int, second: int) -> BoolArray:
    return np.repeat([True, False], [first, second])


def _positions(ring: Sequence[Struct]) -> FloatArray:
    """Return where lattice elements begin, and the end [m]; empty without lattice."""
    lattice = ring[0].get("Lattice") if ring else None
    elements = steps_of(lattice) if isinstance(lattice, list) else []
    lengths = [float(np.ravel(one.get("Length", 0.0))[0]) for one in elements]
    return np.cumsum([0.0, *lengths]) if lengths else np.zeros(0)


def _answer(file: str, steps: Mapping[str, list[Struct]]) -> MmlAnswer | None:
    """Return the last iteration; None if there is only what it began with."""
    count = len(steps["BPMData"])
    if count < 2 or len(steps["CMData"]) < count:
        return None
    bpms, first, last = (
        Fields(file, name, steps[name][place])
        for name, place in (("BPMData", count - 1), ("CMData", 0), ("CMData", -1))
    )
    gains = [bpms.numbers(f"{plane}BPMGain") for plane in "HV"]
    before, after = (
        np.concatenate([one.numbers(f"{plane}CMKicks") for plane in "HV"])
        for one in (first, last)
    )
    model = Fields(file, "LocoModel", (steps["LocoModel"] or [{}])[-1])
    return MmlAnswer(
        parameters=_parameters(file, steps["FitParameters"]),
        bpm_gain=np.concatenate(gains),
        kick_gain=after / before,
        chi2_dof=model.number("ChiSquare", np.nan),
        iterations=count - 1,
    )


def _parameters(file: str, steps: Sequence[Struct]) -> tuple[MmlParameter, ...]:
    """Return the gradients that were fitted."""
    if len(steps) < 2 or not np.size(steps[0].get("Values", [])):
        return ()
    before, after = (
        Fields(file, "FitParameters", one).numbers("Values")
        for one in (steps[0], steps[-1])
    )
    groups = steps[0].get("Params")
    cells = cast("list[Any]", groups) if isinstance(groups, list) else [groups]
    if not len(before) == len(after) == len(cells):
        raise DataError(
            f"{file}: FitParameters has {len(cells)} Params, and {len(before)} and "
            f"{len(after)} Values before and after the fit"
        )
    made = list[MmlParameter]()
    for cell, start, value in zip(cells, before.tolist(), after.tolist(), strict=True):
        parts = [part for part in steps_of(cell) if _is_gradient(part)]
        places = {int(np.ravel(part["ElemIndex"])[0]) - 1 for part in parts}
        if places:
            is_skew = text(parts[0]["FieldName"]) == "PolynomA"
            made.append(MmlParameter(tuple(sorted(places)), is_skew, start, value))
    return tuple(made)


def _is_gradient(part: Struct) -> bool:
    """Tell whether a parameter is K, or the second entry of a polynomial."""
    field, index = text(part.get("FieldName")), part.get("FieldIndex", [])
    if "ElemIndex" not in part:
        return False
    places = cast("list[Any]", index) if isinstance(index, list) else [index]
    last: Any = np.ravel(places[-1]) if places else np.zeros(0)
    is_second = last.size == 1 and int(last[0]) == 2
    return field == "K" or (field in ("PolynomA", "PolynomB") and is_second)


def _check(found: MmlLoco) -> None:
    """Refuse sizes that do not fit each other.

    Raises:
        DataError: With all of them.
    """
    rows, columns = len(found.rows), len(found.columns)
    sizes = {
        "LocoMeasData.M": (found.matrix.shape, (rows, columns)),
        "LocoMeasData.BPMSTD": (found.sigma.shape, (rows,)),
        "CMData.HCMKicks with VCMKicks": (found.kicks.shape, (columns,)),
    }
    if found.eta is not None:
        sizes["LocoMeasData.Eta"] = (found.eta.shape, (rows,))
    if found.answer is not None:
        sizes["the last HBPMGain with VBPMGain"] = (
            found.answer.bpm_gain.shape,
            (rows,),
        )
    wrong = [
        f"{name} is {size}, wanted {wanted}"
        for name, (size, wanted) in sizes.items()
        if size != wanted
    ]
    if not found.kicks.all():
        wrong.append("a kick is 0")
    if wrong:
        raise DataError(
            f"{found.name}: {'; '.join(wrong)} ({rows} BPM rows, {columns} correctors)"
        )
