"""What the page on replaying a run shows."""

import acctwin
from acctwin import plans
from acctwin.errors import DeviceError

session = acctwin.open_session("fodo", seed=1, catalog="temporary")
machine = session.machine

# [documents]
from bluesky.callbacks import LiveTable  # noqa: E402

response = session.run(plans.measure_orbit_response(machine))
session.replay(response.uid, LiveTable(["step_actuator", "step_offset"]))
# [what-if]
orbit = session.run(plans.measure_orbit(machine, readings=5))
session.switch_to_replay(orbit.uid)
for kept in (4, 8, 16):
    correction = session.run(
        plans.correct_orbit(
            machine, response.uid, singular_values=kept, readings=5, preview=True
        )
    )
    kick, left = abs(correction.steps).max(), correction.after.rms
    print(f"{kept} singular values: {kick:.1e} rad at most, predicted rms {left} m")
# [again]
session.switch_to_replay(response.uid)
again = session.run(plans.measure_orbit_response(machine))
print(session.mode, (again.matrix == response.matrix).all())
# [refused]
session.set("C03/HCM", 7e-5)
try:
    session.run(plans.measure_orbit(machine))
except DeviceError as error:
    print(error)
session.switch_to_physics()
# [end]
session.close()
