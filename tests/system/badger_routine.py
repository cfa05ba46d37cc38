"""Run by test_badger.py in its own process: a routine, as Badger runs it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings

warnings.simplefilter("ignore")

from badger.settings import init_settings

init_settings(os.environ["BADGER_CONFIG_PATH"])

import pandas as pd
from badger.core import run_routine
from badger.errors import BadgerRunTerminated
from badger.factory import get_env, list_env, list_intf
from badger.routine import Routine

NAMES = ["C01/HCM", "C05/HCM"]
EVALUATIONS = 12

_, configs = get_env("acctwin_fodo")
bounds = {}
for entry in configs["variables"]:
    bounds |= entry
start = {name: [0.0] for name in NAMES}
routine = Routine(
    name="orbit",
    vocs={
        "variables": {name: bounds[name] for name in NAMES},
        "objectives": {"bpms:rms_x": "MINIMIZE"},
        "observables": ["tune:qx"],
    },
    generator={"name": "neldermead"},
    environment={"name": "acctwin_fodo", "interface": {}},
    initial_points=pd.DataFrame(start),
)
number = [0]


def go_on() -> int:
    number[0] += 1
    return 2 if number[0] > 2 * EVALUATIONS else 0


with contextlib.suppress(BadgerRunTerminated):
    run_routine(routine, go_on, lambda _: None, lambda _: None, None, verbose=0)
refused = ""
try:
    routine.environment.interface.set_values({"C01/HCM": 1.0})
except Exception as error:  # whatever class: the words are what is looked at
    refused = str(error)
json.dump(
    {
        "environments": list_env(),
        "interfaces": list_intf(),
        "bounds": bounds["C01/HCM"],
        "observables": configs["observations"],
        "values": routine.data["bpms:rms_x"].tolist(),
        "tunes": routine.data["tune:qx"].tolist(),
        "now": routine.environment.get_variables(NAMES),
        "refused": refused,
    },
    sys.stdout,
)
