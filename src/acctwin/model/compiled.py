"""A lattice made ready for setting: knobs are array writes, the RF is a number.

4D or 6D is decided here: where the cavities can make up the energy loss, the beam
radiates and the cavities are phased for it (6D); else the energy is fixed (4D).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import at
import numpy as np

from acctwin.errors import EngineError
from acctwin.model.channels import KICKS, check_writes, open_channels
from acctwin.model.engine import EngineSpec, Layout
from acctwin.model.lattice import elements_of, open_lattice, places_of
from acctwin.model.pyat import Element, Lattice
from acctwin.model.turns import Tracker
from acctwin.names import Component, FloatArray

RF = "rf"

#: Elements shorter than this [m] stand for a kick, not for a field. What they radiate
#: goes as kick²/length, without end as the length goes to nothing.
THIN = 1e-5


class CompiledRing:
    """The lattice of an engine, with numbers that can be written at any time.

    Args:
        spec: The engine's specification.

    Attributes:
        ring: The lattice, errors included.
        tracker: Tracks turns of it.
        layout: What is in it.
        dimensions: 4 or 6.
        channels: Of each knob; none for the RF.
        components: Of each knob.
        monitors: Index of the element of each monitor, (n_monitors,).
        pinger: Index of the element at whose entrance the beam is kicked.
        boundaries: Position of every element boundary [m], (n_elements + 1,).
        is_kick: Which knobs leave the optics alone to first order: steerers and the
            RF, (n_knobs,).
        values: Present strengths, (n_knobs,).
        alignment: Fraction of the misalignments that is applied, 0 to 1.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self.ring = ring = open_lattice(spec.lattice)
        digest = lattice_hash(ring)
        self._cavities = _cavities(ring)
        self.dimensions = _choose_dimensions(ring, self._cavities)
        places = places_of(ring)
        members = [elements_of(ring, knob.element, places) for knob in spec.knobs]
        components: list[Component] = [knob.component for knob in spec.knobs]
        channels, values = open_channels(ring, members, components)
        self.channels = check_writes(ring, channels, components)
        self.components = tuple(components)
        monitors = [elements_of(ring, m.element, places)[0] for m in spec.monitors]
        self.monitors = np.array(monitors, dtype=np.int64)
        self.pinger = 0
        if spec.pinger is not None:
            self.pinger = elements_of(ring, spec.pinger, places)[0]
        self._shifts = _shifts(ring, spec, places)
        self.tracker = Tracker(ring)
        self.alignment = 0.0
        self.align(1.0)
        self.boundaries = np.array(ring.get_s_pos(range(len(ring) + 1)))
        self.layout = self._layout(spec, members, values, digest)
        self.values = self.layout.values.copy()
        kicks = [component in KICKS for component in components]
        self.is_kick = np.array(kicks + [True] * self.has_rf, dtype=bool)

    @property
    def has_rf(self) -> bool:
        """Whether the last knob is the RF frequency."""
        return self.dimensions == 6

    def write(self, knobs: np.ndarray, values: FloatArray) -> None:
        """Set some knobs, by index; nothing is computed."""
        nominal = self.layout.values
        for knob, value in zip(knobs.tolist(), values.tolist(), strict=True):
            if self.has_rf and knob == len(self.channels):
                self._write_frequency(value)
                continue
            change = value - nominal[knob]
            for channel in self.channels[knob]:
                channel.array[channel.index] = channel.base + channel.gain * change
                if not channel.is_seen:
                    self.tracker.invalidate()
        self.values[knobs] = values

    def write_all(self, values: FloatArray) -> None:
        """Set all knobs that differ."""
        knobs = np.flatnonzero(self.values != values)
        self.write(knobs, values[knobs])

    def align(self, fraction: float) -> None:
        """Apply a fraction of the misalignments."""
        if fraction == self.alignment:
            return
        for element, own, shift in self._shifts:
            dx, dy, tilt = own + fraction * shift
            at.transform_elem(element, dx=dx, dy=dy, tilt=tilt)
            self.tracker.invalidate()
        self.alignment = fraction

    def lengthening(self) -> FloatArray:
        """Return what a turn must add to the coordinates to be closed, (6,).

        The RF frequency fixes the time of a turn, hence how much longer its path
        is than the design one: β·c·h/f − C [m].
        """
        gap = np.zeros(6)
        if self.has_rf:
            layout = self.layout
            wavelength = layout.beta * at.constants.clight / self.values[-1]
            gap[5] = (layout.harmonic_number or 0) * wavelength - layout.circumference
        return gap

    def lengthening_slope(self) -> FloatArray:
        """Return d(:meth:`lengthening`)/d(RF frequency) [m/Hz], (6,)."""
        slope = np.zeros(6)
        if self.has_rf:
            speed = self.layout.beta * at.constants.clight
            slope[5] = (
                -(self.layout.harmonic_number or 0) * speed / self.values[-1] ** 2
            )
        return slope

    def _write_frequency(self, frequency: float) -> None:
        """Set the cavities' attribute.

        pyAT's cache keeps the old frequency until it is read again, which moves the
        phase of the bunch by less than a ten-millionth of the RF wavelength; what
        matters, the time of a turn, is in :meth:`lengthening`.
        """
        main = self._cavities[0].Frequency
        for cavity in self._cavities:
            cavity.Frequency = cavity.Frequency * (frequency / main)

    def _layout(
        self,
        spec: EngineSpec,
        members: Sequence[Sequence[int]],
        values: FloatArray,
        digest: str,
    ) -> Layout:
        ring, ends = self.ring, self.boundaries
        middles = np.array([(ends[m[0]] + ends[m[-1] + 1]) / 2 for m in members])
        names = tuple(knob.name for knob in spec.knobs)
        frequency = harmonic = None
        if self.has_rf:
            frequency = float(self._cavities[0].Frequency)
            speed = ring.beta * at.constants.clight
            harmonic = round(frequency * ends[-1] / speed)
            names, middles = (*names, RF), np.append(middles, 0.0)
            values = np.append(values, frequency)
        return Layout(
            knobs=names,
            monitors=tuple(monitor.name for monitor in spec.monitors),
            knob_s=middles,
            monitor_s=ends[self.monitors],
            values=values,
            circumference=float(ends[-1]),
            energy=float(ring.energy),
            beta=float(ring.beta),
            gamma=float(ring.gamma),
            rf_frequency=frequency,
            harmonic_number=harmonic,
            lattice_hash=digest,
        )


