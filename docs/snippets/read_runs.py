"""How-to: find runs and read them back."""

import acctwin
from acctwin import plans

session = acctwin.open_session("fodo", seed=1, catalog="temporary")
machine = session.machine
response = session.run(plans.measure_orbit_response(machine))
session.run(plans.correct_orbit(machine, response))

# [find]
from acctwin.data import dataset, search  # noqa: E402

newest = session.catalog[-1]
named = search(session.catalog, plan_name="correct_orbit", device="C05/HCM")
derived = search(session.catalog, derived_from=response.uid)
print(newest.metadata["start"]["scan_id"], len(named), len(derived))
# [arrays]
run = session.store.run(response.uid)  # or the first characters of a uid, or -1
primary = run["primary"]
print(primary["bpms_x"].shape, primary.units("bpms_x"))
print(primary.config("bpms_names")[:2], primary.config("bpms_s")[:2])
print(run["baseline"]["quadrupoles_strength"].shape)  # before and after
print(dataset(run)["bpms_x"].sel(bpms="C01/BPM2").shape)  # as an xarray dataset
# [broker]
table = session.db[response.uid].table()
print(table["step_offset"].iloc[:4].tolist())
# [replay]
from acctwin.data import replay  # noqa: E402

replay(session.catalog[response.uid], lambda name, doc: None)  # any Bluesky callback
# [find-end]
session.close()
