"""Text of an EPICS database: the records that clients only read.

Records that the server fills are plain ones: loading a thousand from text, and filling
them with the database's own put, is fifty times faster than as Python records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from acctwin.servers.records import Record

#: Security: everybody reads; setpoints can be written unless the server is read-only.
ACCESS = """\
ASG(DEFAULT) {{ RULE(1, READ) }}
ASG(SETPOINT) {{ RULE(1, READ) {rule} }}
"""
#: Longest string of a record, the end included.
STRING = 40


def access(*, read_only: bool) -> str:
    """Return the access rules of the server."""
    return ACCESS.format(rule="" if read_only else "RULE(1, WRITE)")


def database(records: Iterable[Record], machine: str, bpms: int, supplies: int) -> str:
    """Return the database text of everything that clients cannot write.

    Args:
        records: What the server offers.
        machine: Name of the machine, in front of what belongs to no device.
        bpms: How many BPMs there are.
        supplies: How many supplies there are.
    """
    parts = [_readable(record, machine) for record in records if not record.is_setpoint]
    return "".join([*parts, *_own(machine, bpms, supplies)])


def own_name(machine: str, name: str) -> str:
    """Return the name of a record of the simulation itself."""
    return f"{machine}:SIM:{name}"


def names_of(machine: str, what: str) -> str:
    """Return the name of the record with the names of all BPMs, or supplies."""
    return f"{machine}:{what}:NAMES"


def _own(machine: str, bpms: int, supplies: int) -> Iterator[str]:
    """Yield what belongs to no device: the life of the server, names, the orbit."""
    clock = {"PREC": 3, "EGU": "s"}
    yield _record("longin", own_name(machine, "HEARTBEAT"), {})
    yield _record("ai", own_name(machine, "TIME"), clock)
    yield _record("bi", own_name(machine, "LOST"), {"ZNAM": "beam", "ONAM": "lost"})
    for name in ("SERVER", "BEAM", "MESSAGE"):
        yield _record("stringin", own_name(machine, name), {})
    strings = {"FTVL": "STRING"}
    if supplies:
        fields = {**strings, "NELM": supplies}
        yield _record("waveform", names_of(machine, "SUPPLIES"), fields)
    if bpms:
        group = f"{machine}:ORBIT"
        labels = {group: {"+id": "epics:nt/NTTable:1.0", "labels": _plain("VAL")}}
        name = own_name(machine, "LABELS")
        yield _record("waveform", name, {**strings, "NELM": 3}, labels)
        info = {group: {"value.name": _plain("VAL")}}
        fields = {**strings, "NELM": bpms}
        yield _record("waveform", names_of(machine, "BPM"), fields, info)


def _plain(channel: str, **more: str) -> dict[str, str]:
    return {"+type": "plain", "+channel": channel, **more}


def _readable(record: Record, machine: str) -> str:
    fields: dict[str, object] = {"EGU": record.unit, "PREC": record.precision}
    if record.is_whole:
        return _record("longin", record.name, {"EGU": record.unit})
    if not record.size:
        return _record("ai", record.name, fields)
    fields |= {"FTVL": "DOUBLE", "NELM": record.size}
    info: dict[str, object] = {}
    if record.key in {("bpms", "x"), ("bpms", "y")}:
        # Without beam the record is disabled: its alarm is INVALID, its values NaN.
        fields |= {"SDIS": own_name(machine, "LOST"), "DISV": 1, "DISS": "INVALID"}
        column = record.key[1]
        group: dict[str, object] = {f"value.{column}": _plain("VAL")}
        if column == "y":  # published last: the table is whole
            group = {
                f"value.{column}": _plain("VAL", **{"+trigger": "*"}),
                "": {"+type": "meta", "+channel": "VAL"},
            }
        info = {f"{machine}:ORBIT": group}
    return _record("waveform", record.name, fields, info)


def _record(
    kind: str,
    name: str,
    fields: Mapping[str, object],
    group: Mapping[str, object] | None = None,
) -> str:
    """Return one record; ``group`` is what it is in tables of PV Access."""
    lines = [f'record({kind}, "{name}") {{']
    lines += [
        f'  field({key}, "{value}")' for key, value in fields.items() if value != ""
    ]
    if group:
        lines.append(f"  info(Q:group, {json.dumps(group)})")
    return "\n".join([*lines, '  field(DISP, "1")', "}", ""])
