"""Pure conversions between what an instrument reports and what is there."""
