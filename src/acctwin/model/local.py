"""Optics along the elements of a knob, and what follows from them.

Between the two ends of an element η and the phase are cubic in s (Hermite), with the
slopes η' and 1/β. β is quintic, with β' = −2α and β'' = 2(γ − Kβ), K the element's own
focusing without the edges of bends. With <…> the mean along a magnet of length L, to
first order (H. Wiedemann, Particle Accelerator Physics):

    dQ/db1 = ±<β>L/4π,   dξ/db2 = ±2<β·η_x>L/4π,   + for x, − for y.

A thin magnet's strength is integrated, and L is 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.analysis.optics import LocalOptics
from acctwin.model.engine import Optics
from acctwin.model.pieces import Pieces
from acctwin.names import FloatArray

#: Simpson's weights of entrance, middle and exit.
SIMPSON = np.array([1.0, 4.0, 1.0]) / 6


@dataclass(frozen=True)
class Along:
    """Optics at entrance, middle and exit of each of some elements.

    Attributes:
        length: [m], (n,).
        beta: [m], (3, n, 2).
        mean_beta: [m], (n, 2).
        dispersion: eta_x, eta_y [m], (3, n, 2).
        alpha: At the entrance, (n, 2).
        phase: At the middle [rad], (n, 2).
    """

    length: FloatArray
    beta: FloatArray
    mean_beta: FloatArray
    dispersion: FloatArray
    alpha: FloatArray
    phase: FloatArray


def along(pieces: Pieces, optics: Optics) -> Along:
    """Interpolate the optics along elements.

    Args:
        pieces: The elements.
        optics: At their boundaries.
    """
    places = pieces.boundaries
    a, b = (np.searchsorted(places, ends) for ends in (pieces.element, pieces.exits))
    length = optics.s[b] - optics.s[a]

    def middle(value: FloatArray, slope: FloatArray) -> FloatArray:
        change = (slope[a] - slope[b]) * length[:, None] / 8
        return (value[a] + value[b]) / 2 + change

    beta, slope = optics.beta, -2 * optics.alpha
    gamma = (1 + optics.alpha**2) / beta
    bend = length[:, None] ** 2 * 2 * (gamma[a] + gamma[b])
    bend -= length[:, None] ** 2 * 2 * pieces.focusing * (beta[a] + beta[b])
    tilt = length[:, None] * (slope[a] - slope[b])
    half = (beta[a] + beta[b]) / 2
    eta, eta_slope = optics.dispersion[:, [0, 2]], optics.dispersion[:, [1, 3]]
    return Along(
        length=length,
        beta=np.stack([beta[a], half + 5 * tilt / 32 + bend / 64, beta[b]]),
        mean_beta=half + tilt / 10 + bend / 120,
        dispersion=np.stack([eta[a], middle(eta, eta_slope), eta[b]]),
        alpha=optics.alpha[a],
        phase=middle(optics.phase, 1 / beta),
    )


def local_optics(pieces: Pieces, optics: Optics) -> LocalOptics:
    """Average the optics over all elements of each place, weighted by length.

    Args:
        pieces: The elements of the places.
        optics: At their boundaries.
    """
    here = along(pieces, optics)
    length = pieces.sums(here.length)
    # A place of thin elements only is the plain mean of them.
    weight = np.where(length[pieces.owner] > 0, here.length, 1.0)
    weight = weight / pieces.sums(weight)[pieces.owner]

    def mean(values: FloatArray) -> FloatArray:
        return pieces.sums(weight[:, None] * values)

    return LocalOptics(
        names=pieces.names,
        s=pieces.s,
        length=length,
        beta=mean(here.mean_beta),
        alpha=here.alpha[np.searchsorted(pieces.owner, np.arange(len(length)))],
        phase=mean(here.phase),
        dispersion=mean(np.tensordot(SIMPSON, here.dispersion, 1)),
        tunes=optics.tunes,
    )


def tune_response(pieces: Pieces, optics: Optics) -> FloatArray:
    """Return dQ/d(b1) in x and y of each knob, (2, n_knobs)."""
    here = along(pieces, optics)
    return _response(pieces, here, here.mean_beta)


def chromaticity_response(pieces: Pieces, optics: Optics) -> FloatArray:
    """Return d(dQ/dδ)/d(b2) in x and y of each knob, (2, n_knobs)."""
    here = along(pieces, optics)
    product = here.beta * here.dispersion[:, :, :1]
    return _response(pieces, here, 2 * np.tensordot(SIMPSON, product, 1))


def _response(pieces: Pieces, here: Along, mean: FloatArray) -> FloatArray:
    length = np.where(here.length > 0, here.length, 1.0)
    signs = np.array([1.0, -1.0]) / (4 * np.pi)
    return pieces.sums((pieces.gain * length)[:, None] * mean * signs).T
