from __future__ import annotations

import io

from rich.console import Console

from acctwin.session.progress import LEAST_POINTS, ProgressBar


def follow(points: int, is_terminal: bool = True) -> str:
    screen = io.StringIO()
    bar = ProgressBar(Console(file=screen, force_terminal=is_terminal, width=80))
    bar("start", {"plan_name": "measure_orbit_response", "num_points": points})
    bar("descriptor", {"name": "baseline", "uid": "b"})
    bar("descriptor", {"name": "primary", "uid": "p"})
    bar("event", {"descriptor": "b"})
    for _ in range(points):
        bar("event", {"descriptor": "p"})
    bar("stop", {})
    return screen.getvalue()


def test_a_long_run_shows_a_bar():
    shown = follow(100)
    assert "measure_orbit_response" in shown
    assert "100/100" in shown


def test_a_short_run_or_a_log_file_shows_none():
    assert follow(LEAST_POINTS - 1) == ""
    assert follow(100, is_terminal=False) == ""


def test_an_unknown_length_shows_none():
    bar = ProgressBar(Console(file=io.StringIO(), force_terminal=True))
    bar("start", {"plan_name": "count"})
    bar("stop", {})
