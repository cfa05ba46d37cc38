"""Beta functions at the BPMs, from turn-by-turn records of a beam that is kicked."""

from __future__ import annotations

from collections.abc import Sequence

from bluesky.utils import MsgGenerator

from acctwin.analysis.beta import BetaResult, Places
from acctwin.analysis.phase import beta_of_records
from acctwin.data.runs import Stream
from acctwin.devices.ring import Machine
from acctwin.plans.stubs import Reading, ask
from acctwin.plans.tunes.reading import (
    TuneView,
    charged,
    read_tunes,
    stored_events,
)


def measure(
    machine: Machine,
    view: TuneView,
    kicks: Sequence[float | None],
    uid: str,
) -> MsgGenerator[tuple[BetaResult, Places]]:
    """Measure, and say where.

    Args:
        machine: The machine.
        view: How the records are read.
        kicks: Horizontal and vertical [rad]; None: the profile's.
        uid: Of the run.
    """
    names = machine.turns.good().names
    local = yield from ask(lambda: machine.design.optics(names))
    places = Places(names, local.s, local.beta, local.phase, local.tunes)

    def kicking() -> MsgGenerator[list[Reading]]:
        return (yield from read_tunes(machine, view))

    events = yield from charged(machine, "turns", kicks, kicking)
    return _result(events, view, places, uid), places


def again(stream: Stream, view: TuneView, places: Places, uid: str) -> BetaResult:
    """Return the beta functions of stored events."""
    return _result(stored_events(stream, view), view, places, uid)


def _result(
    events: Sequence[Reading], view: TuneView, places: Places, uid: str
) -> BetaResult:
    records = view.oscillations(events)
    return beta_of_records(records, view.tune_of(records, uid), places, uid)
