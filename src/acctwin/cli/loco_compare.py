"""``acctwin loco --compare``: a fitted model beside another, or the design."""

from __future__ import annotations

import json as json_module
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from acctwin.analysis.loco.comparison import VersionComparison


def compare_versions(
    uid: str,
    reference: str,
    *,
    catalog: str,
    site: Path | None,
    out: Path | None,
    json: bool,
) -> None:
    """Compare a stored fit with another, and print the figures.

    Raises:
        DataError: A run is no fitted model.
        UnknownName: There is no such run.
        PlanError: The fits are of different machines.
    """
    from acctwin.data.store import Store
    from acctwin.errors import PlanError
    from acctwin.session.open import open_session
    from acctwin.workflows.compare import DESIGN, compare

    with Store.open(catalog) as store:
        profile = str(store.run(uid).start["profile"])
        if reference != DESIGN:
            other = str(store.run(reference).start["profile"])
            if other != profile:
                raise PlanError(
                    f"{uid} is of {profile} and {reference} of {other}: only versions "
                    "of the same machine can be compared"
                )
    with open_session(profile, catalog=catalog, site=site, progress=False) as session:
        found = compare(session, uid, reference)
    if out is not None:
        _plot(found, out)
    typer.echo(json_module.dumps(_json(found), indent=1) if json else found.summary())


def _json(found: VersionComparison) -> dict[str, Any]:
    return {
        "version": found.version.name,
        "reference": found.reference.name,
        "figures": {
            name: [None if math.isnan(one) else one for one in values]
            for name, values in found.figures().items()
        },
    }


def _plot(found: VersionComparison, path: Path) -> None:
    from acctwin.plots.figure import new_figure, save
    from acctwin.plots.loco import draw_comparison

    figure, axes = new_figure(3)
    draw_comparison(axes, found)
    save(figure, path)
