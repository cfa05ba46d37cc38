"""Every acctwin line of the page "From MML to acctwin" is in the script that is run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "how-to/from-mml.md").read_text(encoding="utf-8")
SCRIPT = ast.parse((DOCS / "snippets/from_mml.py").read_text(encoding="utf-8"))
ROWS = re.findall(r"^\| (.+?) \| `(.+)` \|$", PAGE, re.MULTILINE)

#: The commands of an ordinary day in MML; "Not yet" has what is missing.
DAILY = """
    getam getsp setsp stepsp getx gety getbpm gettune getrf setrf steprf getdcct
    family2dev getlist getspos family2status minsp maxsp hw2physics physics2hw
    measbpmresp getbpmresp measrespmat monbpm setorbit getmachineconfig
    setmachineconfig srcycle setgolden switch2sim modeltune modelbeta modeltwiss
    modeldisp modelchro plotorbit getgolden settune steptune meastuneresp measdisp
    measchro setchro findrf rmdisp measlifetime measbeta setorbitbump machine2sim
    plottune plotdisp plotchro plotbpmresp quadcenter measlocodata loco setlocodata
"""


def pieces() -> set[str]:
    """Return every statement and expression of the script, in one spelling."""
    kinds = ast.stmt | ast.expr
    return {ast.unparse(node) for node in ast.walk(SCRIPT) if isinstance(node, kinds)}


RUN = pieces()


def test_there_are_thirty_and_more():
    assert len(ROWS) >= 30
    assert len(DAILY.split()) >= 30


@pytest.mark.parametrize("command", DAILY.split())
def test_a_daily_command_has_a_line(command):
    assert any(re.search(rf"`{command}\b", mml) for mml, _ in ROWS)


@pytest.mark.parametrize("line", [line for _, line in ROWS])
def test_a_line_is_run(line):
    assert ast.unparse(ast.parse(line)) in RUN


def test_no_row_escapes():
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith("| ") and "MML" not in line
    ]
    assert len(rows) == len(ROWS)
