"""Measure the injection efficiency."""

from __future__ import annotations

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.injection import InjectionResult, injection_of
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.plans.call import plan
from acctwin.plans.guards import require
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import in_run, take

_KEY = "injection_efficiency"


@plan
def measure_injection(
    machine: Machine, *, shots: int = 5
) -> MsgGenerator[InjectionResult]:
    """Measure which part of an injected shot survives.

    Args:
        machine: The machine.
        shots: How many are averaged.

    Returns:
        The efficiency, 0 to 1, and its standard error.

    Raises:
        PlanError: The machine does not measure it, or there is no shot.
    """
    require(machine, ["injection"], "its injection efficiency is not measured")
    if shots < 1:
        raise PlanError(f"measure_injection needs at least 1 shot, not {shots}")

    def body(uid: str) -> MsgGenerator[InjectionResult]:
        seen = list[float]()
        for _ in range(shots):
            yield Msg("checkpoint")
            seen.append(float((yield from take([machine.injection]))[_KEY]))
        result = injection_of(np.array(seen), uid)
        yield from write_result(
            Note("shots", {"mean": result.efficiency, "sigma": result.sigma})
        )
        return result

    metadata = {
        "plan_name": "measure_injection",
        "plan_args": {"shots": shots},
        "num_points": shots,
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> InjectionResult:
    """Return the injection efficiency of a stored run of ``measure_injection``."""
    return injection_of(np.asarray(run["primary"][_KEY], dtype=np.float64), run.uid)
