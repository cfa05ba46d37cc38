"""acctwin.calibration"""
