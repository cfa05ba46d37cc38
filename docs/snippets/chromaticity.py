"""How-to: dispersion, the RF, chromaticity."""

from pathlib import Path

import acctwin
from acctwin import plans

session = acctwin.open_session("fodo", seed=1, catalog="temporary")
machine = session.machine

# [dispersion]
dispersion = session.run(plans.measure_dispersion(machine, readings=5))
print("largest:", dispersion.eta_x.max(), "m, error", dispersion.sigma_x.max())
print("in hardware units:", dispersion.per_mhz_x.min(), "mm/MHz")
# [curve]
curved = session.run(plans.measure_dispersion(machine, delta_hz=2e5, points=5))
print("second order [m]:", abs(curved.second_x).max())
# [dispersion-plot]
from acctwin.plots.chromaticity import draw_chromaticity  # noqa: E402
from acctwin.plots.dispersion import draw_dispersion  # noqa: E402
from acctwin.plots.figure import new_figure, save  # noqa: E402

figure, (above, below) = new_figure(2)
draw_dispersion(above, dispersion)
# [dispersion-end]

# [set-rf]
rf = session.run(plans.set_rf(machine, 498.325e6, max_step_hz=10e3))
print(rf.before_hz, "->", rf.after_hz, "Hz in", rf.steps, "steps")
# [center]
session.run(plans.correct_orbit(machine))
centred = session.run(plans.center_rf(machine, readings=5))
print("momentum offset:", centred.delta, "of which in sight:", centred.orbit_delta)
print("moved by", centred.change_hz, "Hz;", centred.stopped)
session.run(plans.correct_orbit(machine))
# [center-end]

# [measure]
before = session.run(plans.measure_chromaticity(machine))
print(f"{before.xi_x:.3f} ± {before.sigma_x:.3f}, {before.xi_y:.3f}")
print("second order:", before.orders[:, 1])
# [chromaticity-plot]
draw_chromaticity(below, before)
save(figure, Path("chromaticity.png"))
# [set]
done = session.run(plans.set_chromaticity(machine, 2.0, 2.0))
print(done.reached, done.stopped, done.history)
print(dict(zip(done.knobs, done.steps.tolist(), strict=True)))
# [response]
response = session.run(plans.measure_chromaticity_response(machine, ["SF", "SD"]))
print(response.matrix, response.units)
done = session.run(plans.set_chromaticity(machine, 1.0, 1.0, response=response))
# [again]
from acctwin.plans.momentum.chromaticity import analyse  # noqa: E402

print(analyse(session.store.run(before.uid)).xi == before.xi)
# [end]
session.close()
