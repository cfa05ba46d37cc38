"""How-to: measure and correct the coupling."""

from pathlib import Path

import acctwin
from acctwin import plans

session = acctwin.open_session("soleil", seed=1, catalog="temporary")
machine = session.machine

# [measure]
orbit = session.run(plans.measure_coupling(machine))
print(f"cross over direct response: {orbit.value:.5f} ± {orbit.sigma:.5f}")
print("vertical dispersion, rms [m]:", orbit.eta_y.std())
tunes = session.run(plans.measure_coupling(machine, method="tunes"))
print(f"|C⁻| = {tunes.value:.5f} ± {tunes.sigma:.5f}")
beam = session.run(plans.measure_coupling(machine, method="emittance", readings=10))
print(f"ey / ex = {beam.value:.5f} ± {beam.sigma:.5f}")
# [correct]
few = {"correctors": 4, "readings": 1}  # of each plane: quicker, for an example
preview = session.run(plans.set_coupling(machine, preview=True, **few))
print(f"would be {preview.after.value:.4f} with {preview.kept} singular values")
done = session.run(plans.set_coupling(machine, iterations=1, **few))
print(f"{done.before.value:.4f} → {done.after.value:.4f}; {done.stopped}")
again = session.run(plans.measure_coupling(machine, method="emittance", readings=10))
print("ey [m rad]:", beam.ey, "→", again.ey)
# [plot]
from acctwin.plots.coupling import (  # noqa: E402
    draw_closest_tunes,
    draw_skews,
    draw_vertical_dispersion,
)
from acctwin.plots.figure import new_figure, save  # noqa: E402

figure, axes = new_figure(3)
draw_closest_tunes(axes[0], tunes)
draw_vertical_dispersion(axes[1], done.before, done.after)
draw_skews(axes[2], done)
save(figure, Path("coupling.png"))
# [undo]
session.run(plans.restore_machine(machine, done.uid, ["skew_quadrupoles"]))
# [end]
session.close()
