"""Where the devices of a machine are in a control system: names made of templates.

:func:`address` is the one place that knows them. The servers, which pretend to be the
machine, and the devices, which talk to it, both ask here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from acctwin.errors import UnknownName

if TYPE_CHECKING:
    from acctwin.profiles.profile import Profile

#: How devices are spoken to: EPICS Channel Access, EPICS PV Access, Tango.
Protocol: TypeAlias = Literal["ca", "pva", "tango"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
EPICS: tuple[Protocol, ...] = ("ca", "pva")
TANGO: tuple[Protocol, ...] = ("tango",)

#: What a template may hold in braces.
FIELDS = ("name", "id", "slug", "machine", "kind", "channel")

#: Every kind of device, its channels, and their names in EPICS and in Tango when the
#: profile does not say; None: not there unless the profile says so.
CHANNELS: Mapping[str, Mapping[str, tuple[str, str] | None]] = {
    "supply": {
        "current": ("{id}:SP", "{machine}/{kind}/{slug}/Current"),
        "readback": ("{id}:RB", "{machine}/{kind}/{slug}/CurrentRB"),
        "moving": ("{id}:MOVING", "{machine}/{kind}/{slug}/Moving"),
    },
    "magnet": {"strength": None, "readback": None},
    "bpm": {
        "x": ("{id}:X", "{machine}/{kind}/{slug}/X"),
        "y": ("{id}:Y", "{machine}/{kind}/{slug}/Y"),
    },
    "bpms": {
        "x": ("{machine}:BPM:X", "{machine}/diagnostics/{kind}/X"),
        "y": ("{machine}:BPM:Y", "{machine}/diagnostics/{kind}/Y"),
        "sum": ("{machine}:BPM:SUM", "{machine}/diagnostics/{kind}/Sum"),
    },
    "supplies": {"current": None, "readback": None},
    "rf": {
        "frequency": ("{id}:SP", "{machine}/{kind}/{slug}/Frequency"),
        "readback": ("{id}:RB", "{machine}/{kind}/{slug}/FrequencyRB"),
    },
    "tune": {
        "qx": ("{machine}:TUNE:QX", "{machine}/diagnostics/{kind}/Qx"),
        "qy": ("{machine}:TUNE:QY", "{machine}/diagnostics/{kind}/Qy"),
        "qs": ("{machine}:TUNE:QS", "{machine}/diagnostics/{kind}/Qs"),
    },
    "dcct": {"current": ("{machine}:DCCT", "{machine}/diagnostics/{kind}/Current")},
    "emittance": {
        "ex": ("{machine}:EMIT:EX", "{machine}/diagnostics/{kind}/Ex"),
        "ey": ("{machine}:EMIT:EY", "{machine}/diagnostics/{kind}/Ey"),
    },
    "injection": {
        "efficiency": ("{machine}:INJ:EFF", "{machine}/diagnostics/{kind}/Efficiency"),
    },
    "lifetime": {
        "value": ("{machine}:LIFETIME", "{machine}/diagnostics/{kind}/Lifetime"),
    },
    "pinger_x": {
        "kick": ("{id}:SP", "{machine}/pinger/{slug}/Kick"),
        "readback": ("{id}:RB", "{machine}/pinger/{slug}/KickRB"),
    },
    "pinger_y": {
        "kick": ("{id}:SP", "{machine}/pinger/{slug}/Kick"),
        "readback": ("{id}:RB", "{machine}/pinger/{slug}/KickRB"),
    },
    "turns": {
        "x": ("{machine}:TURNS:X", "{machine}/diagnostics/{kind}/X"),
        "y": ("{machine}:TURNS:Y", "{machine}/diagnostics/{kind}/Y"),
        "count": ("{machine}:TURNS:COUNT", "{machine}/diagnostics/{kind}/Count"),
        "acquire": ("{machine}:TURNS:ACQUIRE", "{machine}/diagnostics/{kind}/Acquire"),
    },
}


@dataclass(frozen=True)
class Control:
    """Where the devices of a machine are in its control system.

    Attributes:
        backend: How devices are spoken to, unless their kind says otherwise.
        read_only: Nothing is ever written.
        backends: By kind of device, where it is another one.
        names: Template by kind and channel, where it is not the backend's default;
            None: the channel is not there.
        tango_server: host:port of a Tango server without a database; without it,
            Tango names are looked up in the database of ``$TANGO_HOST``.
        update_s: Longest time between two values of a monitor [s]; one that has no
            new value for so long is read as it is.
        updates: How many new values of a monitor to wait for when a fresh reading is
            wanted: the first may have begun before.
        on_link_loss: ``"end"``: a plan that finds the link lost ends; ``"wait"``: it
            stays where it is until the machine is back, as it was.
        link_wait_s: How long it stays at most [s].
        addresses: By kind, device and channel, where no template counts; None: the
            channel is not there.
    """

    backend: Protocol = "ca"
    read_only: bool = False
    backends: Mapping[str, Protocol] = field(default_factory=dict[str, Protocol])
    names: Mapping[tuple[str, str], str | None] = field(
        default_factory=dict[tuple[str, str], str | None]
    )
    tango_server: str | None = None
    update_s: float = 1.0
    updates: int = 2
    on_link_loss: Literal["end", "wait"] = "end"
    link_wait_s: float = 600.0
    addresses: Mapping[tuple[str, str, str], str | None] = field(
        default_factory=dict[tuple[str, str, str], str | None]
    )

    def protocol(self, kind: str) -> Protocol:
        """Return how a kind of device is spoken to."""
        return self.backends.get(kind, self.backend)

    def template(self, kind: str, channel: str) -> str | None:
        """Return the template of a channel's name; None: it is not there."""
        if (kind, channel) in self.names:
            return self.names[kind, channel]
        return default_template(self.protocol(kind), kind, channel)

    def has(self, kind: str, channel: str) -> bool:
        """Tell whether any device of a kind has a channel."""
        return self.template(kind, channel) is not None or any(
            (kind, channel) == (place[0], place[2]) and text is not None
            for place, text in self.addresses.items()
        )

    def address(
        self, machine: str, kind: str, channel: str, name: str
    ) -> Address | None:
        """Return where a channel of a device is; None: it is not there.

        Args:
            machine: Name of the profile.
            kind: Kind of the device, a key of :data:`CHANNELS`.
            channel: Channel of that kind.
            name: The device; empty for kinds that a machine has one of.
        """
        place = kind, name, channel
        if place in self.addresses:
            text = self.addresses[place]
        else:
            template = self.template(kind, channel)
            text = template and fill(template, machine, kind, channel, name)
        if text is None:
            return None
        server = self.tango_server
        return Address(kind, channel, name, self.protocol(kind), text, server)


