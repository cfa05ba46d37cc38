"""The design optics that an alignment needs: how kicks move the orbit, near and far."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from acctwin.names import FloatArray, IntArray


@dataclass(frozen=True)
class Sites:
    """Places in one plane, in s order.

    Attributes:
        beta: [m], (n,).
        alpha: (n,).
        phase: Phase advance from the beginning of the ring [rad], (n,).
        s: Position, of a magnet's middle [m], (n,).
        eta: Dispersion [m], (n,).
        eta_slope: Its derivative, (n,); needed at BPMs alone.
    """

    beta: FloatArray
    alpha: FloatArray
    phase: FloatArray
    s: FloatArray
    eta: FloatArray
    eta_slope: FloatArray

    def __len__(self) -> int:
        return len(self.beta)

    def __getitem__(self, chosen: IntArray) -> Sites:
        return Sites(*(column[chosen] for column in _columns(self)))

    def after(self, start: float, tune: float) -> Sites:
        """Return the same places with phases counted from another one, in [0, 2πQ)."""
        return replace(self, phase=(self.phase - start) % (2 * np.pi * tune))

    def joined(self, other: Sites) -> Sites:
        """Return these places and then the others."""
        pairs = zip(_columns(self), _columns(other), strict=True)
        return Sites(*(np.concatenate(pair) for pair in pairs))


def closed_orbit(
    seen: Sites, kicked: Sites, tune: float
) -> tuple[FloatArray, FloatArray]:
    """Return the closed orbit that kicks make, and its angle.

    x(s) = √(β β_k) / (2 sin πQ) · cos(|φ − φ_k| − πQ) · θ_k, and its derivative
    (S. Y. Lee, Accelerator Physics, section 2.III).

    Args:
        seen: Where the orbit is wanted.
        kicked: Where it is kicked.
        tune: Q.

    Returns:
        dx/dθ [m/rad] and dx'/dθ, (n_seen, n_kicked) each.
    """
    apart = seen.phase[:, None] - kicked.phase
    argument = np.abs(apart) - np.pi * tune
    scale = np.sqrt(kicked.beta) / (2.0 * np.sin(np.pi * tune))
    root = np.sqrt(seen.beta)[:, None]
    cos, sin = np.cos(argument), np.sign(apart) * np.sin(argument)
    return scale * root * cos, -scale / root * (seen.alpha[:, None] * cos + sin)


def trajectory(
    seen: Sites, kicked: Sites, start: Sites
) -> tuple[FloatArray, FloatArray]:
    """Return what betatron position and angle at a start, and others, make further on.

    The others are the beam's energy, and kicks after the start. The transfer matrix is
    written in terms of the Twiss functions (S. Y. Lee, section 2.II).

    Args:
        seen: Where it is wanted; phases from the start.
        kicked: Where it is kicked; phases from the start.
        start: The start, one place with phase 0.

    Returns:
        d(x)/d(x₀, x'₀, δ, θ…) and d(x')/d(x₀, x'₀, δ, θ…), (n_seen, 3 + n_kicked)
        each.
    """
    b0, a0 = start.beta[0], start.alpha[0]
    beta, alpha, phase = seen.beta, seen.alpha, seen.phase
    cos, sin = np.cos(phase), np.sin(phase)
    way = phase[:, None] - kicked.phase
    is_after = way > 1e-12
    lever = np.sqrt(beta[:, None] * kicked.beta) * np.sin(way)
    turned = np.cos(way) - alpha[:, None] * np.sin(way)
    turned = np.sqrt(kicked.beta / beta[:, None]) * turned
    x = [np.sqrt(beta / b0) * (cos + a0 * sin), np.sqrt(beta * b0) * sin, seen.eta]
    p = [
        -((1 + alpha * a0) * sin + (alpha - a0) * cos) / np.sqrt(beta * b0),
        np.sqrt(b0 / beta) * (cos - alpha * sin),
        seen.eta_slope,
    ]
    return (
        np.column_stack([*x, np.where(is_after, lever, 0.0)]),
        np.column_stack([*p, np.where(is_after, turned, 0.0)]),
    )


def thick_lever(gap: float, length: float, strength: float) -> float:
    """Return how far beyond a drift the centre of a quadrupole is felt [m].

    A beam whose mean position in a thick quadrupole is its centre has
    x = −lever · x' at the beginning of the drift: the drift plus tan(√K L/2)/√K, the
    hyperbolic tangent where the quadrupole defocuses.

    Args:
        gap: Length of the drift [m].
        length: Of the quadrupole, L [m].
        strength: K in this plane, positive if it focuses [1/m²].
    """
    root = np.sqrt(abs(strength))
    if root * length < 1e-3:
        return gap + length / 2
    tangent = np.tan if strength > 0.0 else np.tanh
    return float(gap + tangent(root * length / 2) / root)


def thick_share(length: float, strength: float) -> float:
    """Return the mean position in a quadrupole for a unit of x + lever · x' before it.

    sin(√K L)/(√K L), the hyperbolic sine where it defocuses; see :func:`thick_lever`.

    Args:
        length: L [m].
        strength: K in this plane, positive if it focuses [1/m²].
    """
    angle = np.sqrt(abs(strength)) * length
    if angle < 1e-3:
        return 1.0
    return float((np.sin(angle) if strength > 0.0 else np.sinh(angle)) / angle)


def _columns(sites: Sites) -> tuple[FloatArray, ...]:
    return tuple(getattr(sites, each.name) for each in fields(sites))
