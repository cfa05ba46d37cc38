"""Finding runs by what physicists ask for; the server's index does the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def search(
    catalog: Any,
    *,
    plan_name: str | None = None,
    profile: str | None = None,
    operational_mode: str | None = None,
    mode: str | None = None,
    operator: str | None = None,
    since: float | None = None,
    until: float | None = None,
    device: str | None = None,
    text: str | None = None,
    results: Mapping[str, tuple[float, float]] | None = None,
    derived_from: str | None = None,
) -> Any:
    """Return the part of a catalogue that has all of this.

    Args:
        catalog: Tiled client of the runs.
        plan_name: The plan.
        profile: The machine's profile.
        operational_mode: The optics.
        mode: ``"physics"``, ``"hardware"`` or ``"replay"``.
        operator: Who ran it.
        since: Started at this time [s since 1970] or later.
        until: Started before this time.
        device: Name of a device that moved: a magnet, a supply, ``"rf"``.
        text: Words in the metadata, all of them.
        results: Lowest and highest value of numbers of the result, such as
            ``{"tunes_q_0": (4.2, 4.3)}``: data keys of the stream ``result``, numbers
            of an array with their place.
        derived_from: uid of a run that went into it.

    Returns:
        A Tiled client; ``.values()`` gives the runs.
    """
    from tiled.client.container import Container
    from tiled.queries import Comparison, Contains, Eq, FullText

    exact = {
        "start.plan_name": plan_name,
        "start.profile": profile,
        "start.operational_mode": operational_mode,
        "start.mode": mode,
        "start.operator": operator,
    }
    queries: list[Any] = [
        Eq(key, value) for key, value in exact.items() if value is not None
    ]
    bounds = (("ge", since), ("lt", until))
    queries += [Comparison(o, "start.time", t) for o, t in bounds if t is not None]
    for key, (low, high) in (results or {}).items():
        queries.append(Comparison("ge", f"results.{key}", low))
        queries.append(Comparison("le", f"results.{key}", high))
    if device is not None:
        queries.append(Contains("moved", device))
    if derived_from is not None:
        queries.append(Contains("start.derived_from", derived_from))
    for word in (text or "").split():
        queries.append(FullText('"' + word.replace('"', '""') + '"'))
    for query in queries:
        # The catalogue's own search would look for every key in the start document.
        catalog = Container.search(catalog, query)
    return catalog
