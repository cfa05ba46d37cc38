"""Is the EBS ring fit for its users? ``session.run(morning_check(machine))``."""

from bluesky.utils import MsgGenerator, plan

from acctwin import plans
from acctwin.devices import Machine

INJECTION = ("SR/C04/BPM-01", "SR/C03/BPM-10")


@plan
def morning_check(
    machine: Machine, *, worst_rms_m: float = 0.1e-3, worst_noise_m: float = 1e-6
) -> MsgGenerator[list[str]]:
    """Measure orbit and noise; return what is wrong, [] when all is well."""
    noise = yield from plans.monitor_orbit(machine, readings=10)
    orbit = yield from plans.measure_orbit(machine, readings=3)
    found = [
        f"the {plane} orbit is {rms * 1e6:.0f} µm rms, more than {worst_rms_m * 1e6:g}"
        for plane, rms in zip("xy", orbit.rms, strict=True)
        if rms > worst_rms_m
    ]
    found += [
        f"{name} has {max(x, y) * 1e6:.1f} µm of noise"
        for name, x, y in zip(noise.names, noise.noise_x, noise.noise_y, strict=True)
        if max(x, y) > worst_noise_m
    ]
    missing = set(INJECTION).difference(orbit.names)
    return found + [f"{name} is out of service" for name in sorted(missing)]
