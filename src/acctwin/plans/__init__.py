"""acctwin.plans"""
