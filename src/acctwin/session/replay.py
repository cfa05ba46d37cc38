"""What is different about plans on a stored run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bluesky.preprocessors import msg_mutator
from bluesky.utils import Msg, MsgGenerator

from acctwin.session.plants import Plants


def of_replay(plants: Plants) -> Callable[[MsgGenerator[Any]], MsgGenerator[Any]]:
    """Return what a RunEngine does to each plan.

    It begins with the first recorded readings, and each run says where they are from.

    Args:
        plants: Where the devices are; unless that is a run, a plan is left alone.
    """

    def begin(plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
        uid = plants.replayed
        if uid is None:
            return (yield from plan)
        plants.rewind()
        return (yield from msg_mutator(plan, partial(_derived, uid)))

    return begin


def _derived(uid: str, msg: Msg) -> Msg:
    if msg.command != "open_run":
        return msg
    sources = [uid, *msg.kwargs.get("derived_from", [])]
    return msg._replace(kwargs={**msg.kwargs, "derived_from": sources})
