"""What the pages on bumps, feedback and orbit correction show, in one session."""

import acctwin
from acctwin import plans

session = acctwin.open_session("fodo", seed=1, catalog="temporary")
machine = session.machine

# [ways]
few = session.run(plans.correct_orbit(machine, best=6, preview=True))
print([name for name, step in zip(few.actuators, few.steps, strict=True) if step])
held = session.run(plans.correct_orbit(machine, rf=True, keep_energy=True))
print("RF moved by", held.steps[-1], "Hz, rms [m]:", held.rms_x[-1])
# [amperes]
amperes = session.run(plans.measure_orbit_response(machine, units="hardware"))
correction = session.run(plans.correct_orbit(machine, amperes, units="hardware"))
print(correction.actuators[0], correction.steps[0], "A")
# [undo]
session.run(plans.restore_machine(machine, correction.uid, ["hcm", "vcm"]))
# [ways-end]

# [bump]
bump = session.run(plans.orbit_bump(machine, "y", "C06/BPM1", position=1e-3))
print(bump.correctors, bump.steps)
print(f"{bump.seen:.2e} m at the BPM, leaks {bump.leakage_max:.2%}: {bump.stopped}")
# [angle]
tilt = session.run(
    plans.orbit_bump(machine, "x", "C06/QD", position=0.0, angle=1e-4, correctors=4)
)
# [remove]
session.run(plans.orbit_bump(machine, "y", "C06/BPM1", position=-1e-3))
session.run(plans.restore_machine(machine, tilt.uid, ["hcm", "vcm"]))
# [bump-end]

# [feedback]
golden = session.run(plans.measure_orbit(machine, readings=10))
session.simulation.drift(1e-7)  # rad/√s, of every corrector
held = session.run(plans.orbit_feedback(machine, goal=golden, cycles=50, period_s=0.0))
session.simulation.drift(0)
print("rms [m]:", held.rms_x[-1], held.rms_y[-1])
# [feedback-end]
session.close()
