"""What the section ``members`` of a profile may say: classic ophyd devices."""

from __future__ import annotations

import re
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Field

from acctwin.profiles.document import Document
from acctwin.profiles.members import MemberRow, MemberSetting
from acctwin.profiles.profile import Origin
from acctwin.profiles.section import Number, Section

_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_WHOLE = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def _class_path(value: str) -> str:
    if not _CLASS.fullmatch(value):
        raise ValueError("write package.module:Class, such as ophyd:EpicsMotor")
    return value


def _as_written(value: Any) -> Any:
    """Return a value as Python has it: what looks like a number is one."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: _as_written(item) for key, item in items}
    if isinstance(value, list):
        return [_as_written(item) for item in cast("list[Any]", value)]
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return float(value)
    return value


Written = Annotated[Any, BeforeValidator(_as_written)]
ClassPath = Annotated[str, AfterValidator(_class_path)]


class SettingSection(Section):
    """What may be set, in the member's units."""

    low: Number = Field(description="lower limit")
    high: Number = Field(description="upper limit")
    tolerance: Number = Field(description="|setpoint − readback| when done")
    delta: Number = Field(description="full step of a response measurement")
    timeout_s: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="how long a move may take [s]; default: waits'"
    )


class StandInSection(Section):
    """What stands for a member in physics mode."""

    value: Number = Field(description="where it is at first")


class MemberSection(Section):
    """A device that is described by a class of classic ophyd."""

    device_class: ClassPath = Field(
        description="package.module:Class of it, such as ophyd:EpicsMotor"
    )
    args: tuple[Written, ...] = Field(
        default=(), description="what the class is called with: a prefix, a PV"
    )
    kwargs: dict[str, Written] = Field(
        default_factory=dict[str, Any], description="the same, by name"
    )
    units: str = Field(default="1", min_length=1, description="of its values")
    setting: SettingSection | None = Field(
        default=None, description="what may be set; without it, it is only read"
    )
    setpoint: str | None = Field(
        default=None, min_length=1, description="its signal that is set: a.b.c"
    )
    readback: str | None = Field(
        default=None, min_length=1, description="its signal that is read: a.b.c"
    )
    simulated: StandInSection | None = Field(
        default=None, description="what stands for it in physics mode"
    )


def to_members(
    members: dict[str, MemberSection], document: Document
) -> tuple[MemberRow, ...]:
    """Return the members, in the order of the file."""
    return tuple(_to_row(name, item, document) for name, item in members.items())


def _to_row(name: str, item: MemberSection, document: Document) -> MemberRow:
    line, column = document.values[("members", name, "device_class")]
    setting, stand_in = item.setting, item.simulated
    return MemberRow(
        name=name,
        device_class=item.device_class,
        args=item.args,
        kwargs=item.kwargs,
        units=item.units,
        setting=None if setting is None else MemberSetting(**setting.model_dump()),
        setpoint=item.setpoint,
        readback=item.readback,
        simulated=None if stand_in is None else stand_in.value,
        origin=Origin(document.file, line, (("device_class", column),)),
    )
