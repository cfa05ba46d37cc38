"""How-to: give runs to other programs and to other labs."""

from pathlib import Path

import acctwin
from acctwin import plans

session = acctwin.open_session("fodo", seed=1, catalog="ours", operator="me")
machine = session.machine
orbit = session.run(plans.measure_orbit(machine, readings=3))

# [export]
from acctwin.data.export import to_csv, to_hdf5, to_mat  # noqa: E402

run = session.store.run(orbit.uid)
print(to_hdf5(run, "orbit.h5"), to_csv(run, "orbit"), to_mat(run, "orbit.mat"))
# [read]
import h5py  # noqa: E402

with h5py.File("orbit.h5") as file:
    x = file["entry/primary/bpms_x"]
    print(x.shape, x.attrs["units"], file["entry/primary/bpms_s"][:3])
# [bundle]
from acctwin.data.export import choose_runs, to_bundle  # noqa: E402

runs = choose_runs(session.store, [orbit.uid], derived=True)
print(to_bundle(runs, "orbit.zip").uids)
# [import]
from acctwin.data import Store  # noqa: E402
from acctwin.data.export import import_bundle  # noqa: E402
from acctwin.plans.orbits.orbit import analyse  # noqa: E402

with Store.open("theirs") as store:
    for found in import_bundle("orbit.zip", store):
        print(found.plan_name, found.status)
    theirs = analyse(store.run(orbit.uid))
print((theirs.x == orbit.x).all())
# [import-end]
session.close()
assert Path("orbit/primary.csv").is_file()
