"""acctwin.devices"""
