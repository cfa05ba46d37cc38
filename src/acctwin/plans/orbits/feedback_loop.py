"""The loop of an orbit feedback: read, solve, limit, set; and wait for the beam."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.utils import Msg, MsgGenerator, RequestStop

from acctwin.analysis.correction import Inverse
from acctwin.analysis.feedback import FeedbackResult, limit_step, plane_rms
from acctwin.devices.ring import Machine
from acctwin.errors import BeamLost, PlanError
from acctwin.names import BoolArray, FloatArray
from acctwin.plans.guards import check_arrived, require
from acctwin.plans.note import Note, write_result
from acctwin.plans.orbits.correction_task import Task
from acctwin.plans.orbits.orbit import positions
from acctwin.plans.stubs import Reading, move, take

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How a feedback goes on, and when it waits; see ``orbit_feedback``."""

    cycles: int | None
    period_s: float
    max_step: float | None
    min_current_a: float
    wait_s: float
    give_up_s: float

    def check(self, machine: Machine) -> None:
        """Refuse what makes no sense.

        Raises:
            PlanError: A number that cannot be, or there is no current to look at.
        """
        if self.cycles is not None and self.cycles < 1:
            raise PlanError(f"cycles is at least 1, not {self.cycles}")
        if self.max_step is not None and not self.max_step > 0.0:
            raise PlanError(f"max_step is a positive number, not {self.max_step!r}")
        if not (self.period_s >= 0.0 and self.wait_s > 0.0 and self.give_up_s > 0.0):
            raise PlanError(
                "period_s is at least 0, wait_s and give_up_s are positive; found "
                f"{self.period_s!r}, {self.wait_s!r}, {self.give_up_s!r}"
            )
        if self.min_current_a > 0.0:
            require(machine, ["dcct"], "min_current_a cannot be looked at")


@dataclass
class Loop:
    """A feedback that runs: what it needs, and what it has seen."""

    task: Task
    pace: Pace
    inverse: Inverse
    limits: tuple[FloatArray, FloatArray, FloatArray]
    uid: str
    rms: list[tuple[float, float]] = field(default_factory=list)
    beam_losses: int = 0
    is_frozen: BoolArray = field(init=False)
    note: Note = field(init=False)
    beam_note: Note = field(init=False)

    def __post_init__(self) -> None:
        task = self.task
        self.is_frozen = np.zeros(len(task.knobs), dtype=np.bool_)
        self.note = Note(
            "feedback",
            {"beam_losses": 0},
            configuration={
                "bpms": list(task.response.bpms),
                "knobs": list(task.knobs.names),
                "goal": task.goal,
            },
        )
        self.beam_note = Note("feedback", {"cycle": 0, "is_lost": 0})

    def run(self) -> MsgGenerator[FeedbackResult]:
        """Go on until the cycles are done; write the result, stopped or not."""
        try:
            for _ in self._numbers():
                began = time.monotonic()
                yield Msg("checkpoint")
                event = yield from self._orbit()
                yield from self._correct(event)
                left = self.pace.period_s - (time.monotonic() - began)
                if left > 0.0:
                    yield from bps.sleep(left)
        except RequestStop:
            yield from write_result(self._note("it was stopped"))
            raise
        result = self.result("all cycles are done")
        yield from write_result(self._note(result.stopped))
        return result

    def result(self, stopped: str) -> FeedbackResult:
        """Return what has been achieved."""
        rms_x, rms_y = np.array(self.rms).reshape(-1, 2).T
        frozen = np.array(self.task.knobs.names)[self.is_frozen]
        return FeedbackResult(
            rms_x, rms_y, self.beam_losses, tuple(frozen.tolist()), stopped, self.uid
        )

    def _numbers(self) -> Iterator[int]:
        if self.pace.cycles is None:
            return itertools.count()
        return iter(range(self.pace.cycles))

    def _orbit(self) -> MsgGenerator[Reading]:
        """Return the next event with beam; wait for it where there is none."""
        event, why = yield from self._look()
        if event is not None:
            return event
        self.beam_losses += 1
        log.warning("orbit_feedback: no beam (%s); the correctors hold", why)
        yield from self._tell(is_lost=1)
        deadline = time.monotonic() + self.pace.give_up_s
        while event is None:
            if time.monotonic() > deadline:
                raise BeamLost(
                    f"no beam for {self.pace.give_up_s:g} s ({why}): orbit_feedback "
                    "gives up; give_up_s is how long it waits"
                )
            yield from bps.sleep(self.pace.wait_s)
            event, why = yield from self._look()
        log.warning("orbit_feedback: the beam is back")
        yield from self._tell(is_lost=0)
        return event

    def _look(self) -> MsgGenerator[tuple[Reading | None, str]]:
        """Return an event, or why there is no orbit to be corrected."""
        machine, task = self.task.machine, self.task
        dcct = [machine.dcct] if self.pace.min_current_a > 0.0 else []
        self.note.values["beam_losses"] = self.beam_losses
        try:
            event = yield from take(
                [self.note, machine.bpms, *dcct, *task.devices], waits=False
            )
        except BeamLost as error:
            return None, str(error)
        check_arrived(task.devices, event)
        if dcct and not event[machine.dcct.current.name] >= self.pace.min_current_a:
            return None, f"the current is below {self.pace.min_current_a:g} A"
        if not np.isfinite(self._residual(event)).all():
            return None, "a BPM reads no number"
        return event, ""

    def _correct(self, event: Reading) -> MsgGenerator[None]:
        """Set the next step of the correctors."""
        residual, knobs = self._residual(event), self.task.knobs
        rms_x, rms_y = plane_rms(residual[None, :])
        self.rms.append((float(rms_x[0]), float(rms_y[0])))
        start = [event[device.keys[0]] for device in knobs.devices]
        wanted = -self.task.options.gain * (self.inverse.matrix @ residual)
        low, high, most = self.limits
        now = knobs.setpoints(start, np.zeros(len(knobs)))
        step, is_at_limit = limit_step(wanted, now, low, high, most)
        new = np.array(knobs.names)[is_at_limit & ~self.is_frozen]
        if len(new):
            log.warning(
                "orbit_feedback: at a limit, and left where it is: %s", ", ".join(new)
            )
        self.is_frozen |= is_at_limit
        yield from move(knobs.moves(start, step))

    def _residual(self, event: Reading) -> FloatArray:
        x, y = positions(self.task.machine.bpms, [event])
        rows = self.task.response.rows
        return np.concatenate([x[0, rows], y[0, rows]]) - self.task.goal

    def _tell(self, is_lost: int) -> MsgGenerator[None]:
        """Write into the stream ``beam`` that the beam is lost, or is back."""
        self.beam_note.values.update(cycle=len(self.rms), is_lost=is_lost)
        yield from take([self.beam_note], "beam")

    def _note(self, stopped: str) -> Note:
        return Note(
            "feedback",
            {
                "beam_losses": self.beam_losses,
                "is_frozen": self.is_frozen.astype(np.int64),
            },
            configuration={"knobs": list(self.task.knobs.names), "stopped": stopped},
        )


def limits_of(task: Task, pace: Pace) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return lower limits, upper limits and largest step of the knobs, (n,) each."""
    most = task.knobs.deltas()
    if pace.max_step is not None:
        is_rf = np.array([name == "rf" for name in task.knobs.names])
        most = np.where(is_rf, most, pace.max_step)
    return (*task.knobs.limits(), most)
