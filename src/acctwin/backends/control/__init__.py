"""A control system behind the devices: EPICS Channel Access, PV Access, or Tango.

This face is empty on purpose: the packages of a control system may be missing.
"""
