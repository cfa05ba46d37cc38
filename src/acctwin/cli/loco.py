"""``acctwin loco``: fit the model to a stored measurement."""

from __future__ import annotations

import json as json_module
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

if TYPE_CHECKING:
    from acctwin.analysis.loco.imported import BothAnswers
    from acctwin.analysis.loco.version import LocoResult


def loco(
    uid: Annotated[
        str,
        typer.Argument(
            help="Run of a measure_loco; with --compare, of a fit; with --mml, the "
            "profile."
        ),
    ],
    catalog: Annotated[
        str, typer.Option(help="'local', a folder, or the URL of a Tiled server.")
    ] = "local",
    by: Annotated[
        Literal["magnet", "supply"], typer.Option(help="What has its own strength.")
    ] = "magnet",
    cut: Annotated[
        float | None, typer.Option(help="Of singular values, over the largest.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A BPM, corrector or magnet to leave out.")
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="Compare a fit with 'design' or another; fit nothing."),
    ] = None,
    mml: Annotated[
        Path | None,
        typer.Option(help="A LOCO .mat file of the Matlab Middle Layer to fit."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File for a plot, such as loco.png.")
    ] = None,
    site: Annotated[
        Path | None, typer.Option(help="Folder with devices/ plans/ profiles/.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit quadrupoles, skews, BPMs and correctors to a measured orbit response.

    The fit is stored as a version of the model; apply_loco takes its uid.
    """
    if compare is not None:
        from acctwin.cli.loco_compare import compare_versions

        compare_versions(uid, compare, catalog=catalog, site=site, out=out, json=json)
        return
    words: dict[str, Any] = {"by": by, "without": without or ()}
    both: BothAnswers | None = None
    if mml is None:
        found = _fit(uid, catalog, site, cut, words)
    else:
        found, both = _fit_mml(uid, mml, catalog, site, cut, words)
    if out is not None:
        _plot(found, out)
    if json:
        typer.echo(json_module.dumps(_summary(found, both), indent=1))
        return
    typer.echo(f"{found.summary()}\nmodel version {found.model_version}")
    if both is not None:
        typer.echo(both.summary())


def _tell(number: int, chi2: float) -> None:
    Console(stderr=True).print(f"iteration {number}: chi2 {chi2:.6g}")


def _fit(
    uid: str, catalog: str, site: Path | None, cut: float | None, words: dict[str, Any]
) -> LocoResult:
    """Fit a stored measurement, and say how it goes."""
    from acctwin.analysis.loco import Options
    from acctwin.data.store import Store
    from acctwin.session.open import open_session
    from acctwin.workflows import loco as workflow

    with Store.open(catalog) as store:
        start = store.run(uid).start
    options = Options() if cut is None else replace(Options(), cut=cut)
    profile = str(start["profile"])
    with open_session(profile, catalog=catalog, site=site, progress=False) as session:
        typer.echo(f"Fitting {profile} to run {start['uid'][:8]}", err=True)
        return workflow.fit(
            session, start["uid"], options=options, progress=_tell, **words
        )


def _fit_mml(
    profile: str,
    path: Path,
    catalog: str,
    site: Path | None,
    cut: float | None,
    words: dict[str, Any],
) -> tuple[LocoResult, BothAnswers | None]:
    """Fit a LOCO file, and say how it goes."""
    from acctwin.cli.loco_mml import fit_file

    typer.echo(f"Fitting {profile} to {path.name}", err=True)
    made = fit_file(
        profile,
        path,
        catalog=catalog,
        site=site,
        cut=cut,
        progress=_tell,
        words=words,
    )
    return made.result, made.both


def _summary(found: LocoResult, both: BothAnswers | None) -> dict[str, Any]:
    from acctwin.cli.loco_mml import beside

    result: dict[str, Any] = {
        "model_version": found.model_version,
        "uid": found.uid,
        "chi2_dof": found.chi2_dof,
        "iterations": len(found.history),
        "singular_values": found.kept,
        "strengths": len(found.strengths),
        "outliers": found.left_out,
        "beta_beat_rms": found.beta_beat.std(axis=0).tolist(),
        "quadrupole_errors": found.quadrupole_errors,
    }
    return result if both is None else result | {"mml": beside(both)}


def _plot(found: LocoResult, path: Path) -> None:
    from acctwin.plots.figure import new_figure, save
    from acctwin.plots.loco import draw_loco

    figure, axes = new_figure(4)
    draw_loco(axes, found)
    save(figure, path)
