"""What was saved of a machine, or promoted to be its reference."""
