"""A session: RunEngine, machine and catalog in one hand.

This face is empty on purpose: a session pulls in Bluesky.
"""
