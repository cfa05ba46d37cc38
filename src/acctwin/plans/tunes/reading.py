"""How tunes are read: from the tune monitor, or from a beam that is kicked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.tune import (
    Branch,
    TuneMethod,
    TuneResult,
    mean_tune,
    tune_of_oscillations,
)
from acctwin.analysis.turns import Oscillation, find_oscillation
from acctwin.data.runs import Stream
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import PLANES, BoolArray, FloatArray, Plane
from acctwin.plans.guards import check_arrived, check_moves, require, restoring
from acctwin.plans.note import Note
from acctwin.plans.stubs import Reading, ask, move, take

T = TypeVar("T")

log = logging.getLogger(__name__)

_PINGERS = ("pinger_x", "pinger_y")
_KEYS = {
    "monitor": ("tune_qx", "tune_qy", "tune_qs"),
    "turns": ("turns_x", "turns_y"),
}
_UNKNOWN = -1


@dataclass(frozen=True)
class TuneView:
    """How the events of a run become tunes.

    Attributes:
        method: ``"monitor"`` or ``"turns"``.
        readings: Events that are one measurement.
        branch: How readings become whole tunes.
        has_rf: Whether there is a synchrotron tune.
        phase: Phase advance of the design to each good BPM [rad], (n_bpm, 2); only for
            turn-by-turn records.
        good: Which columns of the records are used, (n,).
    """

    method: TuneMethod
    readings: int
    branch: Branch
    has_rf: bool
    phase: FloatArray
    good: BoolArray

    @property
    def keys(self) -> tuple[str, ...]:
        """Data keys that are needed."""
        return _KEYS[self.method]

    def near(self, tunes: FloatArray) -> TuneView:
        """Return the same, for tunes that are near to others, (2,)."""
        return replace(self, branch=replace(self.branch, near=tunes))

    def result(self, events: Sequence[Reading], uid: str = "") -> TuneResult:
        """Return the tunes of events.

        Raises:
            DataError: No oscillation is seen in turn-by-turn records.
        """
        if self.method == "monitor":
            qx, qy, qs = np.array([[e[key] for key in self.keys] for e in events]).T
            synchrotron = qs if self.has_rf else np.full(len(qs), np.nan)
            return mean_tune(np.column_stack([qx, qy]), synchrotron, self.branch, uid)
        return self.tune_of(self.oscillations(events), uid)

    def oscillations(
        self, events: Sequence[Reading]
    ) -> list[tuple[Oscillation, Oscillation]]:
        """Return the horizontal and vertical oscillation of each record.

        Raises:
            DataError: None is seen.
        """
        return [
            (
                find_oscillation(np.asarray(event["turns_x"])[:, self.good], "x"),
                find_oscillation(np.asarray(event["turns_y"])[:, self.good], "y"),
            )
            for event in events
        ]

    def tune_of(
        self, records: Sequence[tuple[Oscillation, Oscillation]], uid: str = ""
    ) -> TuneResult:
        """Return the tunes of oscillations."""
        return tune_of_oscillations(records, self.phase, self.branch, uid)

    def configuration(self) -> dict[str, Any]:
        """Return what is stored of it, beside the events."""
        known = [self.branch.above_half.get(plane, _UNKNOWN) for plane in PLANES]
        return {
            "method": self.method,
            "readings": self.readings,
            "near": self.branch.near,
            "is_folded": self.branch.is_folded,
            "above_half": np.array(known, dtype=np.int64),
            "has_rf": self.has_rf,
            "phase": self.phase.ravel(),
            "good": self.good.astype(np.int64),
        }


def stored_view(stream: Stream, prefix: str) -> TuneView:
    """Return the view of a stored run, from its result's configuration."""

    def config(key: str) -> Any:
        return stream.config(f"{prefix}_{key}")

    known = zip(PLANES, np.asarray(config("above_half")).tolist(), strict=True)
    return TuneView(
        method="turns" if str(config("method")) == "turns" else "monitor",
        readings=int(config("readings")),
        branch=Branch(
            np.asarray(config("near"), dtype=np.float64),
            bool(config("is_folded")),
            {plane: bool(is_above) for plane, is_above in known if is_above >= 0},
        ),
        has_rf=bool(config("has_rf")),
        phase=np.asarray(config("phase"), dtype=np.float64).reshape(-1, 2),
        good=np.asarray(config("good"), dtype=bool).reshape(-1),
    )


