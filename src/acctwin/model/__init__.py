"""The physics engine: the only place that knows pyAT."""
