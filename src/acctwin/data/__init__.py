"""acctwin.data"""
