"""CSV tables written by hand: cells with their line and column, and no guessing.

A table is comma separated, its first line names the columns (in any order), blanks
around a cell do not count, and a line that starts with ``#`` is a comment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from acctwin.errors import Fault, did_you_mean
from acctwin.profiles.files import Text
from acctwin.profiles.profile import Origin


@dataclass(frozen=True)
class Cell:
    """One cell: its text, and where it is."""

    text: str
    file: str
    line: int
    column: int

    def fault(self, message: str) -> Fault:
        """Return a fault at this cell."""
        return Fault(self.file, self.line, self.column, message)


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        file: The table.
        line: The line, from 1.
        cells: The cells by column name; a column that the table lacks, or a cell
            that the line lacks, is not there.
    """

    file: str
    line: int
    cells: Mapping[str, Cell]

    def origin(self) -> Origin:
        """Return where the line is, for faults that are found later."""
        columns = ((name, cell.column) for name, cell in self.cells.items())
        return Origin(self.file, self.line, tuple(columns))


def read_table(
    text: Text, columns: Sequence[str], optional: Sequence[str] = ()
) -> tuple[list[Row], list[Fault]]:
    """Read a table.

    Args:
        text: The file.
        columns: The columns that it must have.
        optional: The columns that it may have besides.

    Returns:
        The rows, also those with faults; and all faults of form: columns unknown,
        missing or twice, lines with too few or too many cells, quotes.
    """
    lines = _lines(text)
    header = next(lines, None)
    if header is None:
        names = ", ".join(columns)
        return [], [Fault(text.file, 1, 1, f"empty table; its columns are {names}")]
    faults = _header_faults(header, columns, (*columns, *optional))
    rows: list[Row] = []
    for cells in lines:
        faults += _row_faults(cells, header)
        pairs = zip(header, cells, strict=False)
        by_name = {head.text: cell for head, cell in pairs}
        rows.append(Row(text.file, cells[0].line, by_name))
    return rows, faults


def _lines(text: Text) -> Iterator[list[Cell]]:
    """Yield the cells of each line that is neither blank nor a comment."""
    for number, line in enumerate(text.content.split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield list(_cells(line, text.file, number))


def _cells(line: str, file: str, number: int) -> Iterator[Cell]:
    start = 0
    for part in line.split(","):
        blanks = len(part) - len(part.lstrip())
        column = start + 1 + (blanks if blanks < len(part) else 0)
        yield Cell(part.strip(), file, number, column)
        start += len(part) + 1


def _header_faults(
    header: list[Cell], columns: Sequence[str], known: Sequence[str]
) -> list[Fault]:
    faults: list[Fault] = []
    seen: dict[str, Cell] = {}
    for cell in header:
        if cell.text in seen:
            first = seen[cell.text].column
            message = f"duplicate column {cell.text!r}; the first one is at {first}"
            faults.append(cell.fault(message))
        elif cell.text not in known:
            hint = did_you_mean(cell.text, known) or f"; known are {_list(known)}"
            faults.append(cell.fault(f"unknown column {cell.text!r}{hint}"))
        seen.setdefault(cell.text, cell)
    missing = [name for name in columns if name not in seen]
    faults += [header[0].fault(f"missing column {name!r}") for name in missing]
    return faults


def _row_faults(cells: list[Cell], header: list[Cell]) -> list[Fault]:
    faults = [
        cell.fault("quotes have no meaning in a table; write the cell without")
        for cell in cells
        if '"' in cell.text
    ]
    if len(cells) > len(header):
        extra = cells[len(header)]
        faults.append(extra.fault(f"one cell too many for {len(header)} columns"))
    if len(cells) < len(header):
        missing = [head.text for head in header[len(cells) :]]
        faults.append(cells[-1].fault(f"this line ends before {_list(missing)}"))
    return faults


def _list(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
