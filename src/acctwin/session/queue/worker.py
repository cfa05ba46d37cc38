"""What the worker of bluesky-queueserver runs: a session, its plans and devices.

The start-up file of a site, ``profiles/queueserver/startup.py``, calls
:func:`session_from_environment` and :func:`names`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from bluesky.utils import MsgGenerator
from bluesky.utils import plan as bluesky_plan

from acctwin import plans
from acctwin.data.folders import user_data_folder
from acctwin.devices.ring import Machine
from acctwin.errors import AcctwinError, MissingExtra
from acctwin.plans.targets import find
from acctwin.session.open import open_session
from acctwin.session.queue.environment import session_options
from acctwin.session.queue.folder import QueueFolder
from acctwin.session.queue.forms import Form, device_names, form_of
from acctwin.session.queue.marks import WorkerMarks
from acctwin.session.queue.results import Results
from acctwin.session.session import Session

#: A plan's function.
Plan: TypeAlias = Callable[..., MsgGenerator[Any]]

#: Plans that move nothing: what an observer may queue. A plan that may kick the beam,
#: such as ``measure_tune``, is not among them.
OBSERVING = (
    "compare_machine",
    "measure_lifetime",
    "measure_orbit",
    "monitor_orbit",
    "save_machine",
)


def session_from_environment() -> Session:
    """Open the session that ``acctwin queue start`` was asked for.

    ``ACCTWIN_QUEUE_PROFILE`` is a name or a file; ``…_MODE``, ``…_SEED``,
    ``…_CATALOG`` and ``…_SITE`` are what :func:`acctwin.open_session` takes.

    Raises:
        AcctwinError: It cannot be opened; the queue's status says why too.
    """
    try:
        return open_session(**session_options(), progress=False)
    except AcctwinError as error:
        folder = QueueFolder(user_data_folder())
        folder.problem.write_text(str(error), encoding="utf-8")
        raise


def names(session: Session, *own: Plan) -> dict[str, Any]:
    """Return what clients find: plans, families and instruments, and functions.

    Call it once, when the session is open: it marks this process as the worker, and
    if the one before died in a run, it looks for what that left moved.

    Args:
        session: An open session.
        own: Plans of the site besides those of acctwin; each takes the machine first.
    """
    marks = WorkerMarks(session, QueueFolder(user_data_folder()))
    results = Results()
    devices = dict(session.machine.families) | dict(session.machine.children())
    found = {
        "session": session,
        "RE": session.RE,
        **{name: device for name, device in devices.items() if name.isidentifier()},
        **queued_plans(session.machine, results, *own),
        "plan_result": results.plan_result,
        "left_moved": marks.left_moved,
    }
    marks.begin()
    return found


def queued_plans(machine: Machine, results: Results, *own: Plan) -> dict[str, Plan]:
    """Return every plan as clients may queue it: the machine is given.

    Args:
        machine: The machine.
        results: Keeps what they return.
        own: Plans besides those of acctwin.
    """
    listed = device_names(machine)
    every = [*(getattr(plans, name) for name in plans.__all__), *own]
    return {one.__name__: _queued(one, machine, listed, results) for one in every}


def _queued(
    function: Plan,
    machine: Machine,
    listed: Mapping[str, Sequence[str]],
    results: Results,
) -> Plan:
    form = form_of(function, machine)

    def queued(*args: Any, **options: Any) -> MsgGenerator[Any]:
        given = form.signature.bind(*args, **options).arguments
        arguments = _with_devices(form, machine, given)
        return results.add((yield from function(machine, **arguments)))

    queued.__name__ = queued.__qualname__ = form.name
    queued.__module__ = function.__module__
    queued.__doc__ = form.text
    queued.__dict__["__signature__"] = form.signature
    return _decorate(form.annotation(listed))(bluesky_plan(queued))


def _decorate(annotation: dict[str, Any]) -> Callable[[Any], Any]:
    try:
        from bluesky_queueserver import parameter_annotation_decorator
    except ImportError as error:
        raise MissingExtra("bluesky-queueserver", "queue") from error
    return parameter_annotation_decorator(annotation)


def _with_devices(
    form: Form, machine: Machine, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return arguments with devices in place of their names."""
    named = {one.name for one in form.parameters if one.wants_devices}
    find_one = partial(find, machine)

    def there(value: Any) -> Any:
        if isinstance(value, list):
            return [find_one(one) for one in value]
        return find_one(value) if isinstance(value, str) else value

    return {name: there(v) if name in named else v for name, v in given.items()}
