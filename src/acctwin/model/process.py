"""An engine in a process of its own.

pyAT holds Python's lock for whole turns and keeps one cache per process, so each
engine lives alone. Requests are answered in the order they were made; the caller
never waits for the engine unless it wants to.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import IO, Any

import numpy as np

from acctwin.analysis.factors import Factors
from acctwin.analysis.loco.gains import Linear
from acctwin.analysis.optics import LocalOptics
from acctwin.errors import EngineError
from acctwin.model.engine import EngineSpec, Equilibrium, Layout, Optics
from acctwin.model.worker import read_message, write_message
from acctwin.names import FloatArray
from acctwin.profiles.injection import InjectedBunch
from acctwin.profiles.touschek import Touschek

#: A process that is told to end must have done so after this time.
END_TIMEOUT_S = 5.0
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class EngineProcess:
    """An engine whose methods run in a child process.

    Creating it returns at once; the child needs a few seconds until it answers. The
    child ends with :meth:`close`, or when this process ends, however it ends.

    Args:
        spec: What to build in the child.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._channel = _Channel(spec)
        self._end = weakref.finalize(self, self._channel.close)
        self._layout: Layout | None = None

    def submit(self, method: str, *args: Any) -> Future[Any]:
        """Ask for a method of the engine, and return at once.

        Args:
            method: Name of a method or property of the engine.
            args: Its arguments.

        Returns:
            A future of the result; it raises what the method raised, and
            :class:`EngineError` when the child has failed or ended.
        """
        return self._channel.submit(method, args)

    @property
    def layout(self) -> Layout:
        """What is in the lattice; waits until the child has built it."""
        layout = self._layout
        if layout is None:
            layout = self._layout = self.submit("layout").result()
        return layout

    def set(self, knobs: Sequence[str] | np.ndarray, values: FloatArray) -> int:
        """Set knobs, by name or by index; compute nothing; return the new version."""
        return self.submit("set", knobs, values).result()

    def values(self) -> FloatArray:
        """Return the present strengths, (n_knobs,)."""
        return self.submit("values").result()

    def orbit(self) -> FloatArray:
        """Return x, y at the monitors [m], (n_monitors, 2)."""
        return self.submit("orbit").result()

    def tunes(self) -> FloatArray:
        """Return qx, qy with integer part, and qs (0 without RF), (3,)."""
        return self.submit("tunes").result()

    def chromaticity(self) -> FloatArray:
        """Return dQ/d(Δp/p) in x and y, (2,)."""
        return self.submit("chromaticity").result()

    def dispersion(self) -> FloatArray:
        """Return eta_x, eta_y at the monitors [m], (n_monitors, 2)."""
        return self.submit("dispersion").result()

    def optics(self, everywhere: bool = False) -> Optics:
        """Return the optics at the monitors, or at every element boundary."""
        return self.submit("optics", everywhere).result()

    def optics_with(
        self, knobs: Sequence[str] | np.ndarray, values: FloatArray
    ) -> Optics:
        """Return the optics at the monitors if knobs were set so; they stay."""
        return self.submit("optics_with", knobs, values).result()

    def linear_with(
        self,
        actuators: Sequence[str],
        knobs: Sequence[str] | np.ndarray,
        values: FloatArray,
    ) -> Linear:
        """Return responses at all monitors if knobs were set so; they stay."""
        return self.submit("linear_with", actuators, knobs, values).result()

    def equilibrium(self) -> Equilibrium:
        """Return emittances and the like (slow: about a second)."""
        return self.submit("equilibrium").result()

    def touschek_lifetime(self, bunch_current: float, how: Touschek) -> float:
        """Return the Touschek lifetime [s]."""
        return self.submit("touschek_lifetime", bunch_current, how).result()

    def injection_efficiency(self, bunch: InjectedBunch) -> float:
        """Return which part of an injected bunch survives, 0 to 1."""
        return self.submit("injection_efficiency", bunch).result()

    def orbit_response(self, knobs: Sequence[str] | None = None) -> FloatArray:
        """Return d(x at all monitors, then y at all)/d(knob), (2·n_monitors, n)."""
        return self.submit("orbit_response", knobs).result()

    def crossed_response(self, knobs: Sequence[str]) -> FloatArray:
        """Return the same for knobs turned by 90° from x to y; 0 for the RF."""
        return self.submit("crossed_response", knobs).result()

    def trajectory_response(self, knobs: Sequence[str] | None = None) -> FloatArray:
        """Return the same for the first turn: nothing upstream of a knob moves."""
        return self.submit("trajectory_response", knobs).result()

    def slip_factor(self) -> float:
        """Return η = αc − 1/γ²: a turn is longer in time by η·δ."""
        return self.submit("slip_factor").result()

    def local_optics(self, places: Sequence[str]) -> LocalOptics:
        """Return the optics at monitors, or averaged along knobs' elements."""
        return self.submit("local_optics", places).result()

    def tune_response(self, knobs: Sequence[str]) -> FloatArray:
        """Return dQ/d(b1 knob) in x and y, (2, n)."""
        return self.submit("tune_response", knobs).result()

    def chromaticity_response(self, knobs: Sequence[str]) -> FloatArray:
        """Return d(dQ/dδ)/d(b2 knob) in x and y, (2, n)."""
        return self.submit("chromaticity_response", knobs).result()

    def place_response(self, places: Sequence[str], knobs: Sequence[str]) -> FloatArray:
        """Return d(x, px, y, py at monitors or knobs)/d(knob), (4, n_places, n)."""
        return self.submit("place_response", places, knobs).result()

    def coupling_response(
        self, monitors: Sequence[str], knobs: Sequence[str], skews: Sequence[str]
    ) -> FloatArray:
        """Return d(orbit response)/d(a1 knob), (2·n_mon, n, n_skews)."""
        return self.submit("coupling_response", monitors, knobs, skews).result()

    def gradient_factors(
        self, monitors: Sequence[str], knobs: Sequence[str], gradients: Sequence[str]
    ) -> Factors:
        """Return d(orbit response)/d(b1 or a1 knob) as factors."""
        return self.submit("gradient_factors", monitors, knobs, gradients).result()

    def turn_by_turn(self, turns: int, kick: tuple[float, float]) -> FloatArray:
        """Return x, y at the monitors after one kick [m], (turns, n_monitors, 2)."""
        return self.submit("turn_by_turn", turns, kick).result()

    def close(self) -> None:
        """End the child; requests that are not answered yet fail."""
        self._end()


