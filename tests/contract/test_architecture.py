"""The house rules that no linter has: contracts, sizes, faces, imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src/acctwin"
FILES = sorted(SRC.rglob("*.py"))
FACES = [path for path in FILES if path.name == "__init__.py"]
FILE_LINES, FUNCTION_LINES, FACE_NAMES = 400, 60, 25

#: Imported only when they are used: each takes a second or more to import.
HEAVY = ("at", "matplotlib", "tiled", "bluesky_tiled_plugins", "databroker")
#: Modules that are nothing but a client of a control system; what needs them says so.
DRIVERS = {f"acctwin.backends.control.{name}" for name in ("ca", "pva", "tango")}
DRIVERS |= {"acctwin.session.badger_plugin"}  # Badger itself loads it
#: In an extra, so not in a plain installation.
OPTIONAL = (
    *("aioca", "p4p", "epics", "softioc", "tango", "bluesky_queueserver"),
    *("xopt", "badger", "distributed", "sphinx", "pytest", "hypothesis"),
)
IMPORT_ALL = """
import importlib, sys
for name in {blocked!r}:
    sys.modules[name] = None  # importing it is an ImportError
for name in {modules!r}:
    importlib.import_module(name)
print(*(name for name in {asked!r} if sys.modules.get(name)))
"""


def name_of(path: Path) -> str:
    """Return the module's name in Python."""
    parts = ("acctwin", *path.relative_to(SRC).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(*modules: str, blocked: tuple[str, ...] = (), asked=HEAVY) -> list[str]:
    """Import modules in a fresh Python; return which of ``asked`` came with them."""
    code = IMPORT_ALL.format(modules=modules, blocked=blocked, asked=asked)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_contracts_hold():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_import_that_points_up_is_found(tmp_path):
    """The contract itself can fail: the same rules on a copy with one bad import."""
    import shutil

    shutil.copytree(SRC, tmp_path / "acctwin", ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "acctwin/analysis/orbit.py").open("a", encoding="utf-8") as file:
        file.write("\nimport acctwin.plans.orbits.orbit\n")
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "acctwin.analysis is not allowed to import acctwin.plans" in done.stdout


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_names_what_is_for_tests(path):
    if path.name == "testing.py":
        return
    assert "acctwin.testing" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_short(path):
    """A file has at most 400 lines; a function at most 60 beside its docstring."""
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= FILE_LINES, f"{path} has {lines} lines"
    long = [
        f"{path}:{node.lineno}: {node.name} has {size} lines"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := lines_of(node)) > FUNCTION_LINES
    ]
    assert not long


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function, its docstring left out."""
    first = node.body[0]
    docstring = 0
    if ast.get_docstring(node, clean=False) is not None:
        docstring = (first.end_lineno or 0) - first.lineno + 1
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


@pytest.mark.parametrize("path", FACES, ids=name_of)
def test_a_face_tells_and_does_nothing(path):
    """A face is a docstring, re-exports and ``__all__`` with at most 25 names.

    The plans are a list that operators look things up in: they may be more.
    """
    tree = tree_of(path)
    assert ast.get_docstring(tree), f"{path} does not say what the package is"
    body = tree.body[1:]
    faces = [node for node in body if isinstance(node, ast.Assign)]
    names = [n for node in faces if is_all(node) for n in ast.literal_eval(node.value)]
    assert len(names) <= FACE_NAMES or path.parent.name == "plans"
    assert names == sorted(names), f"{path}: __all__ is not in order"
    if path.parent == SRC:
        return  # finds open_session when it is asked for; its docstring says why
    code = [n for n in body if not isinstance(n, ast.Import | ast.ImportFrom)]
    assert all(map(is_all, code)), f"{path} holds more than re-exports"


def is_all(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "__all__"
    )


def test_every_face_keeps_its_word():
    import importlib

    for name in map(name_of, FACES):
        module = importlib.import_module(name)
        missing = [n for n in getattr(module, "__all__", ()) if not hasattr(module, n)]
        assert not missing, f"{name} does not have {missing}"


def test_importing_acctwin_imports_nothing_slow():
    asked = (*HEAVY, "bluesky", "ophyd_async", "numpy", "pydantic")
    assert imported("acctwin", asked=asked) == []


@pytest.mark.parametrize("name", ["cli.main", "data", "plans", "session.open"])
def test_what_is_opened_often_opens_quickly(name):
    assert imported(f"acctwin.{name}") == []


@pytest.mark.slow
def test_every_module_imports_with_a_plain_installation():
    modules = tuple(name for name in map(name_of, FILES) if name not in DRIVERS)
    assert imported(*modules, blocked=OPTIONAL, asked=OPTIONAL) == []
