"""How-to: measure and set the tunes, measure the beta functions."""

from pathlib import Path

import acctwin
from acctwin import plans

session = acctwin.open_session("fodo", seed=1, catalog="temporary")
machine = session.machine

# [measure]
tunes = session.run(plans.measure_tune(machine))
print(f"{tunes.qx:.4f} ± {tunes.sigma_x:.0e}, {tunes.qy:.4f}, {tunes.qs:.4f}")
kicked = session.run(plans.measure_tune(machine, method="turns"))
print(f"by kicking the beam: {kicked.qx:.5f}, {kicked.qy:.5f}")
# [response]
response = session.run(plans.measure_tune_response(machine, ["QF", "QD"]))
print(response.actuators, response.units[0], response.matrix)
# [set]
result = session.run(plans.set_tune(machine, 0.25, 0.33, response=response))
print(result.reached, result.stopped, result.tunes)
print(dict(zip(result.knobs, result.steps, strict=True)), result.units)
session.run(plans.step_tune(machine, -0.01, 0.0))
# [plot]
from acctwin.plots.figure import new_figure, save  # noqa: E402
from acctwin.plots.tune import draw_tunes  # noqa: E402

figure, (axes,) = new_figure(width=5, height=5)
draw_tunes(axes, result)
save(figure, Path("tunes.png"))
# [plot-end]

# [modulation]
by_tune = session.run(
    plans.measure_beta(machine, quadrupoles=[machine["QF"].select("C0[1-4]/*")])
)
for name, beta, error in zip(
    by_tune.names, by_tune.beta_x, by_tune.sigma_x, strict=True
):
    print(f"{name}: ({beta:.2f} ± {error:.2f}) m")
# [turns]
by_phase = session.run(plans.measure_beta(machine, method="turns"))
print("rms beta beat in x and y:", by_phase.rms_beat)
print("phase advances [rad]:", by_phase.phase.x[:3], by_phase.phase.model_x[:3])
# [plot-beta]
from acctwin.plots.beta import draw_beat, draw_beta  # noqa: E402

figure, axes = new_figure(2)
draw_beta(axes[0], by_phase)
draw_beat(axes[1], by_phase)
save(figure, Path("beta.png"))
# [beta-end]
session.close()
