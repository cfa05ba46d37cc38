"""Turn-by-turn data, emittances and the lifetime of real lattices, against pyAT."""

from __future__ import annotations

import at
import bluesky.plan_stubs as bps
import numpy as np
import pytest
from accelerator import Accelerator

from acctwin import plans
from acctwin.plans import lifetime
from acctwin.plans.stubs import in_run, take
from acctwin.profiles.profile import Simulation

#: Seconds of a beam with a lifetime of two hours.
TWO_HOURS = 7200.0


def record(facility: Accelerator, **kicks: float) -> dict[str, np.ndarray]:
    """Return one turn-by-turn record of a machine; the kicks by plane [rad]."""
    machine = facility.machine

    def body(uid):
        for plane in ("x", "y"):
            kick = kicks.get(plane, 0.0)
            yield from bps.abs_set(machine[f"pinger_{plane}"], kick, wait=True)
        return (yield from take([machine.turns]))

    return facility.run(in_run(body, {"plan_name": "record", "plan_args": {}}))


def readings(facility: Accelerator, device, count: int) -> list[dict]:
    """Return some readings of an instrument."""

    def body(uid):
        events = []
        for _ in range(count):
            events.append((yield from take([device])))
        return events

    return facility.run(in_run(body, {"plan_name": "read", "plan_args": {}}))


def test_the_oscillations_have_the_tunes_of_the_lattice(accelerator):
    fodo = accelerator("fodo", seed=1)
    step = fodo.machine.pinger_x.delta
    seen = record(fodo, x=step, y=step)
    tunes = at.get_tune(fodo.true_lattice())
    for plane, tune in zip("xy", tunes, strict=False):
        turns = seen[f"turns_{plane}"]
        assert turns.shape == (2048, len(fodo.machine.bpms))
        away = turns - turns.mean(axis=0)
        spectrum = np.abs(np.fft.rfft(away, axis=0)).sum(axis=1)
        peak = np.argmax(spectrum) / len(turns)
        # rfft cannot tell a tune from one minus it; its lines are 1/2048 apart.
        assert abs(peak - min(tune % 1, 1 - tune % 1)) < 0.75 / 2048


def test_a_kick_moves_the_first_turn_as_the_optics_say(accelerator):
    fodo = accelerator("fodo", seed=None)
    quiet, kicked = record(fodo), record(fodo, x=1e-5)
    first = kicked["turns_x"][0] - quiet["turns_x"][0]
    assert not first.any(), "the pinger is behind all BPMs of the first turn"
    second = kicked["turns_x"][1] - quiet["turns_x"][1]
    ring = fodo.true_lattice()
    (pinger,) = at.get_refpts(ring, "RF")
    bpms = at.get_refpts(ring, "BPM")
    ring.disable_6d()
    _, _, local = ring.get_optics(refpts=[*bpms, pinger], get_chrom=False)
    beta, phase = local.beta[:, 0], local.mu[:, 0]
    whole = ring.get_optics(refpts=[len(ring)])[2].mu[0, 0]
    advance = whole - phase[-1] + phase[:-1]
    expected = 1e-5 * np.sqrt(beta[:-1] * beta[-1]) * np.sin(advance)
    assert np.allclose(second, expected, atol=0.01 * np.abs(expected).max())


# That of ebs does too: its tunes are measured with these kicks, see test_tune_and_beta.
@pytest.mark.parametrize("name", ["thomx", "soleil"])
def test_the_beam_survives_the_kicks_of_a_measurement(accelerator, name):
    facility = accelerator(name, seed=1)
    machine = facility.machine
    kicks = {"x": machine.pinger_x.delta, "y": machine.pinger_y.delta}
    seen = record(facility, **kicks)
    longest = facility.profile.diagnostics.turns
    noise = facility.profile.imperfections.bpms.noise_turn
    for plane in ("x", "y"):
        turns = seen[f"turns_{plane}"]
        assert turns.shape == (longest, len(machine.bpms))
        # Seen well above the noise of a turn, and well inside a vacuum chamber.
        assert np.median(turns.std(axis=0)) > 5 * noise
        assert np.ptp(turns, axis=0).max() < 10e-3


@pytest.mark.parametrize("name", ["fodo", "soleil", "ebs"])
def test_the_emittance_monitor_reads_the_equilibrium_of_the_lattice(accelerator, name):
    facility = accelerator(name, seed=1)
    seen = readings(facility, facility.machine.emittance, 16)
    ring = facility.true_lattice()
    ring.enable_6d()
    _, data, _ = ring.ohmi_envelope()
    for i, plane in enumerate("xy"):
        mean = np.mean([event[f"emittance_e{plane}"] for event in seen])
        # 1 % noise, 16 readings: 0.25 %; five times.
        assert mean == pytest.approx(data.mode_emittances[i], rel=0.0125)


def test_a_machine_without_an_equilibrium_has_no_emittance_monitor(accelerator):
    assert not accelerator("thomx", seed=1).machine.has("emittance")


def test_the_lifetime_that_the_profile_hides_is_found(accelerator):
    times = Simulation(lifetime_s=TWO_HOURS)
    fodo = accelerator("fodo", seed=1, simulation=times)
    result = fodo.run(plans.measure_lifetime(fodo.machine))
    assert result.stopped == "precise"
    assert result.sigma < 0.02 * result.lifetime
    assert abs(result.lifetime - TWO_HOURS) < 4 * result.sigma
    assert lifetime.analyse(fodo.last).lifetime == result.lifetime
    # 10 µA of 200 mA every 0.5 s: σ(τ)/τ = τ·(σ/I)·√(12/n)/T is 2 % after 12.5 s.
    assert 6.0 < result.time[-1] < 25.0
