"""The code in the pages is run, and what it prints is what the pages say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SNIPPETS = ROOT / "docs/snippets"
SCRIPTS = sorted(SNIPPETS.glob("*.py"))
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def run(script: Path, home: Path) -> str:
    """Run a script as a user would, with a data folder of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", script],
        cwd=home,
        env={**os.environ, "ACCTWIN_DATA": str(home / "data")},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_snippet_runs(script, tmp_path):
    printed = run(script, tmp_path)
    assert printed
    wanted = script.with_suffix(".txt")
    if wanted.exists():
        assert printed == wanted.read_text(encoding="utf-8"), (
            f"what {script.name} prints has changed; if that is right, put it into "
            f"{wanted.name}, which the page shows:\n{printed}"
        )


def test_the_readme_shows_the_snippet_that_is_run():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert shown == (SNIPPETS / "readme.py").read_text(encoding="utf-8")


def test_continuous_integration_runs_the_readmes_test_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"```(?:console|sh|bash)\n(.*?)\n```", readme, re.DOTALL)
    (tests,) = [command for command in commands if "bin/pytest" in command]
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert script.rstrip().endswith(tests)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_python_in_a_page_is_a_snippet(page):
    """Code in a page would rot; it is included from a file that is run."""
    assert "```python" not in page.read_text(encoding="utf-8")


def test_every_snippet_and_every_part_of_it_is_shown():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for script in SCRIPTS:
        assert f"snippets/{script.name}" in text + readme
        for mark in re.findall(r"^# \[(.+)\]$", script.read_text(), re.MULTILINE):
            assert f"[{mark}]" in text, f"no page shows [{mark}] of {script.name}"
