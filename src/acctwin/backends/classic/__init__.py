"""Devices of classic ophyd (version 1) as what stands behind a machine's members.

Nothing here imports ophyd before a device is built.
"""
