"""RCDS: is the line scan wrong upstream, and is it right here? And is a resume the same?"""
import sys; sys.path.insert(0,"tests/unit")
import numpy as np
from xopt.generators.sequential.rcds import LineScanStateMachine
from acctwin.plans.rcds import prepare_scan
def scan(): return LineScanStateMachine(np.zeros(1),0.0,np.ones(1),-1.0,1.0,6,np.array([[-1.0,40.],[0.2,0.5],[1.0,60.]]))
plain=scan(); plain.propose(); print("Xopt   ",plain.alist.round(2), plain.flist)
ours=scan(); prepare_scan(ours); print("here   ",ours.alist.round(2), ours.flist)
from bluesky import RunEngine
from bluesky.run_engine import call_in_bluesky_event_loop
from bluesky.utils import RequestAbort
from toy_ring import ring_machine
from toy import ToyRuns
from test_optimise import stop_at
from acctwin import plans
from acctwin.data.runs import Run
RE=RunEngine({},call_returns_result=True); docs=[]
RE.subscribe(lambda n,d:(docs.clear() if n=="start" else None, docs.append((n,d))))
m,sim=ring_machine(); call_in_bluesky_event_loop(m.connect())
def home(): sim.put(np.arange(len(sim.setpoints)), sim.layout.values); sim.changes.notify()
for g,n in (("rcds",40),("neldermead",40),("bayesian",12)):
    home(); m.runs=ToyRuns()
    whole=RE(plans.optimise(m,"vertical_emittance",g,evaluations=n,seed=3)).plan_result
    home(); RE(stop_at(plans.optimise(m,"vertical_emittance",g,evaluations=n,seed=3),n*2//3,RequestAbort()))
    part=Run.from_documents(docs); m.runs=ToyRuns(part)
    back=np.array_equal(sim.setpoints,sim.layout.values)
    again=RE(plans.optimise(m,"vertical_emittance",evaluations=n,resume=part.uid)).plan_result
    d=np.abs(again.candidates-whole.candidates).max()
    print(g,"restored",back,"resumed by",again.resumed,"largest difference of candidates",d,"|",whole.summary())
