"""LOCO: its measurement, and what is done with a fit."""
