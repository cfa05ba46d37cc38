"""Coupling of the planes: measured, and made small."""
