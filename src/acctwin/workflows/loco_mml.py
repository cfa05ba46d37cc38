"""LOCO files of the Matlab Middle Layer: fitted again, and both answers compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from acctwin.analysis.loco import LocoData, Options
from acctwin.analysis.loco.fit import Progress
from acctwin.analysis.loco.imported import Answers, BothAnswers, spread_of
from acctwin.analysis.loco.version import LocoResult
from acctwin.data.mml_loco import MmlLoco, read_mml_loco
from acctwin.devices.magnet import MagnetFamily
from acctwin.errors import DataError
from acctwin.names import BoolArray, FloatArray
from acctwin.plans.loco import importing as loco_import
from acctwin.workflows import loco
from acctwin.workflows.loco import By, Session

#: A device is that of a lattice element if it is not farther from it than this [m].
NEAR_M = 0.01


@dataclass(frozen=True)
class MmlFit:
    """A LOCO file that was fitted.

    Attributes:
        result: Our fit.
        both: What MML and acctwin have found; None: the file has no answer.
    """

    result: LocoResult
    both: BothAnswers | None


def fit_mml(
    session: Session,
    path: Path,
    *,
    by: By = "magnet",
    without: Sequence[str] = (),
    options: Options | None = None,
    progress: Progress | None = None,
) -> MmlFit:
    """Store the response of a LOCO file, fit it, and compare with what MML found.

    What MML was told to leave out is left out: bad BPMs and correctors, the blocks
    between the planes, the dispersion.

    Args:
        session: An open session on the machine of the file.
        path: A .mat file with ``LocoMeasData``, ``BPMData``, ``CMData``.
        by: ``"magnet"`` or ``"supply"`` has a strength of its own.
        without: BPMs, correctors and magnets to leave out besides.
        options: How to fit; default: the weight of the dispersion is MML's.
        progress: Hears of each iteration; default: the log.

    Raises:
        ConfigError: The file cannot be read.
        DataError: It lacks a structure or a field, or is of another machine.
    """
    file = read_mml_loco(path)
    stored = session.run(
        loco_import.store_import(
            data_of(session, file), {"file": file.name, "sha256": file.sha256}
        )
    )
    found = loco.fit(
        session,
        stored.uid,
        families=None if file.has_coupling else ["quadrupoles"],
        by=by,
        without=without,
        options=options or options_of(file),
        progress=progress,
    )
    return MmlFit(found, both_answers(session, file, found))


def options_of(file: MmlLoco) -> Options:
    """Return how a file was fitted, as far as acctwin has the same."""
    weight = file.dispersion_weight if file.has_dispersion else 1.0
    options = Options(dispersion_weight=weight)
    if file.has_coupling:
        return options
    return replace(options, blocks=("bpm_gain", "kick_gain"))


def data_of(session: Session, file: MmlLoco) -> LocoData:
    """Return the response of a file, for the devices of a session.

    Raises:
        DataError: The devices of the file are not those of the machine.
    """
    rows, columns = _row_names(session, file), _column_names(session, file)
    used = [r for r, good in enumerate(file.good_rows & (file.sigma > 0)) if good]
    chosen = np.flatnonzero(file.good_columns)
    order = {name: i for i, name in enumerate(session.machine.bpms.names)}
    bpms = sorted({rows[r] for r in used}, key=order.__getitem__)
    count, width = len(bpms), len(chosen)
    matrix, good = np.zeros((2 * count, width)), np.zeros((2 * count, width), bool)
    sigma = np.ones(2 * count)
    eta = np.zeros(2 * count)
    for row in used:
        place = bpms.index(rows[row]) + (0 if file.is_x_row[row] else count)
        matrix[place] = file.matrix[row, chosen] / file.kicks[chosen]
        sigma[place] = file.sigma[row]
        same = file.is_x_column[chosen] == file.is_x_row[row]
        good[place] = True if file.has_coupling else same
        eta[place] = 0.0 if file.eta is None else file.eta[row]
    steps = np.abs(file.kicks[chosen])
    names = [columns[i] for i in chosen.tolist()]
    if file.has_dispersion:
        is_known = good.any(axis=1)
        matrix = np.column_stack([matrix, eta / file.delta_rf])
        good = np.column_stack([good, is_known])
        steps, names = np.append(steps, abs(file.delta_rf)), [*names, "rf"]
    return LocoData(tuple(bpms), tuple(names), matrix, sigma, 1 / steps, good)


def both_answers(
    session: Session, file: MmlLoco, found: LocoResult
) -> BothAnswers | None:
    """Return what MML has found beside our fit; None if the file has no answer."""
    if file.answer is None:
        return None
    made = [
        *_gradients(session, file, found),
        *_gains(
            file.is_x_row,
            _row_names(session, file),
            found.bpms,
            [file.answer.bpm_gain, found.gains.bpm[:, 0, 0], found.gains.bpm[:, 1, 1]],
            "BPM",
        ),
        *_gains(
            file.is_x_column,
            _column_names(session, file),
            found.actuators,
            [file.answer.kick_gain, found.gains.kick, found.gains.kick],
            "corrector",
        ),
    ]
    answers = tuple(one for one in made if one is not None)
    return BothAnswers(answers, (file.answer.chi2_dof, found.chi2_dof))


def _gains(
    is_x: BoolArray,
    names: Sequence[str],
    known: Sequence[str],
    values: Sequence[FloatArray],
    what: str,
) -> list[Answers | None]:
    """Return gains of both planes: theirs by row, ours in x and y by device."""
    theirs, *ours = values
    made = list[Answers | None]()
    for plane, mine, chosen in zip("xy", ours, (is_x, ~is_x), strict=True):
        pairs = {
            names[row]: (float(theirs[row]), float(mine[known.index(names[row])]))
            for row in np.flatnonzero(chosen).tolist()
            if names[row] in known
        }
        made.append(spread_of(pairs, f"{what} gain {plane}"))
    return made


def _gradients(
    session: Session, file: MmlLoco, found: LocoResult
) -> list[Answers | None]:
    """Return relative errors of quadrupoles and strengths of skew quadrupoles."""
    owner = {name: i for i, group in enumerate(found.members) for name in group}
    normal, skew = dict[str, tuple[float, float]](), dict[str, tuple[float, float]]()
    for parameter in file.answer.parameters if file.answer else ():
        kind = "a1" if parameter.is_skew else "b1"
        magnets = _magnets(session, file, parameter.elements, kind)
        places = sorted({owner[name] for name in magnets if name in owner})
        if not places:
            continue
        change = (found.values - found.design)[places]
        theirs = parameter.value - parameter.start
        if parameter.is_skew:
            skew[magnets[0]] = theirs, float(change.mean())
        elif parameter.start:
            ours = float((change / found.design[places]).mean())
            normal[magnets[0]] = theirs / parameter.start, ours
    return [
        spread_of(normal, "quadrupole error"),
        spread_of(skew, "skew quadrupole"),
    ]


def _magnets(
    session: Session, file: MmlLoco, elements: Sequence[int], kind: str
) -> list[str]:
    """Return the fitted magnets at some lattice elements, in s order."""
    if not len(file.s):
        return []
    found = list[str]()
    for family in loco.FAMILIES:
        if not session.machine.has(family):
            continue
        for magnet in session.machine[family]:
            if magnet.info.component == kind and any(
                _distance(file.s, element, magnet.info.s) <= NEAR_M
                for element in elements
            ):
                found.append(magnet.info.name)
    return found


def _row_names(session: Session, file: MmlLoco) -> list[str]:
    """Return the BPM of each row."""
    family = session.machine.bpms
    named = _named(file, file.all_bpms.tolist(), family.names, family.s, "BPMs")
    return [named[place] for place in file.rows.tolist()]


def _column_names(session: Session, file: MmlLoco) -> list[str]:
    """Return the corrector of each column."""
    result = list[str]()
    for name, chosen in (("hcm", file.is_x_column), ("vcm", ~file.is_x_column)):
        places = file.columns[chosen].tolist()
        family: MagnetFamily = session.machine[name]
        what = f"correctors of {name}"
        named = _named(file, sorted(places), family.names, family.s, what)
        result += [named[place] for place in places]
    return result


def _named(
    file: MmlLoco,
    places: Sequence[int],
    names: Sequence[str],
    s: FloatArray,
    what: str,
) -> dict[int, str]:
    """Return the device at each lattice element, by position, else by their order.

    Raises:
        DataError: There is none, or two elements have the same, or without a lattice
            there are more or fewer of them.
    """
    if not len(file.s):
        if len(places) != len(names):
            raise DataError(
                f"{file.name}: {len(places)} {what}, and {len(names)} in the profile; "
                "without RINGData.Lattice in the file they cannot be told apart"
            )
        return dict(zip(places, names, strict=True))
    found = dict[int, str]()
    for place in places:
        gaps = [_distance(file.s, place, float(one)) for one in s]
        nearest = int(np.argmin(gaps))
        if gaps[nearest] > NEAR_M:
            raise DataError(
                f"{file.name}: no {what} of the profile is at lattice element "
                f"{place + 1}, s = {file.s[place]:.3f} m; the nearest is "
                f"{names[nearest]} at {s[nearest]:.3f} m: the file is of another "
                "lattice"
            )
        found[place] = names[nearest]
    if len(set(found.values())) < len(found):
        raise DataError(
            f"{file.name}: two lattice elements are the same of the {what}: the file "
            "is of another lattice"
        )
    return found


def _distance(s: FloatArray, element: int, place: float) -> float:
    """Return how far a place is from a lattice element; 0: inside [m]."""
    if element >= len(s) - 1:
        return float("inf")
    return max(float(s[element]) - place, place - float(s[element + 1]), 0.0)
