"""Say which run is the reference ("golden" value) of its kind, and take it back."""

from __future__ import annotations

from dataclasses import dataclass

from bluesky.utils import MsgGenerator

from acctwin.data.references import Action, previous
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.plans.call import plan
from acctwin.plans.stubs import ask, in_run

ORBIT, ORBIT_RESPONSE, MACHINE = "orbit", "orbit_response", "machine"
BBA, GAINS = "bba", "gains"

#: Which plans make a run that other plans can use as a reference of a kind.
MADE_BY = {
    ORBIT: ("measure_orbit",),
    ORBIT_RESPONSE: ("measure_orbit_response", "measure_response", "loco_fit"),
    MACHINE: ("save_machine",),
    BBA: ("bba",),
    GAINS: ("loco_fit",),
}


@dataclass(frozen=True)
class ReferenceResult:
    """A change of a reference.

    Attributes:
        kind: Of which kind.
        reference: The run that is the reference now; empty: there is none.
        action: ``"promote"`` or ``"roll_back"``.
        uid: Run that says so.
    """

    kind: str
    reference: str
    action: Action
    uid: str


@plan
def promote_reference(
    machine: Machine, kind: str, uid: str, reason: str = ""
) -> MsgGenerator[ReferenceResult]:
    """Make a run the reference of its kind, for this machine and operational mode.

    Nothing is copied: the reference points to the run, and the one before stays in
    the history.

    Args:
        machine: The machine.
        kind: ``"orbit"`` (what ``correct_orbit`` goes to), ``"orbit_response"`` (what
            it uses), ``"machine"`` (what ``compare_machine`` and ``restore_machine``
            call ``"golden"``), ``"bba"`` (offsets of BPMs), ``"gains"`` (what
            calibrated orbits use), or a word of your own.
        uid: The run, or the beginning of its uid.
        reason: Why, for those who come after.

    Raises:
        UnknownName: There is no such run.
        PlanError: The run failed, is of another machine or operational mode, of a
            plan that does not make this kind, or of a replay; or the machine is one.
    """
    if not kind.isidentifier():
        raise PlanError(f"the kind of a reference is a word, not {kind!r}")
    run: Run = yield from ask(lambda: machine.runs.run(uid))
    refuse_other_machine(machine, run)
    refuse_unfinished(run)
    _refuse_other_mode(machine, run)
    _refuse_useless(kind, run)
    _refuse_replay(run)
    return (yield from _say(machine, kind, run.uid, "promote", reason))


@plan
def roll_back_reference(
    machine: Machine, kind: str, reason: str = ""
) -> MsgGenerator[ReferenceResult]:
    """Go back to the reference before the present one.

    Rolled back again, it goes to the one before that; rolled back from the first,
    there is no reference, and plans use the design model again.

    Args:
        machine: The machine.
        kind: Of which kind.
        reason: Why, for those who come after.

    Raises:
        PlanError: There is no reference of this kind, or the machine is a replay.
        DataError: The catalogue cannot be asked what was before.
    """
    history = yield from ask(lambda: machine.references.history(kind))
    if not history or not history[-1].uid:
        raise PlanError(
            f"{machine.title} has no {kind} reference, so there is nothing to roll back"
        )
    return (yield from _say(machine, kind, previous(history), "roll_back", reason))


def current_reference(machine: Machine, kind: str) -> MsgGenerator[str | None]:
    """Return the uid of the reference of a kind, None when there is none."""
    return (yield from ask(lambda: machine.references.current(kind)))


def refuse_other_machine(machine: Machine, run: Run) -> None:
    """Refuse a run that says nothing about this machine.

    Raises:
        PlanError: It is of another machine.
    """
    profile = run.start.get("profile")
    if profile != machine.title:
        raise PlanError(
            f"run {run.uid} is of the machine {profile!r}, and this is "
            f"{machine.title!r}: it cannot be used here"
        )


def refuse_unfinished(run: Run) -> None:
    """Refuse a run that did not come to its end.

    Raises:
        PlanError: It is still open, or did not succeed.
    """
    if run.stop is None:
        raise PlanError(f"run {run.uid} is still open: wait until it has stopped")
    if run.stop["exit_status"] != "success":
        why = run.stop.get("reason") or run.stop["exit_status"]
        raise PlanError(f"run {run.uid} did not succeed ({why}): it cannot be used")


def _refuse_other_mode(machine: Machine, run: Run) -> None:
    here, there = machine.references.operational_mode, run.start["operational_mode"]
    if here != there:
        raise PlanError(
            f"run {run.uid} was made in the operational mode {there!r}, and this is "
            f"{here!r}: it cannot be a reference here"
        )


def _refuse_useless(kind: str, run: Run) -> None:
    made_by = run.start.get("plan_name", "")
    if made_by not in MADE_BY.get(kind, (made_by,)):
        raise PlanError(
            f"run {run.uid} is of {made_by}: a reference of kind {kind!r} is a run of "
            + " or ".join(MADE_BY[kind])
        )


def _refuse_replay(run: Run) -> None:
    if run.start.get("mode") == "replay":
        raise PlanError(
            f"run {run.uid} was made on a stored run, in replay: it says nothing new "
            "about the machine, and cannot be a reference"
        )


def _say(
    machine: Machine, kind: str, reference: str, action: Action, reason: str
) -> MsgGenerator[ReferenceResult]:
    if machine.references.is_frozen:
        raise PlanError(
            "the devices are on a stored run, in replay: references are not changed "
            "from here; switch_to_physics() or switch_to_hardware() first"
        )

    def body(uid: str) -> MsgGenerator[ReferenceResult]:
        yield from ()
        return ReferenceResult(kind, reference, action, uid)

    metadata = {
        "plan_name": f"{action}_reference",
        "plan_args": {"kind": kind, "reason": reason},
        "reference": {
            "machine": machine.title,
            "operational_mode": machine.references.operational_mode,
            "kind": kind,
            "uid": reference,
            "action": action,
            "reason": reason,
        },
        "derived_from": [reference] if reference else [],
    }
    return (yield from in_run(body, metadata))
