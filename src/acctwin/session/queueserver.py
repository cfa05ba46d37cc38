"""What the worker of bluesky-queueserver runs: a session, its plans and devices.

The start-up file of a site, ``profiles/queueserver/startup.py``, calls
:func:`session_from_environment` and :func:`names`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator
from bluesky.utils import plan as bluesky_plan

from acctwin import plans
from acctwin.data.folders import user_data_folder
from acctwin.devices.ring import Machine
from acctwin.errors import MissingExtra, UnknownName
from acctwin.plans.targets import find
from acctwin.session.open import open_session
from acctwin.session.queue_environment import session_options
from acctwin.session.queue_folder import QueueFolder
from acctwin.session.queue_forms import Form, device_names, form_of
from acctwin.session.queue_marks import WorkerMarks
from acctwin.session.session import Session

#: Plans that move nothing: what an observer may queue. A plan that may kick the beam,
#: such as ``measure_tune``, is not among them.
OBSERVING = (
    "compare_machine",
    "measure_lifetime",
    "measure_orbit",
    "monitor_orbit",
    "save_machine",
)

#: Results with more numbers than this come back as their shape; the run has them.
MOST_NUMBERS = 5000
#: How many results the worker remembers.
MOST_RESULTS = 100


def session_from_environment() -> Session:
    """Open the session that ``acctwin queue start`` was asked for.

    ``ACCTWIN_QUEUE_PROFILE`` is a name or a file; ``…_MODE``, ``…_SEED``,
    ``…_CATALOG`` and ``…_SITE`` are what :func:`acctwin.open_session` takes.

    Raises:
        PlanError: No profile is named, or the mode or the seed makes no sense.
    """
    return open_session(**session_options(), progress=False)


def names(session: Session) -> dict[str, Any]:
    """Return what clients find: plans, families and instruments, and functions.

    Call it once, when the session is open: it marks this process as the worker, and
    if the one before died in a run, it looks for what that left moved.
    """
    marks = WorkerMarks(session, QueueFolder(user_data_folder()))
    results: dict[str, Any] = {}
    devices = dict(session.machine.families) | dict(session.machine.children())
    found = {
        "session": session,
        "RE": session.RE,
        **{name: device for name, device in devices.items() if name.isidentifier()},
        **queued_plans(session.machine, results),
        "plan_result": result_function(results),
        "left_moved": marks.left_moved,
    }
    marks.begin()
    return found


def queued_plans(machine: Machine, results: dict[str, Any]) -> dict[str, Any]:
    """Return every plan as clients may queue it: the machine is given.

    Args:
        machine: The machine.
        results: Takes what plans return, by the uids of their runs.
    """
    listed = device_names(machine)
    return {
        name: _queued(getattr(plans, name), machine, listed, results)
        for name in plans.__all__
    }


def result_function(results: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return the function by which clients ask for the result of a plan."""

    def plan_result(uid: str) -> Any:
        """Return what the plan returned that made a run, as plain values.

        Args:
            uid: Of its run, or of the last of its runs.
        """
        if uid not in results:
            raise UnknownName("result of a plan since the worker started", uid, results)
        return results[uid]

    return plan_result


def plain(value: Any) -> Any:
    """Return a result as JSON has it; arrays that are long as their shape."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        if value.size > MOST_NUMBERS:
            return {"shape": list(value.shape), "where": "in the run"}
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _queued(
    function: Callable[..., MsgGenerator[Any]],
    machine: Machine,
    listed: Mapping[str, Sequence[str]],
    results: dict[str, Any],
) -> Callable[..., MsgGenerator[Any]]:
    form = form_of(function, machine)

    def queued(*args: Any, **options: Any) -> MsgGenerator[Any]:
        given = form.signature.bind(*args, **options).arguments
        arguments = _with_devices(form, machine, given)
        result = plain((yield from function(machine, **arguments)))
        _remember(results, result)
        return result

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


def _remember(results: dict[str, Any], result: Any) -> None:
    if not isinstance(result, Mapping):
        return
    uids = [result.get("uid"), *(result.get("uids") or [])]
    results |= {uid: result for uid in uids if isinstance(uid, str) and uid}
    for old in list(results)[:-MOST_RESULTS]:
        del results[old]
