"""What users install: the wheel, in an environment without this checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
SITE = "acctwin/_site"


def run(*command: object, cwd: Path) -> str:
    """Run a command outside the checkout; return what it printed."""
    hidden = {"PYTHONPATH", "VIRTUAL_ENV", "ACCTWIN_SITE", "ACCTWIN_DATA"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if key not in hidden},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation")
    run(*build, "--outdir", folder, ROOT, cwd=folder)
    (found,) = folder.glob("acctwin-*.whl")
    return found


@pytest.fixture(scope="module")
def bin_folder(wheel, tmp_path_factory) -> Path:
    """Commands of an environment that has acctwin from the wheel alone.

    Its dependencies are this environment's, as a folder at the end of the path. The
    ``.pth`` file of an editable acctwin is not read there, so the checkout is not
    on the path.
    """
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    (site,) = home.glob("lib/python*/site-packages")
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("\n".join(sorted(here)) + "\n")
    pip = (sys.executable, "-m", "pip", "--python", home / "bin/python", "install")
    run(*pip, "--no-deps", "--no-index", "--ignore-installed", wheel, cwd=home)
    return home / "bin"


def test_the_wheel_carries_the_site(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("devices", "plans", "profiles"):
        ours = [
            path.relative_to(ROOT)
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ]
        assert ours, f"nothing in {folder}/"
        assert {f"{SITE}/{path.as_posix()}" for path in ours} <= names


def test_the_wheel_is_typed_licensed_and_clean(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "acctwin/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name or "tests" in name]


def test_python_finds_the_wheel_and_its_site(bin_folder, tmp_path):
    code = (
        "import acctwin, acctwin.profiles as p; print(acctwin.__file__, p.find_site())"
    )
    package, site = run(bin_folder / "python", "-c", code, cwd=tmp_path).split()
    assert bin_folder.parent in Path(package).parents
    assert bin_folder.parent in Path(site).parents


def test_a_machine_is_shown_from_another_folder(bin_folder, tmp_path):
    printed = run(bin_folder / "acctwin", "show", "fodo", "hcm", cwd=tmp_path)
    assert "C01/HCM" in printed


@pytest.mark.long
def test_the_demo_runs_from_another_folder(bin_folder, tmp_path):
    command = (bin_folder / "acctwin", "demo", "--profile", "fodo", "--json")
    printed = run(*command, "--out", "here", cwd=tmp_path)
    summary = json.loads(printed)
    assert min(summary["reduction"]) > 1.0
    plots = [tmp_path / plot for plot in summary["plots"]]
    assert plots
    for plot in plots:
        assert plot.parent == tmp_path / "here"
        assert plot.read_bytes().startswith(b"\x89PNG")
