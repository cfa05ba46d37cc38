"""Beam-based alignment."""
