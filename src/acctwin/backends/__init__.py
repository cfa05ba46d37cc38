"""Where devices are: simulation now, control systems beside it.

This face is empty on purpose: a backend may need an optional package.
"""
