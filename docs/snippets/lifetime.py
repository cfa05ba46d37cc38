"""How-to: measure the lifetime, read the other instruments."""

import shutil
from pathlib import Path

import acctwin
from acctwin import plans
from acctwin.profiles import find_site

site = Path("site")  # with a ring whose beam decays
for folder in ("devices", "plans", "profiles"):
    shutil.copytree(find_site() / folder, site / folder)
profile = site / "profiles/fodo.yaml"
beam = "current_ma: 200\n"
text = profile.read_text().replace(beam, f"{beam}  lifetime_h: 8\n")
profile.write_text(text)

session = acctwin.open_session("fodo", site=site, seed=1, catalog="temporary")
machine = session.machine

# [measure]
result = session.run(plans.measure_lifetime(machine, precision=0.02, max_s=60))
print(result.stopped, result.readings, "readings of", result.current.mean(), "A")
print(f"({result.lifetime / 3600:.3g} ± {result.sigma / 3600:.1g}) h")
print(f"longer than {result.lower_limit / 3600:.3g} h (95 %)")
# [plot]
from acctwin.plots.figure import new_figure, save  # noqa: E402
from acctwin.plots.lifetime import draw_lifetime  # noqa: E402

figure, (axes,) = new_figure()
draw_lifetime(axes, result)
save(figure, Path("lifetime.png"))
# [again]
from acctwin.plans.lifetime import analyse  # noqa: E402

print(analyse(session.store.run(result.uid)).lower_limit == result.lower_limit)
# [measure-end]

# [drift]
session.simulation.drift(2e-7)  # rad/√s, of every corrector
orbits = [session.run(plans.measure_orbit(machine)) for _ in range(5)]
print("moved by [m]:", abs(orbits[-1].x - orbits[0].x).max())
session.simulation.drift(0)
# [drift-end]
session.close()
