"""acctwin.plots"""