@dataclass(frozen=True)
class Address:
    """A channel of a device in the control system.

    Attributes:
        kind: Of the device.
        channel: Of the device.
        name: The device in the profile; empty where there is one of its kind only.
        protocol: How it is spoken to.
        text: The name there: of a process variable, or device/attribute in Tango.
        server: host:port of a Tango server without a database.
    """

    kind: str
    channel: str
    name: str
    protocol: Protocol
    text: str
    server: str | None = None

    def __str__(self) -> str:
        if self.protocol == "tango" and self.server is not None:
            return f"tango://{self.server}/{self.text}#dbase=no"
        return f"{self.protocol}://{self.text}"


def address(profile: Profile, kind: str, channel: str, name: str = "") -> str | None:
    """Return where a channel is: ``ca://…``, ``pva://…`` or ``tango://…``.

    Args:
        profile: The checked profile.
        kind: Kind of the device, a key of :data:`CHANNELS`.
        channel: Channel of that kind.
        name: The device in the profile; not for kinds that a machine has one of.

    Returns:
        The address; None if the profile has no control system, or it does not have
        this channel.

    Raises:
        UnknownName: There is no such kind, or it has no such channel.
    """
    check_channel(kind, channel)
    control = profile.control
    if control is None:
        return None
    found = control.address(profile.name, kind, channel, name)
    return None if found is None else str(found)


def addresses(
    profile: Profile, control: Control, kind: str, name: str = ""
) -> Iterator[Address]:
    """Yield all channels that a device has in a control system."""
    for channel in CHANNELS[kind]:
        found = control.address(profile.name, kind, channel, name)
        if found is not None:
            yield found


def check_channel(kind: str, channel: str) -> None:
    """Raise UnknownName if there is no such channel of such a kind."""
    if kind not in CHANNELS:
        raise UnknownName("kind of device", kind, CHANNELS)
    if channel not in CHANNELS[kind]:
        raise UnknownName(f"channel of a {kind}", channel, CHANNELS[kind])


def default_template(protocol: Protocol, kind: str, channel: str) -> str | None:
    """Return the name of a channel where the profile does not say one."""
    found = CHANNELS[kind][channel]
    return None if found is None else found[protocol == "tango"]


def fill(template: str, machine: str, kind: str, channel: str, name: str) -> str:
    """Return the name that a template gives for one device.

    Raises:
        KeyError, ValueError, IndexError, AttributeError: The template is not one.
    """
    return template.format(
        name=name,
        id=name.replace("/", ":"),
        slug=name.replace("/", "-"),
        machine=machine,
        kind=kind,
        channel=channel,
    )


def devices(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield kind and name of every device that may have addresses.

    Kinds that a machine has one of have an empty name, except RF and pinger.
    """
    yield from (("supply", row.name) for row in profile.supplies)
    yield from (("magnet", row.name) for row in profile.magnets)
    yield from (("bpm", row.name) for row in profile.bpms)
    yield from (("supplies", ""),) if profile.supplies else ()
    yield from (("bpms", ""),) if profile.bpms else ()
    if profile.rf is not None:
        yield "rf", profile.rf.name
    yield from (("tune", ""), ("dcct", ""))
    wanted = {
        "emittance": profile.diagnostics.emittance,
        "injection": profile.injection is not None,
        "lifetime": profile.diagnostics.lifetime,
    }
    yield from ((kind, "") for kind, is_there in wanted.items() if is_there)
    if profile.diagnostics.turns and profile.bpms:
        yield "turns", ""
    if profile.pinger is not None:
        for plane in ("x", "y"):
            kick = getattr(profile.pinger, plane)
            if kick is not None:
                yield f"pinger_{plane}", kick.name


def served_by(control: Control | None, protocols: tuple[Protocol, ...]) -> Control:
    """Return the addresses of a machine in a control system that it may not have.

    Kinds that are in it keep the names that the profile gives them; the others have
    the default ones.

    Args:
        control: What the profile says; None: nothing.
        protocols: What the control system speaks, the usual one first.
    """
    control = control or Control(backend=protocols[0])
    backends: dict[str, Protocol] = {
        kind: p if (p := control.protocol(kind)) in protocols else protocols[0]
        for kind in CHANNELS
    }
    names = {
        (kind, channel): template
        for (kind, channel), template in control.names.items()
        if control.protocol(kind) in protocols
    }
    addresses = {
        place: text
        for place, text in control.addresses.items()
        if control.protocol(place[0]) in protocols
    }
    return replace(
        control,
        backend=protocols[0],
        backends=backends,
        names=names,
        addresses=addresses,
    )
