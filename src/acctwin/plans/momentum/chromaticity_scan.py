"""What a chromaticity plan does again and again: scan the RF, read the tunes, fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.chromaticity import (
    ChromaticityResult,
    TuneBranch,
    fit_chromaticity,
)
from acctwin.data.runs import Stream
from acctwin.devices.ring import Machine
from acctwin.errors import DeviceError, PlanError
from acctwin.names import BoolArray
from acctwin.plans.guards import check_arrived, require
from acctwin.plans.momentum.rf import largest_step, rf_restored
from acctwin.plans.momentum.rf_scan import (
    RfScan,
    check_scan,
    evenly,
    present_rf,
    scan_rf,
)
from acctwin.plans.note import Note
from acctwin.plans.stubs import Reading, ask

#: Data keys that the fit needs.
KEYS = ("tune_qx", "tune_qy", "scan_offset")


@dataclass(frozen=True)
class ScanOptions:
    """How the chromaticity is measured; see ``measure_chromaticity``."""

    span: float
    points: int
    order: int
    readings: int
    settle_s: float
    max_step_hz: float

    def to_document(self) -> dict[str, Any]:
        """Return them as a start document holds them."""
        return asdict(self)

    @property
    def events(self) -> int:
        """How many events a scan has."""
        return self.points * self.readings


@dataclass(frozen=True)
class ChromaticityScan:
    """A scan that is ready to be made, any number of times in a run.

    Attributes:
        machine: The machine.
        options: How it is measured.
        scan: Where the RF goes.
        branch: What tells a whole tune from its fraction.
        note: What the scan writes into each event.
    """

    machine: Machine
    options: ScanOptions
    scan: RfScan
    branch: TuneBranch
    note: Note

    def measure(
        self, uid: str, notes: Sequence[Note] = (), moved: Sequence[Any] = ()
    ) -> MsgGenerator[ChromaticityResult]:
        """Scan and fit; the RF is brought back.

        Args:
            uid: Of the run.
            notes: What else is written into each event.
            moved: What else is read at each, and has to be where it is set to.
        """
        machine = self.machine

        def check(event: Reading) -> None:
            _check_tunes(event)
            check_arrived(moved, event)

        events = yield from rf_restored(
            machine,
            self.options.max_step_hz,
            lambda: scan_rf(
                machine,
                self.scan,
                [*notes, machine.tune, *moved],
                self.note,
                check,
            ),
        )
        columns = np.array([[event[key] for key in KEYS] for event in events])
        return fit_chromaticity(
            columns[:, :2],
            columns[:, 2],
            rf_hz=self.scan.rf_hz,
            slip_factor=self.scan.slip_factor,
            branch=self.branch,
            order=self.options.order,
            uid=uid,
        )


def scan_options(
    machine: Machine,
    *,
    span: float | None,
    points: int | None,
    order: int | None,
    readings: int | None,
    settle_s: float | None,
    max_step_hz: float | None,
) -> ScanOptions:
    """Return what was asked for, the rest as the profile has it.

    Raises:
        PlanError: The machine cannot do it, or the numbers do not go together.
    """
    require(machine, ["rf"], "the momentum cannot be changed")
    require(machine, ["tune"], "there are no tunes to read")
    default = machine.defaults.chromaticity
    options = ScanOptions(
        span=default.span if span is None else span,
        points=default.points if points is None else points,
        order=default.order if order is None else order,
        readings=default.readings if readings is None else readings,
        settle_s=machine.defaults.response.settle_s if settle_s is None else settle_s,
        max_step_hz=largest_step(machine, max_step_hz),
    )
    if options.order not in (1, 2, 3):
        raise PlanError(f"order is 1, 2 or 3, not {options.order!r}")
    if options.points <= options.order:
        raise PlanError(
            f"a polynomial of order {options.order} needs {options.order + 1} points, "
            f"not {options.points}"
        )
    if options.readings < 1:
        raise PlanError(f"at least 1 reading is needed, not {options.readings}")
    return options


def prepare_scan(
    machine: Machine, options: ScanOptions
) -> MsgGenerator[ChromaticityScan]:
    """Ask the design what it has to say, and check where the RF goes.

    Raises:
        LimitError: The RF would leave its limits.
    """
    design = machine.design
    slip = yield from ask(design.slip_factor)
    tunes = yield from ask(design.tunes)
    chromaticity = yield from ask(design.chromaticity)
    rf_hz = yield from present_rf(machine)
    # Up in momentum is up or down in frequency; the scan begins at the lowest δ.
    signed = -options.span * slip * rf_hz
    offsets = evenly(options.points, abs(signed)) * np.sign(signed)
    check_scan(machine, rf_hz, abs(signed), slip)
    scan = RfScan(
        rf_hz, slip, offsets, options.readings, options.settle_s, options.max_step_hz
    )
    folded = machine.defaults.tune.folded
    note = scan.note(
        design_tunes=tunes[:2],
        design_chromaticity=chromaticity,
        folded=folded,
        order=options.order,
    )
    branch = TuneBranch(tunes[:2], chromaticity, folded)
    return ChromaticityScan(machine, options, scan, branch, note)


def fit_stored(
    stream: Stream, uid: str, chosen: BoolArray | None = None
) -> ChromaticityResult:
    """Fit a stored scan, from its readings alone.

    Args:
        stream: Of the run.
        uid: Of the run.
        chosen: Which of its events are of this scan, (n_events,); default: all.
    """
    columns = np.column_stack([stream[key] for key in KEYS]).astype(np.float64)
    rows = columns if chosen is None else columns[chosen]
    return fit_chromaticity(
        rows[:, :2],
        rows[:, 2],
        rf_hz=float(stream.config("scan_rf")),
        slip_factor=float(stream.config("scan_slip_factor")),
        branch=TuneBranch(
            np.asarray(stream.config("scan_design_tunes"), dtype=np.float64),
            np.asarray(stream.config("scan_design_chromaticity"), dtype=np.float64),
            bool(stream.config("scan_folded")),
        ),
        order=int(stream.config("scan_order")),
        uid=uid,
    )


def _check_tunes(event: Reading) -> None:
    tunes = [float(event[key]) for key in KEYS[:2]]
    if not np.all(np.isfinite(tunes)):
        raise DeviceError(
            f"the tune monitor reads {tunes[0]:g} and {tunes[1]:g} with the RF "
            f"{event['scan_offset']:+.6g} Hz off: no beam there, or no tune to see; "
            "choose a smaller range"
        )
