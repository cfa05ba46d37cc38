"""The RunEngine of a session: journal, metadata, baseline, progress bars."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from bluesky import RunEngine
from bluesky.preprocessors import SupplementalData, msg_mutator
from bluesky.utils import Msg, MsgGenerator

from acctwin.data.scan_id import next_scan_id
from acctwin.data.store import Store
from acctwin.devices.ring import Machine
from acctwin.session.progress import ProgressBar


class SessionEngine(RunEngine):
    """A RunEngine whose aborted runs say why in their stop document.

    Attributes:
        on_end: Called before a plan is ended from outside.
        is_stuck: Tells whether a plan waits for a machine that is away.
    """

    why = ""
    on_end: Callable[[], None] = staticmethod(lambda: None)
    is_stuck: Callable[[], bool] = staticmethod(lambda: False)

    def request_pause(self, defer: bool = False) -> Any:
        """Pause; at once where the next checkpoint may be far away."""
        return super().request_pause(defer and not self.is_stuck())

    def abort(self, reason: str = "") -> Any:
        """End a paused plan; its run is stored with the reason."""
        self.why = reason
        self.on_end()
        return super().abort(reason)

    def stop(self) -> Any:
        """End a paused plan; its run is stored as a success."""
        self.on_end()
        return super().stop()

    def halt(self) -> Any:
        """End a paused plan at once; nothing is put back."""
        self.on_end()
        return super().halt()


def make_run_engine(
    machine: Machine, store: Store, metadata: dict[str, Any], *, progress: bool
) -> SessionEngine:
    """Return a RunEngine that is wired to a machine and a store.

    Args:
        machine: Its setpoints go into the baseline stream.
        store: Takes every document.
        metadata: For every start document.
        progress: Whether long plans show a bar.
    """
    engine = SessionEngine(
        metadata,
        call_returns_result=True,
        scan_id_source=lambda _: next_scan_id(store.folder.root),
    )

    def say_why(plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
        engine.why = ""

        def with_reason(msg: Msg) -> Msg:
            if msg.command != "close_run" or msg.kwargs.get("reason"):
                return msg
            return msg._replace(kwargs={**msg.kwargs, "reason": engine.why or None})

        return (yield from msg_mutator(plan, with_reason))

    def with_baseline(plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
        # what is recorded depends on where the machine is when the plan begins
        baseline = SupplementalData(baseline=list(machine.recorded()))
        return (yield from baseline(plan))

    engine.preprocessors.append(with_baseline)
    engine.preprocessors.append(say_why)
    engine.preprocessors.append(quiet_arrays)
    engine.log.logger.addFilter(_is_news)
    engine.subscribe(store.journal)
    if progress:
        engine.subscribe(ProgressBar())
    return engine


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a record says more than the exception that the user gets anyway."""
    return record.msg != "Run aborted"


def quiet_arrays(plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
    """Print arrays short while a plan runs.

    Validating an event formats each array with ``repr``: 5 ms for a few hundred
    numbers. The print options are a context variable, so only the RunEngine's task
    sees this.
    """
    np.set_printoptions(threshold=16)
    return (yield from plan)
