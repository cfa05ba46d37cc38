"""A small FODO ring in code, with the classical names: QF, QD, SF, SD, BEND.

16 cells, 75.2 m, 1.5 GeV; tunes 4.22 / 3.31, chromaticities +1 / +1, momentum
compaction 0.063, energy loss 73 keV. No file, so no licence, and quick to compute.
"""

from __future__ import annotations

import math

import at

from acctwin.model.pyat import Element, Lattice

CELLS = 16
ENERGY_EV = 1.5e9
HARMONIC_NUMBER = 125
RF_VOLTAGE_V = 1e6
BEND_LENGTH_M = 1.2
BEND_ANGLE = math.pi / CELLS
QUADRUPOLE_LENGTH_M = 0.3
SEXTUPOLE_LENGTH_M = 0.15
QF_K1, QD_K1 = 2.11616, -1.75536
SF_B2, SD_B2 = 3.4743, -5.2406


def fodo_ring() -> Lattice:
    """Return the ring: 257 elements, every one its own object."""
    elements = [element for _ in range(CELLS) for element in _cell()]
    length = sum(element.Length for element in elements)
    ring = at.Lattice(elements, name="fodo", energy=ENERGY_EV, periodicity=1)
    frequency = HARMONIC_NUMBER * at.constants.clight * ring.beta / length
    ring.append(
        at.RFCavity("RF", 0.0, RF_VOLTAGE_V, frequency, HARMONIC_NUMBER, ENERGY_EV)
    )
    return ring


def _cell() -> list[Element]:
    half = [("QF", QF_K1, "SF", SF_B2, "HCM"), ("QD", QD_K1, "SD", SD_B2, "VCM")]
    return [element for names in half for element in _half_cell(*names)]


def _half_cell(
    quadrupole: str, k1: float, sextupole: str, b2: float, corrector: str
) -> list[Element]:
    return [
        at.Monitor("BPM"),
        at.Quadrupole(quadrupole, QUADRUPOLE_LENGTH_M, k1),
        at.Corrector(corrector, 0.0, [0.0, 0.0]),
        at.Drift("D1", 0.15),
        at.Sextupole(sextupole, SEXTUPOLE_LENGTH_M, b2),
        at.Drift("D2", 0.2),
        at.Dipole(
            "BEND",
            BEND_LENGTH_M,
            BEND_ANGLE,
            EntranceAngle=BEND_ANGLE / 2,
            ExitAngle=BEND_ANGLE / 2,
        ),
        at.Drift("D3", 0.35),
    ]
