"""The engine in its own process: order, errors, death of either side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acctwin.errors import BeamLost, EngineError, LimitError, PlanError, UnknownName
from acctwin.model.engine import EngineSpec, Knob, Monitor
from acctwin.model.process import EngineProcess
from acctwin.profiles.profile import ElementRef, LatticeSource

pytestmark = pytest.mark.slow
TIMEOUT_S = 60.0


def fodo_spec(lattice: str = "code:fodo") -> EngineSpec:
    knobs = [Knob(f"H{i}", ElementRef("HCM", i), "hkick") for i in range(16)]
    knobs += [Knob(f"QF{i}", ElementRef("QF", i), "b1") for i in range(16)]
    monitors = [Monitor(f"B{i}", ElementRef("BPM", i)) for i in range(32)]
    return EngineSpec(LatticeSource(lattice), tuple(knobs), tuple(monitors))


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    process = EngineProcess(fodo_spec())
    yield process
    process.close()


def child_of(engine: EngineProcess) -> subprocess.Popen[bytes]:
    return engine._channel._child


def test_it_is_the_engine_in_this_process(engine: EngineProcess) -> None:
    from acctwin.model.at_engine import AtEngine

    here = AtEngine(fodo_spec())
    for one in (engine, here):
        one.set(["H0"], np.array([1e-5]))
    assert engine.layout.knobs == here.layout.knobs
    assert np.array_equal(engine.orbit(), here.orbit())
    assert np.array_equal(engine.values(), here.values())
    assert np.array_equal(engine.tunes(), here.tunes())
    assert np.array_equal(engine.chromaticity(), here.chromaticity())
    assert np.array_equal(engine.dispersion(), here.dispersion())
    assert np.array_equal(engine.optics(True).beta, here.optics(True).beta)
    assert np.array_equal(engine.orbit_response(["H1"]), here.orbit_response(["H1"]))
    assert np.array_equal(engine.trajectory_response(), here.trajectory_response())
    assert engine.equilibrium().energy_loss == here.equilibrium().energy_loss
    assert engine.slip_factor() == here.slip_factor()
    knobs, places = ["H0"], [engine.layout.monitors[2], "H1"]
    found, expected = engine.local_optics(places), here.local_optics(places)
    assert found.names == tuple(places) and np.array_equal(found.beta, expected.beta)
    found, expected = (e.place_response(places, knobs) for e in (engine, here))
    assert np.array_equal(found, expected)
    found, expected = (e.tune_response(["QF3"]) for e in (engine, here))
    assert np.array_equal(found, expected)
    kick = (1e-5, 0.0)
    assert np.array_equal(engine.turn_by_turn(3, kick), here.turn_by_turn(3, kick))
    for method in ("tune_response", "chromaticity_response"):
        with pytest.raises(PlanError, match="H0 is of component 'hkick'"):
            getattr(engine, method)(knobs)
    with pytest.raises(PlanError, match="H0 is of component 'hkick'"):
        engine.coupling_response(places[:1], knobs, knobs)
    assert len(engine.submit("ring_copy").result(TIMEOUT_S)) == 257
    engine.set(["H0"], np.array([0.0]))


def test_requests_are_answered_in_order(engine: EngineProcess) -> None:
    done: list[int] = []
    futures: list[Future[Any]] = []
    for i in range(50):
        future = engine.submit("set", ["H0"], np.array([1e-6 * (i + 1)]))
        future.add_done_callback(lambda _, i=i: done.append(i))
        futures.append(future)
    versions = [future.result(TIMEOUT_S) for future in futures]
    assert done == list(range(50))
    assert versions == list(range(versions[0], versions[0] + 50))
    assert engine.values()[0] == pytest.approx(50e-6)
    engine.set(["H0"], np.array([0.0]))


def test_many_threads_may_ask(engine: EngineProcess) -> None:
    results: list[float] = []
    threads = [
        threading.Thread(target=lambda: results.append(engine.tunes()[0]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert len(results) == 8 and len(set(results)) == 1


def test_a_caller_does_not_wait(engine: EngineProcess) -> None:
    slow = engine.submit("equilibrium")
    large = [engine.submit("set", ["H0"], np.zeros(1)) for _ in range(1000)]
    assert not large[-1].done()
    slow.result(TIMEOUT_S), large[-1].result(TIMEOUT_S)


def test_errors_travel(engine: EngineProcess) -> None:
    quadrupoles = [f"QF{i}" for i in range(16)]
    with pytest.raises(UnknownName, match="no knob is called 'H99'"):
        engine.set(["H99"], np.zeros(1))
    with pytest.raises(LimitError, match="not a finite number for H0"):
        engine.set(["H0"], np.array([np.nan]))
    nominal = engine.values()[16]
    engine.set(quadrupoles, np.full(16, 0.5 * nominal))
    with pytest.raises(BeamLost, match="unstable optics"):
        engine.orbit()
    engine.set(quadrupoles, np.full(16, nominal))
    assert np.all(np.isfinite(engine.orbit()))
    with pytest.raises(EngineError, match="no method 'orbits'"):
        engine.submit("orbits").result(TIMEOUT_S)
    with pytest.raises(EngineError, match="no method '_ring'"):
        engine.submit("_ring").result(TIMEOUT_S)
    with pytest.raises(EngineError, match=r"(?s)TypeError in the engine.*Traceback"):
        engine.submit("optics", 1, 2, 3).result(TIMEOUT_S)


def test_ctrl_c_belongs_to_the_session(engine: EngineProcess) -> None:
    engine.tunes()
    child_of(engine).send_signal(signal.SIGINT)
    assert engine.tunes()[0] > 4


def test_an_engine_that_cannot_be_built_says_why_to_everyone() -> None:
    engine = EngineProcess(fodo_spec("code:fudo"))
    try:
        for _ in range(2):
            with pytest.raises(UnknownName, match="did you mean 'fodo'"):
                engine.submit("layout").result(TIMEOUT_S)
    finally:
        engine.close()


def test_a_child_that_dies_fails_what_waits_and_what_comes() -> None:
    engine = EngineProcess(fodo_spec())
    try:
        waiting = engine.submit("orbit")
        child_of(engine).kill()
        with pytest.raises(EngineError, match=r"has ended \(exit code -9\)"):
            waiting.result(TIMEOUT_S)
        with pytest.raises(EngineError, match="has ended"):
            engine.orbit()
    finally:
        engine.close()


def test_close_ends_the_child_at_any_time() -> None:
    engine = EngineProcess(fodo_spec())
    waiting = engine.submit("orbit")
    child = child_of(engine)
    engine.close()
    assert child.returncode is not None
    with pytest.raises(EngineError, match="was closed"):
        waiting.result(TIMEOUT_S)
    with pytest.raises(EngineError, match="was closed"):
        engine.tunes()
    engine.close()


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_the_child_ends_with_its_parent(tmp_path: Path, how: str) -> None:
    script = tmp_path / "session.py"  # without a __main__ guard, as people write it
    script.write_text(
        textwrap.dedent(
            f"""
            import os, signal, sys
            from acctwin.model.engine import EngineSpec
            from acctwin.model.process import EngineProcess
            from acctwin.profiles.profile import LatticeSource

            engine = EngineProcess(EngineSpec(LatticeSource("code:fodo"), (), ()))
            engine.layout
            print(engine._channel._child.pid, "at" in sys.modules, flush=True)
            if "{how}" == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == (0 if how == "exit" else -signal.SIGKILL), done.stderr
    pid, has_imported_at = done.stdout.split()
    assert has_imported_at == "False"
    assert wait_until_gone(int(pid))


def wait_until_gone(pid: int) -> bool:
    tick = threading.Event()
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{pid}/stat")
        if state.exists() and state.read_text().split(")")[-1].split()[0] == "Z":
            return True  # it has ended, and nobody has collected it
        tick.wait(0.05)
    return False
