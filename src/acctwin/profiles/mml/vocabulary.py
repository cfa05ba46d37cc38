"""The words of an AO: what is taken over, what is not and why, and slips of the pen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from acctwin.errors import did_you_mean
from acctwin.profiles.mml.report import Notes
from acctwin.profiles.mml.setup import MmlFamily, MmlSetup

ADDRESSES: Final = "addresses of a control system are not imported"
REFERENCES: Final = "golden values and offsets are not imported; measure references"
CODE: Final = "a function of Matlab, which cannot be imported"
GAINS: Final = "instrument corrections are not imported; LOCO finds them again"
EACH_CALL: Final = "chosen in acctwin at each call or for the session"
READBACK: Final = "readbacks follow from the setpoint's calibration"
GLOBALS: Final = "the lattice has it, or acctwin has no place for it"
NO_PLACE: Final = "acctwin has no place for it"

#: What a family may say of itself; the reason where it is not taken over.
FAMILY: Final[dict[str, str | None]] = {
    **dict.fromkeys(
        ("FamilyName", "MemberOf", "DeviceList", "ElementList", "Status"), None
    ),
    **dict.fromkeys(("CommonNames", "Position", "AT", "Setpoint", "Monitor"), None),
    **dict.fromkeys(("FamilyType", "Description", "Units"), None),
    **dict.fromkeys(("Gain", "Roll", "Crunch", "Offset"), GAINS),
    **dict.fromkeys(("DeviceName", "GroupId", "TangoNames", "BaseName"), ADDRESSES),
    **dict.fromkeys(("Golden", "PhyOffset"), REFERENCES),
    **dict.fromkeys(("Mode", "ReadbackMode"), EACH_CALL),
    **dict.fromkeys(
        ("On", "OnControl", "Ready", "Reset", "Desired", "Trim", "FF1", "FF2"), NO_PLACE
    ),
    **dict.fromkeys(("RampRate", "TimeConstant", "DAC", "Voltage", "Sum"), NO_PLACE),
    **dict.fromkeys(("TBT", "NumberOfAverages", "GoldenSetpoint"), NO_PLACE),
}
#: What the field AT may say.
AT: Final[dict[str, str | None]] = {
    **dict.fromkeys(("ATType", "ATIndex"), None),
    **dict.fromkeys(("ATParameterGroup", "ATParam", "Position"), NO_PLACE),
}
#: What any other field may say.
FIELD: Final[dict[str, str | None]] = {
    **dict.fromkeys(("HW2PhysicsParams", "HW2PhysicsFcn", "HWUnits"), None),
    **dict.fromkeys(("Physics2HWParams", "Physics2HWFcn", "PhysicsUnits"), None),
    **dict.fromkeys(("Range", "Tolerance", "DeltaRespMat", "RampRate"), None),
    **dict.fromkeys(("Units", "DataType", "DataTypeIndex", "MemberOf"), None),
    **dict.fromkeys(("Gain", "Offset"), None),
    **dict.fromkeys(("ChannelNames", "TangoNames", "Handles"), ADDRESSES),
    **dict.fromkeys(("Golden", "PhyOffset", "Sigma"), REFERENCES),
    **dict.fromkeys(("SpecialFunctionGet", "SpecialFunctionSet"), CODE),
    **dict.fromkeys(("RunFlagFcn", "RampRateFcn", "SpecialFunction"), CODE),
    **dict.fromkeys(("Mode", "ReadbackMode"), EACH_CALL),
    **dict.fromkeys(("TimeConstant", "NumberOfAverages", "RunFlag"), NO_PLACE),
}
#: What the AD may say and is taken over; the lattice says the rest.
AD: Final = ("Machine", "SubMachine", "OperationalMode", "Energy", "DeltaRFDisp", "MCF")


#: What the readings of a BPM may say beside that.
MONITOR: Final[dict[str, str | None]] = FIELD | {
    "Gain": GAINS,
    "Offset": REFERENCES,
    "HW2PhysicsFcn": CODE,
    "Physics2HWFcn": CODE,
}


def check_words(setup: MmlSetup, families: Sequence[MmlFamily], notes: Notes) -> None:
    """Add a note for each word of a set-up that is not taken over, or not known.

    Args:
        setup: What was read.
        families: The families that are taken over.
        notes: Where the notes are added.
    """
    for family in families:
        for name in family.values:
            _check_entry(family, name, notes)
    for name in setup.ad:
        if name not in AD:
            notes.add("left out", f"AD.{name}", GLOBALS)


def _check_entry(family: MmlFamily, name: str, notes: Notes) -> None:
    if name == "AT":
        _check(family, family.field(name), AT, "AT.", notes)
    elif FAMILY.get(name, "") is not None:
        _note(family, name, FAMILY, "", notes)
    elif name == "Monitor" and "Setpoint" in family.values:
        notes.add("left out", family.name, READBACK, name)
    else:
        known = MONITOR if name == "Monitor" else FIELD
        _check(family, family.field(name), known, f"{name}.", notes)


def _check(
    family: MmlFamily,
    values: Mapping[str, Any],
    known: dict[str, str | None],
    prefix: str,
    notes: Notes,
) -> None:
    for name in values:
        if name not in known or known[name] is not None:
            _note(family, name, known, prefix, notes)


def _note(
    family: MmlFamily,
    name: str,
    known: dict[str, str | None],
    prefix: str,
    notes: Notes,
) -> None:
    reason = known.get(name)
    if reason is None:
        reason = f"MML has no field of that name{did_you_mean(name, known)}"
    notes.add("left out", family.name, reason, prefix + name)
