"""Take fitted errors out of the machine, with quadrupoles and skew quadrupoles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.loco.apply import AppliedLoco
from acctwin.analysis.loco.version import LocoResult
from acctwin.devices.magnet import Magnet
from acctwin.devices.ring import Machine
from acctwin.errors import LimitError, PlanError
from acctwin.names import FloatArray, IntArray
from acctwin.plans import loco_version
from acctwin.plans.actuators import magnets_of_supplies, raw, with_values
from acctwin.plans.call import plan
from acctwin.plans.guards import check_arrived, check_moves, restoring_on_failure
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import ask, in_run, move, setpoints, take

#: ``optics``: quadrupoles; ``coupling``: skew quadrupoles.
What: TypeAlias = Literal["optics", "coupling"]
KINDS: dict[What, str] = {"optics": "b1", "coupling": "a1"}


@dataclass(frozen=True)
class _Task:
    """What is set: families as arrays, and magnets in series by the first of them."""

    devices: tuple[Any, ...]
    places: tuple[IntArray, ...]
    rows: tuple[IntArray, ...]

    def moves(self, start: Sequence[Any], changes: FloatArray) -> list[tuple[Any, Any]]:
        found: list[tuple[Any, Any]] = []
        for device, places, rows, before in zip(
            self.devices, self.places, self.rows, start, strict=True
        ):
            values = np.atleast_1d(before)[places] + changes[rows]
            found.append((device, with_values(before, places.tolist(), values)))
        return found


@dataclass(frozen=True)
class _Change:
    """By how much strengths are changed, and what the fitted ones are then."""

    names: tuple[str, ...]
    values: FloatArray
    fitted: FloatArray


@plan
def apply_loco(
    machine: Machine,
    fitted: LocoResult | str,
    *,
    what: Sequence[What] = ("optics", "coupling"),
    fraction: float = 1.0,
    preview: bool = False,
) -> MsgGenerator[AppliedLoco]:
    """Change magnets so that the machine gets the optics of the design.

    Each strength is changed by the negative of what the fit found in excess of the
    design; magnets in series by the mean of it. Everything is checked against the
    limits before anything moves; a failure puts everything back. To undo it later,
    ``restore_machine(machine, uid)`` with the uid of this run.

    Args:
        machine: The machine.
        fitted: A result of ``acctwin.workflows.loco.fit``, or its ``model_version``.
        what: ``"optics"``, ``"coupling"``, or both.
        fraction: Of the change, in 0 to 1.
        preview: Only say what would be done.

    Returns:
        Strengths before and after, and the β-beat that the fitted model predicts.

    Raises:
        BeamLost: The fitted model would have no stable motion; nothing was moved.
        PlanError: Nothing of that kind was fitted, or the magnets are marked bad.
        LimitError: A strength would leave its limits; nothing was moved.
    """
    if not 0.0 < fraction <= 1.0:
        raise PlanError(f"fraction is more than 0 and at most 1, not {fraction!r}")
    result = fitted
    if isinstance(result, str):
        uid = result
        result = yield from ask(lambda: loco_version.analyse(machine.runs.run(uid)))
    found: LocoResult = result
    change = _change(machine, found, what, fraction)
    task = _task(machine, change.names)
    beat = yield from ask(lambda: _predicted(machine, found, change.fitted))
    behind = raw(task.devices)

    def body(uid: str) -> MsgGenerator[AppliedLoco]:
        start = yield from setpoints(task.devices)
        moves = task.moves(start, change.values)
        _check(moves)
        before = _values(task, start, len(change.names))
        applied = AppliedLoco(
            change.names,
            before,
            before + change.values,
            found.beta_beat,
            beat,
            found.model_version,
            preview,
            uid,
        )

        def applying() -> MsgGenerator[None]:
            if not preview:
                yield from _set(task, behind, moves)
            yield from write_result(_note(applied))

        yield from restoring_on_failure(behind, applying)
        return applied

    metadata = {
        "plan_name": "apply_loco",
        "plan_args": {
            "fitted": found.model_version,
            "what": list(what),
            "fraction": fraction,
            "preview": preview,
        },
        "derived_from": [found.model_version],
    }
    return (yield from in_run(body, metadata))


def _change(
    machine: Machine, found: LocoResult, what: Sequence[What], fraction: float
) -> _Change:
    """Return what takes errors out: of magnets in series, their mean."""
    chosen = _chosen(found, what)
    errors = fraction * (found.values - found.design)
    names, changes, fitted = list[str](), list[float](), found.values.copy()
    for rows in _settable(machine, [found.strengths[i] for i in chosen]):
        group = chosen[rows]
        names.append(found.strengths[group[0]])
        changes.append(-float(errors[group].mean()))
        fitted[group] += changes[-1]
    return _Change(tuple(names), np.array(changes), fitted)


def _chosen(found: LocoResult, what: Sequence[What]) -> IntArray:
    for name in what:
        if name not in KINDS:
            raise PlanError(f"what is 'optics' or 'coupling', not {name!r}")
    kinds = [KINDS[name] for name in what]
    chosen = np.flatnonzero(np.isin(np.array(found.kinds), kinds))
    if not len(chosen):
        words = " or ".join(what) or "nothing"
        raise PlanError(f"the fit {found.model_version} has no strengths for {words}")
    return chosen


def _predicted(machine: Machine, found: LocoResult, wanted: FloatArray) -> FloatArray:
    """Return the β-beat that the fitted model has with other strengths, (n_bpm, 2)."""
    members = [name for group in found.members for name in group]
    setpoints = machine.design.setpoints(members).tolist()
    nominal = dict(zip(members, setpoints, strict=True))
    beta = machine.design.beta_with(found.bpms, *found.magnets(wanted, nominal))
    return beta / found.design_beta_at_bpms - 1


def _settable(machine: Machine, names: Sequence[str]) -> list[IntArray]:
    """Return the rows of what is set together: those in series, by their mean."""
    fed = magnets_of_supplies(machine)
    groups: dict[str, list[int]] = {}
    leaders: dict[str, str] = {}
    for row, name in enumerate(names):
        series = _series(machine[name], fed)
        leader = leaders.setdefault(min(series) if series else name, name)
        groups.setdefault(leader, []).append(row)
    return [np.array(rows, dtype=np.int64) for rows in groups.values()]


def _series(magnet: Any, fed: Mapping[str, set[str]]) -> set[str]:
    """Return the magnets that are in series with one, itself included; or none."""
    supplies = [supply.info.name for supply in magnet.supplies]
    found = fed[supplies[0]] if len(supplies) == 1 else set[str]()
    return found if len(found) > 1 else set()


def _task(machine: Machine, names: Sequence[str]) -> _Task:
    """Return how magnets are set.

    Raises:
        PlanError: One is marked bad.
    """
    fed = magnets_of_supplies(machine)
    places: dict[int, tuple[Any, list[int], list[int]]] = {}
    for row, name in enumerate(names):
        magnet = machine[name]
        if not isinstance(magnet, Magnet):
            raise PlanError(f"{name} is not a magnet of {machine.title}")
        if not magnet.is_good:
            raise PlanError(
                f"{name} is marked bad, and the fit would move it: fit again with "
                "without=[…], or mark it good"
            )
        box, place = _box(machine, magnet, fed)
        entry = places.setdefault(id(box), (box, [], []))
        entry[1].append(place)
        entry[2].append(row)
    boxed = list(places.values())
    return _Task(
        tuple(box for box, _, _ in boxed),
        tuple(np.array(found, dtype=np.int64) for _, found, _ in boxed),
        tuple(np.array(rows, dtype=np.int64) for _, _, rows in boxed),
    )


def _box(
    machine: Machine, magnet: Magnet, fed: Mapping[str, set[str]]
) -> tuple[Any, int]:
    """Return the family that a magnet is set with, and its place there.

    Magnets in series cannot be set as an array: the first stands for all.
    """
    if not _series(magnet, fed):
        for name in ("quadrupoles", "skew_quadrupoles"):
            if machine.has(name) and magnet.info.name in machine[name].names:
                family = machine[name]
                return family, list(family.names).index(magnet.info.name)
    return magnet, 0


def _check(moves: Sequence[tuple[Any, Any]]) -> None:
    try:
        check_moves(moves)
    except LimitError as error:
        raise LimitError(
            f"{error}\nthe fitted errors cannot be taken out in full: use a smaller "
            "fraction, or only the optics or the coupling"
        ) from error


def _values(task: _Task, start: Sequence[Any], count: int) -> FloatArray:
    values = np.empty(count)
    for before, places, rows in zip(start, task.places, task.rows, strict=True):
        values[rows] = np.atleast_1d(before)[places]
    return values


def _set(
    task: _Task, behind: Sequence[Any], moves: Sequence[tuple[Any, Any]]
) -> MsgGenerator[None]:
    devices = [*task.devices, *(d for d in behind if d not in task.devices)]
    yield Msg("checkpoint")
    yield from take(devices)
    yield from move(moves)
    event = yield from take(devices)
    check_arrived(devices, event)


def _note(applied: AppliedLoco) -> Note:
    return Note(
        "loco_apply",
        {
            "before": applied.before,
            "after": applied.after,
            "beta_beat": applied.beta_beat,
            "predicted": applied.predicted,
        },
        configuration={
            "strengths": list(applied.strengths),
            "is_preview": applied.is_preview,
        },
    )
