"""What the section ``control`` of a profile may say: where devices are."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, create_model

from acctwin.profiles.control import CHANNELS, Control, Protocol
from acctwin.profiles.section import Count, Number, Section


def _text(description: str) -> Any:
    return str | None, Field(default=None, min_length=1, description=description)


def _names_of(kind: str) -> type[Section]:
    """Return the section with the templates of one kind of device."""
    fields = {
        channel: _text(
            f"template of the name of {channel!r} of {kind}; null: not there"
        )
        for channel in CHANNELS[kind]
    }
    return create_model(f"{kind}_names", __base__=Section, **fields)


def _by_kind(title: str, types: dict[str, Any], what: str) -> type[Section]:
    """Return a section with one optional key for each kind of device."""
    fields: dict[str, Any] = {
        kind: (annotation | None, Field(default=None, description=f"{what} of {kind}"))
        for kind, annotation in types.items()
    }
    return create_model(title, __base__=Section, **fields)


class BackendsSection(
    _by_kind("Backends", dict.fromkeys(CHANNELS, Protocol), "backend")
):
    """Kinds of devices that are not spoken to as the others are."""


class NamesSection(_by_kind("Names", {k: _names_of(k) for k in CHANNELS}, "names")):
    """Templates, where names are not the backend's default ones."""


class ControlSection(Section):
    """Where the devices are in the control system."""

    backend: Protocol = Field(
        default=Control.backend,
        description="ca, pva or tango, unless a kind says other",
    )
    read_only: bool = Field(
        default=Control.read_only, description="nothing is ever written to hardware"
    )
    tango_server: str | None = Field(
        default=None,
        pattern=r"^[^:/\s]+:\d+$",
        description="host:port of a Tango server without a database",
    )
    update_s: Number = Field(
        default=Control.update_s,
        gt=0,
        description="longest time between two values of a monitor [s]",
    )
    updates: Count = Field(
        default=Control.updates,
        description="new values to wait for when a fresh reading is wanted",
    )
    on_link_loss: Literal["end", "wait"] = Field(
        default=Control.on_link_loss,
        description="end: a plan that finds the link lost ends; wait: it stays there",
    )
    link_wait_s: Number = Field(
        default=Control.link_wait_s, gt=0, description="how long at most [s]"
    )
    backends: BackendsSection = Field(
        default_factory=BackendsSection, description="by kind of device"
    )
    names: NamesSection = Field(
        default_factory=NamesSection, description="templates by kind and channel"
    )


def to_control(section: ControlSection | None) -> Control | None:
    """Return the addresses; None where the profile has none."""
    if section is None:
        return None
    names: dict[str, dict[str, str | None] | None] = section.names.model_dump(
        exclude_unset=True
    )
    return Control(
        backend=section.backend,
        read_only=section.read_only,
        backends=section.backends.model_dump(exclude_none=True),
        names={
            (kind, channel): template
            for kind, channels in names.items()
            for channel, template in (channels or dict[str, str | None]()).items()
        },
        tango_server=section.tango_server,
        update_s=section.update_s,
        updates=section.updates,
        on_link_loss=section.on_link_loss,
        link_wait_s=section.link_wait_s,
    )
