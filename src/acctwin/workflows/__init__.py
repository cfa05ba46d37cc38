"""What joins the model, the data and the analysis of a session.

Each takes an open session first. This face is empty on purpose: they are imported one
by one, ``from acctwin.workflows import loco``.
"""
