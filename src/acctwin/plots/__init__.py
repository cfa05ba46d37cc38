"""Plots: results in, matplotlib axes out.

This face is empty on purpose: matplotlib is imported only where it is used.
"""
