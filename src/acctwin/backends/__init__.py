"""acctwin.backends"""
