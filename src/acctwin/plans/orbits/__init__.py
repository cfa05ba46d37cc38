"""The closed orbit: measured, corrected, bumped, held."""
