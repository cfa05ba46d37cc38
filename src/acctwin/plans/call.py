"""How a plan was called, written into its runs, so that it can be called again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
from bluesky.preprocessors import msg_mutator
from bluesky.utils import Msg, MsgGenerator
from bluesky.utils import plan as bluesky_plan

from acctwin.devices.ring import Machine
from acctwin.devices.selection import Selection
from acctwin.errors import PlanError, UnknownName
from acctwin.plans.targets import find

P = ParamSpec("P")
T = TypeVar("T")

#: Key of the start document.
CALL = "call"


def plan(function: Callable[P, MsgGenerator[T]]) -> Callable[P, MsgGenerator[T]]:
    """Make a plan of a function that takes the machine first.

    Its runs say which plan it was and which arguments were given; defaults are not
    among them. It is Bluesky's decorator besides.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def called(*args: P.args, **options: P.kwargs) -> MsgGenerator[T]:
        given = dict(signature.bind(*args, **options).arguments)
        machine = given.pop(next(iter(signature.parameters)))
        arguments = {name: written(machine, value) for name, value in given.items()}
        words = {"plan": function.__name__, "arguments": arguments}
        return (yield from _noted(function(*args, **options), words))

    return bluesky_plan(called)


def arguments_of(machine: Machine, call: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a plan was called with, the machine apart.

    Args:
        machine: The machine that it is to be called for.
        call: What the start document says.

    Returns:
        By name. Devices are those of the machine, results are uids of their runs.

    Raises:
        UnknownName: The machine has no such device.
        PlanError: An argument could not be written down.
    """
    return {name: read(machine, word) for name, word in call["arguments"].items()}


def derived(plan: MsgGenerator[T], uid: str) -> MsgGenerator[T]:
    """Run a plan whose runs are derived from another one.

    Args:
        plan: The plan.
        uid: Of the other run.
    """

    def note(msg: Msg) -> Msg:
        if msg.command != "open_run":
            return msg
        sources = [uid, *msg.kwargs.get("derived_from", [])]
        return _with_metadata(msg, derived_from=sources)

    return (yield from msg_mutator(plan, note))


def written(machine: Machine, value: Any) -> Any:
    """Return an argument as it is written: plain values, devices and runs by name."""
    if isinstance(value, Mapping):
        # Names of devices may not be keys of documents.
        return {"pairs": [[key, written(machine, one)] for key, one in value.items()]}
    if isinstance(value, list | tuple):
        return [written(machine, one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Selection):
        return _device(machine, value.family) | {"members": list(value.names)}
    run = getattr(value, "model_version", None) or getattr(value, "uid", None)
    return {"run": run} if isinstance(run, str) else _device(machine, value)


def read(machine: Machine, word: Any) -> Any:
    """Return what was written."""
    if isinstance(word, list):
        return [read(machine, one) for one in word]
    if not isinstance(word, Mapping):
        return word
    match dict(word):
        case {"pairs": pairs}:
            return {key: read(machine, one) for key, one in pairs}
        case {"run": str(uid)}:
            return uid
        case {"device": str(name), "members": members}:
            return find(machine, name).select(*members)
        case {"device": str(name)}:
            return find(machine, name)
        case _:
            kind = word.get("unknown", "?")
            raise PlanError(
                f"an argument of the plan, a {kind}, is not in the run: call the plan "
                "yourself"
            )


def _noted(inner: MsgGenerator[T], words: Mapping[str, Any]) -> MsgGenerator[T]:
    def note(msg: Msg) -> Msg:
        if msg.command != "open_run" or CALL in msg.kwargs:
            return msg
        return _with_metadata(msg, **{CALL: dict(words)})

    return (yield from msg_mutator(inner, note))


def _with_metadata(msg: Msg, **metadata: Any) -> Msg:
    return Msg(msg.command, msg.obj, *msg.args, run=msg.run, **msg.kwargs | metadata)


def _device(machine: Machine, device: Any) -> dict[str, Any]:
    """Return the name by which a machine has a device."""
    for name, family in machine.families.items():
        if family is device:
            return {"device": name}
    info = getattr(device, "info", None)
    name = getattr(device, "name", "") if info is None else info.name
    try:
        is_there = find(machine, name) is device
    except UnknownName:
        is_there = False
    return {"device": name} if is_there else {"unknown": type(device).__name__}
