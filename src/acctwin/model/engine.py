"""What a physics engine is: a few methods, whatever computes them.

The simulated machine and the design model are two engines of the same kind. A
transfer line, a GPU build of pyAT or a trained surrogate are engines as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from acctwin.analysis.factors import Factors
from acctwin.analysis.loco.gains import Linear
from acctwin.analysis.optics import LocalOptics
from acctwin.names import Component, FloatArray
from acctwin.profiles.injection import InjectedBunch
from acctwin.profiles.profile import ElementRef, LatticeSource
from acctwin.profiles.touschek import Touschek


@dataclass(frozen=True)
class Knob:
    """A strength that can be set: a component of some lattice elements."""

    name: str
    element: ElementRef
    component: Component


@dataclass(frozen=True)
class Monitor:
    """A place where the orbit is read."""

    name: str
    element: ElementRef


@dataclass(frozen=True)
class Misalignment:
    """Displacement of some lattice elements, in pyAT's sense.

    Attributes:
        element: The elements that move together.
        dx: Horizontal shift [m].
        dy: Vertical shift [m].
        roll: Rotation about the beam axis [rad].
    """

    element: ElementRef
    dx: float = 0.0
    dy: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True)
class EngineSpec:
    """All that is needed to build an engine in another process.

    The RF frequency, where the lattice has a cavity, is the knob ``"rf"`` [Hz]. The
    beam is kicked for turn-by-turn data at the entrance of the pinger; None is the
    beginning of the lattice.
    """

    lattice: LatticeSource
    knobs: tuple[Knob, ...]
    monitors: tuple[Monitor, ...]
    misalignments: tuple[Misalignment, ...] = ()
    pinger: ElementRef | None = None


@dataclass(frozen=True)
class Layout:
    """What the engine found in its lattice; it never changes.

    Attributes:
        knobs: Names, in the order of the spec; ``"rf"`` last where there is RF.
        monitors: Names, in the order of the spec.
        knob_s: Position of the middle of each knob's elements [m], (n_knobs,);
            0 for ``"rf"``.
        monitor_s: Position of each monitor [m], (n_monitors,).
        values: Strengths in the lattice as it was loaded, (n_knobs,).
        circumference: [m].
        energy: [eV].
        beta: Relativistic v/c.
        gamma: Relativistic Lorentz factor.
        rf_frequency: [Hz], None without RF.
        harmonic_number: None without RF.
        lattice_hash: SHA-256 over the lattice's elements, for metadata.
    """

    knobs: tuple[str, ...]
    monitors: tuple[str, ...]
    knob_s: FloatArray
    monitor_s: FloatArray
    values: FloatArray
    circumference: float
    energy: float
    beta: float
    gamma: float
    rf_frequency: float | None
    harmonic_number: int | None
    lattice_hash: str


@dataclass(frozen=True)
class Optics:
    """Linear optics at some places, in s order.

    Attributes:
        s: Position [m], (n,).
        beta: [m], (n, 2).
        alpha: (n, 2).
        phase: Phase advance from s = 0 [rad], (n, 2).
        dispersion: (eta_x [m], eta_px, eta_y [m], eta_py), (n, 4).
        orbit: Closed orbit, pyAT coordinates, (n, 6).
        tunes: Whole tunes, integer part included, (2,).
    """

    s: FloatArray
    beta: FloatArray
    alpha: FloatArray
    phase: FloatArray
    dispersion: FloatArray
    orbit: FloatArray
    tunes: FloatArray


@dataclass(frozen=True)
class Equilibrium:
    """Equilibrium with radiation.

    Attributes:
        emittances: Of the normal modes [m rad], (2,).
        energy_spread: rms, relative.
        bunch_length: rms [m].
        energy_loss: Per turn [eV].
        momentum_compaction: alpha_c.
        damping_times: (x, y, z) [s], (3,).
    """

    emittances: FloatArray
    energy_spread: float
    bunch_length: float
    energy_loss: float
    momentum_compaction: float
    damping_times: FloatArray


class Engine(Protocol):
    """A lattice with knobs, computed lazily and only once for each state.

    Every product raises :class:`acctwin.errors.BeamLost` when there is no closed
    orbit or the optics are unstable, and works again once the state allows it.
    """

    @property
    def layout(self) -> Layout:
        """What is in the lattice."""
        ...

    def set(self, knobs: Sequence[str] | np.ndarray, values: FloatArray) -> int:
        """Set knobs, by name or by index; compute nothing; return the new version.

        The version does not change when no value does.
        """
        ...

    def values(self) -> FloatArray:
        """Return the present strengths, (n_knobs,)."""
        ...

    def orbit(self) -> FloatArray:
        """Return x, y at the monitors [m], (n_monitors, 2)."""
        ...

    def tunes(self) -> FloatArray:
        """Return qx, qy with integer part, and qs (0 without RF), (3,)."""
        ...

    def chromaticity(self) -> FloatArray:
        """Return dQ/d(Δp/p) in x and y, (2,)."""
        ...

    def dispersion(self) -> FloatArray:
        """Return eta_x, eta_y at the monitors [m], (n_monitors, 2)."""
        ...

    def optics(self, everywhere: bool = False) -> Optics:
        """Return the optics at the monitors, or at every element boundary."""
        ...

    def optics_with(
        self, knobs: Sequence[str] | np.ndarray, values: FloatArray
    ) -> Optics:
        """Return the optics at the monitors if knobs were set so; they stay."""
        ...

    def linear_with(
        self,
        actuators: Sequence[str],
        knobs: Sequence[str] | np.ndarray,
        values: FloatArray,
    ) -> Linear:
        """Return responses at all monitors if knobs were set so; they stay."""
        ...

    def equilibrium(self) -> Equilibrium:
        """Return emittances and the like (slow: about a second)."""
        ...

    def touschek_lifetime(self, bunch_current: float, how: Touschek) -> float:
        """Return the Touschek lifetime [s]."""
        ...

    def injection_efficiency(self, bunch: InjectedBunch) -> float:
        """Return which part of an injected bunch survives, 0 to 1."""
        ...

    def orbit_response(self, knobs: Sequence[str] | None = None) -> FloatArray:
        """Return d(x at all monitors, then y at all)/d(knob), (2·n_monitors, n).

        Args:
            knobs: Kick knobs and ``"rf"``; default: all kick knobs.
        """
        ...

    def crossed_response(self, knobs: Sequence[str]) -> FloatArray:
        """Return the same for knobs turned by 90° from x to y; 0 for the RF."""
        ...

    def trajectory_response(self, knobs: Sequence[str] | None = None) -> FloatArray:
        """Return the same for the first turn: nothing upstream of a knob moves."""
        ...

    def slip_factor(self) -> float:
        """Return η = αc − 1/γ²: a turn is longer in time by η·δ."""
        ...

    def local_optics(self, places: Sequence[str]) -> LocalOptics:
        """Return the optics at monitors, or averaged along knobs' elements."""
        ...

    def tune_response(self, knobs: Sequence[str]) -> FloatArray:
        """Return dQ/d(b1 knob) in x and y, (2, n)."""
        ...

    def chromaticity_response(self, knobs: Sequence[str]) -> FloatArray:
        """Return d(dQ/dδ)/d(b2 knob) in x and y, (2, n)."""
        ...

    def place_response(self, places: Sequence[str], knobs: Sequence[str]) -> FloatArray:
        """Return d(x, px, y, py)/d(knob), (4, n_places, n).

        A place is a monitor, or the entrance of the elements of a knob.
        """
        ...

    def coupling_response(
        self, monitors: Sequence[str], knobs: Sequence[str], skews: Sequence[str]
    ) -> FloatArray:
        """Return d(:meth:`orbit_response`)/d(a1 knob), (2·n_mon, n, n_skews)."""
        ...

    def gradient_factors(
        self, monitors: Sequence[str], knobs: Sequence[str], gradients: Sequence[str]
    ) -> Factors:
        """Return d(:meth:`orbit_response`)/d(b1 or a1 knob) as factors."""
        ...

    def turn_by_turn(self, turns: int, kick: tuple[float, float]) -> FloatArray:
        """Return x, y at the monitors after one kick [m], (turns, n_monitors, 2).

        Args:
            turns: How many turns; the kick is in the first.
            kick: Horizontal and vertical kick at the pinger [rad].
        """
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...
