"""Is the FODO ring fit for its users? ``session.run(morning_check(machine))``."""

from bluesky.utils import MsgGenerator, plan

from acctwin import plans
from acctwin.devices import Machine

INJECTION = ("C01/BPM1", "C16/BPM2")


@plan
def morning_check(
    machine: Machine, *, worst_rms_m: float = 0.5e-3, worst_injection_m: float = 1e-3
) -> MsgGenerator[list[str]]:
    """Measure the orbit; return what is wrong, [] when all is well."""
    orbit = yield from plans.measure_orbit(machine, readings=3)
    found = [
        f"the {plane} orbit is {rms * 1e6:.0f} µm rms, more than {worst_rms_m * 1e6:g}"
        for plane, rms in zip("xy", orbit.rms, strict=True)
        if rms > worst_rms_m
    ]
    found += [
        f"the beam is {x * 1e6:.0f} µm off at {name}, next to the injection"
        for name, x in zip(orbit.names, orbit.x, strict=True)
        if name in INJECTION and abs(x) > worst_injection_m
    ]
    missing = set(INJECTION).difference(orbit.names)
    return found + [f"{name} is out of service" for name in sorted(missing)]
