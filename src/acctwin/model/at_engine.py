"""The physics engine on unmodified pyAT: exact, and quick enough to be live.

Products are computed when they are asked for, and once for each state: the orbit
from one-particle turns, everything linear from one turn of 12 particles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from acctwin.analysis.factors import Factors
from acctwin.analysis.loco.gains import Linear
from acctwin.analysis.optics import LocalOptics
from acctwin.errors import BeamLost, LimitError, UnknownName
from acctwin.model import local, response
from acctwin.model.chromaticity import chromaticity_of, slip_factor_of
from acctwin.model.compiled import RF, CompiledRing
from acctwin.model.engine import EngineSpec, Equilibrium, Layout, Optics
from acctwin.model.equilibrium import equilibrium_of
from acctwin.model.gradients import gradient_factors
from acctwin.model.injection import injection_efficiency
from acctwin.model.lifetime import touschek_lifetime
from acctwin.model.matrices import TurnMap
from acctwin.model.optics import Modes, modes_of, optics_at
from acctwin.model.orbit import Anchor, OrbitFinder
from acctwin.model.pieces import Pieces, check_component, monitors_of, pieces_of
from acctwin.model.pyat import Lattice
from acctwin.model.turn_by_turn import turn_by_turn
from acctwin.names import FloatArray, IntArray
from acctwin.profiles.injection import InjectedBunch
from acctwin.profiles.touschek import Touschek

T = TypeVar("T")

#: Where one of these fails there is no beam, hence nothing else either.
BEAM = ("anchor", "maps", "modes")


class AtEngine:
    """A lattice with knobs; see :class:`acctwin.model.engine.Engine`.

    Arrays that are returned belong to the engine and cannot be written.

    Args:
        spec: Lattice, knobs, monitors and misalignments.

    Raises:
        EngineError: The lattice cannot be read, or does not have what is asked.
        UnknownName: The lattice has no such element.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._ring = CompiledRing(spec)
        self._finder = OrbitFinder(self._ring)
        self._index = {name: i for i, name in enumerate(self._ring.layout.knobs)}
        self._version = 0
        self._products: dict[object, Any] = {}
        self._failures: dict[object, str] = {}
        self._lost: str | None = None

    @property
    def layout(self) -> Layout:
        """What is in the lattice."""
        return self._ring.layout

    @property
    def turns(self) -> int:
        """Turns tracked so far; for tests of laziness."""
        return self._ring.tracker.turns

    def set(self, knobs: Sequence[str] | np.ndarray, values: FloatArray) -> int:
        """Set knobs, by name or by index; compute nothing; return the new version.

        Raises:
            LimitError: A value is not a finite number; nothing was set.
            UnknownName: There is no such knob; nothing was set.
        """
        chosen = self._indices(knobs)
        wanted = np.atleast_1d(np.asarray(values, dtype=float))
        if wanted.shape != chosen.shape:
            raise LimitError(f"{len(chosen)} knobs but {len(wanted)} values")
        bad = np.flatnonzero(~np.isfinite(wanted))
        if len(bad):
            names = ", ".join(self.layout.knobs[chosen[b]] for b in bad[:5])
            raise LimitError(f"not a finite number for {names}")
        moved = self._ring.values[chosen] != wanted
        if np.any(moved):
            self._ring.write(chosen[moved], wanted[moved])
            self._version += 1
            self._products.clear()
            self._failures.clear()
            self._lost = None
        return self._version

    def values(self) -> FloatArray:
        """Return the present strengths, (n_knobs,)."""
        return self._ring.values.copy()

    def orbit(self) -> FloatArray:
        """Return x, y at the monitors [m], (n_monitors, 2)."""
        return self._product("orbit", lambda: self._anchor().monitors)

    def tunes(self) -> FloatArray:
        """Return qx, qy with integer part, and qs (0 without RF), (3,)."""
        return self._product("tunes", lambda: self._modes().tunes)

    def chromaticity(self) -> FloatArray:
        """Return dQ/d(Δp/p) in x and y, (2,)."""
        return self._product(
            "chromaticity", lambda: chromaticity_of(self._ring, self._maps())
        )

    def dispersion(self) -> FloatArray:
        """Return eta_x, eta_y at the monitors [m], (n_monitors, 2)."""
        return self._product(
            "dispersion", lambda: self.optics().dispersion[:, [0, 2]].copy()
        )

    def optics(self, everywhere: bool = False) -> Optics:
        """Return the optics at the monitors, or at every element boundary."""
        return self._product(("optics", everywhere), lambda: self._optics(everywhere))

    def optics_with(
        self, knobs: Sequence[str] | np.ndarray, values: FloatArray
    ) -> Optics:
        """Return the optics at the monitors if knobs were set so; they stay."""
        with self._as_if(knobs, values):
            return self.optics()

    def linear_with(
        self,
        actuators: Sequence[str],
        knobs: Sequence[str] | np.ndarray,
        values: FloatArray,
    ) -> Linear:
        """Return responses at all monitors if knobs were set so; they stay."""
        with self._as_if(knobs, values):
            return Linear(
                self.orbit_response(actuators),
                self.crossed_response(actuators),
                self.dispersion().T.ravel(),
            )

    @contextmanager
    def _as_if(
        self, knobs: Sequence[str] | np.ndarray, values: FloatArray
    ) -> Iterator[None]:
        chosen = self._indices(knobs)
        before = self._ring.values[chosen]
        try:
            self.set(chosen, values)
            yield
        finally:
            self.set(chosen, before)

    def equilibrium(self) -> Equilibrium:
        """Return emittances and the like (slow: about a second).

        Raises:
            EngineError: The cavities cannot make up the energy loss.
        """
        return self._product(
            "equilibrium", lambda: equilibrium_of(self._ring, self._maps())
        )

    def touschek_lifetime(self, bunch_current: float, how: Touschek) -> float:
        """Return the Touschek lifetime [s] (slow: seconds).

        Raises:
            EngineError: The cavities cannot make up the energy loss.
        """
        return self._product(
            ("touschek", bunch_current, how),
            lambda: touschek_lifetime(
                self._ring,
                self._anchor().start,
                self.equilibrium(),
                bunch_current,
                how,
            ),
        )

    def injection_efficiency(self, bunch: InjectedBunch) -> float:
        """Return which part of an injected bunch survives, 0 to 1."""
        return self._product(
            ("injection", bunch),
            lambda: injection_efficiency(self._ring, self._anchor().start, bunch),
        )

    def orbit_response(self, knobs: Sequence[str] | None = None) -> FloatArray:
        """Return d(x at all monitors, then y at all)/d(knob), (2·n_monitors, n).

        Args:
            knobs: Any knobs; default: all kick knobs, without the RF.
        """
        chosen = self._response_knobs(knobs)
        return self._product(
            ("orbit_response", *chosen.tolist()),
            lambda: response.orbit_response(
                self._ring, self._maps(), self._sources(chosen), chosen
            ),
        )

    def crossed_response(self, knobs: Sequence[str]) -> FloatArray:
        """Return the same for knobs turned by 90° from x to y; 0 for the RF."""
        chosen = self._indices(knobs)
        turned = response.turned(self._sources(chosen))
        matrix = response.orbit_response(self._ring, self._maps(), turned, chosen)
        return np.where(chosen == self._index.get(RF, -1), 0.0, matrix)

    def trajectory_response(self, knobs: Sequence[str] | None = None) -> FloatArray:
        """Return the same for the first turn: nothing upstream of a knob moves."""
        chosen = self._response_knobs(knobs)
        return self._product(
            ("trajectory_response", *chosen.tolist()),
            lambda: response.trajectory_response(
                self._ring, self._maps(), self._sources(chosen)
            ),
        )

    def slip_factor(self) -> float:
        """Return η = αc − 1/γ²: a turn is longer in time by η·δ."""
        return self._product(
            "slip_factor", lambda: slip_factor_of(self._ring, self._maps())
        )

    def local_optics(self, places: Sequence[str]) -> LocalOptics:
        """Return the optics at monitors, or averaged along knobs' elements."""
        pieces = pieces_of(self._ring, places)
        return local.local_optics(pieces, self._optics_around(pieces))

    def tune_response(self, knobs: Sequence[str]) -> FloatArray:
        """Return dQ/d(b1 knob) in x and y, (2, n).

        Raises:
            PlanError: A knob is not a quadrupole strength.
        """
        check_component(self._ring, self._indices(knobs), "the tunes", "b1")
        pieces = pieces_of(self._ring, knobs)
        return local.tune_response(pieces, self._optics_around(pieces))

    def chromaticity_response(self, knobs: Sequence[str]) -> FloatArray:
        """Return d(dQ/dδ)/d(b2 knob) in x and y, (2, n).

        Raises:
            PlanError: A knob is not a sextupole strength.
        """
        check_component(self._ring, self._indices(knobs), "the chromaticity", "b2")
        pieces = pieces_of(self._ring, knobs)
        return local.chromaticity_response(pieces, self._optics_around(pieces))

    def place_response(self, places: Sequence[str], knobs: Sequence[str]) -> FloatArray:
        """Return d(x, px, y, py)/d(knob), (4, n_places, n).

        A place is a monitor, or the entrance of the elements of a knob.
        """
        chosen, entrances = self._indices(knobs), pieces_of(self._ring, places)
        return response.moved_at(
            self._ring,
            self._maps(),
            self._sources(chosen),
            chosen,
            entrances.entrances,
        )[:4]

    def coupling_response(
        self, monitors: Sequence[str], knobs: Sequence[str], skews: Sequence[str]
    ) -> FloatArray:
        """Return d(orbit response)/d(a1 knob), (2·n_mon, n, n_skews).

        Raises:
            PlanError: A skew is not a skew quadrupole strength.
        """
        check_component(self._ring, self._indices(skews), "the coupling", "a1")
        return self.gradient_factors(monitors, knobs, skews).dense()

    def gradient_factors(
        self, monitors: Sequence[str], knobs: Sequence[str], gradients: Sequence[str]
    ) -> Factors:
        """Return d(orbit response)/d(b1 or a1 knob) as factors.

        Raises:
            PlanError: A gradient is neither a quadrupole nor a skew strength.
        """
        chosen, changed = self._indices(knobs), self._indices(gradients)
        check_component(self._ring, changed, "the optics", "b1", "a1")
        return gradient_factors(
            self._ring,
            self._maps(),
            monitors_of(self._ring, monitors),
            chosen,
            self._sources(chosen),
            changed,
        )

    def turn_by_turn(self, turns: int, kick: tuple[float, float]) -> FloatArray:
        """Return x, y at the monitors after one kick [m], (turns, n_monitors, 2).

        Args:
            turns: How many turns; the kick is in the first.
            kick: Horizontal and vertical kick at the pinger [rad].
        """
        return turn_by_turn(self._ring, self._anchor().start, turns, kick)

    def ring_copy(self) -> Lattice:
        """Return a deep copy of the true lattice, errors included (for tests)."""
        return self._ring.ring.deepcopy()

    def close(self) -> None:
        """Free what the engine holds."""
        self._products.clear()

    def _product(self, name: object, compute: Callable[[], T]) -> T:
        """Return a product of the present state, computed once."""
        reason = self._lost or self._failures.get(name)
        if reason is not None:
            raise BeamLost(reason)
        if name not in self._products:
            try:
                product = compute()
            except BeamLost as lost:
                self._failures[name] = str(lost)
                if name in BEAM:
                    self._lost = str(lost)
                raise
            if isinstance(product, np.ndarray):
                product.flags.writeable = False
            self._products[name] = product
        return self._products[name]

    def _anchor(self) -> Anchor:
        return self._product("anchor", self._finder.find)

    def _maps(self) -> TurnMap:
        return self._product("maps", lambda: self._finder.exact_maps(self._anchor()))

    def _modes(self) -> Modes:
        return self._product("modes", lambda: modes_of(self._maps()))

    def _sources(self, knobs: IntArray) -> response.Sources:
        return self._product(
            ("sources", *knobs.tolist()),
            lambda: response.sources_of(self._ring, self._maps(), knobs),
        )

    def _optics(self, everywhere: bool) -> Optics:
        ring = self._ring
        places = slice(None) if everywhere else ring.monitors
        return optics_at(self._maps(), self._modes(), places, ring.boundaries[places])

    def _optics_around(self, pieces: Pieces) -> Optics:
        places, ring = pieces.boundaries, self._ring
        return optics_at(self._maps(), self._modes(), places, ring.boundaries[places])

    def _indices(self, knobs: Sequence[str] | np.ndarray) -> IntArray:
        if isinstance(knobs, np.ndarray) and knobs.dtype.kind in "iu":
            return knobs.astype(np.int64)
        for name in knobs:
            if name not in self._index:
                raise UnknownName("knob", str(name), self._index)
        return np.array([self._index[str(name)] for name in knobs], dtype=np.int64)

    def _response_knobs(self, knobs: Sequence[str] | None) -> IntArray:
        if knobs is not None:
            return self._indices(knobs)
        kicks = np.flatnonzero(self._ring.is_kick)
        return kicks[kicks != self._index.get(RF, -1)]
