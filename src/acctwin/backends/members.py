"""From a profile to the members of a machine that are no part of a family."""

from __future__ import annotations

from acctwin.backends.link import Links
from acctwin.devices.member import MemberInfo, ReadableMember, SettableMember
from acctwin.devices.setpoint import bounds_of
from acctwin.devices.status import StatusBoard
from acctwin.profiles.members import MemberRow, MemberSetting
from acctwin.profiles.profile import Profile


def build_members(
    profile: Profile, links: Links, board: StatusBoard
) -> dict[str, SettableMember | ReadableMember]:
    """Return the members of a profile by name.

    Args:
        profile: The checked profile.
        links: Where devices are.
        board: Which devices are good.
    """
    return {row.name: _member(row, links, board) for row in profile.members}


def _member(
    row: MemberRow, links: Links, board: StatusBoard
) -> SettableMember | ReadableMember:
    if row.setting is not None:
        return _settable(row, row.setting, links, board)
    link = links.connector(lambda plant: plant.member(row.name, None))
    return ReadableMember(link, row.name, row.units, board)


def _settable(
    row: MemberRow, setting: MemberSetting, links: Links, board: StatusBoard
) -> SettableMember:
    info = MemberInfo(
        row.name,
        setting.low,
        setting.high,
        setting.tolerance,
        setting.delta,
        row.units,
        setting.timeout_s,
    )
    limits = bounds_of([info])
    link = links.connector(lambda plant: plant.member(row.name, limits))
    return SettableMember(link, info, board)