def lattice_hash(ring: Lattice) -> str:
    """Return SHA-256 over everything that defines the elements of a lattice."""
    digest = hashlib.sha256(f"{ring.energy!r} {ring.particle!r}".encode())
    for element in ring:
        digest.update(type(element).__name__.encode())
        for name, value in sorted(element.to_dict().items()):
            content = value.tobytes() if isinstance(value, np.ndarray) else repr(value)
            text = content.encode() if isinstance(content, str) else content
            digest.update(name.encode() + b"=" + text + b";")
    return digest.hexdigest()


def _cavities(ring: Lattice) -> list[at.RFCavity]:
    """Return the cavities, those of the lowest frequency first."""
    found = [element for element in ring if isinstance(element, at.RFCavity)]
    return sorted(found, key=lambda cavity: cavity.Frequency)


def _choose_dimensions(ring: Lattice, cavities: Sequence[at.RFCavity]) -> int:
    main = [c for c in cavities if c.Frequency == cavities[0].Frequency]
    if not main or sum(c.Voltage for c in main) <= ring.get_energy_loss():
        ring.disable_6d()
        return 4
    ring.enable_6d()
    _darken_thin(ring)
    is_main = [any(element is c for c in main) for element in ring]
    ring.set_cavity_phase(method=at.ELossMethod.INTEGRAL, cavpts=np.array(is_main))
    return 6


def _darken_thin(ring: Lattice) -> None:
    """Take the radiation from elements that are too short to be a magnet."""
    for element in ring:
        if element.Length < THIN and element.PassMethod.endswith("RadPass"):
            element.set_longt_motion(False, new_pass="auto")


def _shifts(
    ring: Lattice, spec: EngineSpec, places: dict[str, list[int]]
) -> list[tuple[Element, FloatArray, FloatArray]]:
    """Return elements that move: their own dx, dy, tilt, and what is added."""
    total: dict[int, FloatArray] = {}
    for error in spec.misalignments:
        shift = np.array([error.dx, error.dy, error.roll])
        for i in elements_of(ring, error.element, places):
            total[i] = total.get(i, np.zeros(3)) + shift
    moved = []
    for i, shift in total.items():
        element = ring[i]
        if not hasattr(element, "Length") or isinstance(element, at.RFCavity):
            raise EngineError(f"lattice element {element.FamName!r} cannot move")
        own = np.array([element.dx, element.dy, element.tilt], dtype=float)
        moved.append((element, own, shift))
    return moved
