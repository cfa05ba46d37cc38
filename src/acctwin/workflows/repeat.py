"""A stored run once more: the same plan, from where the machine stood then."""

from __future__ import annotations

from typing import Any, Protocol

from bluesky.utils import MsgGenerator

from acctwin import plans
from acctwin.data.runs import Run
from acctwin.data.store import Store
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.plans.call import CALL, arguments_of, derived
from acctwin.profiles.profile import Profile


class Session(Protocol):
    """What a repetition needs of a session."""

    @property
    def profile(self) -> Profile:
        """The machine's profile."""
        ...

    @property
    def machine(self) -> Machine:
        """Its devices."""
        ...

    @property
    def store(self) -> Store:
        """Where runs are."""
        ...

    def run(self, plan: MsgGenerator[Any]) -> Any:
        """Run a plan."""
        ...


def repeat(session: Session, key: str | int, *, restore: bool = True) -> Any:
    """Call a plan as a stored run says that it was called.

    The new run is derived from the old one.

    Args:
        session: An open session on the machine of that run; on the twin, unless
            hardware is to be moved.
        key: Uid of the run, its beginning, or an index: -1 is the newest.
        restore: Whether setpoints are first put to where they were before that run.

    Returns:
        What the plan returns.

    Raises:
        UnknownName: There is no such run, or the machine has no such device any more.
        PlanError: The run is of another machine, or does not say how its plan was
            called.
    """
    run = session.store.run(key)
    call = call_of(run)
    found = run.start.get("profile")
    if found != session.profile.name:
        raise PlanError(
            f"run {run.uid} is of {found}, and this session of {session.profile.name}"
        )
    arguments = arguments_of(session.machine, call)
    if restore:
        session.run(plans.restore_machine(session.machine, run.uid))
    again = getattr(plans, call["plan"])(session.machine, **arguments)
    return session.run(derived(again, run.uid))


def call_of(run: Run) -> dict[str, Any]:
    """Return the plan of a run and its arguments.

    Raises:
        PlanError: The run does not say.
    """
    call = run.start.get(CALL)
    if not call or call["plan"] not in plans.__all__:
        name = run.start.get("plan_name")
        raise PlanError(
            f"run {run.uid} of {name} does not say how its plan was called: it is no "
            "plan of acctwin, or of an older one; call it yourself"
        )
    return dict(call)
