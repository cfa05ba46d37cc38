"""One evaluation of an optimisation: set a candidate, read, say what came of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.optimisation import OptimisationResult
from acctwin.devices.beam import BeamWatch
from acctwin.devices.ring import Machine
from acctwin.errors import BeamLost, LimitError
from acctwin.names import FloatArray
from acctwin.plans.beam import with_beam
from acctwin.plans.guards import check_arrived, check_moves, restore
from acctwin.plans.note import Note
from acctwin.plans.optimisation.problem import Setting
from acctwin.plans.stubs import Reading, move, take, trigger

log = logging.getLogger(__name__)

NAME = "optimise"
#: Streams of evaluations that failed, and of the reading when the beam was back.
FAILED, BACK = "failed", "beam"
#: Where a candidate came from; an event holds its place here.
ORIGINS = ("start", "initial", "generator", "final")


@dataclass(frozen=True)
class Row:
    """An evaluation.

    Attributes:
        candidate: What was set, (n_var,).
        outputs: Objectives, then constraints, (n_out,); NaN: it failed.
        origin: One of ``ORIGINS``.
    """

    candidate: FloatArray
    outputs: FloatArray
    origin: str


@dataclass
class Evaluator:
    """Evaluates candidates on a machine, and keeps what was found.

    Attributes:
        machine: The machine.
        setting: The problem, and where the machine was.
        raw: What is put back after a beam loss, with its setpoints.
        rows: Evaluations so far, those of a resumed run first.
    """

    machine: Machine
    setting: Setting
    raw: Sequence[tuple[Any, Any]]
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        problem = self.setting.problem
        self._devices = [*problem.monitors, *problem.knobs.devices]
        outputs = [measured.output for measured in problem.outputs]
        self._note = Note(
            NAME,
            {},
            configuration={
                "variables": list(problem.names),
                "units": [variable.unit for variable in problem.variables],
                "outputs": [output.name for output in outputs],
                "output_units": [output.unit for output in outputs],
                "origins": list(ORIGINS),
            },
        )

    def evaluate(self, candidate: FloatArray, origin: str) -> MsgGenerator[Row]:
        """Set a candidate and read; without beam, go back and wait for it.

        Raises:
            DeviceError: A device is not where it was set to.
            BeamLost: The beam did not come back.
        """
        yield Msg("checkpoint")
        moves = self.setting.moves(candidate)
        failed = np.full(len(self.setting.problem.outputs), np.nan)
        row = Row(candidate, failed, origin)
        try:
            check_moves(moves)
            yield from move(moves)
            row = Row(candidate, (yield from self._read(candidate, origin)), origin)
        except LimitError as error:
            log.warning("not set: %s", error)
        except BeamLost as error:
            log.warning("evaluation %d failed: %s", len(self.rows), error)
            yield from self._recover()
        if not np.isfinite(row.outputs).all():
            self._fill(row)
            yield from take([self._note], FAILED, waits=False)
        self.rows.append(row)
        return row

    def best(self) -> FloatArray | None:
        """Return the best feasible candidate so far, (n_var,)."""
        if not self.rows:
            return None
        found = result_of(self.rows, self.setting)
        return None if found.best is None else found.candidates[found.best]

    def go_to(self, candidate: FloatArray | None) -> MsgGenerator[None]:
        """Set a candidate that has been set before; None: what was there at first."""
        if candidate is None:
            yield from restore(self.raw)
        else:
            yield from move(self.setting.moves(candidate))

    def _read(self, candidate: FloatArray, origin: str) -> MsgGenerator[FloatArray]:
        """Take an event of the monitors and the knobs; return the outputs.

        An event whose outputs are not all numbers is not kept: the evaluation failed.
        """
        problem = self.setting.problem
        yield from trigger([m for m in problem.monitors if hasattr(m, "trigger")])
        readings: dict[str, Any] = {}
        try:
            yield Msg("create", None, name="primary")
            for device in self._devices:
                found = yield Msg("read", device)
                readings |= {key: item["value"] for key, item in found.items()}
            check_arrived(problem.knobs.devices, readings)
            row = Row(candidate, self._outputs(readings), origin)
            self._fill(row)
            yield Msg("read", self._note)
        except Exception:
            yield Msg("drop")
            raise
        yield Msg("save" if np.isfinite(row.outputs).all() else "drop")
        return row.outputs

    def _outputs(self, readings: Reading) -> FloatArray:
        found = [measured.of(readings) for measured in self.setting.problem.outputs]
        return np.array(found, dtype=np.float64)

    def _fill(self, row: Row) -> None:
        feasible = result_of([row], self.setting).is_feasible[0]
        self._note.values = {
            "evaluation": len(self.rows),
            "candidate": row.candidate,
            "output": row.outputs,
            "is_feasible": int(feasible),
            "origin": ORIGINS.index(row.origin),
        }

    def _recover(self) -> MsgGenerator[None]:
        """Go back to the best candidate, or the start, and wait for the beam."""
        yield from self.go_to(self.best())
        dcct = self.machine.dcct if self.machine.has("dcct") else None
        watch = BeamWatch(self.machine.defaults.beam, dcct)
        monitors = self.setting.problem.monitors
        yield from with_beam(watch, partial(take, monitors, BACK, waits=False))


def result_of(rows: Sequence[Row], setting: Setting, **more: Any) -> OptimisationResult:
    """Return evaluations as a result; ``more``: its other attributes."""
    problem = setting.problem
    outputs = np.array([row.outputs for row in rows])
    count = len(problem.objectives)
    words = {"generator": "", "finish": ""} | more
    return OptimisationResult(
        variables=problem.names,
        units=tuple(variable.unit for variable in problem.variables),
        objectives=tuple(measured.output for measured in problem.objectives),
        constraints=tuple(measured.output for measured in problem.constraints),
        candidates=np.array([row.candidate for row in rows]),
        values=outputs[:, :count],
        bounded=outputs[:, count:],
        origins=tuple(row.origin for row in rows),
        **words,
    )
