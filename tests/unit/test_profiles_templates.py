"""Templates: names and occurrences of lattice elements."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acctwin.profiles.files import Text
from acctwin.profiles.profile import ElementRef
from acctwin.profiles.tables import read_table
from acctwin.profiles.templates import (
    TemplateError,
    cell_numbers,
    expand,
    parse_element,
)

counts = st.integers(1, 60)


@given(first=counts, count=counts)
def test_cells_are_numbered_once_each_from_the_first(first: int, count: int):
    first = min(first, count)
    numbers = cell_numbers(first, count)
    assert numbers[0] == first
    assert sorted(numbers) == list(range(1, count + 1))
    assert all(b == a % count + 1 for a, b in pairwise(numbers))


def test_the_cells_of_the_ebs():
    assert cell_numbers(4, 32) == (*range(4, 33), 1, 2, 3)


@given(start=st.integers(0, 50), devices=counts, step=counts, slices=counts)
def test_a_slice_is_python_s(start: int, devices: int, step: int, slices: int):
    step = max(step, slices)
    stop = start + (devices - 1) * step + slices
    text = f"QF[{start}:{stop}:{step}]*{slices}"
    found = list(expand("Q{n}", parse_element(text), ()))
    wanted = list(range(100_000))[start:stop:step]
    assert [element.index for _, element in found] == wanted
    assert {element.count for _, element in found} == {slices}
    assert [name for name, _ in found] == [f"Q{n + 1}" for n in range(devices)]
    last = found[-1][1]
    assert last.index + last.count <= stop


@given(devices=counts, slices=counts)
def test_slices_are_shared_out_without_gap_or_overlap(devices: int, slices: int):
    pattern = parse_element(f"QF*{slices}")
    found = expand("{cell}", pattern, cell_numbers(1, devices))
    used = [e.index + k for _, e in found for k in range(e.count)]
    assert used == list(range(devices * slices))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SEPT", ElementRef("SEPT", 0)),
        ("SEPT[3]", ElementRef("SEPT", 3)),
        ("SEPT[3]*2", ElementRef("SEPT", 3, 2)),
        ("SEPT[3:4]", ElementRef("SEPT", 3)),
        ("srdiag/emittance/id04[2]", ElementRef("srdiag/emittance/id04", 2)),
    ],
)
def test_a_single_device(text: str, wanted: ElementRef):
    assert list(expand("S", parse_element(text), ())) == [("S", wanted)]


@given(st.text(alphabet="Q[]:*0123 x", max_size=12))
def test_any_other_text_is_a_template_error_and_nothing_else(text: str):
    try:
        pattern = parse_element(text)
    except TemplateError:
        return
    assert pattern.count >= 1
    assert pattern.step >= pattern.count


@given(st.text(alphabet="ab{}:!.[]0dcelln", max_size=12))
def test_any_name_expands_or_is_a_template_error(name: str):
    try:
        found = list(expand(name, parse_element("A[0:3]"), (1, 2, 3)))
    except TemplateError:
        return
    assert len(found) == 3


blanks = st.text(alphabet=" \t", max_size=3)


@given(st.lists(st.tuples(blanks, st.text(alphabet="ab{}é", min_size=1)), min_size=1))
def test_the_column_of_a_cell_is_where_its_text_begins(cells: list[tuple[str, str]]):
    line = ",".join(blank + text for blank, text in cells)
    names = [f"c{i}" for i in range(len(cells))]
    content = f"# x\n{','.join(names)}\n\n{line}\n"
    rows, faults = read_table(Text("t.csv", content, b""), names)
    assert faults == []
    for name, (_, text) in zip(names, cells, strict=True):
        cell = rows[0].cells[name]
        assert (cell.text, cell.line) == (text, 4)
        assert line[cell.column - 1 :].startswith(text)
