"""The reference pages on commands and documents leave nothing out."""

from __future__ import annotations

import inspect
import sys
import typing
from pathlib import Path

import pytest
import typer

for folder in ("contract", "unit"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))

from bluesky import RunEngine
from bluesky.run_engine import call_in_bluesky_event_loop
from test_plans_restore import CASES
from toy import ToyEngine, toy_profile
from toy_ring import ring_machine

import acctwin
import acctwin.analysis
from acctwin import plans
from acctwin.cli.main import app
from acctwin.session.metadata import session_metadata

PAGES = Path(__file__).parents[2] / "docs/reference"
CLI = (PAGES / "cli.md").read_text(encoding="utf-8")
DOCUMENTS = (PAGES / "start-document.md").read_text(encoding="utf-8")
API = (PAGES / "api.md").read_text(encoding="utf-8").split()
SRC = Path(acctwin.__file__).parent
COMMANDS = {
    f"{name} {sub}".strip(): found
    for name, command in typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    for sub, found in getattr(command, "commands", {"": command}).items()
}
#: Keys that Bluesky itself adds, or that are the same thing twice.
BLUESKY_KEYS = {"plan_type"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_every_command_and_option(name):
    assert f"`acctwin {name}" in CLI
    options = [
        option
        for parameter in COMMANDS[name].params
        for option in parameter.opts
        if option.startswith("--") and option != "--help"
    ]
    assert not [option for option in options if f"`{option}" not in CLI]


def result_of(name):
    """Return what a plan returns."""
    hints = typing.get_type_hints(inspect.unwrap(getattr(plans, name)))
    return typing.get_args(hints["return"])[-1]


def test_the_page_has_every_kind_of_plot():
    stems = [path.stem for path in SRC.glob("plots/[a-z]*.py")]
    assert not [stem for stem in stems if f"acctwin.plots.{stem}" not in API]


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_page_has_what_a_plan_returns(name):
    found = result_of(name)
    is_exported = getattr(acctwin.analysis, found.__name__, None) is found
    assert is_exported or found is typing.Any or found.__module__ in API


@pytest.fixture(scope="module")
def documents():
    """All documents of all plans on the toy machine, with a session's metadata."""
    metadata = session_metadata(
        toy_profile(),
        ToyEngine().layout,
        mode="physics",
        backends=("sim",),
        operator="me",
        seed=1,
    )
    engine = RunEngine({**metadata, "scan_id": 0})
    found = []
    engine.subscribe(lambda name, doc: found.append((name, doc)))
    for make in CASES.values():
        machine, _ = ring_machine()
        call_in_bluesky_event_loop(machine.connect())
        engine(make(machine))
    engine.loop.call_soon_threadsafe(engine.loop.stop)
    engine._th.join(5)
    engine.loop.close()
    return found


def test_the_page_has_every_key_of_a_start_document(documents):
    keys = {key for name, doc in documents if name == "start" for key in doc}
    missing = sorted(key for key in keys - BLUESKY_KEYS if f"`{key}`" not in DOCUMENTS)
    assert not missing


def test_the_page_has_every_stream_and_data_key(documents):
    descriptors = [doc for name, doc in documents if name == "descriptor"]
    assert not [d["name"] for d in descriptors if f"`{d['name']}`" not in DOCUMENTS]
    keys = {key for doc in descriptors for key in doc["data_keys"]}
    # As <family>_strength, <magnet>_readback, and so on in the page.
    own = {key for key in keys if not key.endswith(("_strength", "_readback"))}
    assert not sorted(key for key in own if f"`{key}`" not in DOCUMENTS)


def test_the_page_has_every_configuration_of_a_step(documents):
    values = {
        key
        for name, doc in documents
        if name == "descriptor"
        if "step" in doc["configuration"]
        for key in doc["configuration"]["step"]["data"]
    }
    assert values
    assert not sorted(key for key in values if f"`{key}`" not in DOCUMENTS)
