"""acctwin.session"""
