"""Faults of addresses: templates that are none, devices that share an address."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping

from acctwin.errors import Fault, did_you_mean
from acctwin.profiles.addresses import Place
from acctwin.profiles.control import (
    CHANNELS,
    FIELDS,
    Address,
    addresses,
    devices,
)
from acctwin.profiles.document import Document, Way
from acctwin.profiles.profile import Profile
from acctwin.profiles.tables import Cell

#: Longest name of an EPICS record.
RECORD_NAME = 60


def template_faults(document: Document) -> list[Fault]:
    """Return a fault for each template that is not one."""
    faults: list[Fault] = []
    for kind, channels in CHANNELS.items():
        for channel in channels:
            way: Way = ("control", "names", kind, channel)
            text = document.at(way)
            if isinstance(text, str):
                message = _template_fault(text)
                faults += [document.fault(way, message)] if message else []
    return faults


def shared_addresses(
    document: Document, profile: Profile, cells: Mapping[Place, Cell]
) -> list[Fault]:
    """Return a fault for each channel whose address another device has too.

    Also for addresses that the control system does not take. A channel is named once,
    however many devices share its addresses.

    Args:
        document: The profile's file.
        profile: The profile.
        cells: Where single addresses were written.
    """
    found: dict[str, Address] = {}
    faults: dict[tuple[str, str] | Place, Fault] = {}
    for address in _all(document, profile):
        text = str(address)
        key = text.lower() if address.protocol == "tango" else text
        other = found.setdefault(key, address)
        message = _name_fault(address)
        if (other.kind, other.name) != (address.kind, address.name):
            pair = f"{_who(other)} and {_who(address)}"
            message = f"{pair} have the same address {text}"
        place = address.kind, address.channel
        own = address.kind, address.name, address.channel
        if message and own in cells:
            faults[own] = cells[own].fault(message)
        elif message and place not in faults:
            faults[place] = document.fault(_way(document, *place), message)
    return list(faults.values())


def _all(document: Document, profile: Profile) -> Iterator[Address]:
    """Yield every address of a profile whose templates have no faults."""
    if profile.control is None or template_faults(document):
        return
    for kind, name in devices(profile):
        yield from addresses(profile, profile.control, kind, name)


def _template_fault(text: str) -> str | None:
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        return f"bad template {text!r}: {error}"
    for _, field, form, conversion in parts:
        if field is not None and field not in FIELDS:
            known = ", ".join(FIELDS)
            hint = did_you_mean(field, FIELDS) or f"; known are {known}"
            return f"bad template {text!r}: nothing is called {{{field}}}{hint}"
        if form or conversion:
            return f"bad template {text!r}: write {{{field}}} without a format"
    return None


def _name_fault(address: Address) -> str | None:
    """Return what a control system would not take in a name, if anything."""
    text = address.text
    if not text or any(character.isspace() for character in text):
        return f"{_who(address)}: an address without blanks is wanted, found {text!r}"
    if address.protocol == "tango":
        if len(text.split("/")) != 4 or not all(text.split("/")):
            wanted = "domain/family/member/attribute"
            return f"{_who(address)}: Tango wants {wanted}, found {text!r}"
    elif len(text) > RECORD_NAME or any(c in text for c in "\"'.$"):
        return (
            f"{_who(address)}: EPICS wants at most {RECORD_NAME} characters and no "
            f"quotes, '.' or '$', found {text!r}"
        )
    return None


def _who(address: Address) -> str:
    return f"{address.name or address.kind} {address.channel}"


def _way(document: Document, kind: str, channel: str) -> Way:
    """Return where an address was written, or the section if it is a default."""
    way: Way = ("control", "names", kind, channel)
    return way if way in document.values else ("control",)
