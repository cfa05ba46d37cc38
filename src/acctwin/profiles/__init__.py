"""acctwin.profiles"""
