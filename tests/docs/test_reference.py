"""The reference pages on commands and documents leave nothing out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import typer

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from bluesky import RunEngine
from bluesky.run_engine import call_in_bluesky_event_loop
from toy import ToyEngine, toy_machine, toy_profile

from acctwin import plans
from acctwin.cli.main import app
from acctwin.session.metadata import session_metadata

PAGES = Path(__file__).parents[2] / "docs/reference"
CLI = (PAGES / "cli.md").read_text(encoding="utf-8")
DOCUMENTS = (PAGES / "start-document.md").read_text(encoding="utf-8")
COMMANDS = {
    f"{name} {sub}".strip(): found
    for name, command in typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    for sub, found in getattr(command, "commands", {"": command}).items()
}
#: Keys that Bluesky itself adds, or that are the same thing twice.
BLUESKY_KEYS = {"plan_type"}

PLANS = {
    "measure_orbit": lambda m: plans.measure_orbit(m),
    "monitor_orbit": lambda m: plans.monitor_orbit(m, readings=2),
    "measure_response": lambda m: plans.measure_response(
        m, [m["T/C0-H"], m.hcm.select("T/C1-H"), m.rf], [m.bpms, m.tune]
    ),
    "correct_orbit": lambda m: plans.correct_orbit(m),
}


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


@pytest.fixture(scope="module")
def documents():
    """All documents of some plans on the toy machine, with a session's metadata."""
    metadata = session_metadata(
        toy_profile(),
        ToyEngine().layout,
        mode="physics",
        backends=("sim",),
        operator="me",
        seed=1,
    )
    engine = RunEngine({**metadata, "scan_id": 0})
    machine, _ = toy_machine()
    call_in_bluesky_event_loop(machine.connect())
    found = []
    engine.subscribe(lambda name, doc: found.append((name, doc)))
    for make in PLANS.values():
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
    devices = ("hcm_", "vcm_", "T-C")  # as <family>_ and <magnet>_ in the page
    own = {key for key in keys if not key.startswith(devices)}
    assert not sorted(key for key in own if f"`{key}`" not in DOCUMENTS)


def test_the_page_has_every_configuration_of_a_step(documents):
    values = {
        key
        for name, doc in documents
        if name == "descriptor"
        for device in doc["configuration"].values()
        for key in device["data"]
        if key.startswith("step_")
    }
    assert values
    assert not sorted(key for key in values if f"`{key}`" not in DOCUMENTS)
