"""What is true of the simulated machine cannot be reached from its devices."""

from __future__ import annotations

import ast
import asyncio
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from toy import toy_machine

import acctwin
from acctwin.backends.sim.machine import SimMachine
from acctwin.errors import AcctwinError
from acctwin.model.imperfections import Errors

SRC = Path(acctwin.__file__).parent
BLIND = sorted(
    p for name in ("plans", "analysis", "devices") for p in SRC.glob(f"{name}/**/*.py")
)
DEPTH = 7
LEAVES = (
    *(str, bytes, int, float, complex, bool, type(None), np.ndarray, np.generic),
    *(type, ModuleType, FunctionType, MethodType, BuiltinMethodType),
)


def parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a curious user can reach from a value without calling anything."""
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{i}]", item) for i, item in enumerate(value))
    for name in dir(value):
        if name.startswith("_") or name in {"catalog", "db"}:  # Tiled's, not ours
            continue
        try:
            yield f".{name}", getattr(value, name)
        except (AttributeError, NotImplementedError, RuntimeError, AcctwinError):
            continue  # a property that has nothing to show


def reachable(root: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every object on a public path from a root, with the path, once."""
    seen, level = {id(root)}, [(name, root)]
    keep = [root]  # or a new object could get the id of one that is gone
    for _ in range(DEPTH):
        deeper = []
        for path, value in level:
            for step, item in parts(value):
                if isinstance(item, LEAVES) or id(item) in seen:
                    continue
                seen.add(id(item))
                keep.append(item)
                deeper.append((path + step, item))
        yield from deeper
        level = deeper


def leaks(root: Any, name: str, sim: SimMachine) -> list[str]:
    """Return the public paths that lead to the simulated machine's truth."""
    truth = (sim, sim.engine, sim.errors, sim.changes)
    return [
        path
        for path, value in reachable(root, name)
        if isinstance(value, SimMachine | Errors)
        or any(value is secret for secret in truth)
    ]


@pytest.fixture
def toy():
    machine, sim = toy_machine(seed=1)
    asyncio.run(machine.connect())
    return machine, sim


def test_the_walk_goes_everywhere(toy):
    machine, _ = toy
    seen = {id(value) for _, value in reachable(machine, "machine")}
    device = machine["T/C0-H"]
    for there in (device, device.strength, machine.hcm.readback, machine.bpms.acquire):
        assert id(there) in seen


def test_the_walk_finds_a_leak(toy):
    machine, sim = toy
    machine.rf.info.__dict__["secret"] = {"deep": [sim.errors]}
    assert any("secret" in path for path in leaks(machine, "machine", sim))


def test_no_device_leads_to_the_truth(toy):
    machine, sim = toy
    assert leaks(machine, "machine", sim) == []
    for family in machine.families.values():
        assert leaks(family.select("*").good(), f"{family.name}.select()", sim) == []


@pytest.mark.slow
def test_no_session_leads_to_the_truth():
    with acctwin.open_session("fodo", seed=1, catalog="temporary") as session:
        assert session.model is not session._sim.engine
        assert leaks(session, "session", session._sim) == []


@pytest.mark.parametrize("path", BLIND, ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_plans_devices_and_analysis_do_not_look_behind(path):
    text = path.read_text(encoding="utf-8")
    assert "hidden" not in text.lower()
    private = [
        f"{path}:{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"})
    ]
    assert not private
