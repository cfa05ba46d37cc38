"""Measure the chromaticity: move the RF, read the tunes."""

from __future__ import annotations

from bluesky.utils import MsgGenerator

from acctwin.analysis.chromaticity import ChromaticityResult
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.plans.call import plan
from acctwin.plans.momentum.chromaticity_scan import (
    fit_stored,
    prepare_scan,
    scan_options,
)
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import in_run


@plan
def measure_chromaticity(
    machine: Machine,
    *,
    span: float | None = None,
    points: int | None = None,
    order: int | None = None,
    readings: int | None = None,
    settle_s: float | None = None,
    max_step_hz: float | None = None,
) -> MsgGenerator[ChromaticityResult]:
    """Measure what the momentum does to the tunes.

    The RF goes in small steps to one side, through the scan, and back to where it was.

    Args:
        machine: The machine.
        span: Range of momentum δ from end to end; default: the profile's.
        points: At how many momenta; default: the profile's.
        order: Highest power of δ that is fitted, 1 to 3; default: the profile's.
        readings: Of the tunes, averaged at each; default: the profile's.
        settle_s: Extra wait at each [s]; default: the profile's.
        max_step_hz: Largest step of the RF [Hz]; default: see ``set_rf``.

    Returns:
        Chromaticity dQ/dδ, not normalised, and higher orders.

    Raises:
        LimitError: The RF would leave its limits; the message says what range they
            leave. Nothing was moved.
        BeamLost: Says at which momentum.
    """
    options = scan_options(
        machine,
        span=span,
        points=points,
        order=order,
        readings=readings,
        settle_s=settle_s,
        max_step_hz=max_step_hz,
    )

    def body(uid: str) -> MsgGenerator[ChromaticityResult]:
        scan = yield from prepare_scan(machine, options)
        result = yield from scan.measure(uid)
        yield from write_result(chromaticity_note(result))
        return result

    metadata = {
        "plan_name": "measure_chromaticity",
        "plan_args": options.to_document(),
        "num_points": options.events,
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> ChromaticityResult:
    """Return the chromaticity of a stored run, from its readings alone."""
    return fit_stored(run["primary"], run.uid)


def chromaticity_note(result: ChromaticityResult) -> Note:
    """Return what is stored of a chromaticity."""
    keys = ("orders", "sigma", "delta", "tunes", "tune")
    return Note("chromaticity", {key: getattr(result, key) for key in keys})
