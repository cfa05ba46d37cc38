"""``acctwin demo``: the whole loop once, on a machine that nobody can break."""

from __future__ import annotations

import json as json_module
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console

from acctwin.cli.output import console, grid

if TYPE_CHECKING:
    from acctwin.analysis.correction import CorrectionResult
    from acctwin.analysis.orbit import OrbitResult
    from acctwin.analysis.response import ResponseResult
    from acctwin.session.session import Session


@dataclass
class Stages:
    """Times the stages of the demo and says which one is under way."""

    console: Console
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[None]:
        """Time one stage.

        Args:
            name: In the closing table.
            title: What the user reads while it is under way.
        """
        self.console.print(f"{title} …")
        begun = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begun


@dataclass(frozen=True)
class Outcome:
    """What the demo measured; the closing table is made of it."""

    before: OrbitResult
    after: OrbitResult
    response: ResponseResult
    correction: CorrectionResult


def demo(
    profile: Annotated[str, typer.Option(help="Which machine.")] = "ebs",
    seed: Annotated[int, typer.Option(help="Draws the machine's hidden errors.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for plots and data.")] = Path(
        "acctwin-demo"
    ),
    site: Annotated[
        Path | None, typer.Option(help="Folder with devices/ plans/ profiles/.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a simulated ring with hidden errors, correct its orbit, keep it all.

    The orbit and its response to every corrector are measured through the Bluesky
    RunEngine; the orbit is corrected from what was measured; every document goes
    to Tiled and is read back through databroker.
    """
    from acctwin.session.open import open_session

    screen = Console(stderr=True) if json else console()
    stages = Stages(screen)
    with stages.stage("open the session", f"Opening {profile}, seed {seed}"):
        session = open_session(profile, seed=seed, catalog=out / "data", site=site)
    with session:
        outcome = _measure(session, stages)
        with stages.stage("read back", "Reading the runs back through databroker"):
            stored = _read_back(session, outcome)
        with stages.stage("draw plots", "Drawing plots"):
            plots = _draw(outcome, out)
    summary = _summary(outcome, stored, stages, plots)
    if json:
        typer.echo(json_module.dumps(summary, indent=1))
    else:
        screen.print(grid("acctwin demo", _rows(summary)))
        screen.print(f"Plots and data are in {out}")


def _measure(session: Session, stages: Stages) -> Outcome:
    from acctwin import plans

    machine = session.machine
    knobs = [machine.hcm, machine.vcm, *([machine.rf] if machine.has("rf") else [])]
    count = len(machine.hcm.good()) + len(machine.vcm.good())
    with stages.stage("measure the orbit", "Measuring the orbit"):
        before = session.run(plans.measure_orbit(machine))
    with stages.stage(
        "measure the response", f"Measuring the response to {count} correctors"
    ):
        response = session.run(plans.measure_orbit_response(machine, correctors=knobs))
    with stages.stage("correct the orbit", "Correcting the orbit"):
        correction = session.run(plans.correct_orbit(machine, response, goal="zero"))
    with stages.stage("measure it again", "Measuring the orbit again"):
        after = session.run(plans.measure_orbit(machine))
    return Outcome(before, after, response, correction)


def _read_back(session: Session, outcome: Outcome) -> dict[str, int]:
    """Count what is stored, and compare the stored response with the measured."""
    from acctwin.data.replay import documents
    from acctwin.data.runs import Run
    from acctwin.errors import DataError
    from acctwin.plans.response import analyse

    results = (outcome.before, outcome.response, outcome.correction, outcome.after)
    broker = session.db
    stops = [broker[result.uid].stop for result in results]
    run = Run.from_documents(documents(session.catalog[outcome.response.uid]))
    if not np.array_equal(analyse(run).matrix, outcome.response.matrix):
        raise DataError(
            f"run {run.uid}: the response matrix from the stored readings differs "
            "from the one that was measured"
        )
    events = sum(sum(stop["num_events"].values()) for stop in stops)
    return {"runs": len(stops), "events": events}


def _draw(outcome: Outcome, out: Path) -> list[str]:
    from acctwin.plots.figure import new_figure, save
    from acctwin.plots.orbit import draw_plane, draw_steps
    from acctwin.plots.response import draw_matrix, draw_singular_values

    figure, axes = new_figure(3)
    for ax, plane in zip(axes[:2], ("x", "y"), strict=True):
        draw_plane(ax, outcome.before, outcome.after, plane)
    draw_steps(axes[2], outcome.correction)
    orbit = save(figure, out / "orbit.png")
    figure, axes = new_figure(1, 2, height=4.0)
    draw_matrix(axes[0], outcome.response)
    draw_singular_values(axes[1], outcome.response.matrix, outcome.correction.kept)
    response = save(figure, out / "response.png")
    return [str(orbit), str(response)]


def _summary(
    outcome: Outcome, stored: dict[str, int], stages: Stages, plots: list[str]
) -> dict[str, Any]:
    before, after = outcome.before.rms, outcome.after.rms
    correction = outcome.correction
    kicks = correction.setpoints[[name != "rf" for name in correction.actuators]]
    return {
        "rms_before_um": [value * 1e6 for value in before],
        "rms_after_um": [value * 1e6 for value in after],
        "reduction": [b / a for b, a in zip(before, after, strict=True)],
        "largest_kick_urad": float(np.abs(kicks).max()) * 1e6,
        "singular_values": correction.kept,
        "iterations": correction.iterations,
        "stopped": correction.stopped,
        **stored,
        "seconds": {name: round(s, 2) for name, s in stages.seconds.items()},
        "plots": plots,
    }


def _rows(summary: dict[str, Any]) -> list[dict[str, Any]]:
    values = {
        f"rms orbit, {plane}": f"{before:.1f} µm → {after:.2f} µm, {factor:.0f} times "
        "smaller"
        for plane, before, after, factor in zip(
            ("horizontal", "vertical"),
            summary["rms_before_um"],
            summary["rms_after_um"],
            summary["reduction"],
            strict=True,
        )
    }
    values["largest kick"] = f"{summary['largest_kick_urad']:.1f} µrad"
    values["correction"] = (
        f"{summary['iterations']} iterations, {summary['singular_values']} singular "
        f"values; {summary['stopped']}"
    )
    values["stored in Tiled"] = f"{summary['runs']} runs, {summary['events']} events"
    for name, seconds in summary["seconds"].items():
        values[f"time to {name}"] = f"{seconds:.1f} s"
    values["time in all"] = f"{sum(summary['seconds'].values()):.1f} s"
    return [{"what": name, "result": value} for name, value in values.items()]
