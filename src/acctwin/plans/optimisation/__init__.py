"""Optimisation: problems, generators, their history."""
