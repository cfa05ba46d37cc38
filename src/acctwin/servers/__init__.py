"""The simulated machine as a virtual accelerator: EPICS and Tango servers.

Any client of a control room talks to it as to the machine: ``acctwin serve``. The face
is empty, because the packages of a control system may be missing.
"""
