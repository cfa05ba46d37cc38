"""acctwin.analysis"""
