"""Put a saved state back: all checked first, ramped, verified, accounted for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky.preprocessors import contingency_wrapper
from bluesky.utils import Msg, MsgGenerator, RequestAbort, RequestStop

from acctwin.analysis.machine_state import RestoreResult
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError, RestoreError
from acctwin.plans.call import plan
from acctwin.plans.guards import check_moves, restore
from acctwin.plans.note import Note, write_result
from acctwin.plans.saving.reference import MACHINE
from acctwin.plans.saving.restore_task import Task, prepare
from acctwin.plans.saving.states import GOLDEN, Saved, listed, saved_state
from acctwin.plans.stubs import in_run, move, setpoints, take

log = logging.getLogger(__name__)


@plan
def restore_machine(
    machine: Machine,
    saved: Saved = GOLDEN,
    families: Sequence[str] | None = None,
    *,
    preview: bool = False,
    steps: int = 1,
    undo: bool = False,
) -> MsgGenerator[RestoreResult]:
    """Put setpoints back to what was saved.

    Everything is checked against the limits before anything moves. All devices are
    then set at once, in ``steps`` equal steps, without waiting for one before the next
    is told; when all have been told, each readback is waited for and verified.

    Where magnets have supplies, it is the currents that are put back. Only if a supply
    also feeds a magnet that was not asked for (a coil of a combined-function magnet),
    or no currents were saved (the state of a model), the strengths are set.

    When it is interrupted or fails, the machine stays as it is then: whoever presses
    Ctrl-C wants things to stop moving, so only the step that is under way is finished.
    What was restored and what was not is said, and stored in the run. With
    ``undo=True`` it goes back to the beginning instead.

    Args:
        machine: The machine.
        saved: A result of ``save_machine``; the uid of its run, or of any other run
            (the state before it is taken); or ``"golden"``: the machine's reference.
        families: Names of families or devices; default: all magnets, and the RF.
        preview: Only say what would be done.
        steps: In how many steps.
        undo: Whether to go back to the start if it is interrupted or fails.

    Returns:
        What was restored, device by device, and what was left where it is: devices
        that are marked bad, and those for which nothing was saved.

    Raises:
        PlanError: The state is of another machine, or there is no golden one.
        LimitError: A saved setpoint is outside the limits; nothing was moved.
        RestoreError: Not everything was restored; the message lists what was not.
    """
    if steps < 1:
        raise PlanError(f"steps is at least 1, not {steps}")
    state = yield from saved_state(machine, saved)
    if state is None:
        raise PlanError(
            f"{machine.title} has no golden state to restore: name the run of a "
            f"save_machine, or make one the reference with promote_reference("
            f"machine, {MACHINE!r}, uid)"
        )
    task = prepare(machine, state, families)

    def body(uid: str) -> MsgGenerator[RestoreResult]:
        start = yield from setpoints(task.devices)
        ramp = [task.moves(start, k / steps) for k in range(1, steps + 1)]
        for moves in ramp:
            check_moves(moves)
        ledger = _Ledger(task, start, state.uid, uid, undo)
        if preview:
            result = yield from ledger.stock(is_preview=True)
            yield from write_result(_result_note(result))
            return result
        return (
            yield from contingency_wrapper(
                _ramp(task, ramp, ledger), except_plan=ledger.failed
            )
        )

    metadata = {
        "plan_name": "restore_machine",
        "plan_args": {
            "saved": state.uid,
            "families": listed(families),
            "preview": preview,
            "steps": steps,
            "undo": undo,
        },
        "derived_from": [state.uid] if state.uid else [],
    }
    return (yield from in_run(body, metadata))


def _ramp(
    task: Task, ramp: Sequence[list[tuple[Any, Any]]], ledger: _Ledger
) -> MsgGenerator[RestoreResult]:
    yield from take(task.recorded)
    for moves in ramp:
        yield Msg("checkpoint")
        yield from move(moves)
        yield from take(task.recorded)
    result = yield from ledger.stock()
    if not result.is_restored.all():
        raise RestoreError("readbacks have not arrived")
    yield from write_result(_result_note(result))
    return result


@dataclass(frozen=True)
class _Ledger:
    """Takes stock of what was restored."""

    task: Task
    start: Sequence[Any]
    saved_uid: str
    uid: str
    undo: bool

    def stock(self, *, is_preview: bool = False) -> MsgGenerator[RestoreResult]:
        """Return what is restored now."""
        rows: list[np.ndarray] = []
        for part, before in zip(self.task.parts, self.start, strict=True):
            setpoint, readback = yield from _whereabouts(part.device)
            numbers = [before, setpoint, readback, part.device.bounds.tolerance]
            chosen = [np.atleast_1d(each)[part.places] for each in numbers]
            rows.append(np.array([*chosen, part.values], dtype=np.float64))
        start, now, seen, tolerance, wanted = np.concatenate(rows, axis=1)
        return RestoreResult(
            devices=self.task.names,
            families=self.task.families,
            units=self.task.units,
            start=start,
            wanted=wanted,
            setpoints=now,
            readbacks=seen,
            tolerance=tolerance,
            left=self.task.left,
            not_saved=self.task.not_saved,
            is_preview=is_preview,
            saved_uid=self.saved_uid,
            uid=self.uid,
        )

    def failed(self, error: Exception) -> MsgGenerator[None]:
        """Say what was restored and what was not; go back if that was asked for."""
        words = ""
        if self.undo:
            try:
                yield from restore(
                    list(zip(self.task.devices, self.start, strict=True))
                )
                words = "taken back to the start: "
            except RestoreError as late:
                words = f"taken back, but {late}: "
        result = yield from self.stock()
        words += result.summary()
        yield from write_result(_result_note(result))
        if isinstance(error, RequestAbort | RequestStop):
            log.warning("restore_machine was interrupted: %s", words)
            return
        raise RestoreError(
            f"{words}\nThis came after {type(error).__name__}: {error}"
        ) from error


def _whereabouts(device: Any) -> MsgGenerator[tuple[Any, Any]]:
    """Return setpoint and readback of a device, NaN if it does not answer."""
    try:
        location = yield Msg("locate", device, squeeze=True)
    except Exception as error:
        log.warning("%s cannot be read: %s", device.name, error)
        nothing = np.full(len(device.bounds.names), np.nan)
        return nothing, nothing
    return location["setpoint"], location["readback"]


def _result_note(result: RestoreResult) -> Note:
    return Note(
        "restore",
        {
            "start": result.start,
            "wanted": result.wanted,
            "setpoints": result.setpoints,
            "readbacks": result.readbacks,
            "is_restored": result.is_restored.astype(np.int64),
        },
        configuration={
            "devices": list(result.devices),
            "families": list(result.families),
            "units": list(result.units),
            "summary": result.summary(),
        },
    )