def stored_events(stream: Stream, view: TuneView) -> list[Reading]:
    """Return the events of a stored run that tunes are made of."""
    columns = {key: stream[key] for key in view.keys}
    return [
        {key: column[i] for key, column in columns.items()} for i in range(len(stream))
    ]


def tune_view(
    machine: Machine,
    method: TuneMethod,
    readings: int | None,
    above_half: Mapping[Plane, bool] | None,
) -> MsgGenerator[TuneView]:
    """Return how this machine's tunes are read; the known tunes are the design's.

    Args:
        machine: The machine.
        method: ``"monitor"`` or ``"turns"``.
        readings: Averaged; default: the profile's for the monitor, one record for
            ``"turns"``.
        above_half: In which planes it is known whether the fractional tune is above
            0.5, e.g. ``{"x": True}``.
    """
    near = yield from ask(machine.design.tunes)
    phase, good = np.zeros((0, 2)), np.zeros(0, dtype=bool)
    if method == "turns":
        good = machine.turns.status
        names = machine.turns.good().names
        phase = (yield from ask(lambda: machine.design.optics(names))).phase
        default = 1
    else:
        default = machine.defaults.tune.readings
    return TuneView(
        method=method,
        readings=default if readings is None else readings,
        branch=Branch(near[:2], machine.defaults.tune.folded, dict(above_half or {})),
        has_rf=machine.has("rf"),
        phase=phase,
        good=good,
    )


def check_request(
    machine: Machine,
    method: TuneMethod,
    readings: int | None,
    above_half: Mapping[Plane, bool] | None = None,
) -> None:
    """Refuse what this machine cannot do, or what makes no sense.

    Raises:
        PlanError: In a sentence.
    """
    if method == "monitor":
        require(machine, ["tune"], "no tune can be read; method='turns' kicks the beam")
    elif method == "turns":
        require(
            machine,
            ["turns", *_PINGERS],
            "no oscillation can be recorded; method='monitor' reads the tune monitor",
        )
    else:
        raise PlanError(f"method is 'monitor' or 'turns', not {method!r}")
    if readings is not None and readings < 1:
        raise PlanError(f"at least 1 reading is needed, not {readings}")
    wrong = [plane for plane in above_half or {} if plane not in PLANES]
    if wrong:
        raise PlanError(f"above_half has the planes 'x' and 'y', not {wrong[0]!r}")


def charged(
    machine: Machine,
    method: TuneMethod,
    kicks: Sequence[float | None],
    body: Callable[[], MsgGenerator[T]],
) -> MsgGenerator[T]:
    """Run a plan with the pingers charged, if it kicks the beam; then put them back.

    Args:
        machine: The machine.
        method: ``"monitor"``: nothing is charged.
        kicks: Horizontal and vertical [rad]; None: the profile's.
        body: The plan.

    Raises:
        LimitError: A kick is outside its limits.
    """
    if method == "monitor":
        return (yield from body())
    pingers = _pingers(machine)
    wanted = [
        (pinger, pinger.delta if kick is None else kick)
        for pinger, kick in zip(pingers, kicks, strict=True)
    ]
    check_moves(wanted)

    def kicking() -> MsgGenerator[T]:
        yield from move(wanted)
        return (yield from body())

    return (yield from restoring(pingers, kicking))


def read_tunes(
    machine: Machine,
    view: TuneView,
    recorded: Sequence[Any] = (),
    notes: Sequence[Note] = (),
) -> MsgGenerator[list[Reading]]:
    """Take the events of one measurement of the tunes.

    Args:
        machine: The machine.
        view: How the tunes are read.
        recorded: Devices that are recorded and must be where they are set to.
        notes: What the plan writes into each event.
    """
    source = [machine.tune] if view.method == "monitor" else [machine.turns]
    held = list(recorded)
    if view.method == "turns":
        held += _pingers(machine)
    events: list[Reading] = []
    for _ in range(view.readings):
        yield Msg("checkpoint")
        events.append((yield from take([*notes, *source, *held])))
        check_arrived(held, events[-1])
    return events


def say_if_ambiguous(result: TuneResult) -> None:
    """Warn where the tune may as well be on the other side of the half-integer."""
    for plane in result.ambiguous:
        log.warning(
            "q%s = %.4f may as well be on the other side of the half-integer; say "
            "above_half={%r: True} or False",
            plane,
            result.qx if plane == "x" else result.qy,
            plane,
        )


def _pingers(machine: Machine) -> list[Any]:
    return [getattr(machine, name) for name in _PINGERS]
