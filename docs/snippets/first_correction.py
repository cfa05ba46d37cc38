"""The tutorial: measure, correct, read back."""

# [open]
import acctwin
from acctwin import plans

session = acctwin.open_session("fodo", seed=1)
machine = session.machine
print(session)
print(len(machine.bpms), "BPMs,", len(machine.hcm), "+", len(machine.vcm), "correctors")
# [measure]
orbit = session.run(plans.measure_orbit(machine, readings=4))
x, y = orbit.rms
print(f"rms orbit: {x * 1e6:.0f} µm horizontal, {y * 1e6:.0f} µm vertical")
print(f"at {orbit.names[0]}: x = {orbit.x[0] * 1e6:.0f} µm, s = {orbit.s[0]:.2f} m")
# [respond]
response = session.run(plans.measure_orbit_response(machine))
print(response.matrix.shape, response.units[0])
print(response.monitors[0], "to", response.actuators[0])
# [correct]
correction = session.run(plans.correct_orbit(machine, response))
x, y = correction.after.rms
print(f"rms orbit: {x * 1e6:.0f} µm horizontal, {y * 1e6:.0f} µm vertical")
print(correction.iterations, "iterations:", correction.stopped)
# [read]
run = session.catalog[response.uid]
start = run.metadata["start"]
print(start["plan_name"], start["plan_args"]["method"], start["num_points"])
print(run["primary"].read(["bpms_x"])["bpms_x"].shape)
print(session.db[response.uid].stop["exit_status"])
# [analyse]
from acctwin.plans.response import analyse  # noqa: E402

again = analyse(session.store.run(response.uid))
print((again.matrix == response.matrix).all())
# [close]
session.close()
