"""Beam-based alignment: find the readings of BPMs in the centres of quadrupoles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.bba import BbaResult, merge
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import DataError
from acctwin.names import BPMS, HCM, VCM
from acctwin.plans.alignment.data import (
    BASE,
    Group,
    Record,
    optics_columns,
    stored_optics,
)
from acctwin.plans.alignment.pairs import Asked
from acctwin.plans.alignment.task import (
    Method,
    Mode,
    Options,
    PlaneAsked,
    Task,
    options_of,
    prepare,
)
from acctwin.plans.call import plan
from acctwin.plans.guards import check_arrived, check_moves, require, restoring
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import Reading, ask, in_run, move, take

_KEYS = (
    "bba_group",
    "bba_plane",
    "bba_point",
    "bba_modulation",
    "bpms_x",
    "bpms_y",
    "hcm_strength",
    "vcm_strength",
    "quadrupoles_strength",
)


@plan
def bba(
    machine: Machine,
    pairs: Asked | None = None,
    *,
    plane: PlaneAsked = "both",
    mode: Mode = "single",
    method: Method = "bipolar",
    points: int | None = None,
    span_m: float | None = None,
    modulation: float | None = None,
    readings: int | None = None,
    neighbours: bool | None = None,
    resume: str | Sequence[str] | None = None,
) -> MsgGenerator[BbaResult]:
    """Find what BPMs read when the beam goes through the centre of a quadrupole.

    The beam is moved through a quadrupole with the most effective corrector, and the
    quadrupole is modulated: where no BPM sees the beam move, it is in the centre.
    Between BPM and quadrupole the beam moves by the distance times its angle; that way
    is estimated from the orbit around and from the centres of the quadrupoles next to
    it, and its uncertainty is in the quoted error. On a machine whose orbit
    is far off, correct it roughly first: a small angle is known better.

    Everything is put back, pair by pair. A run that was stopped keeps what was
    measured: name it in ``resume``. The offsets become a reference only when they are
    promoted (kind ``"bba"``), and a goal of ``correct_orbit`` with ``as_goal()``.

    Args:
        machine: The machine.
        pairs: Names of BPMs, each with the nearest quadrupole that has a supply of
            its own, or pairs of a BPM and a quadrupole; default: all good BPMs.
        plane: ``"both"``, ``"x"`` or ``"y"``.
        mode: ``"single"``: one quadrupole at a time; ``"parallel"``: many at once,
            taken apart with the design's response; quicker by far, and less exact.
        method: ``"bipolar"``: ± half the modulation; ``"unipolar"``: none and all of
            it; ``"sweep"``: from below to above in three steps, always rising.
        points: Places of the beam in each plane, at least 3; default: the profile's.
        span_m: From the first to the last of them, at the BPM [m]; default: the
            profile's.
        modulation: Full change of the quadrupoles' strength; default: what shifts a
            tune by ``tune_shift`` of the profile.
        readings: Of each setting; default: the profile's.
        neighbours: Whether the quadrupoles next to those of the pairs are modulated
            too, to know the beam's angle; default: the profile's.
        resume: Runs of this plan; BPMs that they have in full are not measured again.

    Returns:
        Offsets with errors, of the runs in ``resume`` too.

    Raises:
        PlanError: No quadrupole has a supply of its own, or nothing is to be measured.
        LimitError: A step would leave the limits; nothing was moved.
    """
    wanted = [BPMS, HCM, VCM, "quadrupoles"]
    require(machine, wanted, "the centre of a quadrupole cannot be measured")
    given: dict[str, Any] = {
        "points": points,
        "span_m": span_m,
        "readings": readings,
        "neighbours": neighbours,
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    values = replace(machine.defaults.bba, **chosen)
    options = options_of(plane, mode, method, modulation, values)
    uids = [resume] if isinstance(resume, str) else list(resume or ())
    earlier = yield from ask(lambda: [analyse(machine.runs.run(uid)) for uid in uids])
    task = yield from prepare(machine, pairs, _measured(earlier, options), options)

    def body(uid: str) -> MsgGenerator[BbaResult]:
        check_moves(task.everywhere())
        note = _note(task)
        events = yield from restoring(task.behind, lambda: _walk(task, note))
        new = _record(task, events, uid).result()
        result = merge([*earlier, new])
        yield from write_result(_result_note(result))
        return result

    metadata = {
        "plan_name": "bba",
        "plan_args": {
            "pairs": _listed(task),
            "plane": plane,
            "mode": mode,
            "method": method,
            **asdict(values),
            "modulation": modulation,
            "resume": uids,
        },
        "num_points": sum(task.counts()) + values.readings,
        "derived_from": uids,
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> BbaResult:
    """Return the offsets of a stored run, also of one that was stopped.

    Raises:
        DataError: It holds no event.
    """
    stream = run["primary"]
    if not len(stream):
        raise DataError(f"run {run.uid} holds no reading")
    config = {
        key.removeprefix("bba_"): value
        for descriptor in stream.descriptors
        for device in descriptor["configuration"].values()
        for key, value in device["data"].items()
        if key.startswith("bba_")
    }
    groups = tuple(
        Group(tuple(_numbers(quads)), tuple(_numbers(bpms)), int(plane))
        for quads, bpms, plane in zip(
            config["group_quadrupoles"],
            config["group_bpms"],
            config["group_planes"],
            strict=True,
        )
    )
    data: dict[str, Any] = {key: stream[key] for key in _KEYS}
    counts = tuple(int(count) for count in config["group_events"])
    good = np.asarray(config["good"], dtype=np.int64)
    optics, around = stored_optics(config), float(config["circumference"])
    return Record(groups, optics, good, data, counts, around, run.uid).result()


def _walk(task: Task, note: Note) -> MsgGenerator[list[Reading]]:
    devices = [note, task.machine.bpms, *task.boxes]
    recorded = [device for device in task.behind if device not in task.boxes]
    events: list[Reading] = []

    def read(group: int, plane: int, point: int, fraction: float) -> MsgGenerator[None]:
        note.values.update(
            group=group, plane=plane, point=point, modulation=float(fraction)
        )
        for _ in range(task.options.values.readings):
            events.append((yield from take([*devices, *recorded])))
            check_arrived(task.boxes, events[-1])

    yield Msg("checkpoint")
    yield from read(BASE, BASE, 0, 0.0)
    for index, step in enumerate(task.steps):
        for point, kicks in enumerate(step.kicks):
            yield Msg("checkpoint")
            yield from move(task.corrector_moves(step, kicks))
            for fraction in task.fractions:
                yield from move(task.quadrupole_moves(step, fraction))
                yield from read(index, step.group.plane, point, fraction)
        yield from move(task.quadrupole_moves(step, 0.0))
        yield from move(task.corrector_moves(step, np.zeros(len(step.correctors))))
    return events


def _record(task: Task, events: Sequence[Reading], uid: str) -> Record:
    data = {key: np.array([event[key] for event in events]) for key in _KEYS}
    groups = tuple(step.group for step in task.steps)
    around, counts = task.circumference, task.counts()
    return Record(groups, task.optics, task.good, data, counts, around, uid)


def _note(task: Task) -> Note:
    groups = [step.group for step in task.steps]
    return Note(
        "bba",
        {"group": 0, "plane": 0, "point": 0, "modulation": 0.0},
        configuration={
            "group_quadrupoles": [_words(group.quadrupoles) for group in groups],
            "group_bpms": [_words(group.bpms) for group in groups],
            "group_planes": [group.plane for group in groups],
            "group_events": list(task.counts()),
            "circumference": task.circumference,
            "good": task.good,
            **optics_columns(task.optics),
        },
    )


def _result_note(result: BbaResult) -> Note:
    names = ("offset_x", "offset_y", "sigma_x", "sigma_y", "way_x", "way_y")
    return Note(
        "offsets",
        {name: getattr(result, name) for name in names},
        dict.fromkeys(names, "m"),
        {"bpms": list(result.bpms), "quadrupoles": list(result.quadrupoles)},
    )


def _measured(earlier: Sequence[BbaResult], options: Options) -> set[str]:
    """Return the BPMs that earlier runs have in all planes that are asked for."""
    if not earlier:
        return set()
    result = merge(list(earlier))
    both = np.stack([result.offset_x, result.offset_y])[list(options.planes)]
    return {
        name
        for name, values in zip(result.bpms, both.T, strict=True)
        if np.isfinite(values).all()
    }


def _listed(task: Task) -> list[list[str]]:
    bpms, quads = task.optics.bpms.names, task.optics.quadrupoles.names
    pairs = {
        (bpms[b], quads[q]): None
        for step in task.steps
        if step.group.bpms
        for b, q in zip(step.group.bpms, step.group.quadrupoles, strict=True)
    }
    return [list(pair) for pair in pairs]


def _words(numbers: Sequence[int]) -> str:
    return " ".join(str(number) for number in numbers)


def _numbers(words: Any) -> list[int]:
    return [int(word) for word in str(words).split()]
