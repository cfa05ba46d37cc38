"""From the checked YAML file to the frozen values that the other layers see."""

from __future__ import annotations

import math
from dataclasses import replace

from acctwin.defaults import Defaults
from acctwin.profiles.document import Document
from acctwin.profiles.imperfections import BpmSpread, Imperfections, MagnetSpread
from acctwin.profiles.injection import InjectedBunch
from acctwin.profiles.profile import (
    Diagnostics,
    ElementRef,
    KickRow,
    Origin,
    PingerRow,
    RfRow,
    Simulation,
)
from acctwin.profiles.schema import (
    DiagnosticsSection,
    ImperfectionsSection,
    Injection,
    Kick,
    Pinger,
    ProfileFile,
    Rf,
    TouschekSection,
)
from acctwin.profiles.schema_defaults import DefaultsSection
from acctwin.profiles.templates import TemplateError, parse_element
from acctwin.profiles.touschek import Touschek


def to_rf(rf: Rf | None, document: Document) -> RfRow | None:
    """Return the RF row, or None where the machine has no RF."""
    if rf is None:
        return None
    return RfRow(
        name=rf.name,
        low=rf.low_hz,
        high=rf.high_hz,
        tolerance=rf.tolerance_hz,
        delta=rf.delta_hz,
        origin=Origin(document.file, document.keys[("rf",)][0]),
    )


def to_pinger(pinger: Pinger | None, document: Document) -> PingerRow | None:
    """Return the pinger; None where there is none, or its element is none."""
    if pinger is None:
        return None
    try:
        pattern = parse_element(pinger.element)
    except TemplateError:  # a fault already
        return None
    line, column = document.values[("pinger", "element")]
    return PingerRow(
        element=ElementRef(pattern.family, pattern.start),
        x=_to_kick(pinger.x, document, "x"),
        y=_to_kick(pinger.y, document, "y"),
        origin=Origin(document.file, line, (("element", column),)),
    )


def _to_kick(kick: Kick | None, document: Document, plane: str) -> KickRow | None:
    if kick is None:
        return None
    return KickRow(
        name=kick.name,
        low=kick.low_rad,
        high=kick.high_rad,
        tolerance=kick.tolerance_rad,
        delta=kick.delta_rad,
        origin=Origin(document.file, document.keys[("pinger", plane)][0]),
    )


def to_diagnostics(section: DiagnosticsSection) -> Diagnostics:
    """Return which further instruments there are."""
    return Diagnostics(**section.model_dump())


def to_imperfections(section: ImperfectionsSection) -> Imperfections:
    """Return the imperfections."""
    magnets = tuple(
        MagnetSpread(
            families=tuple(item.families),
            dx=item.dx_m,
            dy=item.dy_m,
            roll=item.roll_rad,
            scale=item.scale,
        )
        for item in section.magnets
    )
    bpms = section.bpms
    return Imperfections(
        magnets=magnets,
        bpms=BpmSpread(
            bpms.offset_m,
            bpms.gain,
            bpms.roll_rad,
            bpms.noise_m,
            bpms.noise_turn_m,
        ),
        tune_noise=section.tune_noise,
        current_noise_a=section.current_noise_a,
        cut=section.cut,
        emittance_noise=section.emittance_noise,
        injection_noise=section.injection_noise,
        lifetime_noise=section.lifetime_noise,
    )


def to_injection(section: Injection | None) -> InjectedBunch | None:
    """Return what is injected; None where that is not measured."""
    if section is None:
        return None
    apertures = (section.aperture_x_m, section.aperture_y_m)
    aperture_x, aperture_y = (math.inf if a is None else a for a in apertures)
    return InjectedBunch(
        x=section.x_m,
        xp=section.xp_rad,
        y=section.y_m,
        yp=section.yp_rad,
        size_x=section.size_x_m,
        divergence_x=section.divergence_x_rad,
        size_y=section.size_y_m,
        divergence_y=section.divergence_y_rad,
        energy_spread=section.energy_spread,
        length=section.length_m,
        aperture_x=aperture_x,
        aperture_y=aperture_y,
        particles=section.particles,
        turns=section.turns,
    )


def to_defaults(section: DefaultsSection) -> Defaults:
    """Return the plans' defaults; the keys have the names of the fields."""
    plain = Defaults()
    parts = {
        name: replace(getattr(plain, name), **getattr(section, name).model_dump())
        for name in DefaultsSection.model_fields
    }
    return Defaults(**parts)


def to_simulation(file: ProfileFile) -> Simulation:
    """Return how the simulated machine behaves in time."""
    beam = file.beam
    return Simulation(
        **file.simulation.model_dump(),
        lifetime_s=math.inf if beam.lifetime_h is None else 3600.0 * beam.lifetime_h,
        refill_a=beam.refill_ma / 1000.0,
        touschek=_to_touschek(beam.touschek),
    )


def _to_touschek(section: TouschekSection | None) -> Touschek | None:
    return None if section is None else Touschek(**section.model_dump())
