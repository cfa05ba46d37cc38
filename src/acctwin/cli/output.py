"""How commands print tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Columns of a page that is not a terminal.
PAGE = 120


def console() -> Console:
    """Return the console; output into a file or a pipe is as wide as a page."""
    found = Console()
    return found if found.is_terminal else Console(width=PAGE)


def grid(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of rows that all have the same keys; numbers to the right."""
    heading = Text(title, style="bold") if title else None
    table = Table(title=heading, title_justify="left", box=None, pad_edge=False)
    for key, value in rows[0].items():
        numeric = isinstance(value, int | float)
        table.add_column(key, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_text(value)) for value in row.values()))
    return table


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.9g}"
    return str(value)
