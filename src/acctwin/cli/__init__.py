"""acctwin.cli"""