class _Channel:
    """Two threads and a child: one thread writes requests, one reads replies."""

    def __init__(self, spec: EngineSpec) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "acctwin.model.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(_THREADS, "1")},
            start_new_session=True,
        )
        self._lock = threading.Lock()
        self._requests: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._waiting: deque[Future[Any]] = deque()
        self._ended: str | None = None
        self._requests.put(spec)
        self._threads = [
            threading.Thread(target=target, name=f"acctwin engine {name}", daemon=True)
            for name, target in (("writer", self._write), ("reader", self._read))
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, method: str, args: tuple[Any, ...]) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # a request that is sent is answered
        with self._lock:
            if self._ended is None:
                self._waiting.append(future)
                self._requests.put((method, args))
                return future
        future.set_exception(EngineError(self._ended))
        return future

    def close(self) -> None:
        self._fail("the engine process was closed")
        self._requests.put(None)
        self._child.terminate()  # it has nothing to lose
        try:
            self._child.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(END_TIMEOUT_S)

    def _write(self) -> None:
        stream = _pipe(self._child.stdin)
        try:
            while (request := self._requests.get()) is not None:
                write_message(stream, request)
        except OSError:
            pass  # the child has ended: the reader fails what waits, and says why
        finally:
            with contextlib.suppress(OSError):  # what is left has nobody to read it
                stream.close()

    def _read(self) -> None:
        with _pipe(self._child.stdout) as stream:
            try:
                while True:
                    self._answer(read_message(stream))
            except EOFError:
                code = self._child.wait()
                self._fail(f"the engine process has ended (exit code {code})")
        self._requests.put(None)

    def _answer(self, reply: Any) -> None:
        with self._lock:
            future = self._waiting.popleft() if self._waiting else None
        if future is None:
            return
        if isinstance(reply, BaseException):
            future.set_exception(reply)
        else:
            future.set_result(reply)

    def _fail(self, reason: str) -> None:
        """Refuse requests from now on, and fail those that wait."""
        with self._lock:
            if self._ended is None:
                self._ended = reason
            waiting, self._waiting = self._waiting, deque()
        for future in waiting:
            future.set_exception(EngineError(reason))


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise EngineError("the engine process has no pipe")
    return stream
