"""``acctwin loco --mml``: a LOCO file of the Matlab Middle Layer, fitted again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acctwin.analysis.loco.imported import BothAnswers
    from acctwin.workflows.loco_mml import MmlFit


def fit_file(
    profile: str,
    path: Path,
    *,
    catalog: str,
    site: Path | None,
    cut: float | None,
    progress: Callable[[int, float], None],
    words: dict[str, Any],
) -> MmlFit:
    """Fit a LOCO file with the model of a profile.

    Raises:
        ConfigError: The file or the profile cannot be read.
        DataError: The file lacks something, or is of another machine.
    """
    from acctwin.data.mml_loco import read_mml_loco
    from acctwin.session.open import open_session
    from acctwin.workflows.loco_mml import fit_mml, options_of

    options = options_of(read_mml_loco(path))
    options = options if cut is None else replace(options, cut=cut)
    with open_session(profile, catalog=catalog, site=site, progress=False) as session:
        return fit_mml(session, path, options=options, progress=progress, **words)


def beside(both: BothAnswers) -> dict[str, Any]:
    """Return both answers, for scripts."""
    theirs, ours = both.chi2_dof
    found: dict[str, Any] = {
        one.what: {
            "names": list(one.names),
            "theirs": one.theirs.tolist(),
            "ours": one.ours.tolist(),
        }
        for one in both.answers
    }
    known = None if math.isnan(theirs) else theirs
    return found | {"chi2_dof": {"theirs": known, "ours": ours}}
