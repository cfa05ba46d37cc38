"""What depends on the momentum: RF frequency, dispersion, chromaticity."""
