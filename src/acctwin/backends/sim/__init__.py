"""The simulated machine: supplies, instruments and beam around a physics engine."""
