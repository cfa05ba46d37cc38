"""From the checked YAML file to the frozen values that the other layers see."""

from __future__ import annotations

from acctwin.defaults import (
    CorrectionDefaults,
    Defaults,
    OrbitDefaults,
    ResponseDefaults,
)
from acctwin.profiles.document import Document
from acctwin.profiles.profile import (
    BpmSpread,
    Imperfections,
    MagnetSpread,
    Origin,
    RfRow,
)
from acctwin.profiles.schema import DefaultsSection, ImperfectionsSection, Rf


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
        bpms=BpmSpread(bpms.offset_m, bpms.gain, bpms.roll_rad, bpms.noise_m),
        tune_noise=section.tune_noise,
        current_noise_a=section.current_noise_a,
        cut=section.cut,
    )


def to_defaults(section: DefaultsSection) -> Defaults:
    """Return the plans' defaults; the keys have the names of the fields."""
    return Defaults(
        orbit=OrbitDefaults(**section.orbit.model_dump()),
        response=ResponseDefaults(**section.response.model_dump()),
        correction=CorrectionDefaults(**section.correction.model_dump()),
    )
