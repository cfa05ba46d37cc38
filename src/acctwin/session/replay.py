"""What is different about plans on a stored run."""

from __future__ import annotations

from typing import Any

from bluesky.preprocessors import msg_mutator
from bluesky.utils import Msg, MsgGenerator

from acctwin.session.plants import Plants


def of_replay(plants: Plants, plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
    """Begin with the first recorded readings; say in each run where they are from.

    Args:
        plants: Where the devices are; unless that is a run, the plan is left alone.
        plan: The plan.
    """
    uid = plants.replayed
    if uid is None:
        return (yield from plan)
    plants.rewind()

    def derived(msg: Msg) -> Msg:
        if msg.command != "open_run":
            return msg
        sources = [uid, *msg.kwargs.get("derived_from", [])]
        return msg._replace(kwargs={**msg.kwargs, "derived_from": sources})

    return (yield from msg_mutator(plan, derived))
