import acctwin
from acctwin import plans

session = acctwin.open_session("fodo", seed=1)  # a small ring with errors of its own
machine = session.machine
orbit = session.run(plans.measure_orbit(machine))
response = session.run(plans.measure_orbit_response(machine))
correction = session.run(plans.correct_orbit(machine, response))
print("rms x, y [m]:", orbit.rms, "then", correction.after.rms)
print(session.catalog[response.uid].metadata["start"]["plan_name"])
session.close()
