"""What is different about plans on a stored run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bluesky.utils import MsgGenerator

from acctwin.plans.call import derived
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
        return (yield from derived(plan, uid))

    return begin
